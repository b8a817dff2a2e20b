"""An archive from the browser: connected, searched from its own pages, left again; a real Orthanc."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, Page, expect
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from cbmir.archive.connection import ArchiveKind, Connection
from cbmir.services.archives import registered, steering
from cbmir.store.session import Database

if TYPE_CHECKING:
    from conftest import Running

pytestmark = [pytest.mark.browser, pytest.mark.redis]

PATIENCE = 60_000


@pytest.fixture
def page(browser: Browser, running: Running) -> Iterator[Page]:
    context = browser.new_context(base_url=running.address, viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


def put(orthanc: Any, tmp_path: Path, patient: str, study_date: str) -> tuple[str, str]:
    """Send an MR that nobody knows into Orthanc; its UID and Orthanc's id of it."""
    dataset = dcmread(str(get_testdata_file("MR_small.dcm")))
    dataset.PatientID, dataset.StudyDate = patient, study_date
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(dataset, keyword, generate_uid())
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(tmp_path / "object.dcm")
    return str(dataset.SOPInstanceUID), orthanc.send((tmp_path / "object.dcm").read_bytes())


def test_an_archive_is_connected_searched_and_left(
    page: Page, start_orthanc: Callable[..., Any], tmp_path: Path
) -> None:
    orthanc = start_orthanc()
    uid, _ = put(orthanc, tmp_path, "somebody", "20240131")
    prior, prior_id = put(orthanc, tmp_path, "somebody", "20230105")
    page.goto("/archives")
    page.get_by_label("Address").fill(orthanc.url)
    page.get_by_label("Name", exact=True).fill("pacs")
    page.get_by_label("OAuth2").check()
    expect(page.get_by_label("Client secret")).to_be_visible()
    expect(page.get_by_label("User name")).to_be_hidden()
    page.get_by_label("Password", exact=True).and_(page.get_by_role("radio")).check()
    page.get_by_label("User name").fill(orthanc.username)
    page.get_by_role("textbox", name="Password").fill(orthanc.password)
    page.get_by_role("button", name="Test and follow").click()
    card = page.get_by_role("article", name="pacs")
    expect(card).to_contain_text("connected", timeout=PATIENCE)
    expect(card.locator(".counts div").first).to_have_text(re.compile(r"Held\s*2"), timeout=PATIENCE)
    page.get_by_role("button", name="Test: pacs").click()
    expect(card.locator(".checks .fine").first).to_be_visible(timeout=PATIENCE)

    page.get_by_role("button", name="Verify: pacs").click()
    expect(page.get_by_text("The index is what the archive is.")).to_be_visible(timeout=PATIENCE)

    page.goto(f"/similar?instance={uid}")
    expect(page.get_by_role("heading", name="5 hits")).to_be_visible(timeout=PATIENCE)
    priors = page.get_by_role("region", name="Prior images of this patient")
    expect(priors.locator(".hit")).to_have_count(1)
    expect(priors).to_contain_text("study of 2023-01-05")
    expect(priors.get_by_role("link", name="View in pacs")).to_have_attribute(
        "href", f"{orthanc.url}/app/explorer.html#instance?uuid={prior_id}"
    )

    page.goto("/archives")
    card.get_by_text("Remove…").click()
    card.get_by_label("Delete the images here too").check()
    card.get_by_label("Yes, remove pacs").check()
    card.get_by_role("button", name="Remove pacs").click()
    expect(page.get_by_text("No archive is followed yet")).to_be_visible(timeout=PATIENCE)
    page.goto(f"/similar?instance={prior}")
    expect(page.get_by_role("heading", name="This image is not known here")).to_be_visible()


def test_a_page_that_answered_a_form_does_not_send_it_again(page: Page, running: Running) -> None:
    database = Database(running.settings.resolved_database_url)
    nobody = Connection("nobody", ArchiveKind.ORTHANC, "http://127.0.0.1:9", timeout_seconds=1.0)
    registered.add(database, running.settings, nobody)
    page.goto("/archives")
    page.get_by_role("button", name="Test: nobody").click()
    expect(page.get_by_role("heading", name="Test", exact=True)).to_be_visible(timeout=PATIENCE)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    steering.pause(database, "nobody")  # somebody else does; the page is drawn anew for it
    expect(page.get_by_role("button", name="Resume: nobody")).to_be_visible(timeout=PATIENCE)
    assert set(sent) == {"GET"}
    registered.remove(database, running.settings, "nobody", delete_images=False)
    database.dispose()
