"""Who may come in: host names, passwords, cross-site requests, and the headers that bind a browser."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Flask, Response, request
from flask_httpauth import HTTPBasicAuth
from flask_talisman import Talisman
from flask_wtf.csrf import CSRFProtect
from werkzeug.datastructures import Authorization, WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from cbmir.settings import Settings

LOOPBACK_NAMES = ("localhost", "127.0.0.1")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CONTENT_SECURITY_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob:",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
OPEN_ENDPOINTS = frozenset({"health.alive"})
"""Answered without a password: an orchestrator asks it whether the process lives, and learns nothing else."""

REALM = WWWAuthenticate("basic", {"realm": "cbmir"})

csrf = CSRFProtect()
talisman = Talisman()


def trusted_hosts(settings: Settings) -> list[str]:
    """The host names that requests may name: against DNS rebinding by a page of another site."""
    configured = [name.strip() for name in settings.trusted_hosts.split(",")]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return [name for name in (*LOOPBACK_NAMES, host, *configured) if name]


def session_key(settings: Settings) -> bytes:
    """The key that signs sessions: derived, so that it differs from the one that makes pseudonyms."""
    return hmac.new(settings.resolved_secret_key.encode(), b"cbmir-web-session", hashlib.sha256).digest()


def session_cookie(settings: Settings) -> str:
    """The name of the session's cookie: browsers send a host's cookies to all its ports, and another installation
    there has another key."""
    return f"cbmir-{hmac.new(session_key(settings), b'name', hashlib.sha256).hexdigest()[:8]}"


def install(app: Flask, settings: Settings) -> None:
    """Put every guard in front of the application."""
    if settings.username and settings.password:
        _ask_for_password(app, settings)
    app.before_request(refuse_other_sites)
    csrf.init_app(app)
    talisman.init_app(
        app,
        force_https=False,  # TLS ends at a proxy where there is one
        session_cookie_secure=False,
        session_cookie_samesite="Strict",
        frame_options="DENY",
        content_security_policy=CONTENT_SECURITY_POLICY,
        referrer_policy="same-origin",
        permissions_policy={"camera": "()", "geolocation": "()", "microphone": "()", "browsing-topics": "()"},
    )
    app.after_request(_keep_out_of_caches)


def _ask_for_password(app: Flask, settings: Settings) -> None:
    auth = HTTPBasicAuth()
    auth.verify_password(_password_check(settings))

    @app.before_request
    def ask() -> None:
        if request.endpoint not in OPEN_ENDPOINTS and not auth.authenticate(auth.get_auth(), None):
            raise Unauthorized(www_authenticate=REALM)


def admits(settings: Settings) -> Callable[[str | None], bool]:
    """Tells of the header `Authorization` of a request whether it has the password; where there is none, all may
    come in. For what has to be known before the application sees the request."""
    if not (settings.username and settings.password):
        return lambda _header: True
    is_right = _password_check(settings)

    def known(header: str | None) -> bool:
        given = Authorization.from_header(header)
        return given is not None and given.type == "basic" and is_right(given.username or "", given.password or "")

    return known


def _password_check(settings: Settings) -> Callable[[str, str], bool]:
    expected = _fingerprint(settings.username, settings.password)
    return lambda name, password: hmac.compare_digest(_fingerprint(name, password), expected)


def _fingerprint(name: str, password: str) -> bytes:
    # of equal length whatever was typed, so that comparing takes the same time
    return hashlib.sha256(name.encode() + b"\0" + password.encode()).digest()


def refuse_other_sites() -> None:
    """Refuse what a page of another site makes a browser send: the browser would add the password by itself.

    Raises:
        werkzeug.exceptions.Forbidden: for an unsafe method that comes from elsewhere.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    foreign = origin is not None and _authority(origin) != request.host
    if site not in ("same-origin", "none") or foreign:
        raise Forbidden("The request was made by a page of another site.")


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # such as an IPv6 address without its end
        return ""


def _keep_out_of_caches(response: Response) -> Response:
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return response
