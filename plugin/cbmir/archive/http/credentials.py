"""How we prove who asks: a password, a bearer token, OAuth2 client credentials. None is ever shown or logged."""

from __future__ import annotations

from threading import Lock
from typing import Any

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from requests.auth import AuthBase, HTTPBasicAuth

from cbmir.archive.connection import Credentials
from cbmir.archive.http.answers import CREDENTIALS, of_status
from cbmir.errors import ArchiveGarbled, ArchiveRefused


class Nobody(AuthBase):
    """No credentials; it keeps requests from looking for some in ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class Bearer(AuthBase):
    """A token as it is (RFC 6750, 2.1)."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class ClientCredentials(AuthBase):
    """A token by OAuth2 client credentials (RFC 6749, 4.4), renewed before it expires and whenever it is refused.

    Args:
        session: an OAuth2Session that knows client, secret, scope and token endpoint.
        who: begins an error's sentence.
    """

    def __init__(self, session: OAuth2Session, who: str) -> None:
        self._session, self._who, self._lock = session, f"The token endpoint of {who[:1].lower()}{who[1:]}", Lock()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._valid()}"
        request.register_hook("response", self._once_more)  # type: ignore[no-untyped-call]
        return request

    def close(self) -> None:
        """Let go of connections to the token endpoint."""
        self._session.close()

    def _valid(self, refused: str = "") -> str:
        """A token that has not expired and is not the one that was refused; asked for by one thread alone."""
        with self._lock:
            token = self._session.token
            expired = not token or token.is_expired(leeway=self._session.leeway)
            if expired or token["access_token"] == refused:
                self._fetch()
            return str(self._session.token["access_token"])

    def _fetch(self) -> None:
        try:
            self._session.fetch_token(grant_type="client_credentials")
            self._session.token["access_token"]
        except requests.HTTPError as error:
            raise of_status(self._who, getattr(error.response, "status_code", 500)) from error
        except AuthlibBaseError as error:
            raise ArchiveRefused(f"{self._who} gives us no token ({error.error}).", CREDENTIALS) from error
        except (KeyError, TypeError, ValueError) as error:
            remedy = "Check the address of the token endpoint."
            raise ArchiveGarbled(f"{self._who} answers with what is no token.", remedy) from error

    def _once_more(self, response: requests.Response, **how: Any) -> requests.Response:
        """After a 401: the same request with a new token, once (RFC 6750, 3.1)."""
        request = response.request
        used = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if response.status_code != 401 or not _repeatable(request):
            return response
        response.close()
        again = request.copy()
        again.headers["Authorization"] = f"Bearer {self._valid(used)}"
        answer: requests.Response = response.connection.send(again, **how)
        answer.history.append(response)
        return answer


def _repeatable(request: requests.PreparedRequest) -> bool:
    return request.body is None or isinstance(request.body, bytes | str)


def simple(credentials: Credentials) -> AuthBase:
    """A password or a bearer token, if there is one."""
    if credentials.token:
        return Bearer(credentials.token)
    if credentials.username:
        # As bytes: requests would encode text as Latin-1 (RFC 7617, 2.1, recommends UTF-8).
        return HTTPBasicAuth(credentials.username.encode(), credentials.password.encode())
    return Nobody()
