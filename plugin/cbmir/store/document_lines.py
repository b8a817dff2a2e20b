"""Reads a document as this program writes it, a row a line: some rows in one go, checked while they are parsed.

Whatever is not as expected - another layout, a fault - is left to the slow way (`cbmir.store.document.read_row`),
which says what is wrong. So this way may refuse what is good, but must never take what that one refuses. In what
both pass over it bears lists that are nested deeper (`cbmir.store.nesting`).
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, BinaryIO

import numpy as np
import orjson
from msgspec import DecodeError, Meta, Struct
from msgspec.json import Decoder

from cbmir.store.document import FRAME, INSTANCE, LARGEST, LONGEST_STEP, MOST_STEPS, Feature, pack
from cbmir.store.tables import now
from cbmir.types import LabelOrigin, Part

UID_COLUMNS = (
    "sop_instance_uid",
    "sop_class_uid",
    "study_instance_uid",
    "series_instance_uid",
    "transfer_syntax_uid",
)
DIGEST_COLUMNS = ("sha256", "picture")
TEXT_COLUMNS = (
    "file_name",
    "group",
    "modality",
    "body_part",
    "photometric",
    "burned_in_annotation",
    "laterality",
    "view_position",
    "manufacturer",
    "model_name",
    "pipeline",
    "feature_pipeline",
)
END_OF_ROW = b",\n"
LONGEST_ROW = 64 * 1024 * 1024

LONGEST_HEAD = 512 * 1024
"""Of a line before the rows."""

BLOCK_BYTES = 96 * 1024
"""About so much is parsed at once: some 70 rows, which the processor's cache holds; for larger pieces the C library
asks the system for memory anew each time."""

LARGEST_NUMBER = float(np.finfo(np.float32).max)
UID_LENGTHS = set(range(1, 65))
ORIGINS = {each.value: each for each in LabelOrigin}
PARTS = {None, *(each.value for each in Part)}


Name = Annotated[str, Meta(min_length=1, max_length=4096)]
Value = Annotated[str, Meta(min_length=1, max_length=200)]
Code = Annotated[str, Meta(min_length=1, max_length=64)]
Short = Annotated[str, Meta(min_length=1, max_length=16)]
Answer = Annotated[str, Meta(min_length=1, max_length=3)]
Letter = Annotated[str, Meta(min_length=1, max_length=1)]
Step = Annotated[str, Meta(min_length=1, max_length=LONGEST_STEP)]
Number = Annotated[float, Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
Count = Annotated[int, Meta(ge=0, le=LARGEST)]
Ordinal = Annotated[int, Meta(ge=1, le=LARGEST)]
Moment = Annotated[datetime, Meta(tz=True)]


class Line(Struct, gc=False):
    """One member of `features`, as the schema has it (`cbmir.store.document.Feature`); an object with regions is
    rare, and read the slow way. What the database takes is made of it only when it is asked for."""

    file_name: Name
    feature: list[Number]
    label: str | None
    labels: dict[Code, Value]
    group: Value
    sop_instance_uid: str | None
    frame_number: Ordinal
    sha256: str
    sop_class_uid: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    transfer_syntax_uid: str | None = None
    modality: Short | None = None
    body_part: Code | None = None
    photometric: Short | None = None
    burned_in_annotation: Answer | None = None
    laterality: Letter | None = None
    view_position: Short | None = None
    manufacturer: Code | None = None
    model_name: Code | None = None
    ultrasound_regions: None = None
    frame_count: Ordinal | None = None
    label_origins: dict[str, str] | None = None
    part: str | None = None
    picture: str | None = None
    rows: Count | None = None
    columns: Count | None = None
    pipeline: Code | None = None
    feature_pipeline: Code | None = None
    steps: Annotated[list[Step], Meta(max_length=MOST_STEPS)] | None = None
    created_at: Moment | None = None
    vector: bytes = b""
    """`feature` as float32, little endian, which takes its place; whatever a document says here is overwritten."""

    @property
    def instance(self) -> dict[str, Any]:
        """Columns of `Instance`, without its group."""
        return {
            **{name: getattr(self, name) for name in INSTANCE},
            "frame_count": self.frame_count or 1,
            "ultrasound_regions": None,
            "created_at": self.created_at or now(),
        }

    @property
    def frame(self) -> dict[str, Any]:
        """Columns of `Frame`, without its instance."""
        return {name: getattr(self, name) or absent for name, absent in FRAME.items()}

    @property
    def named(self) -> dict[str, tuple[str, LabelOrigin]]:
        """Labels: name -> (value, origin)."""
        origins = self.label_origins or {}
        return {name: (value, ORIGINS[origins.get(name, "import")]) for name, value in self.labels.items()}

    @property
    def made_by(self) -> str:
        """The conversion behind the picture that was encoded."""
        return str(self.feature_pipeline or self.pipeline or FRAME["pipeline"])


PACKED: list[float] = []
"""In place of numbers, which take eight times as much memory: more than the processor's cache holds."""

