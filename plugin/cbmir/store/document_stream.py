"""Reads the JSON document piece by piece, so that its size does not matter."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import PurePath
from typing import Any, BinaryIO

import ijson
import numpy as np
import numpy.typing as npt

from cbmir.errors import BadExport
from cbmir.store import document_lines
from cbmir.store.document import Feature, check_schema, read_encoder, read_row
from cbmir.store.nesting import DEEPEST, Shallow, TooDeep

BUFFER_BYTES = 256 * 1024
REPAIR = "Nothing of it was imported: repair the document or export it again."


class Document:
    """A `cbmir-features/1` document in a seekable binary stream; `encoder` holds its encoder's columns.

    Raises:
        cbmir.errors.BadExport: if it is no JSON, or its head does not follow the schema.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.name = PurePath(str(getattr(source, "name", ""))).name or "The document"
        self.size = source.seek(0, 2)
        self.encoder = self._head()

    @property
    def position(self) -> int:
        """Bytes read so far of this pass."""
        return self._source.tell()

    def batches(self, size: int) -> Iterator[list[Feature]]:
        """All rows, checked, in lists of `size`.

        Raises:
            cbmir.errors.BadExport: at the first row that does not follow the schema, naming its number from 1.
        """
        rows = self._rows()
        while batch := list(islice(rows, size)):
            yield batch

    def fault(self, row: int, reason: str) -> BadExport:
        """An error that names the document and the row, counted from 1."""
        return BadExport(f"{self.name}, row {row}: {reason}", REPAIR)

    def _head(self) -> dict[str, Any]:
        check_schema(self._value("schema"))
        try:
            return read_encoder(self._value("encoder"))
        except BadExport as error:
            raise BadExport(f"{self.name}, encoder: {error.reason}", REPAIR) from error

    def _rows(self) -> Iterator[Feature]:
        """The rows: a line each as long as they are written so, the rest one by one, however they are written."""
        number, dimension = 0, self.encoder["dimension"]
        for block in document_lines.blocks(self._source):
            rows = document_lines.rows_of(block, dimension) if block else []
            if rows is None:
                break
            yield from rows
            number += len(rows)
            if not block and number:
                return
        yield from self._slow_rows(number)

    def _slow_rows(self, known: int) -> Iterator[Feature]:
        """The rows after the first `known`."""
        number, dimension = known, self.encoder["dimension"]
        for number, raw in enumerate(islice(self._parse("features.item"), known, None), known + 1):
            try:
                row = read_row(raw, dimension)
            except BadExport as error:
                raise self.fault(number, error.reason) from error
            yield row
        if number == 0 and self._value("features") != []:
            raise BadExport(f"{self.name} lacks its list of features.", REPAIR)

    def _value(self, key: str) -> Any:
        return next(self._parse(key), None)

    def _parse(self, prefix: str) -> Iterator[Any]:
        document_lines.rewind(self._source)
        number = 0
        try:
            for found in ijson.items(Shallow(self._source), prefix, use_float=True, buf_size=BUFFER_BYTES):
                yield found
                number += 1
        except (ijson.JSONError, UnicodeDecodeError) as error:
            raise self._broken(prefix, number) from error
        except TooDeep as error:
            reason = f"{self.name} has more than {DEEPEST} lists and objects within each other."
            raise BadExport(reason, REPAIR) from error

    def _broken(self, prefix: str, number: int) -> BadExport:
        # the parser's own words quote the document, and with it patient data
        if prefix != "features.item":
            return BadExport(f"{self.name} is no JSON, or is cut short.", REPAIR)
        return self.fault(number + 1, "Here it is no JSON (which knows no NaN and no Infinity), or is cut short.")


class Ledger:
    """Remembers 24 bytes of each row of a document, to find rows that contradict each other."""

    def __init__(self) -> None:
        self._files, self._uids, self._frames = array("q"), array("q"), array("q")

    def enter(self, rows: list[Feature]) -> None:
        """Remember these rows."""
        for row in rows:
            sha256, uid = row.sha256, row.sop_instance_uid
            self._files.append(hash(sha256))
            self._uids.append(hash(uid or sha256))
            self._frames.append(hash((sha256, row.frame_number)))

    def contradiction(self) -> tuple[int, str] | None:
        """The number, from 1, of a row that cannot stand beside an earlier one, and why; None if there is none."""
        files, uids, frames = (np.asarray(each, np.int64) for each in (self._files, self._uids, self._frames))
        for keys, values, reason in (
            (frames, np.arange(len(frames)), "It repeats an earlier row's file and frame number."),
            (uids, files, "Its SOP Instance UID names another file in an earlier row."),
            (files, uids, "Its file has another SOP Instance UID in an earlier row."),
        ):
            torn = _torn(keys, values)
            if torn is not None:
                return torn + 1, reason
        return None


def _torn(keys: npt.NDArray[np.int64], values: npt.NDArray[np.int64]) -> int | None:
    """The first position whose key stood before with another value."""
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], values[order]
    torn = order[1:][(keys[1:] == keys[:-1]) & (values[1:] != values[:-1])]
    return int(torn.min()) if torn.size else None
