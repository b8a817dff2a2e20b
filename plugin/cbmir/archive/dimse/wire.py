"""What we have otherwise than pynetdicom at the bottom of an association: when it reads, how much, and for whom.

pynetdicom looks every millisecond whether something came, reads it 4 KB at a time, and may hand an answer to a
thread that does not wait for it.
"""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from queue import Empty
from typing import Any, cast

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.events import Event
from pynetdicom.transport import AssociationSocket

LONGEST_PDU = 1024 * 1024
"""Bytes of any PDU that are read at all; an A-ASSOCIATE-RQ of 128 contexts stays far below."""

PATIENCE = 0.005
"""Seconds that a connection is waited for at once, where we are asked; then, what we have to say is looked for."""


LOOK = 0.02
"""Seconds that a message is waited for at once, where we are asked; then, a request to end is looked for."""


class Wire(AssociationSocket):
    """A connection that is read in large pieces of bounded size, as soon as something comes."""

    @property
    def ready(self) -> bool:
        """Whether something has come, or comes soon. Where we are the ones who ask, what we say must not wait."""
        if self.assoc.is_acceptor and self.socket is not None:
            with suppress(OSError, ValueError):  # it is closed, which is found out below
                select.select([self.socket], [], [], 0 if self._buffered() else PATIENCE)
        return super().ready

    def recv(self, nr_bytes: int) -> bytearray:
        """Exactly so many bytes, or fewer at the end of the connection.

        Raises:
            OSError: if they are more than any PDU that was agreed on, or the peer takes too long.
        """
        if nr_bytes > LONGEST_PDU:
            raise OSError(f"a PDU of {nr_bytes} bytes is more than was agreed on")
        stream = cast(socket.socket, self.socket)
        buffer = bytearray(nr_bytes)
        read = 0
        with memoryview(buffer) as view:
            while read < nr_bytes and (more := stream.recv_into(view[read:])):
                read += more
        del buffer[read:]
        return buffer

    def _shutdown_socket(self) -> None:
        """Close the connection, also one that the peer has ended: that cannot be shut down, and pynetdicom would
        leave it open."""
        super()._shutdown_socket()
        if self.socket is not None:
            self.socket.close()

    def _buffered(self) -> bool:
        """Whether TLS holds bytes that the system no longer knows of."""
        return bool(getattr(self.socket, "pending", int)())


class Messages(DIMSEServiceProvider):
    """pynetdicom's provider, but that in an association that we asked for, answers go to nobody but who waits.

    Its own thread looks for messages too. It pauses when somebody waits, but may take one more before it does: an
    answer would be lost, and with it a study of a list.
    """

    def get_msg(self, block: bool = False) -> Any:
        """The next message. Where we are asked, the thread that looks for one waits a while.

        Eight threads that look every millisecond take half of a processor.
        """
        if block:
            return super().get_msg(block)
        if self.assoc.is_requestor:
            return None, None
        try:
            return self.msg_queue.get(timeout=LOOK)
        except Empty:
            return None, None


def prepare(event: Event) -> None:
    """On a new connection: read as above, send without waiting for more.

    A peer that stops within a PDU, or does not read, is given up after the network time-out.
    """
    wire = cast(AssociationSocket, event.assoc.dul.socket)
    wire.__class__ = Wire  # pynetdicom makes it by itself, and takes no other
    stream = cast(socket.socket, wire.socket)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.settimeout(event.assoc.network_timeout)
    event.assoc.dimse = Messages(event.assoc)


def hang_up(association: Association) -> None:
    """Close the connection over which no association came about: pynetdicom leaves some of them open."""
    wire = association.dul.socket
    if wire is not None and wire.socket is not None:
        wire.socket.close()