_LINES = Decoder(list[Line])


def rewind(source: BinaryIO) -> None:
    """Go to the beginning of a document: behind the byte order mark, where an editor put one there."""
    source.seek(0)
    if source.read(len(BOM_UTF8)) != BOM_UTF8:
        source.seek(0)


def blocks(source: BinaryIO) -> Iterator[bytes]:
    """The members of `features`, some at a time, each block the text of a JSON list.

    Where the document is not laid out as this program does it, no more come.

    Yields:
        blocks, and at last b"" if the document has ended as it should.
    """
    rewind(source)
    if not _is_head([source.readline(LONGEST_HEAD) for _ in range(3)]):
        return
    rest = b""
    while more := source.read(BLOCK_BYTES):
        end = more.rfind(END_OF_ROW)
        if end >= 0:
            yield b"".join((b"[", rest, memoryview(more)[:end], b"]"))
        rest = more[end + len(END_OF_ROW) :] if end >= 0 else rest + more
        if len(rest) > LONGEST_ROW:
            return
    rest = rest.rstrip()
    if rest.endswith(b"]}"):
        yield b"[%b]" % rest[:-2]
        yield b""


def _is_head(lines: Sequence[bytes]) -> bool:
    schema, encoder, features = (line.rstrip() for line in lines)
    if not (
        schema.startswith(b'{"schema":') and encoder.startswith(b'"encoder":') and features == b'"features": ['
    ):
        return False
    try:
        read = [orjson.loads(line.removesuffix(b",").partition(b":")[2]) for line in (schema, encoder)]
    except orjson.JSONDecodeError:
        return False
    return schema.endswith(b",") and encoder.endswith(b",") and isinstance(read[1], dict)


def rows_of(block: bytes, dimension: int) -> Sequence[Feature] | None:
    """The rows of a block, checked; None if one of them is to be looked at the slow way."""
    try:
        # what it passes over it would not look at, and take though it is no UTF-8
        lines = _LINES.decode(block if block.isascii() else block.decode())
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not _are_good(lines, block, dimension):
        return None
    for line in lines:
        line.vector, line.feature = pack(line.feature), PACKED
    return lines


def _are_good(members: Sequence[Line], block: bytes, dimension: int) -> bool:
    """Whether texts, UIDs, hashes and words are as the schema asks for; all of a kind are looked at together."""
    uids, digests = _of(members, UID_COLUMNS), _of(members, DIGEST_COLUMNS)
    return (
        (_is_plain(block) or "".join(_texts(members)).isprintable())
        and _are_made_of(b"0123456789.", uids)
        and set(map(len, uids)) <= UID_LENGTHS
        and _are_made_of(b"0123456789abcdef", digests)
        and set(map(len, digests)) <= {64}
        and set(map(attrgetter("part"), members)) <= PARTS
        and ORIGINS.keys() >= {origin for each in members for origin in (each.label_origins or {}).values()}
        and set(map(len, map(attrgetter("feature"), members))) <= {dimension}
    )


def _of(members: Sequence[Line], columns: Sequence[str]) -> set[str]:
    """What stands in some columns, each once."""
    found: set[str | None] = set().union(*(map(attrgetter(name), members) for name in columns))
    return {each for each in found if each is not None}


def _is_plain(block: bytes) -> bool:
    """Whether all texts are of printable ASCII, to be told without looking at each: nothing else is in the block,
    not even escaped. (JSON lets no control character but DEL stand unescaped.)"""
    return block.isascii() and b"\\" not in block and b"\x7f" not in block


def _are_made_of(alphabet: bytes, texts: set[str]) -> bool:
    joined = "".join(texts)
    return joined.isascii() and not joined.encode().translate(None, alphabet)


def _texts(members: Sequence[Line]) -> set[str]:
    """All texts, each once: most columns have few values."""
    texts = _of(members, TEXT_COLUMNS)
    for each in members:
        texts.update(each.labels, each.labels.values(), each.label_origins or (), each.steps or ())
    return texts
