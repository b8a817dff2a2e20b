"""How an archive lets us in, as a form says it: by one way of three, whose fields alone count."""

from __future__ import annotations

from collections.abc import Mapping

from cbmir.errors import BadRequest
from cbmir.services.archives.editing import SECRETS, WAYS

NEEDED = {
    "password": {},
    "token": {"token": "token"},
    "oauth2": {"token_url": "token URL", "client_id": "client id", "client_secret": "client secret"},
}
"""The fields without which a way leads nowhere, and what the form calls them."""


def aside(form: Mapping[str, str], before: str = "") -> frozenset[str]:
    """The fields of a form that belong to other ways than the one chosen; none where it asks for no way.

    Args:
        form: what was typed.
        before: the way that was used until now: its secret is kept, unless another is typed.

    Raises:
        cbmir.errors.BadRequest: if there is no such way, or what it needs was not typed.
    """
    way = form.get("way", "")
    if not way:
        return frozenset()
    if way not in WAYS:
        raise BadRequest("way: Must be one of: " + ", ".join(WAYS) + ".")
    kept = SECRETS if way == before else ()
    needed = {name: called for name, called in NEEDED[way].items() if name not in kept}
    if missing := [called for name, called in needed.items() if not form.get(name, "").strip()]:
        raise BadRequest(f"Missing, to be let in: {', '.join(missing)}.", "Type it, or choose another way.")
    return frozenset(name for other, names in WAYS.items() if other != way for name in names)
