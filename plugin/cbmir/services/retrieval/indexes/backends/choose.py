"""The backend that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from cbmir.errors import BadRequest
from cbmir.index import extras
from cbmir.services.retrieval.indexes.backends import files
from cbmir.services.retrieval.indexes.backends.base import Backend
from cbmir.settings import Settings
from cbmir.store.session import Database


def _pgvector(_settings: Settings) -> Backend:
    extras.needed("pgvector", "pgvector")
    from cbmir.services.retrieval.indexes.backends.pgvector import Pgvector

    return Pgvector()


def _milvus(settings: Settings) -> Backend:
    extras.needed("pymilvus", "milvus")
    from cbmir.services.retrieval.indexes.backends.milvus import Milvus

    return Milvus(settings)


BACKENDS: Mapping[str, Callable[[Settings], Backend]] = MappingProxyType(
    {"exact": files.exact_files, "hnsw": files.hnsw_files, "pgvector": _pgvector, "milvus": _milvus}
)


def chosen(settings: Settings) -> Backend:
    """The backend of an installation.

    Raises:
        cbmir.errors.BadRequest: if there is none of the name that the settings give.
    """
    if settings.index not in BACKENDS:
        raise BadRequest(
            f"CBMIR_INDEX names no index: {settings.index!r}.", f"Choose one of: {', '.join(BACKENDS)}."
        )
    return BACKENDS[settings.index](settings)


def check(database: Database, settings: Settings) -> Backend:
    """The backend of an installation, which can be used: for whoever starts, before the first query fails.

    Raises:
        cbmir.errors.BadRequest: if there is none of that name, or the database is of the wrong kind for it.
        cbmir.errors.Unavailable: if a package, a server or an extension is missing.
    """
    backend = chosen(settings)
    with database.read() as session:
        backend.check(session)
    return backend
