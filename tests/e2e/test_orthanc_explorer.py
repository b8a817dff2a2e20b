"""The button that our script puts into Orthanc Explorer, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from pydicom import dcmread
from pydicom.data import get_testdata_file

pytestmark = pytest.mark.browser

SCRIPT = Path(__file__).resolve().parents[2] / "plugin" / "orthanc" / "cbmir_orthanc.py"
BROWSER_URL = "http://127.0.0.1:9/it's </script> here".replace(" ", "%20")
"""Nothing listens there: who clicks needs no cbmir to be shown where the click leads."""


@pytest.fixture
def orthanc(start_orthanc: Callable[..., Any], tmp_path: Path) -> Any:
    section = {"Url": "http://127.0.0.1:9", "Archive": "main", "BrowserUrl": BROWSER_URL}
    queue = str(tmp_path / "queue.sqlite")
    return start_orthanc("OrthancPython", PythonScript=str(SCRIPT), Cbmir={**section, "Queue": queue})


@pytest.fixture
def page(browser: Browser, orthanc: Any) -> Iterator[Page]:
    """A page that knows Orthanc's password and complains of no error in any script."""
    errors: list[Any] = []
    context = browser.new_context(http_credentials={"username": orthanc.username, "password": orthanc.password})
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(error))
    yield page
    context.close()
    assert errors == []


def test_each_level_has_a_button_that_leads_to_its_similar_images(page: Page, orthanc: Any) -> None:
    files = [Path(str(get_testdata_file(name))) for name in ("CT_small.dcm", "MR_small.dcm")]
    ids = [orthanc.send(file.read_bytes()) for file in files]
    for file, instance in zip(files, ids, strict=True):
        dataset, series = dcmread(file), orthanc.get(f"/instances/{instance}")["ParentSeries"]
        study = orthanc.get(f"/series/{series}")["ParentStudy"]
        for level, id_, uid in (
            ("study", study, dataset.StudyInstanceUID),
            ("series", series, dataset.SeriesInstanceUID),
            ("instance", instance, dataset.SOPInstanceUID),
        ):
            page.goto(f"{orthanc.url}/app/explorer.html#{level}?uuid={id_}")
            button = page.locator(f"#{level}").get_by_text("Similar images")
            expect(button).to_be_visible()
            link = page.locator(f"#cbmir-{level}")
            expect(link).to_have_attribute("href", f"{BROWSER_URL}/similar?{level}={uid}")
            with page.expect_popup() as opened:
                button.click()
            opened.value.close()
            assert page.url.endswith(f"#{level}?uuid={id_}")
