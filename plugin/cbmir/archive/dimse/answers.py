"""What a C-STORE is answered with (PS3.7 9.3.1.2), and the answer that is given most often, ready-made.

pynetdicom makes a data set of every answer and encodes it: two fifths of what an object costs. Those of success
differ by the message that they answer and by the object's UID alone.
"""

from __future__ import annotations

from functools import lru_cache

from pydicom.uid import UID
from pynetdicom.dimse_messages import C_STORE_RSP
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import P_DATA

from cbmir.archive.dimse.drafts import (
    CANNOT_UNDERSTAND,
    NOT_AUTHORISED,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    SUCCESS,
)

WORDS = {
    PROCESSING_FAILURE: "the object cannot be written",
    NOT_AUTHORISED: "this object was not asked for",
    OUT_OF_RESOURCES: "the disk is full",
    CANNOT_UNDERSTAND: "no valid SOP Instance UID",
}
"""What is said with a refusal, in Error Comment (0000,0902)."""

ANSWERED = b"\0\0\x20\x01\2\0\0\0"
"""Tag and length of Message ID Being Responded To (0000,0120), which follow in two bytes."""


def answer(request: C_STORE, status: int) -> C_STORE:
    """What the request is answered with."""
    sop_class_uid, sop_instance_uid = request.AffectedSOPClassUID, request.AffectedSOPInstanceUID
    made = _answer(sop_class_uid, sop_instance_uid, request.MessageID, status)
    if status != SUCCESS:
        setattr(made, "ErrorComment", WORDS[status])  # noqa: B010 (declared as None)
    return made


def success(request: C_STORE, context_id: int) -> P_DATA:
    """The same for success, encoded, in one piece."""
    uid = str(request.AffectedSOPInstanceUID)
    stand_in = "9" * len(uid)
    made = _success(str(request.AffectedSOPClassUID), stand_in)
    number = (request.MessageID or 0).to_bytes(2, "little")
    piece = P_DATA()
    data = made.replace(stand_in.encode(), uid.encode(), 1).replace(ANSWERED + b"\1\0", ANSWERED + number, 1)
    piece.presentation_data_value_list.append((context_id, data))
    return piece


@lru_cache(1024)
def _success(sop_class_uid: str, sop_instance_uid: str) -> bytes:
    message = C_STORE_RSP()
    message.primitive_to_message(_answer(UID(sop_class_uid), UID(sop_instance_uid), 1, SUCCESS))
    (piece,) = message.encode_msg(1, 0)
    return bytes(piece.presentation_data_value_list[0][1])


def _answer(sop_class_uid: UID | None, sop_instance_uid: UID | None, number: int | None, status: int) -> C_STORE:
    made = C_STORE()
    made.MessageIDBeingRespondedTo = number
    made.AffectedSOPClassUID, made.AffectedSOPInstanceUID = sop_class_uid, sop_instance_uid
    made.Status = status
    return made
