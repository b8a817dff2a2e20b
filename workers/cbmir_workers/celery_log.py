"""What Celery writes into a worker's log: short lines, and one alone while the broker is away."""

from __future__ import annotations

import logging

CONNECTION = "celery.worker.consumer.connection"
"""Who says that the broker is there."""

OUTAGE = ("connection to", "cannot connect", "frequent restarts", "couldn't ack")
"""Words of the lines that an outage of the broker brings."""

CHANGE = "CPendingDeprecationWarning"
"""Said with each outage of a default that will change: ours is set. Celery overrides any filter of warnings."""


class CeleryLog(logging.Filter):
    """Makes Celery's lines what an administrator needs of them; those of others pass as they are.

    Its tracebacks, and the further lines of its messages, are left out: they show Celery's own places. That the
    broker is gone is said once, and so that it is back.
    """

    def __init__(self) -> None:
        super().__init__()
        self._gone = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; it may be another one then."""
        if record.name == "py.warnings":
            return CHANGE not in record.getMessage()
        if not record.name.startswith(("celery", "kombu")):
            return True
        said = next(iter(record.getMessage().strip().splitlines()), "")
        if record.name == CONNECTION:
            return self._is_back(record)
        if any(words in said.lower() for words in OUTAGE):
            return self._is_gone(record)
        _say(record, said)
        return True

    def _is_gone(self, record: logging.LogRecord) -> bool:
        told, self._gone = self._gone, True
        _say(record, "the broker does not answer and is asked until it does; jobs wait in the database meanwhile")
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return not told

    def _is_back(self, record: logging.LogRecord) -> bool:
        was_gone, self._gone = self._gone, False
        _say(record, "the broker answers again")
        return was_gone


def _say(record: logging.LogRecord, words: str) -> None:
    record.msg, record.args, record.exc_info, record.exc_text = words, None, None, None
