"""What an evaluation is refused for, as far as that can be told before it begins."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from cbmir.errors import BadRequest
from cbmir.store import frames


def check(session: Session, label: str, by: Sequence[str], encoder_id: str, against: str | None) -> None:
    """That images have the labels named, and that two encoders are two.

    Raises:
        cbmir.errors.BadRequest: if no image has such a label, or an encoder is compared with itself.
    """
    if encoder_id == against:
        raise compared_with_itself(encoder_id)
    if label not in frames.label_names(session):
        raise no_such_label(session, label)
    names = frames.known_names(session)
    for name in by:
        if name not in names:
            raise no_such_label(session, name)


def no_such_label(session: Session, name: str) -> BadRequest:
    """The error for a label that no image has: it says what images have."""
    known = ", ".join(frames.known_names(session))
    remedy = f"What images have is: {known}. A manifest's column `source` says where they come from."
    none = "None has any: labels come with a manifest or from folders' names (`cbmir ingest --labels`)."
    return BadRequest(f"No image has a label {name!r}.", remedy if known else none)


def compared_with_itself(encoder_id: str) -> BadRequest:
    """The error for one encoder in place of two."""
    return BadRequest(f"The encoder {encoder_id} cannot be compared with itself.", "Name another one.")
