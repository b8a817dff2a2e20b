"""The main job in a real browser: a file, its progress, five hits, one of them looked at and searched with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from cbmir.evaluation.intervals import difference, intervals
from cbmir.evaluation.metrics import METRICS
from cbmir.evaluation.scores import Table
from cbmir.evaluation.summary import breakdown, summarise
from cbmir.evaluation.whole import WHOLE
from cbmir.store import encoders
from cbmir.store.session import Database

if TYPE_CHECKING:
    from conftest import Running

    from cbmir.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.redis]


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console and network complained about; empty after a good test."""
    return []


@pytest.fixture
def page(browser: Browser, running: Running, complaints: list[str]) -> Iterator[Page]:
    """A page with JavaScript whose complaints fail the test."""
    context = browser.new_context(base_url=running.address, viewport={"width": 1280, "height": 800})
    yield watched(context, complaints)
    context.close()
    assert complaints == []


@pytest.fixture
def plain_page(browser: Browser, running: Running) -> Iterator[Page]:
    """A page without JavaScript."""
    context = browser.new_context(base_url=running.address, java_script_enabled=False)
    yield context.new_page()
    context.close()


def watched(context: BrowserContext, complaints: list[str]) -> Page:
    """A page that writes down errors of scripts, refused resources and failed requests."""

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def note_failure(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left while it asked for news
            complaints.append(f"{request.url}: {request.failure}")

    page = context.new_page()
    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", note_failure)
    return page


def evaluated(settings: Settings) -> None:
    """Record an evaluation with all columns and their intervals."""
    columns = [(k, name) for k in ("5", "20") for name in METRICS] + [("", name) for name in WHOLE]
    values = np.random.default_rng(0).uniform(0.25, 0.75, (40, len(columns)))
    table = Table(
        columns, values, np.eye(2, dtype=bool)[np.arange(40) % 2], ["brain_lesion", "knee"], np.arange(40)
    )
    result = {
        "label": "subclass",
        "queries": 40,
        "gallery": 80,
        **summarise(table, np.array([40, 40])),
        "intervals": intervals(table),
        "by": {"modality": {"values": breakdown(table, ["mri", "xray"] * 20), "queries_without": 0}},
        "against": {"encoder": "efficientnet-lite0-11111111", "difference": difference(table, table)},
    }
    database = Database(settings.resolved_database_url)
    with database.write() as session:
        encoders.record_evaluation(session, encoders.resolve(session, None).id, result)
    database.dispose()


def wait_for_pictures(page: Page) -> None:
    """Wait until every picture of the answer has pixels; fails where one never has."""
    for picture in page.locator(".answer img").all():
        picture.scroll_into_view_if_needed()  # those below the screen are not loaded before
        expect(picture).not_to_have_js_property("naturalWidth", 0, timeout=30_000)


def test_a_file_is_searched_and_a_hit_looked_at(page: Page, running: Running) -> None:
    page.goto("/")
    page.set_input_files("#file", running.stranger)
    expect(page.locator("[data-chosen]")).to_contain_text("stranger.png")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", name="5 hits")).to_be_visible(timeout=60_000)
    hits = page.locator(".hit")
    expect(hits).to_have_count(5)
    wait_for_pictures(page)
    distances = [float(text) for text in page.locator(".distance .number").all_inner_texts()]
    assert distances == sorted(distances)
    name = hits.first.locator(".name").inner_text()
    hits.first.locator("a.picture").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    page.get_by_role("button", name="Search with this one").first.click()
    expect(page.locator(".query .name")).to_have_text(name)
    expect(hits).to_have_count(5)
    assert name not in page.locator(".hit .name").all_inner_texts()


def test_a_search_is_narrowed(page: Page, running: Running) -> None:
    page.goto("/")
    page.fill("#uid", running.sop_instance_uid)
    page.fill("#k", "3")
    page.select_option("#filter-label", "subclass=cross")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".hit")).to_have_count(3, timeout=60_000)
    assert set(page.locator(".hit .chip[title^='subclass']").all_inner_texts()) == {"cross"}
    page.get_by_role("link", name="Change the filters").click()
    expect(page.locator("#k")).to_have_value("3")
    page.select_option("#filter-label", "")
    page.fill("#k", "2")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".hit")).to_have_count(2, timeout=60_000)


def test_a_double_click_searches_once(page: Page, running: Running) -> None:
    page.goto("/")
    page.fill("#uid", running.sop_instance_uid)
    page.fill("#k", "4")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    page.get_by_role("button", name="Search").dblclick()
    expect(page.locator(".hit")).to_have_count(4, timeout=60_000)
    assert len(asked) == 1
    page.go_back()
    page.fill("#uid", running.sop_instance_uid)
    page.fill("#k", "3")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".hit")).to_have_count(3, timeout=60_000)
    assert len(asked) == 2


def test_going_back_finds_the_form_as_it_was(page: Page, running: Running) -> None:
    page.goto("/")
    page.fill("#uid", running.sop_instance_uid)
    page.fill("#k", "4")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".hit")).to_have_count(4, timeout=60_000)
    page.go_back()
    expect(page.locator("#k")).to_have_value("4")
    expect(page.locator("#uid")).to_have_value(running.sop_instance_uid)


