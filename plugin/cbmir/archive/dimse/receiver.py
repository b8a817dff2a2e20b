"""The Storage SCP (PS3.4 B): takes what is sent, writes it to a folder, and then says that it has it."""

from __future__ import annotations

import logging
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Self, cast

from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from cbmir.archive.dimse import commitment, intake
from cbmir.archive.dimse.landing import Landing
from cbmir.archive.dimse.network import PLAIN, application, checked_aet, server_tls
from cbmir.archive.dimse.reception import Reception
from cbmir.archive.dimse.refusals import Refusals
from cbmir.errors import Unavailable

LOG = logging.getLogger(__name__)

GRACE_SECONDS = 5.0
"""How long associations may go on once the receiver is to end."""

TURN = 0.1
"""Seconds after which the thread that listens looks whether it is to end."""

HANDSHAKE_SECONDS = 10.0
"""How long a TLS handshake, and then the request for an association, may take."""

MOST_SILENT = 64
"""Connections that have asked for no association yet, at one time: who is honest asks within milliseconds."""


class Receiver:
    """A Storage SCP of this process, listening from the start; a context manager, and `close` ends it.

    Args:
        how: its settings.
        wanted, refused: as in `Taking`; the log is told of refused objects unless somebody else is.

    Raises:
        cbmir.errors.Unavailable: if the port is taken, or the folder cannot be made.
        cbmir.errors.BadRequest: if the AE title, or a file for TLS, is of no use.
    """

    def __init__(
        self,
        how: Reception,
        wanted: Callable[[str], bool] = intake.any_uid,
        refused: Callable[[int], None] | None = None,
    ) -> None:
        self.landing = Landing(how.folder, how.keep_free)
        self._server = _listen(how, intake.Taking(self.landing, how.fsync, wanted, refused or Refusals().note))
        self.landing.enter()
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(TURN,), name="receiver", daemon=True
        )
        self._thread.start()

    def close(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Let nobody in any more, give associations this long to end, cut the rest off."""
        self._server.shutdown()
        deadline = time.monotonic() + grace_seconds
        while self._server.active_associations and time.monotonic() < deadline:
            time.sleep(0.02)
        for association in self._server.active_associations:
            _cut(association)
        while self._server.active_associations and time.monotonic() < deadline + 1:
            time.sleep(0.02)
        self.landing.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Listener(ThreadedAssociationServer):
    """pynetdicom's server, but that a slow TLS handshake holds nobody else up, and noise makes no traceback."""

    daemon_threads = True

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """The next connection, as it is; TLS comes later, in its own thread."""
        return cast(socket.socket, self.socket).accept()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Let it in; of too many that ask for nothing those that have done so for longest make room."""
        silent = [each for each in self.active_associations if not _has_asked(each)]
        for each in silent[: max(0, len(silent) + 1 - MOST_SILENT)]:
            _cut(each)
        return True

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands, then hand over to an association."""
        if self.ssl_context:
            request.settimeout(HANDSHAKE_SECONDS)
            request = self.ssl_context.wrap_socket(request, server_side=True)
            request.settimeout(None)
        super().finish_request(request, client_address)

    def shutdown(self) -> None:
        """Take no more connections."""
        socketserver.BaseServer.shutdown(self)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note why a connection came to nothing."""
        LOG.warning("A connection from %s came to nothing: %s.", client_address[0], sys.exc_info()[1])


class Entity(AE):
    """An application entity that counts, against its limit, only those who have asked for an association: who
    connects and stays silent takes no place from others."""

    @property
    def active_associations(self) -> list[Association]:
        """Those that have asked."""
        return [each for each in super().active_associations if _has_asked(each)]


def _has_asked(association: Association) -> bool:
    return association.requestor.primitive is not None


def _cut(association: Association) -> None:
    """End the connection, whatever the association waits for: it goes by itself then."""
    wire = association.dul.socket
    with suppress(OSError):  # it has just ended
        if wire and wire.socket:
            wire.socket.shutdown(socket.SHUT_RDWR)


class SharedListener(Listener):
    """One of several processes on a port."""

    def server_bind(self) -> None:
        """Bind, and let others bind too."""
        cast(socket.socket, self.socket).setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()


def _refuse_taken(how: Reception) -> None:
    """Who shares a port would share it with a stranger, too: so the first sees whether it is free."""
    family = socket.AF_INET6 if ":" in how.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((how.host, how.port))


def _listen(how: Reception, taking: intake.Taking) -> Listener:
    tls = server_tls(how.authority, how.certificate, how.key) if how.certificate else None
    reporter = partial(application, how.aet, how.idle_seconds)
    bound = intake.handlers(taking)
    if how.keep:
        taking.landing.keep()
        bound += commitment.handlers(taking.landing, how.reports, reporter)
    listener = SharedListener if how.shared else Listener
    try:
        if how.shared and not how.joins:
            _refuse_taken(how)
        server = _entity(how).make_server(
            (how.host, how.port), ssl_context=tls, evt_handlers=bound, server_class=listener
        )
        return cast(Listener, server)
    except OSError as error:
        raise Unavailable(
            f"Port {how.port} of {how.host} cannot be listened on: {error.strerror}.",
            "End what uses it, or choose another port.",
        ) from error


def services(how: Reception) -> tuple[UID, ...]:
    """What is offered beside storage, which takes every class."""
    return (Verification, StorageCommitmentPushModel) if how.keep else (Verification,)


def _entity(how: Reception) -> AE:
    entity = application(how.aet, how.idle_seconds, Entity)
    entity.acse_timeout = min(how.idle_seconds, HANDSHAKE_SECONDS)
    entity.maximum_pdu_size = how.max_pdu
    entity.maximum_associations = how.max_associations
    entity.require_called_aet = how.check_called
    entity.require_calling_aet = [checked_aet(aet) for aet in how.allowed]
    for service in services(how):
        entity.add_supported_context(service, list(PLAIN))
    return entity
