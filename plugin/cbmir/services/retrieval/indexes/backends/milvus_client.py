"""The clients of Milvuses that this process holds."""

from __future__ import annotations

from threading import Lock
from urllib.parse import unquote, urlsplit

from pymilvus import MilvusClient

from cbmir.index.milvus import translated

TIMEOUT_SECONDS = 10

_clients: dict[str, MilvusClient] = {}
_lock = Lock()


def client_of(url: str) -> MilvusClient:
    """The client of a Milvus; one a process.

    Raises:
        cbmir.errors.Unavailable: if it does not answer.
    """
    with _lock, translated():
        if url not in _clients:
            # a connection that is shared with others stays open when its client is closed, and goes on pinging
            _clients[url] = MilvusClient(**_address(url), timeout=TIMEOUT_SECONDS, dedicated=True)
        return _clients[url]


def close(url: str) -> None:
    """Let go of a Milvus, if this process holds it."""
    with _lock:
        if url in _clients:
            _clients.pop(url).close()


def _address(url: str) -> dict[str, str]:
    """What a client is told of a URL; a name and a password go apart from it."""
    parts = urlsplit(url)
    if not parts.username:
        return {"uri": url}
    place = parts.netloc.rpartition("@")[2]
    token = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"uri": parts._replace(netloc=place).geturl(), "token": token}
