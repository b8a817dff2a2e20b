"""The session through which an archive is asked: kept alive, bounded, patient, and to one host only."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Collection
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from authlib.integrations.requests_client import OAuth2Session
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import get_environ_proxies
from urllib3.util.retry import Retry

from cbmir.archive.connection import Connection
from cbmir.archive.http import tls
from cbmir.archive.http.answers import ADDRESS, MAX_ANSWER, of_status, pieces, translated
from cbmir.archive.http.credentials import ClientCredentials, simple
from cbmir.archive.pace import Pace, pace
from cbmir.errors import ArchiveGarbled, ArchiveRefused, BadRequest

# It warns of each repetition, and quotes headers that it cannot parse; what matters of that is an error of ours.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

CONNECT_SECONDS = 10.0
"""A host that does not take a connection within this time is down, however slow its answers may be."""

REPEATS = 3
"""A request is repeated at most so often, by back-off or when `Retry-After` says (RFC 9110, 10.2.3)."""

BACK_OFF = 0.25
"""Seconds of urllib3's exponential back-off: a request is repeated at once, then after 0.5 and after 1 second."""

LONGEST_WAIT = 60
"""Seconds that we wait at most when `Retry-After` asks us to."""

BUSY = (429, 502, 503, 504)
"""Statuses after which the same request may succeed."""


class ArchiveSession(requests.Session):
    """A requests.Session for one archive, whose errors are cbmir's; safe for several threads.

    It sends no `Accept-Encoding: gzip`: Orthanc would compress objects, and fall from 394 to 14 files a second.
    TCP_NODELAY is urllib3's default. Neither ~/.netrc nor REQUESTS_CA_BUNDLE has a say; the proxy variables have.

    Args:
        connection: to whom; its address is a URL.
        repeatable: HTTP methods that may be repeated after the request may have been received.

    Raises:
        cbmir.errors.BadRequest: if its address is no URL, or a file that it names is of no use.
    """

    def __init__(self, connection: Connection, repeatable: Collection[str] = ("GET", "HEAD")) -> None:
        super().__init__()
        self.who = f"The archive {connection.name}"
        self.base = base_url(connection)
        self.seconds = connection.timeout_seconds
        self.headers["Accept-Encoding"] = "identity"
        self.headers["User-Agent"] = "cbmir"
        context = tls.context(connection)
        _prepare(self, connection, self.base, door(connection, self.who, context, repeatable))
        self.auth = _auth(connection, self.who, context)

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        """As requests does; a status from 400 on is raised, but for 409, with which STOW-RS explains itself."""
        with translated(self.who):
            response = super().send(request, **how)
        if response.status_code >= 400 and response.status_code != 409:
            response.close()
            raise of_status(self.who, response.status_code)
        return response

    def close(self) -> None:
        super().close()
        if isinstance(self.auth, ClientCredentials):
            self.auth.close()

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return _same_host(self, resp, self.who, super().get_redirect_target(resp))


def base_url(connection: Connection) -> str:
    """The address without a slash at its end.

    Raises:
        cbmir.errors.BadRequest: if it is no http or https URL of a host, or holds credentials.
    """
    try:
        parts = urlsplit(connection.address)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or parts.query or parts.fragment:
        raise BadRequest(f"The archive {connection.name} has no address that is a URL.", "Write https://HOST/PATH.")
    if "@" in parts.netloc:
        remedy = "Give them apart, so that they are kept encrypted."
        raise BadRequest(f"The address of the archive {connection.name} holds a user or a password.", remedy)
    return connection.address.rstrip("/")


class _Door(HTTPAdapter):
    """Where requests go out: with our TLS, at our pace, with our patience, and answers that fit into memory."""

    def __init__(
        self, who: str, seconds: float, context: ssl.SSLContext, pace: Pace, parallel: int, retries: Retry
    ) -> None:
        self._who, self._seconds, self._context, self._pace = who, seconds, context, pace
        super().__init__(pool_maxsize=max(1, parallel) + 1, max_retries=retries)  # who lists, too

    def init_poolmanager(self, *sizes: Any, **how: Any) -> None:
        super().init_poolmanager(*sizes, ssl_context=self._context, **how)

    def proxy_manager_for(self, proxy: str, **how: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **how)

    def cert_verify(self, *_: Any) -> None:
        """Nothing: our context says whom we trust, and requests would read its own list for every connection."""

    def send(self, request: requests.PreparedRequest, *how: Any, **named: Any) -> requests.Response:
        """Always streamed, so that nothing is read without a bound; what nobody wants as a stream is read here."""
        request.headers.pop("Host", None)  # dicomweb-client names it without its port
        wanted = named.pop("stream", False)
        self._pace.wait()
        times = (min(CONNECT_SECONDS, self._seconds), self._seconds)
        with translated(self._who):
            response = super().send(request, *how, **(named | {"stream": True, "timeout": times}))
        if not wanted or response.is_redirect:
            response._content = b"".join(pieces(response, self._who, self._seconds, MAX_ANSWER))
        return response


def door(connection: Connection, who: str, context: ssl.SSLContext, repeatable: Collection[str]) -> HTTPAdapter:
    """An adapter that keeps alive `connection.parallel` connections, and one for who lists meanwhile."""
    retries = Retry(
        REPEATS,
        connect=REPEATS,
        read=1,
        other=0,
        allowed_methods=repeatable,
        status_forcelist=BUSY,
        backoff_factor=BACK_OFF,
        raise_on_status=False,
        retry_after_max=LONGEST_WAIT,
    )
    turns = pace(connection.name, connection.requests_per_second)
    return _Door(who, connection.timeout_seconds, context, turns, connection.parallel, retries)


def _prepare(session: requests.Session, connection: Connection, url: str, adapter: HTTPAdapter) -> None:
    session.trust_env = False
    session.proxies = dict(get_environ_proxies(url))
    session.verify = connection.authority or True
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)


def _auth(connection: Connection, who: str, context: ssl.SSLContext) -> AuthBase:
    credentials = connection.credentials
    if bool(credentials.token_url) != bool(credentials.client_id):
        missing = "its client" if credentials.token_url else "where a token is given"
        raise BadRequest(f"{who} is reached by OAuth2, and {missing} is not said.", "Give both, or neither.")
    if not credentials.token_url:
        return simple(credentials)
    session = _TokenSession(
        credentials.client_id,
        credentials.client_secret,
        scope=credentials.scope or None,
        token_endpoint=credentials.token_url,
        leeway=10,
    )
    session.who = who
    _prepare(session, connection, credentials.token_url, door(connection, who, context, ("POST",)))
    return ClientCredentials(session, who)


class _TokenSession(OAuth2Session):  # type: ignore[misc]
    """Asks for tokens; its secret goes to the token endpoint's host alone."""

    who = ""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return _same_host(self, resp, self.who, super().get_redirect_target(resp))


def _same_host(session: requests.Session, answer: requests.Response, who: str, target: str | None) -> str | None:
    """Where an answer sends us, but not to another host: it would learn our credentials, or a patient's data."""
    try:
        strip: bool = target is not None and session.should_strip_auth(answer.url, urljoin(answer.url, target))  # type: ignore[no-untyped-call]
    except ValueError as error:  # such as an IPv6 address without its end
        raise ArchiveGarbled(f"{who} sends us on to what is no address.", ADDRESS) from error
    if strip:
        raise ArchiveRefused(
            f"{who} sends us on to another host.", "Name that host as the address, if it is right."
        )
    return target
