"""From a form or a request to the deletion of images."""

from __future__ import annotations

from cbmir.services.ingestion import removal
from cbmir.services.retrieval import library
from cbmir_web.installation import Installation


def delete(here: Installation, instance_id: int, of: str) -> int:
    """Delete an image, or all of its study or patient; the number of those deleted.

    Raises:
        cbmir.errors.NotFound: if there is no such image.
        cbmir.errors.BadRequest: if an archive that is followed holds one of the images.
    """
    with here.database.read() as session:
        doomed = removal.of_image(session, library.instance(session, instance_id), removal.Extent(of))
    return removal.remove(here.database, here.settings, doomed)
