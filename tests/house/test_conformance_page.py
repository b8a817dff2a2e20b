"""docs/conformance.md says of presentation contexts, statuses and limits what the code says."""

from __future__ import annotations

from pathlib import Path

from cbmir.archive.dimse.conformance import MARKED, TABLES, main, page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"


def test_the_page_says_what_the_code_says() -> None:
    text = PAGE.read_text()
    assert text == page(text)
    assert {found[1] for found in MARKED.findall(text)} == set(TABLES)


def test_a_page_is_written_anew(tmp_path: Path) -> None:
    stale = tmp_path / "stale.md"
    stale.write_text("a\n<!-- table: statuses -->\nstale\n<!-- end -->\nb\n")
    main([str(stale)])
    assert "| A700 | the disk is full |" in stale.read_text()
    assert "stale" not in stale.read_text()
