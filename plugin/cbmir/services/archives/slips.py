"""What can be said of an archive, means nothing, and would be passed over without a word."""

from __future__ import annotations

import re
from dataclasses import fields
from urllib.parse import urlsplit

from cbmir.archive.connection import Connection, Credentials, Rules, is_node, is_url
from cbmir.errors import BadRequest
from cbmir.services.archives.links import PLACEHOLDER

MODALITY = re.compile(r"[A-Z0-9_]{1,16}")
"""A Code String (PS3.5, 6.2); the blanks that it may have within are in no modality's (PS3.3, C.7.3.1.1.1)."""

WEB = ("http", "https")
OF_DIMSE = {
    "tls": "encryption of DIMSE",
    "calling_aet": "our AE title",
    "retrieve": "C-GET or C-MOVE",
    "move_aet": "the AE title of a C-MOVE",
    "move_port": "the port of a C-MOVE",
}
"""What only DIMSE has, by field, in words that neither a command line nor a form need know as its own."""


def refuse_slips(after: Connection, before: Connection | None = None) -> None:
    """Refuse a viewer that no hit can link to, modalities that are none, credentials where nobody asks for any, and
    what only DIMSE has where it is not spoken; what was so before stays, and what says nothing may be said. Nothing
    is asked of the archive: it can be told before its test.

    Args:
        after: the connection as it is to be.
        before: as it was; None for a new one.

    Raises:
        cbmir.errors.BadRequest: if there is such a slip.
    """
    if after.viewer and (before is None or after.viewer != before.viewer):
        _refuse_viewer(after.viewer)
    if before is None or after.rules != before.rules:
        _refuse_modalities(after.rules)
    if before is None or after.credentials != before.credentials:
        _refuse_credentials(after)
    if is_url(after.address):  # the kind may yet be that of an address before
        _refuse_options_of_dimse(after, before)


def _refuse_viewer(viewer: str) -> None:
    remedy = (
        "Write a URL with {study}, {series} or {instance} in it, as https://HOST/viewer?StudyInstanceUIDs={study}."
    )
    rest = PLACEHOLDER.sub("", viewer)
    if "{" in rest or "}" in rest:
        raise BadRequest(f"The viewer {viewer} has something else in braces than is known.", remedy)
    try:
        parts = urlsplit(rest)
    except ValueError as error:
        raise BadRequest(f"The viewer {viewer} is no URL: {error}.", remedy) from error
    if parts.scheme not in WEB or not parts.hostname:
        raise BadRequest(f"The viewer {viewer} is no URL of the web.", remedy)


def _refuse_modalities(rules: Rules) -> None:
    for code in (*rules.modalities, *rules.without_modalities):
        if not MODALITY.fullmatch(code):
            raise BadRequest(f"{code} is no modality, as CT or MR is.", "Separate several by commas in a form.")


def _refuse_credentials(connection: Connection) -> None:
    given = [each.name for each in fields(Credentials) if getattr(connection.credentials, each.name)]
    if given and is_node(connection.address):
        raise BadRequest(
            f"{connection.name} speaks DIMSE, which knows no credentials: {', '.join(given)}.",
            "Leave them out: who asks is known by the AE title (--calling-aet), or by --certificate with --tls.",
        )


def _refuse_options_of_dimse(after: Connection, before: Connection | None) -> None:
    passed = [Connection(after.name, after.kind, after.address), *([before] if before else [])]
    said = [
        OF_DIMSE[each] for each in OF_DIMSE if getattr(after, each) not in [getattr(one, each) for one in passed]
    ]
    if said:
        raise BadRequest(
            f"{after.name} is reached by a URL, for which these mean nothing: {', '.join(said)}.",
            "Leave them out: they are for AE@HOST:PORT. Encryption is by the URL, https://…",
        )
