"""Answers as they should not be: every foreign error, and every bad status, becomes one of ours here."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from time import monotonic

import requests
from urllib3.exceptions import DecodeError, HTTPError, MaxRetryError, ReadTimeoutError

from cbmir.errors import ArchiveGarbled, ArchiveRefused, ArchiveUnavailable, CbmirError, NotFound

MAX_ANSWER = 64 * 1024**2
"""Bytes of an answer that is read into memory, such as a page of a list: about 60,000 entries."""

PIECE = 256 * 1024
"""Bytes that are read at once."""

SLOWEST = 10_000
"""Bytes a second: who is slower, once the time for an answer is over, is given up."""

OVERLOADED = "See that it runs and is not overloaded."
CREDENTIALS = "Check the user, the password or the token, and what they allow."
CERTIFICATE = "Give a certificate, and its key, that the archive accepts."
ADDRESS = "Check the address, and that it is an archive's."

COMPRESSED = "compresses its answer in a way that cannot be undone"
GARBLED: dict[type[Exception], str] = {
    requests.exceptions.JSONDecodeError: "answers with what is no JSON, such as a page for people",
    requests.exceptions.ContentDecodingError: COMPRESSED,
    DecodeError: COMPRESSED,
    requests.TooManyRedirects: "sends us on from place to place without end",
    RecursionError: "answers with JSON that is nested without end",
}
"""What is wrong with an answer that came, by the error that it makes."""


class AnswerLost(ArchiveUnavailable):
    """An answer that broke off, came too late or was a server's own error: others may yet be answered."""


class RequestRefused(ArchiveRefused):
    """A request that is refused whoever sends it, or to us for what it asks: others may yet be answered."""


@contextmanager
def translated(who: str) -> Iterator[None]:
    """Turn every foreign error of HTTP and TLS into ours.

    Args:
        who: begins the sentence, such as "The archive NAME".

    Raises:
        cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused, cbmir.errors.ArchiveGarbled,
        cbmir.errors.NotFound: as the error says; errors of cbmir's own pass as they are.
    """
    try:
        yield
    except (
        requests.RequestException,
        HTTPError,
        ssl.SSLError,
        RecursionError,
    ) as error:  # JSON may be nested deeply
        raise _ours(who, error) from error


def _ours(who: str, error: Exception) -> CbmirError:
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, ssl.SSLError):
            return _of_tls(who, cause)
        if isinstance(cause, http.client.HTTPException) and not _is_cut(cause):
            return ArchiveGarbled(f"{who} answers with what is no HTTP ({type(cause).__name__}).", ADDRESS)
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return of_status(who, error.response.status_code)
    if any(isinstance(cause, ReadTimeoutError | requests.ReadTimeout) for cause in chain):
        return AnswerLost(f"{who} does not answer in time.", OVERLOADED)
    if any(isinstance(cause, MaxRetryError) for cause in chain) and not _was_reached(chain):
        return ArchiveUnavailable(f"{who} cannot be reached: {_why(chain)}.", f"{OVERLOADED} {ADDRESS}")
    if isinstance(error, (*GARBLED, ValueError)):
        said = next((words for kind, words in GARBLED.items() if isinstance(error, kind)), "")
        return ArchiveGarbled(f"{who} {said or 'answers with what cannot be understood'}.", ADDRESS)
    return AnswerLost(f"{who} broke off in the middle of an answer.", OVERLOADED)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it wraps: requests and urllib3 put theirs into `args` and `reason`."""
    yield error
    inner = (*error.args, getattr(error, "reason", None))
    for each in {id(each): each for each in inner if isinstance(each, BaseException)}.values():
        yield from _causes(each)


def _is_cut(error: http.client.HTTPException) -> bool:
    return isinstance(error, (http.client.IncompleteRead, ConnectionError))


def _was_reached(chain: list[BaseException]) -> bool:
    names = {type(cause).__name__ for cause in chain}
    return not names & {"NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ProxyError"}


def _why(chain: list[BaseException]) -> str:
    names = {type(cause).__name__ for cause in chain}
    if "NameResolutionError" in names:
        return "its name is not known"
    if "ConnectTimeoutError" in names:
        return "nobody answers"
    return "the proxy fails" if "ProxyError" in names else "the connection is refused"


def _of_tls(who: str, error: ssl.SSLError) -> CbmirError:
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = "Renew the archive's certificate, or name the certificate authority that signed it."
        return ArchiveRefused(f"{who} shows a certificate that is not trusted: {error.verify_message}.", remedy)
    reason = error.reason or type(error).__name__
    if "ALERT" in reason:
        return ArchiveRefused(f"{who} asks for a certificate of ours, or refuses it ({reason}).", CERTIFICATE)
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
        return ArchiveRefused(f"{who} does not speak TLS there.", "Check the port, and https or http.")
    # of TLS 1.3 the alert may be lost (RFC 8446, 6.2)
    remedy = f"{OVERLOADED} It may want to see a certificate of ours."
    return AnswerLost(f"{who} hung up while TLS was spoken ({reason}).", remedy)


def of_status(who: str, status: int) -> CbmirError:
    """The error that an HTTP status of 400 and above means (RFC 9110, 15.5 and 15.6)."""
    if status == 401:
        return ArchiveRefused(
            f"{who} does not let us in: without credentials, or with wrong ones (HTTP 401).", CREDENTIALS
        )
    if status == 403:
        return RequestRefused(f"{who} does not allow that with our credentials (HTTP 403).", CREDENTIALS)
    if status in (404, 410):
        return NotFound(f"{who} has nothing at that place (HTTP {status}).", ADDRESS)
    if status in (408, 425, 429) or status >= 500:
        return AnswerLost(f"{who} cannot answer now (HTTP {status}).", OVERLOADED)
    return RequestRefused(f"{who} refuses what it is asked (HTTP {status}).", "See the archive's own log.")


def pieces(
    response: requests.Response, who: str, seconds: float, bound: int | None = None
) -> Generator[bytes, None, None]:
    """The body of an answer as it comes, decoded, in pieces of at most `PIECE` bytes; it is closed at the end.

    Args:
        response: asked for with `stream=True`.
        who: begins an error's sentence.
        seconds: that we wait for it in all, beyond the time that its bytes take at `SLOWEST`; who was quick before
            has no more than these seconds to his credit. The time that we take ourselves does not count.
        bound: most bytes; None for any number.

    Raises:
        cbmir.errors.ArchiveUnavailable: if it breaks off or is too slow.
        cbmir.errors.ArchiveGarbled: if it is longer than `bound`.
    """
    received, left, began = 0, seconds, monotonic()
    with response:
        while piece := _read(response, who):
            received += len(piece)
            left = min(left - (monotonic() - began) + len(piece) / SLOWEST, seconds)
            if bound is not None and received > bound:
                raise ArchiveGarbled(f"{who} sends an answer without end, of more than {bound} bytes.", ADDRESS)
            if left < 0:
                raise AnswerLost(f"{who} does not answer in time.", OVERLOADED)
            yield piece
            began = monotonic()


def _read(response: requests.Response, who: str) -> bytes:
    with translated(who):
        return bytes(response.raw.read1(PIECE, decode_content=True))
