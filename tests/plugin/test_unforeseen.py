"""What ends a process, or a thread of it, is told by kind and place; its words may quote a patient."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cbmir.unforeseen import places

FAILING = """
def read(value):
    try:
        int(value)
    except ValueError as error:
        raise LookupError(value) from error
"""
ENDS = "import sys, threading\nfrom cbmir.unforeseen import tell_places_only\ntell_places_only()\n" + FAILING


@pytest.mark.parametrize(
    "how", ["read(sys.argv[1])", "t = threading.Thread(target=read, args=sys.argv[1:]); t.start(); t.join()"]
)
def test_an_unforeseen_end_is_told_without_words(how: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", f"{ENDS}{how}", "DOE^JANE"], capture_output=True, text=True, check=False
    )
    assert "DOE" not in ended.stderr
    assert ended.stderr.index("ValueError") < ended.stderr.index("LookupError")
    assert "in read" in ended.stderr
    assert ended.returncode == (1 if how.startswith("read") else 0)


def test_warnings_are_told_to_who_asks_for_them() -> None:
    warns = f"{ENDS}import warnings; warnings.warn(sys.argv[1])"
    quiet, asked = (
        subprocess.run(
            [sys.executable, *options, "-c", warns, "DOE^JANE"], capture_output=True, text=True, check=True
        )
        for options in ((), ("-W", "default"))
    )
    assert "DOE" not in quiet.stderr
    assert "DOE" in asked.stderr


def test_what_was_before_an_error_is_left_out_where_it_says_so() -> None:
    def fail() -> None:
        try:
            raise KeyError("before")
        except KeyError:
            raise LookupError("after") from None

    with pytest.raises(LookupError) as caught:
        fail()
    told = places(caught.value)
    assert told.endswith("LookupError\n")
    assert "KeyError\n" not in told
