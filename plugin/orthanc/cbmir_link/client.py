# SPDX-License-Identifier: AGPL-3.0-or-later
"""Requests to cbmir: no redirects, which would carry the password elsewhere, and no proxies."""

from __future__ import annotations

import ssl
from base64 import b64encode
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from cbmir_link.configuration import BadConfiguration, Configuration

LONGEST_ANSWER = 16 * 1024 * 1024
"""Bytes."""


class NoAnswer(Exception):
    """cbmir did not answer, or not so that it can be understood; why, in a sentence."""


@dataclass(frozen=True)
class Answer:
    """What cbmir answered."""

    status: int
    content_type: str
    body: bytes

    @property
    def well(self) -> bool:
        """Whether it says that all is done; a page in place of JSON is of somebody else, such as a portal."""
        return 200 <= self.status < 300 and (not self.body or "json" in self.content_type)


class NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """None: the redirect itself is the answer."""


class Client:
    """Safe for several threads.

    Raises:
        BadConfiguration: if the certificate authority's file cannot be used.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._url = configuration.url
        self._headers = {"X-Requested-With": "cbmir-orthanc", "Accept": "application/json"}
        if configuration.username:
            known = f"{configuration.username}:{configuration.password}".encode()
            self._headers["Authorization"] = f"Basic {b64encode(known).decode('ascii')}"
        trust = _trust(configuration.authority)
        self._opener = build_opener(NoRedirect, ProxyHandler({}), HTTPSHandler(context=trust))

    def post(self, path: str, body: bytes, content_type: str, seconds: float) -> Answer:
        """Send `body`; each pause of cbmir may last `seconds`.

        Raises:
            NoAnswer: as it says.
        """
        headers = {**self._headers, "Content-Type": content_type}
        request = Request(f"{self._url}{path}", body, headers, method="POST")  # noqa: S310 - only http and https
        try:
            try:
                response = self._opener.open(request, timeout=seconds)
            except HTTPError as error:
                response = error
            with response:
                return self._read(response)
        except (OSError, HTTPException) as error:
            raise NoAnswer(f"cbmir does not answer ({_why(error)}).") from error

    def _read(self, response: Any) -> Answer:
        body = response.read(LONGEST_ANSWER + 1)
        if len(body) > LONGEST_ANSWER:
            raise NoAnswer("cbmir's answer is too long.")
        if response.length:  # bytes that were announced and did not come; a bounded read does not complain itself
            raise NoAnswer("cbmir's answer was cut off.")
        return Answer(response.status, response.headers.get("Content-Type", ""), body)


def _why(error: BaseException) -> str:
    """The system's words for a network's error; of others the kind alone, since they may quote what was sent."""
    cause = getattr(error, "reason", error)
    return str(cause) if isinstance(cause, OSError) else type(cause).__name__


def _trust(authority: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=authority or None)
    except OSError as error:
        raise BadConfiguration(f"Cbmir.Authority cannot be read as certificates ({error}).") from error
    if authority:  # from Python 3.13 on it must be to the letter of RFC 5280, which a hospital's own seldom is
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
