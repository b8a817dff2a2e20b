"""An association with an archive that we ask for, and what it means when there is none (PS3.8 9.3.4)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext
from pynetdicom.status import code_to_category

from cbmir.archive.connection import Connection, Retrieval
from cbmir.archive.dimse.address import Address
from cbmir.archive.dimse.network import MAX_PDU, application, checked_aet, client_tls
from cbmir.archive.dimse.wire import hang_up, prepare
from cbmir.archive.pace import pace
from cbmir.errors import ArchiveGarbled, ArchiveRefused, ArchiveUnavailable, CbmirError

MAX_CONTEXTS = 128
"""Presentation contexts of one association (PS3.8 9.3.2.2: odd numbers from 1 to 255)."""

UNREACHED = "See whether it runs and is reachable from here."
OTHER_PORT = "See whether it speaks DICOM on this port, and runs."

TRANSIENT = 2
"""Result of a rejection that need not last (PS3.8 9.3.4)."""

UNDELIVERED = (0xA702, 0xA801)
"""Statuses of a C-MOVE whose destination cannot be reached, or is not known (PS3.4 C.4.2.1.5)."""

CALLING, CALLED = (1, 3), (1, 7)
"""Source and reason of a rejection for an AE title that is not known (PS3.8 9.3.4)."""


class Peer:
    """The archive at the other end of a connection.

    Raises:
        cbmir.errors.BadRequest: if the address, an AE title or a file for TLS is of no use.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._pace = pace(connection.name, connection.requests_per_second)
        self.address = Address.of(connection.address)
        checked_aet(connection.calling_aet)
        self._tls = (
            client_tls(connection.authority, connection.certificate, connection.key) if connection.tls else None
        )

    @cached_property
    def name(self) -> str:
        """How the archive is called in sentences."""
        return f"{self.connection.name} ({self.address})"

    @contextmanager
    def associated(
        self,
        contexts: Sequence[PresentationContext],
        needed: UID | None = None,
        roles: Sequence[Any] = (),
        handlers: Sequence[EventHandlerType] = (),
    ) -> Iterator[Association]:
        """An association, released at the end, aborted after an error.

        Args:
            contexts: what is proposed; at least one must be accepted.
            needed: the service without which it is of no use.
            roles: role selection items.
            handlers: of pynetdicom's events.

        Raises:
            cbmir.errors.ArchiveUnavailable: if nobody answers.
            cbmir.errors.ArchiveRefused: if it does not let us in, or does not offer what is needed.
        """
        self._pace.wait()
        association = self._ask(contexts, roles, handlers)
        try:
            if needed and needed not in {each.abstract_syntax for each in association.accepted_contexts}:
                raise self._not_offered(needed.name)
            yield association
        except BaseException:
            association.abort()
            raise
        association.release()

    def _ask(
        self, contexts: Sequence[PresentationContext], roles: Sequence[Any], handlers: Sequence[EventHandlerType]
    ) -> Association:
        connected: list[Event] = []
        entity = application(self.connection.calling_aet, self.connection.timeout_seconds)
        opened: list[EventHandlerType] = [(evt.EVT_CONN_OPEN, prepare), (evt.EVT_CONN_OPEN, connected.append)]
        try:
            association = entity.associate(
                self.address.host,
                self.address.port,
                contexts=list(contexts),
                ae_title=self.address.aet,
                max_pdu=MAX_PDU,
                ext_neg=list(roles),
                tls_args=(self._tls, self.address.host) if self._tls else None,
                evt_handlers=[*opened, *handlers],
            )
        except OSError as error:  # the name leads nowhere
            raise self._unreachable(error) from error
        if association.is_established:
            return association
        hang_up(association)
        raise self._refusal(association) if connected else self._unreachable(self._attempt())

    def _attempt(self) -> OSError | None:
        """Why a connection fails: pynetdicom does not tell, so it is tried once more."""
        try:
            with socket.create_connection(
                (self.address.host, self.address.port), self.connection.timeout_seconds
            ) as stream:
                if self._tls:
                    self._tls.wrap_socket(stream, server_hostname=self.address.host).close()
        except OSError as error:
            return error
        return None

    def _unreachable(self, error: OSError | None) -> CbmirError:
        if isinstance(error, ssl.SSLCertVerificationError):
            return ArchiveRefused(
                f"{self.name} shows a certificate that cannot be trusted: {error.verify_message}.",
                "Name the authority that signed it, and its host as the certificate does.",
            )
        if isinstance(error, ssl.SSLError):
            return ArchiveRefused(
                f"{self.name} does not agree on TLS: {error.reason or error}.",
                "See whether it speaks TLS 1.2 or newer on this port, and whether it wants a certificate of ours.",
            )
        if isinstance(error, ConnectionResetError) and self._tls:
            return ArchiveUnavailable(
                f"{self.name} hangs up where TLS is to begin.",
                "See whether it encrypts on this port, and wants a certificate of ours; else leave out --tls.",
            )
        reason = "it does not take the connection" if error is None else error.strerror or error
        return ArchiveUnavailable(f"{self.name} cannot be reached: {reason}.", UNREACHED)

    def _refusal(self, association: Association) -> CbmirError:
        answer = association.acceptor.primitive
        if not isinstance(answer, A_ASSOCIATE):
            if association.is_aborted and self._tls:
                return self._unreachable(self._attempt())
            return ArchiveUnavailable(
                f"{self.name} took the connection, but did not answer the request for an association.", OTHER_PORT
            )
        if answer.result == 0:
            return self._not_offered("what was asked for")
        reason = answer.reason_str[:1].lower() + answer.reason_str[1:]
        return ArchiveRefused(
            f"{self.name} rejected the association: {reason} ({answer.result_str.lower()}).",
            self._remedy(answer),
        )

    def _remedy(self, rejection: A_ASSOCIATE) -> str:
        entered = f"{self.connection.calling_aet} entered there as an AE title that may ask"
        why = (rejection.result_source, rejection.diagnostic)
        if why == CALLED:
            remedy = f"Check its AE title, {self.address.aet}. Some say this to strangers, too: have {entered}."
        elif why == CALLING or rejection.result != TRANSIENT:
            remedy = f"Have {entered}, from this host."
        else:
            remedy = "It has too much to do, or too many associations: use a lower --parallel, or raise its limit."
        return remedy

    def _not_offered(self, what: str) -> CbmirError:
        return ArchiveRefused(
            f"{self.name} does not accept: {what}.",
            f"Have it allowed for {self.connection.calling_aet}; `cbmir archive test` lists what it accepts.",
        )

    def lost(self, doing: str) -> CbmirError:
        """What it means that an answer did not come."""
        remedy = f"See whether it runs, and in its own log whether {self.connection.calling_aet} may ask for that."
        return ArchiveUnavailable(f"{self.name} broke off, or fell silent, {doing}.", remedy)

    def failure(self, status: Dataset, doing: str, words: Mapping[int, Sequence[str]]) -> CbmirError:
        """What a status that is no success says; `words` are pynetdicom's for the service (PS3.7 C)."""
        code = int(status.Status)
        meaning = words[code][1] if code in words else "a status that the standard does not know"
        comment = f", with the comment {_plain(status)!r}" if _plain(status) else ""
        sentence = f"{self.name} failed {doing}: {meaning.lower()} (status {code:04X}H){comment}."
        remedy = "Its own log says more."
        if code in UNDELIVERED and self.connection.retrieve is Retrieval.MOVE:
            aet, port = self.connection.move_aet, self.connection.move_port
            remedy = f"Have {aet} entered there with this host's address and port {port}, or retrieve by C-GET."
        if code in (0x0122, 0x0124) or code_to_category(code) == "Failure":
            return ArchiveRefused(sentence, remedy)
        return ArchiveGarbled(sentence, remedy)


def _plain(status: Dataset) -> str:
    """The Error Comment, but nothing that might name a patient: only where it is letters and spaces."""
    comment = str(getattr(status, "ErrorComment", "") or "")
    return comment if comment.replace(" ", "").isalpha() else ""
