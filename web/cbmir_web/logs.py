"""One log line and one measurement a request: the route, never the address itself, which might name somebody."""

from __future__ import annotations

import logging
import time

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram

from cbmir.errors import CbmirError
from cbmir.unforeseen import places

FREQUENT = frozenset({"static", "health.alive", "health.ready", "health.metrics"})
"""Asked again and again by machines: logged only for who wants every detail."""

log = logging.getLogger("cbmir_web.requests")


class WithoutWords(logging.Filter):
    """Of an error that reaches the server its own words are left out, which may quote a file, and so a patient; one
    of ours, as where the database goes away in the middle of a download, is told by its code alone."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the line; it is always written."""
        error = record.exc_info[1] if record.exc_info else None
        if error:
            told = error.code if isinstance(error, CbmirError) else f"\n{places(error)}"
            record.msg, record.args, record.exc_info = "%s: %s", (record.getMessage(), told), None
        return True


def hush_server() -> None:
    """Let the server say of errors no more than is good for a log, and of requests that wait nothing."""
    logging.getLogger("waitress").addFilter(WithoutWords())
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of each, be it for a millisecond


def install(app: Flask) -> None:
    """Count, time and log every request of the application."""
    registry = CollectorRegistry()
    app.extensions["cbmir-requests"] = registry
    count = Counter("cbmir_http_requests", "HTTP requests.", ["method", "route", "status"], registry=registry)
    duration = Histogram("cbmir_http_request_seconds", "Seconds to an answer.", ["route"], registry=registry)

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        route = str(request.url_rule or "unknown")
        seconds = time.perf_counter() - g.get("began", time.perf_counter())
        method = request.method if request.url_rule else "unknown"  # anybody may invent methods
        count.labels(method, route, str(response.status_code)).inc()
        duration.labels(route).observe(seconds)
        level = logging.DEBUG if request.endpoint in FREQUENT else logging.INFO
        log.log(level, "%s %s %d %.0f ms", method, route, response.status_code, seconds * 1000)
        return response
