"""Two who edit one archive at once: the later one is told what the other saved, and decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cbmir.errors import BadRequest
from cbmir_web import wording


def shown(known: Mapping[str, Any]) -> dict[str, str]:
    """What a form shows of an archive, by field, and brings back; no secret.

    Args:
        known: as `actions.describing.described` gives it.
    """
    return {field: _typed(known[field]) for field in wording.ARCHIVE if field in known}


def refuse_overtaken(name: str, known: Mapping[str, Any], brought_back: str | None) -> None:
    """Refuse a form whose archive was saved otherwise since it was shown.

    Args:
        name: the archive's.
        known: how the archive is described now.
        brought_back: what the form showed, as JSON; None where a program sends it, which has seen no form.

    Raises:
        cbmir.errors.BadRequest: naming what is other now.
    """
    before, now = _read(brought_back), shown(known)
    if before is None or before == now:
        return
    others = {field: value for field, value in now.items() if before.get(field) != value}
    said = "; ".join(f"{wording.ARCHIVE[field]}: {value or 'empty'}" for field, value in others.items())
    raise BadRequest(
        f"Somebody else has edited {name} meanwhile. There it says now: {said}.",
        "Take over what is right, and save again: what you typed then holds.",
    )


def _read(brought_back: str | None) -> dict[str, Any] | None:
    try:
        return dict(json.loads(brought_back)) if brought_back else None
    except (TypeError, ValueError) as error:
        raise BadRequest("The form is damaged.", "Load its page again.") from error


def _typed(value: Any) -> str:
    """A value as the form shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
