"""Out of an answer into the archive's own viewer; links are made when they are shown, and so follow the archive."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from sqlalchemy.orm import Session

from cbmir.archive.connection import ArchiveKind
from cbmir.store.ledger import holders
from cbmir.store.tables import Archive, ArchiveObject

ORTHANC_EXPLORER = "/app/explorer.html#instance?uuid={remote}"
PLACEHOLDER = re.compile(r"\{(study|series|instance|remote)\}")


@dataclass(frozen=True)
class Link:
    """An archive that holds an object, and where it shows it; `url` is empty where it has no viewer."""

    archive: str
    url: str = ""


def viewer_links(session: Session, sop_instance_uids: Sequence[str]) -> dict[str, Link]:
    """The link into a viewer for each of these objects that an archive with one holds, by SOP Instance UID."""
    first: dict[str, Link] = {}
    for each, archive in _held(session, sop_instance_uids):
        if url := _viewer(each, archive):
            first.setdefault(each.sop_instance_uid, Link(archive.name, url))
    return first


def places(session: Session, sop_instance_uid: str) -> list[Link]:
    """Every archive that holds this object, the one added first before the others."""
    return [Link(archive.name, _viewer(each, archive)) for each, archive in _held(session, [sop_instance_uid])]


def with_viewers(session: Session, answers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Answers as `Answer.as_json` gives them, each hit with its `viewer`: a URL, or None."""
    found = list(answers)
    uids = {hit["sop_instance_uid"] for answer in found for hit in _hits(answer)} - {None}
    links = viewer_links(session, sorted(uids))
    return [{**answer, **_linked(answer, links)} for answer in found]


def _hits(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [*answer.get("hits", []), *answer.get("priors", [])]


def _linked(answer: Mapping[str, Any], links: Mapping[str, Link]) -> dict[str, list[dict[str, Any]]]:
    def linked(hit: dict[str, Any]) -> dict[str, Any]:
        link = links.get(hit["sop_instance_uid"])
        return {**hit, "viewer": link.url if link else None}

    return {name: [linked(hit) for hit in answer[name]] for name in ("hits", "priors") if name in answer}


def _held(session: Session, uids: Sequence[str]) -> list[tuple[ArchiveObject, Archive]]:
    return sorted(holders(session, uids), key=lambda pair: pair[1].id)


def _viewer(each: ArchiveObject, archive: Archive) -> str:
    template = str(archive.options.get("viewer") or "")
    if not template and archive.kind == ArchiveKind.ORTHANC:
        template = archive.address.rstrip("/") + ORTHANC_EXPLORER
    known = {
        "study": each.study_instance_uid,
        "series": each.series_instance_uid,
        "instance": each.sop_instance_uid,
        "remote": each.remote_id,
    }
    if not all(known[name] for name in PLACEHOLDER.findall(template)):
        return ""
    return _harmless(PLACEHOLDER.sub(lambda found: quote(known[found.group(1)], safe=""), template))


def _harmless(url: str) -> str:
    """The URL without a name and password; empty unless it is one of the web: a link could as well be a script."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:  # such as an IPv6 address without its end
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
