"""From the wire to the folder: the side of an association that takes C-STOREs (PS3.4 B; within a C-GET, C.4.3)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from queue import Queue
from typing import Any, cast

from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.pdu_primitives import A_RELEASE, P_DATA

from cbmir.archive.dimse.answers import answer, success
from cbmir.archive.dimse.drafts import (
    CANNOT_UNDERSTAND,
    NOT_AUTHORISED,
    OUT_OF_RESOURCES,
    SUCCESS,
    Draft,
    header,
)
from cbmir.archive.dimse.landing import Fsync, Landing, flush, is_uid
from cbmir.archive.dimse.refusals import Refusals
from cbmir.archive.dimse.wire import Messages, prepare

ROOM = 512
"""Bytes of a PDU that holds an answer whole."""

LOG = logging.getLogger(__name__)


def any_uid(_: str) -> bool:
    """Every object is wanted."""
    return True


@dataclass(frozen=True)
class Taking:
    """How an association takes objects.

    Attributes:
        landing: where they land.
        fsync: when they are forced to the disk.
        wanted: says of a SOP Instance UID whether it is taken.
        refused: is told the status of each that is not taken.
        flusher: forces objects to the disk while others come.
    """

    landing: Landing
    fsync: Fsync = Fsync.NEVER
    wanted: Callable[[str], bool] = any_uid
    refused: Callable[[int], None] = field(default_factory=lambda: Refusals().note)
    flusher: Executor = field(default_factory=lambda: ThreadPoolExecutor(2, "flush"))


class Inbox(Queue[Any]):
    """The queue of whole messages; what `serve` has answered does not enter it."""

    def __init__(self, serve: Callable[[Any], bool]) -> None:
        super().__init__()
        self._serve = serve

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Answer it, or keep it for the association's own thread."""
        if not self._serve(item):
            super().put(item, block, timeout)


class Intake(Messages):
    """Takes the place of pynetdicom's provider in one association; data sets go to drafts instead of memory.

    Args:
        association: the one it serves.
        how: how it takes objects.
    """

    def __init__(self, association: Association, how: Taking) -> None:
        super().__init__(association)
        self.msg_queue = Inbox(self._serve)
        self._how = how
        self._drafts: set[Draft] = set()
        self._flushing: list[Future[None]] = []

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take the next piece; once it is known to be a C-STORE, the rest of its data set goes to a draft."""
        super().receive_primitive(primitive)
        message = self.message
        if isinstance(message, C_STORE_RQ) and not isinstance(message.data_set, Draft):
            command = message.command_set
            begun = cast(BytesIO, message.data_set).getvalue()
            message.data_set = self._begin(
                str(command.AffectedSOPClassUID), str(command.AffectedSOPInstanceUID), message.context_id, begun
            )

    def _serve(self, item: tuple[int, object]) -> bool:
        """Answer a C-STORE at once, in the thread that read it: handing it to another costs two turns of a clock
        of a millisecond. Within a C-GET it goes the long way, since the C-GET waits for signs of life."""
        context_id, request = item
        if not (isinstance(request, C_STORE) and request.is_valid_request and self.assoc.is_acceptor):
            return False
        if context_id not in self._syntaxes:
            return False
        status = self.take(request)
        if status == SUCCESS and not 0 < self.maximum_pdu_size < ROOM:
            self.dul.send_pdu(success(request, context_id))
        else:
            self.send_msg(answer(request, status), context_id)
        return True

    def take(self, request: C_STORE) -> int:
        """What a C-STORE is answered with; with success, the object stands in the folder under its name."""
        uid = str(request.AffectedSOPInstanceUID)
        draft = request.DataSet
        if not isinstance(draft, Draft):  # it came in one piece
            whole = cast(BytesIO, draft).getvalue()
            draft = self._begin(str(request.AffectedSOPClassUID), uid, request._context_id, whole)
        draft.finish(self._how.fsync is Fsync.ALWAYS)
        if draft.status == SUCCESS:
            self._land(draft, uid)
        draft.discard()
        self._drafts.discard(draft)
        if draft.status != SUCCESS:
            self._how.refused(draft.status)
        return draft.status

    def flush(self) -> None:
        """Wait until what landed since the last time is on the disk, if that is the policy."""
        begun, self._flushing = self._flushing, []
        for each in begun:
            try:
                each.result()
            except OSError as error:
                LOG.error("A received object may not be on the disk: %s.", error.strerror)
        if begun:
            flush(self._how.landing.folder)

    def abandon(self) -> None:
        """The association is over: leave nothing half-written."""
        for draft in self._drafts:
            draft.discard()
        self._drafts.clear()

    def _begin(self, sop_class_uid: str, uid: str, context_id: int | None, data: bytes) -> Draft:
        draft = Draft(self._how.landing.draft(), self._refusal(uid))
        self._drafts.add(draft)
        if draft.status == SUCCESS:
            syntax = self._syntaxes.get(context_id) or ""
            draft.write(header(sop_class_uid, uid, syntax, self.assoc.remote["ae_title"]))
            draft.write(data)
        return draft

    def _refusal(self, uid: str) -> int:
        if not is_uid(uid):
            return CANNOT_UNDERSTAND
        if not self._how.wanted(uid):
            return NOT_AUTHORISED
        return OUT_OF_RESOURCES if self._how.landing.is_full() else SUCCESS

    @cached_property
    def _syntaxes(self) -> dict[int | None, UID]:
        return {each.context_id: each.transfer_syntax[0] for each in self.assoc.accepted_contexts}

    def _flush(self, uid: str) -> None:
        place = self._how.landing.holder(uid)
        if place is not None:
            flush(place)

    def _land(self, draft: Draft, uid: str) -> None:
        try:
            place = self._how.landing.land(draft.path, uid)
            if self._how.fsync is Fsync.ALWAYS:
                flush(place.parent)
            elif self._how.fsync is Fsync.ASSOCIATION:
                self._flushing.append(self._how.flusher.submit(self._flush, uid))
        except OSError as error:
            draft.fail(error)


def handlers(how: Taking) -> list[EventHandlerType]:
    """What makes an association take objects into a folder."""

    def opened(event: Event) -> None:
        prepare(event)
        event.assoc.dimse = Intake(event.assoc, how)

    return [
        (evt.EVT_CONN_OPEN, opened),
        (evt.EVT_C_STORE, _taken),
        (evt.EVT_ACSE_RECV, _received),
        (evt.EVT_CONN_CLOSE, _closed),
    ]


def _taken(event: Event) -> int:
    return cast(Intake, event.assoc.dimse).take(cast(C_STORE, event.request))


def _received(event: Event) -> None:
    if isinstance(getattr(event, "primitive", None), A_RELEASE):
        cast(Intake, event.assoc.dimse).flush()


def _closed(event: Event) -> None:
    intake = cast(Intake, event.assoc.dimse)
    intake.abandon()
    intake.flush()
