"""What the server says of errors in the log."""

from __future__ import annotations

import logging
import sys

import pytest

from cbmir.errors import DatabaseUnavailable
from cbmir_web.logs import WithoutWords


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            DatabaseUnavailable("The database does not answer: DOE^JANE."),
            "Exception while serving: database-unavailable",
        ),
        (ValueError("DOE^JANE"), "Exception while serving: \n"),
    ],
)
def test_an_error_is_told_without_its_words(error: Exception, told: str) -> None:
    try:
        raise error
    except type(error):
        record = logging.LogRecord(
            "waitress", logging.ERROR, "", 0, "Exception while %s", ("serving",), sys.exc_info()
        )
    assert WithoutWords().filter(record)
    said = logging.Formatter().format(record)
    assert said.startswith(told)
    assert "DOE" not in said
    assert ("test_logs.py" in said) is (not isinstance(error, DatabaseUnavailable)), (
        "of what nobody foresaw the place"
    )