def test_a_reason_with_a_long_uid_and_the_facts_of_its_job_fit_a_phone(page: Page) -> None:
    uid = "2.25." + "9" * 39
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto("/")
    page.fill("#uid", uid)
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("alert")).to_contain_text(uid, timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.goto(page.url.replace("/queries/", "/jobs/"))
    lefts = page.locator(".facts > *").evaluate_all("all => all.map(each => each.getBoundingClientRect().left)")
    assert len(set(lefts)) == 1, "each fact is below its name"


def test_hits_are_compared_side_by_side_by_keyboard(page: Page, running: Running) -> None:
    page.goto("/")
    page.fill("#uid", running.sop_instance_uid)
    page.keyboard.press("Enter")
    compare = page.get_by_role("button", name="Compare hit 1 with your image")
    expect(compare).to_be_visible(timeout=60_000)
    compare.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Hit 1: ")
    page.keyboard.press("ArrowRight")
    expect(dialog).to_contain_text("Hit 2: ")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(compare).to_be_focused()


def test_a_dropped_file_is_taken(page: Page) -> None:
    page.goto("/")
    page.evaluate("""() => {
        const carried = new DataTransfer();
        carried.items.add(new File(["x"], "dropped.png", { type: "text/plain" }));
        const drop = new DragEvent("drop", { bubbles: true, dataTransfer: carried });
        document.querySelector("[data-drop]").dispatchEvent(drop);
    }""")
    expect(page.locator("[data-chosen]")).to_contain_text("dropped.png")
    assert page.evaluate("document.querySelector('#file').files[0].name") == "dropped.png"


def test_a_file_that_is_no_image_is_explained(page: Page) -> None:
    page.goto("/")
    page.set_input_files("#file", {"name": "letter.txt", "mimeType": "text/plain", "buffer": b"Dear colleague,"})
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("alert")).to_contain_text("letter.txt", timeout=60_000)


def test_files_are_added_and_found(page: Page, running: Running) -> None:
    page.goto("/upload")
    page.set_input_files("#files", [running.stranger, __file__])
    page.get_by_role("button", name="Add to the archive").click()
    expect(page.locator(".counts")).to_be_visible(timeout=60_000)
    assert re.sub(r"\s+", " ", page.locator(".counts").inner_text()).startswith("Added 1")
    page.get_by_role("link", name="Why the quarantine?").click()
    group = page.get_by_role("rowgroup").filter(has_text="test_browser.py")
    expect(group.get_by_role("rowheader").first).to_contain_text("not-a-picture")
    expect(group.get_by_role("row").filter(has_text="test_browser.py")).to_contain_text("neither DICOM nor PNG")
    page.goto("/library?text=stranger")
    page.locator(".tile").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("stranger.png")


def test_a_training_is_started_watched_and_cancelled(page: Page) -> None:
    page.goto("/encoders")
    form = page.locator("form").filter(has=page.locator("#side"))
    form.get_by_label("Epochs").fill("5000")
    form.get_by_label("Side").select_option("16")
    form.get_by_role("button", name="Start the training").click()
    work = page.locator(".work article")
    expect(work.locator("polyline").first).to_be_visible(timeout=120_000)
    before = work.get_by_role("status").inner_text()
    expect(work.get_by_role("status")).not_to_have_text(before, timeout=60_000)
    page.goto("/jobs?state=running")
    page.get_by_role("row").filter(has_text="Train an encoder").get_by_role("button", name="Cancel").click()
    page.goto("/jobs?state=cancelled")
    expect(page.get_by_role("row").filter(has_text="Train an encoder")).to_be_visible(timeout=60_000)
    page.goto("/encoders")
    expect(work).to_have_count(0)


def test_every_figure_of_every_label_is_seen_at_once(page: Page, running: Running) -> None:
    evaluated(running.settings)
    page.goto("/encoders")
    for fold in page.locator("details").all():
        fold.evaluate("fold => { fold.open = true }")
    tables = page.locator(".wide").all()
    assert len(tables) > 3
    assert [table.evaluate("each => each.scrollWidth - each.clientWidth") for table in tables] == [0] * len(tables)


def test_the_api_can_be_browsed(page: Page) -> None:
    page.goto("/api/docs/")
    expect(page.get_by_text("/api/v1/query")).to_be_visible(timeout=30_000)


def test_the_keyboard_reaches_the_content(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#file")).to_be_focused()


@pytest.mark.parametrize("path", ["/", "/library", "/upload", "/jobs", "/encoders", "/quarantine"])
def test_no_page_is_wider_than_a_phone(page: Page, path: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for link in page.get_by_role("navigation", name="Pages").get_by_role("link").all():
        expect(link).to_be_in_viewport(ratio=1)


def test_what_is_printed_is_black_on_white(page: Page) -> None:
    page.goto("/encoders")
    page.emulate_media(media="print")
    expect(page.get_by_role("heading", name="Encoders")).to_have_css("color", "rgb(0, 0, 0)")
    expect(page.locator("html")).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()
    expect(page.get_by_role("button")).to_have_count(0)


def test_the_main_job_needs_no_javascript(plain_page: Page, running: Running) -> None:
    page = plain_page
    page.goto("/")
    page.set_input_files("#file", running.stranger)
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".hit")).to_have_count(5, timeout=60_000)  # the page refreshes itself until then
    assert not page.get_by_role("button", name=re.compile("Compare")).first.is_visible()
    page.locator(".hit a.picture").first.click()
    page.get_by_role("button", name="Search with this one").first.click()
    expect(page.locator(".hit")).to_have_count(5, timeout=60_000)
