"""`archive test` finds out whether we may retrieve: real Orthancs, dcmqrscp, and some that say no."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from cbmir.archive.base import Check
from cbmir.archive.connection import Retrieval
from cbmir.archive.dimse.archive import DimseArchive

WAYS = pytest.mark.parametrize(("how", "way"), [(Retrieval.GET, "C-GET"), (Retrieval.MOVE, "C-MOVE")])

SERVICES = (
    Verification,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    CTImageStorage,
    SecondaryCaptureImageStorage,
)


@contextmanager
def refusing(*get: Any, move: tuple[Any, ...] = ()) -> Iterator[int]:
    """A server that accepts everything, and answers a C-GET and a C-MOVE by these; its port."""
    entity = AE("REFUSING")
    for each in SERVICES:
        entity.add_supported_context(each, scu_role=True, scp_role=True)
    answers = {evt.EVT_C_FIND: (), evt.EVT_C_GET: get, evt.EVT_C_MOVE: move}
    handlers = [(asked, lambda _, said=said: iter(said)) for asked, said in answers.items()]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    yield server.server_address[1]
    server.shutdown()


def wrong(checks: list[Check]) -> Check:
    (found,) = [each for each in checks if not each.fine]
    return found


@WAYS
def test_an_orthanc_that_looks_only_at_the_request_whether_we_may(
    start_orthanc: Callable[..., Any], connect: Callable[..., DimseArchive], how: Retrieval, way: str
) -> None:
    orthanc = start_orthanc(DicomAlwaysAllowFind=True)
    found = wrong(connect("ORTHANC", orthanc.dicom_port, retrieve=how).test())
    assert found.what == way
    assert found.said.startswith("Accepted, but not answered: pacs (ORTHANC@127.0.0.1:")
    assert found.remedy.startswith(
        f"Have {way} allowed for CBMIR there (Orthanc: DicomModalities, or DicomAlwaysAllow"
    )


@WAYS
@pytest.mark.parametrize(
    "settings", [{"DicomModalities": {"us": ["CBMIR", "127.0.0.1", 1]}}, {}], ids=["us", "all"]
)
def test_an_orthanc_that_lets_us(
    start_orthanc: Callable[..., Any],
    connect: Callable[..., DimseArchive],
    settings: dict[str, Any],
    how: Retrieval,
    way: str,
) -> None:
    everybody = {f"DicomAlwaysAllow{each}": not settings for each in ("Find", "Get", "Move")}
    orthanc = start_orthanc(**settings, **everybody)
    checks = connect("ORTHANC", orthanc.dicom_port, retrieve=how).test()
    assert Check(way, True, "Accepted, and answered.") in checks
    assert all(each.fine for each in checks)


@WAYS
def test_dcmqrscp_lets_us(qrscp: Any, connect: Callable[..., DimseArchive], how: Retrieval, way: str) -> None:
    assert Check(way, True, "Accepted, and answered.") in connect("QRSCP", qrscp.port, retrieve=how).test()


def test_a_destination_that_is_not_known(connect: Callable[..., DimseArchive], move_port: int) -> None:
    with refusing(move=((None, None),)) as port:
        found = wrong(connect("REFUSING", port, retrieve=Retrieval.MOVE).test())
    assert found.what == "C-MOVE"
    assert "move destination unknown (status A801H)" in found.said
    assert found.remedy.startswith(f"Have CBMIR entered there with this host's address and port {move_port}")


def test_who_is_not_authorised(connect: Callable[..., DimseArchive]) -> None:
    with refusing(1, (0x0124, None)) as port:
        found = wrong(connect("REFUSING", port).test())
    assert "(status 0124H)" in found.said


def test_an_object_that_is_not_there_is_no_refusal(connect: Callable[..., DimseArchive]) -> None:
    with refusing(1, (0xC000, None)) as port:
        checks = connect("REFUSING", port).test()
    assert Check("C-GET", True, "Accepted, and answered.") in checks
