"""The Storage SCP, with dcmtk as its peer."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID, HTJ2KLossless, ImplicitVRLittleEndian, MRImageStorage
from pynetdicom import build_context, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import P_DATA

from cbmir.archive.dimse.archive import DimseArchive
from cbmir.archive.dimse.landing import Fsync
from cbmir.archive.dimse.network import TRANSFER_SYNTAXES, application
from cbmir.archive.dimse.receiver import MOST_SILENT, Receiver
from cbmir.archive.dimse.wire import prepare
from cbmir.errors import Unavailable

PRIVATE_CLASS = UID("1.2.826.0.1.3680043.9.7777.1")
QUICK = {**os.environ, "TCP_NODELAY": "1"}

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_it_answers_an_echo(receive: Callable[..., Receiver], dcmtk: Run) -> None:
    assert dcmtk("echoscu", "-aec", "CBMIR", "127.0.0.1", receive().port).returncode == 0


def test_a_sent_object_lands_whole_under_its_uid(
    receive: Callable[..., Receiver],
    objects: Callable[..., list[Path]],
    dcmtk: Run,
    data_set: Callable[[Path], bytes],
) -> None:
    receiver, files = receive(), objects(3)
    assert dcmtk("storescu", "-aec", "CBMIR", "-xe", "127.0.0.1", receiver.port, *files).returncode == 0
    for file in files:
        landed = receiver.landing.folder / f"{pydicom.dcmread(file).SOPInstanceUID}.dcm"
        assert data_set(landed) == data_set(file)
        assert pydicom.dcmread(landed).file_meta.SourceApplicationEntityTitle == "STORESCU"


@contextmanager
def associated(receiver: Receiver, sop_class: UID, *syntaxes: UID) -> Iterator[Association]:
    """An association of a sender of our own, for what dcmtk cannot send."""
    association = application("SENDER", 10).associate(
        "127.0.0.1",
        receiver.port,
        contexts=[build_context(sop_class, [syntax]) for syntax in syntaxes],
        ae_title="CBMIR",
        evt_handlers=[(evt.EVT_CONN_OPEN, prepare)],
    )
    assert association.is_established
    yield association
    association.release()


def request(sop_class: UID, sop_instance_uid: str, data: bytes) -> C_STORE:
    request = C_STORE()
    request.MessageID, request.Priority = 1, 0
    request.AffectedSOPClassUID = sop_class
    request._affected_sop_instance_uid = UID(sop_instance_uid)
    request.DataSet = BytesIO(data)
    return request


def store(association: Association, sop_class: UID, sop_instance_uid: str, data: bytes) -> C_STORE:
    """What a C-STORE of any bytes is answered with."""
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request(sop_class, sop_instance_uid, data), 1)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    assert isinstance(answer, C_STORE)
    return answer


def pieces(association: Association, sop_class: UID, sop_instance_uid: str, data: bytes) -> list[P_DATA]:
    """The PDUs of a C-STORE."""
    message = C_STORE_RQ()
    message.primitive_to_message(request(sop_class, sop_instance_uid, data))
    return list(message.encode_msg(1, association.dimse.maximum_pdu_size))


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "it does not come to pass"
        time.sleep(0.02)


SYNTAXES = (
    "MR_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "JPEGLSNearLossless_08.dcm",
    "MR_small_jp2klossless.dcm",
    "JPEG2000.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "JPGExtended.dcm",
    "image_dfl.dcm",
    "rtdose_1frame.dcm",
    "test-SR.dcm",
)


def landed(receiver: Receiver) -> dict[str, Path]:
    return {path.stem: path for path in receiver.landing.folder.glob("*.dcm")}


def test_every_syntax_is_kept_as_it_comes(
    receive: Callable[..., Receiver],
    connect: Callable[..., DimseArchive],
    in_syntaxes: Callable[..., list[Path]],
    data_set: Callable[[Path], bytes],
) -> None:
    receiver, files = receive(), in_syntaxes(SYNTAXES)
    connect("CBMIR", receiver.port).store(files)
    for file in files:
        kept = landed(receiver)[pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID]
        assert data_set(kept) == data_set(file), file.name
        meta = pydicom.filereader.read_file_meta_info(kept)
        assert meta.TransferSyntaxUID == pydicom.filereader.read_file_meta_info(file).TransferSyntaxUID


def test_every_transfer_syntax_and_private_classes_are_accepted(receive: Callable[..., Receiver]) -> None:
    with associated(receive(), PRIVATE_CLASS, *TRANSFER_SYNTAXES) as association:
        accepted = [each.transfer_syntax[0] for each in association.accepted_contexts]
    assert accepted == list(TRANSFER_SYNTAXES)


def test_an_object_of_a_private_class_and_syntax_is_kept(receive: Callable[..., Receiver]) -> None:
    receiver = receive()
    data = bytes(range(256)) * 1000
    with associated(receiver, PRIVATE_CLASS, HTJ2KLossless) as association:
        assert store(association, PRIVATE_CLASS, "1.2.3.77", data).Status == 0
    assert landed(receiver)["1.2.3.77"].read_bytes().endswith(data)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_what_has_no_valid_uid_is_refused_and_leaves_nothing(receive: Callable[..., Receiver]) -> None:
    receiver = receive()
    with associated(receiver, MRImageStorage, ImplicitVRLittleEndian) as association:
        assert store(association, MRImageStorage, "1.2.x", b"\0" * 300_000).Status == 0xC000
        assert store(association, MRImageStorage, "1.2.3.9", b"\0" * 8).Status == 0
    assert sorted(path.name for path in receiver.landing.folder.iterdir()) == ["1.2.3.9.dcm"]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_what_stands_in_the_place_of_a_uid_is_not_logged(
    receive: Callable[..., Receiver], caplog: pytest.LogCaptureFixture
) -> None:
    with associated(receive(), MRImageStorage, ImplicitVRLittleEndian) as association:
        assert store(association, MRImageStorage, "DOE^JANE\nforged", b"\0" * 8).Status == 0xC000
    assert "refused with status C000H" in caplog.text
    assert "DOE" not in caplog.text
    assert "forged" not in caplog.text


def test_an_object_that_is_sent_again_replaces_the_first(receive: Callable[..., Receiver]) -> None:
    receiver = receive()
    with associated(receiver, MRImageStorage, ImplicitVRLittleEndian) as association:
        for data in (b"\1" * 300_000, b"\2" * 300_000):
            assert store(association, MRImageStorage, "1.2.3.9", data).Status == 0
    assert landed(receiver)["1.2.3.9"].read_bytes().endswith(b"\2" * 300_000)
    assert len(landed(receiver)) == 1


def test_a_nearly_full_disk_refuses_before_anything_is_lost(receive: Callable[..., Receiver]) -> None:
    receiver = receive(keep_free=2**62)
    with associated(receiver, MRImageStorage, ImplicitVRLittleEndian) as association:
        answer = store(association, MRImageStorage, "1.2.3.9", b"\0" * 300_000)
    assert (answer.Status, answer.ErrorComment) == (0xA700, "the disk is full")
    assert list(receiver.landing.folder.iterdir()) == []


@pytest.mark.parametrize("fsync", list(Fsync))
def test_every_policy_keeps_what_comes(
    receive: Callable[..., Receiver], objects: Callable[..., list[Path]], dcmtk: Run, fsync: Fsync
) -> None:
    receiver = receive(fsync=fsync)
    assert dcmtk("storescu", "-aec", "CBMIR", "127.0.0.1", receiver.port, *objects(4)).returncode == 0
    assert len(landed(receiver)) == 4


def test_strangers_and_wrong_numbers_are_turned_away(receive: Callable[..., Receiver], dcmtk: Run) -> None:
    port = receive(allowed=("MODALITY",)).port
    assert dcmtk("echoscu", "-aet", "MODALITY", "-aec", "CBMIR", "127.0.0.1", port).returncode == 0
    stranger = dcmtk("echoscu", "-aet", "STRANGER", "-aec", "CBMIR", "127.0.0.1", port)
    assert "Calling AE Title Not Recognized" in stranger.stdout + stranger.stderr
    other = dcmtk("echoscu", "-aet", "MODALITY", "-aec", "OTHER", "127.0.0.1", port)
    assert "Called AE Title Not Recognized" in other.stdout + other.stderr


def test_an_association_too_many_is_refused_for_the_moment(receive: Callable[..., Receiver], dcmtk: Run) -> None:
    receiver = receive(max_associations=1)
    with associated(receiver, MRImageStorage, ImplicitVRLittleEndian):
        answer = dcmtk("echoscu", "-aec", "CBMIR", "127.0.0.1", receiver.port)
        assert "Local Limit Exceeded" in answer.stdout + answer.stderr


def test_eight_associations_at_one_time_lose_nothing(
    receive: Callable[..., Receiver], objects: Callable[..., list[Path]]
) -> None:
    receiver, files = receive(), objects(80)
    commands = [
        ["storescu", "-aec", "CBMIR", "127.0.0.1", str(receiver.port), *map(str, files[first::8])]
        for first in range(8)
    ]
    senders = [subprocess.Popen(command, env=QUICK, stderr=subprocess.PIPE) for command in commands]
    for sender in senders:
        assert sender.communicate(timeout=60)[1] == b""
        assert sender.returncode == 0
    assert set(landed(receiver)) == {str(pydicom.dcmread(file).SOPInstanceUID) for file in files}


def test_a_transfer_that_breaks_off_leaves_nothing(receive: Callable[..., Receiver]) -> None:
    receiver = receive()
    with associated(receiver, MRImageStorage, ImplicitVRLittleEndian) as association:
        for piece in pieces(association, MRImageStorage, "1.2.3.9", b"\0" * 1_000_000)[:-1]:
            association.dul.send_pdu(piece)
        wait_until(lambda: any(receiver.landing.folder.glob(".*.draft")))
        association.abort()
    wait_until(lambda: not any(receiver.landing.folder.iterdir()))


def test_a_second_receiver_in_the_folder_leaves_the_first_ones_drafts(receive: Callable[..., Receiver]) -> None:
    first = receive()
    with associated(first, MRImageStorage, ImplicitVRLittleEndian) as association:
        *begun, last = pieces(association, MRImageStorage, "1.2.3.4.5", bytes(1_000_000))
        for piece in begun:
            association.dul.send_pdu(piece)
        wait_until(lambda: any(first.landing.folder.glob(".*.draft")))
        receive()
        association.dul.send_pdu(last)
        wait_until(lambda: "1.2.3.4.5" in landed(first))


def test_drafts_of_a_crash_are_swept(receive: Callable[..., Receiver], tmp_path: Path) -> None:
    (tmp_path / "received").mkdir()
    (tmp_path / "received" / ".12ab.draft").write_bytes(b"half")
    (tmp_path / "received" / "1.2.3.dcm").write_bytes(b"whole")
    assert [path.name for path in receive().landing.folder.iterdir()] == ["1.2.3.dcm"]


def test_a_port_that_is_taken_is_named(receive: Callable[..., Receiver]) -> None:
    with pytest.raises(Unavailable, match="cannot be listened on"):
        receive(port=receive().port)


def test_one_that_stops_within_a_pdu_is_cut_off_at_the_end(receive: Callable[..., Receiver]) -> None:
    receiver = receive()
    with socket.create_connection(("127.0.0.1", receiver.port), 5) as stream:
        stream.sendall(b"\x01\x00\x00\x00\x01\x00half")
        time.sleep(0.2)
        started = time.monotonic()
        receiver.close(0.2)
        assert time.monotonic() - started < 4
        assert stream.recv(1) == b""


def test_who_connects_and_asks_for_nothing_takes_no_place(receive: Callable[..., Receiver], dcmtk: Run) -> None:
    receiver = receive(max_associations=2)
    with ExitStack() as silent:
        streams = [
            silent.enter_context(socket.create_connection(("127.0.0.1", receiver.port), 5))
            for _ in range(MOST_SILENT + 5)
        ]
        assert dcmtk("echoscu", "-aec", "CBMIR", "127.0.0.1", receiver.port).returncode == 0
        assert streams[0].recv(1) == b"", "the one that was silent for longest makes room"
        streams[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            streams[-1].recv(1)


def test_one_that_stops_within_a_pdu_is_given_up(receive: Callable[..., Receiver]) -> None:
    with socket.create_connection(("127.0.0.1", receive(idle_seconds=0.5).port), 5) as stream:
        stream.sendall(b"\x01\x00\x00\x00\x01\x00half")
        assert stream.recv(1) == b""


def test_noise_does_not_disturb(receive: Callable[..., Receiver], dcmtk: Run) -> None:
    port = receive().port
    for noise in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x04\x00\xff\xff\xff\xff" + b"x" * 1000,
        b"\x01\x00\x00\x00\x00\x04",
    ):
        with socket.create_connection(("127.0.0.1", port), 5) as stream:
            stream.sendall(noise)
    assert dcmtk("echoscu", "-aec", "CBMIR", "127.0.0.1", port).returncode == 0
