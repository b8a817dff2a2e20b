"""Storage Commitment: asked by a real Orthanc, and by pynetdicom on the same association."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage
from pynetdicom import build_context, evt
from pynetdicom.sop_class import StorageCommitmentPushModel

from cbmir.archive.dimse.commitment import WELL_KNOWN
from cbmir.archive.dimse.landing import settle
from cbmir.archive.dimse.network import application
from cbmir.archive.dimse.receiver import Receiver

TRANSACTION = "1.2.3.4.5.6"


def asked(*objects: tuple[str, str]) -> Dataset:
    request = Dataset()
    request.TransactionUID = TRANSACTION
    request.ReferencedSOPSequence = []
    for sop_class_uid, sop_instance_uid in objects:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
        request.ReferencedSOPSequence.append(item)
    return request


def report(port: int, request: Dataset, action: int = 1) -> tuple[int, tuple[int, Dataset] | None]:
    """The answer to the request, and the report that follows on the same association: event type, data set."""
    reports: queue.Queue[tuple[int, Dataset]] = queue.Queue()
    answered = threading.Event()

    def told(event: Any) -> tuple[int, None]:
        reports.put((event.event_type, event.event_information))
        event.assoc.bind(evt.EVT_PDU_SENT, lambda _: answered.set())
        return 0, None

    association = application("MODALITY", 10).associate(
        "127.0.0.1",
        port,
        contexts=[build_context(StorageCommitmentPushModel)],
        ae_title="CBMIR",
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, told)],
    )
    assert association.is_established
    status, _ = association.send_n_action(request, action, StorageCommitmentPushModel, WELL_KNOWN)
    found = reports.get(timeout=10) if status.Status == 0 else None
    assert found is None or answered.wait(10), "whoever releases before the answer has left breaks the association"
    association.release()
    return status.Status, found


@pytest.fixture
def held(
    receive: Callable[..., Receiver], objects: Callable[..., list[Path]], connect: Callable[..., Any]
) -> tuple[Receiver, list[str]]:
    """A receiver that keeps, and the UIDs of three objects that it has."""
    receiver, files = receive(keep=True), objects(3)
    connect("CBMIR", receiver.port).store(files)
    return receiver, [str(pydicom.dcmread(file).SOPInstanceUID) for file in files]


def take(receiver: Receiver, sop_instance_uid: str) -> Path:
    """What ingestion does with an object before it reads it."""
    (receiver.landing.folder / "taken").mkdir(exist_ok=True)
    name = f"{sop_instance_uid}.dcm"
    return (receiver.landing.folder / name).rename(receiver.landing.folder / "taken" / name)


def test_what_is_kept_is_promised_wherever_it_lies(held: tuple[Receiver, list[str]]) -> None:
    receiver, uids = held
    settle(take(receiver, uids[0]))
    take(receiver, uids[1])
    status, found = report(receiver.port, asked(*((MRImageStorage, uid) for uid in uids)))
    assert status == 0
    assert found is not None
    kind, said = found
    assert (kind, said.TransactionUID, "FailedSOPSequence" in said) == (1, TRANSACTION, False)
    assert [item.ReferencedSOPInstanceUID for item in said.ReferencedSOPSequence] == uids


def test_what_is_not_kept_is_not_promised(held: tuple[Receiver, list[str]]) -> None:
    receiver, uids = held
    take(receiver, uids[0]).unlink()
    objects = [(MRImageStorage, uids[0]), (CTImageStorage, uids[1]), (MRImageStorage, uids[2])]
    _, found = report(receiver.port, asked(*objects, (MRImageStorage, "1.2.3.404")))
    assert found is not None
    kind, said = found
    reasons = {item.ReferencedSOPInstanceUID: item.FailureReason for item in said.FailedSOPSequence}
    assert kind == 2
    assert reasons == {uids[0]: 0x0112, uids[1]: 0x0119, "1.2.3.404": 0x0112}
    assert [item.ReferencedSOPInstanceUID for item in said.ReferencedSOPSequence] == [uids[2]]


def test_a_request_that_says_nothing_is_refused(held: tuple[Receiver, list[str]]) -> None:
    nothing = Dataset()
    nothing.TransactionUID = TRANSACTION
    assert report(held[0].port, nothing)[0] == 0x0120
    assert report(held[0].port, asked((MRImageStorage, "1.2.3")), action=2)[0] == 0x0123


def test_who_does_not_keep_promises_nothing(receive: Callable[..., Receiver]) -> None:
    association = application("MODALITY", 10).associate(
        "127.0.0.1", receive().port, contexts=[build_context(StorageCommitmentPushModel)], ae_title="CBMIR"
    )
    assert not association.is_established


def test_orthanc_is_told_over_an_association_of_its_own(
    receive: Callable[..., Receiver],
    start_orthanc: Callable[..., Any],
    objects: Callable[..., list[Path]],
    move_port: int,
) -> None:
    us = {"AET": "CBMIR", "Host": "127.0.0.1", "Port": move_port, "AllowStorageCommitment": True}
    orthanc = start_orthanc(DicomModalities={"cbmir": us})
    receive(port=move_port, keep=True, reports={"ORTHANC": ("127.0.0.1", orthanc.dicom_port)})
    sent, unsent = (orthanc.send(file.read_bytes()) for file in objects(2))
    to = {"auth": orthanc.auth, "timeout": 20}
    requests.post(f"{orthanc.url}/modalities/cbmir/store", sent, **to).raise_for_status()
    for resources, expected in ([sent], "Success"), ([sent, unsent], "Failure"):
        asked = {"Resources": resources}
        path = f"{orthanc.url}/modalities/cbmir/storage-commitment"
        transaction = requests.post(path, json=asked, **to).json()["ID"]
        deadline = time.monotonic() + 10
        while (answer := orthanc.get(f"/storage-commitment/{transaction}"))["Status"] == "Pending":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert answer["Status"] == expected
        assert [len(answer.get(part, [])) for part in ("Success", "Failures")] == [1, len(resources) - 1]
