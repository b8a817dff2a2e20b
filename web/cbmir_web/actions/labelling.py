"""From a form or a request to the labels of an image."""

from __future__ import annotations

from collections.abc import Mapping

from cbmir.services.ingestion import labelling
from cbmir.services.retrieval import library
from cbmir.store.tables import Instance
from cbmir_web.installation import Installation


def label(here: Installation, instance_id: int, wanted: Mapping[str, str | None]) -> Instance:
    """Give and take labels; the image as it is then.

    Raises:
        cbmir.errors.NotFound: if there is no such image.
        cbmir.errors.BadRequest: if a name or a value is empty or too long.
    """
    with here.database.write() as session:
        found = library.instance(session, instance_id)
        labelling.label(session, found, wanted)
    return found
