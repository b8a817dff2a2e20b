"""Headers with a slip that leaves no doubt about the rest: what parsers give up on, mended byte by byte.

Four slips are known: a value representation that is none, a sequence whose length is wrong, an uncompressed dataset
in another encoding than its meta header says, and the letters DICM where no preamble ends. A fifth, a preamble that
is missing, is mended in `read`. A header counts as mended only if from there on one element follows the other, in
order, to the pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import pack

from pydicom.datadict import dictionary_has_tag, dictionary_VR, repeater_has_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from cbmir.dicom.elements import (
    DELIMITERS,
    GUESSED,
    ITEM,
    LONG,
    META,
    PIXEL_KEYWORDS,
    PREAMBLE,
    PRIVATE,
    UNDEFINED,
    element_at,
    elements_from,
    end_of_items,
    end_of_meta,
    plain_element,
    plain_header,
)

BEHIND_META = 0x00030000
"""Tags of the meta header are below it."""

LAST = DELIMITERS << 16
"""Tags of elements are below it."""

MOST = 16
"""Slips of a header that are mended: beyond that its writer knows another encoding."""

LONG_HEAD = 12
"""Bytes in front of an element's value, at most."""

BARE = (b"\x08\0", b"\0\x08")
"""What a dataset without preamble begins with, in both byte orders: its first group."""

BARELY = "read without a preamble: DICM is part of a value"
"""What is said of such a dataset."""

NONE = b"  "
"""What no value representation is written as."""

DROPPED = (b"LO", b"UN")
"""Value representations with a short length and a long one, for private elements, which nobody reads."""

UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
"""Transfer syntaxes that a dataset's elements tell apart."""

SIGN, SIGNED = 0x00280103, {b"\0\0": b"US", b"\1\0": b"SS"}
"""The tag of Pixel Representation, and what its value makes of "US or SS" (PS3.5 A.1, PS3.3 C.7.6.3.1)."""

Mended = tuple[Dataset, int, tuple[str, ...]]
"""A header, where its pixels begin, and what was mended, in words."""


def mended_header(data: memoryview) -> Mended | None:
    """The header of a file that cannot be parsed as it is; None where there is any doubt.

    Args:
        data: the file, or as much of it as a header usually takes.
    """
    patched, said = memoryview(bytearray(data)), list[str]()
    start = _walked(patched, PREAMBLE + 4, said, explicit=True, below=BEHIND_META)
    syntax = end_of_meta(patched)[1]
    if start is None or syntax in (*GUESSED, ExplicitVRBigEndian):
        return None
    end = _walked(patched, start, said, explicit=syntax != ImplicitVRLittleEndian, below=min(PIXEL_KEYWORDS))
    found = plain_header(patched) if end and 0 < len(said) <= MOST else None
    return (*found, tuple(said)) if found else None


def _walked(patched: memoryview, at: int, said: list[str], *, explicit: bool, below: int) -> int | None:
    """Mend the elements from an offset on, which have ascending tags below one, and say where they end; None where
    they do so too early."""
    last = 0
    while last < _tag(patched, at) < below and at <= len(patched) - LONG_HEAD:
        if explicit and (slip := _name_representation(patched, at)):
            said.append(slip)
        if slip := _measure(patched, at, explicit):
            said.append(slip)
        each = element_at(patched, at, "<", explicit)
        if each is None or len(said) > MOST:
            return None
        last, at = each[0], each[4]
    return at if _tag(patched, at) >= below else None


def seems_bare(head: bytes) -> bool:
    """Whether a file that has the letters DICM behind its first 128 bytes may begin with a dataset nevertheless."""
    return (
        head[:2] in BARE and head[PREAMBLE : PREAMBLE + 4] == b"DICM" and head[PREAMBLE + 4 : PREAMBLE + 6] != META
    )


def without_preamble(data: memoryview) -> Mended | None:
    """The header of a dataset that begins with the file and has the letters DICM in a value, where a preamble would
    end; None of any that is not plain."""
    return _under_new_meta(data, UNCOMPRESSED, lambda _: BARELY)


def syntax_of_bare(data: memoryview) -> UID | None:
    """The uncompressed transfer syntax in which a whole file is elements in order up to its end; None for none."""
    return next((each for each in UNCOMPRESSED if _is_dataset(data, each)), None)


def _is_dataset(data: memoryview, syntax: UID) -> bool:
    last = at = 0
    order, explicit = ">" if syntax == ExplicitVRBigEndian else "<", syntax != ImplicitVRLittleEndian
    room = bytes(LONG_HEAD - 8)  # behind the last element, which may take less than the longest head
    for tag, _, _, _, behind in elements_from(bytes(data) + room, 0, order, explicit):
        if tag <= last:
            return False
        last, at = tag, behind
    return at == len(data)


def misnamed(data: memoryview) -> Mended | None:
    """The header of an uncompressed dataset whose meta header names another encoding; None of any not plain.

    The byte order of the elements is that of the pixels (PS3.5 7.3).
    """
    start, named = end_of_meta(data)
    if named not in (*UNCOMPRESSED, DeflatedExplicitVRLittleEndian):
        return None
    others = tuple(each for each in UNCOMPRESSED if each != named)
    found = _under_new_meta(
        data[start:], others, lambda found: f"header mended: read as {found.name}, not as {UID(named).name}"
    )
    return found and (found[0], found[1] + start, found[2])


def _under_new_meta(data: memoryview, syntaxes: tuple[UID, ...], said: Callable[[UID], str]) -> Mended | None:
    """The header of what is a dataset in one of these transfer syntaxes."""
    for syntax in syntaxes:
        head = new_meta(syntax)
        if found := plain_header(memoryview(head + data)):
            return found[0], found[1] - len(head), (said(syntax),)
    return None


def new_meta(syntax: str) -> bytes:
    """A preamble and a meta header that names a transfer syntax, and nothing else."""
    named = syntax.encode() + b"\0" * (len(syntax) % 2)
    return bytes(PREAMBLE) + b"DICM" + pack("<HH2sH", 0x0002, 0x0010, b"UI", len(named)) + named


def _name_representation(patched: memoryview, at: int) -> str:
    """Give the element at an offset the value representation that it lacks, if only one kind of length fits what
    follows; what was done, or empty."""
    tag = _tag(patched, at)
    if bytes(patched[at + 4 : at + 6]).isalpha() or tag in PIXEL_KEYWORDS:
        return ""
    fitting = [code for code in _candidates(tag) if _fits(patched, at, code)]
    as_implicit = at + 8 + int.from_bytes(patched[at + 4 : at + 8], "little")
    if len({code in LONG for code in fitting}) != 1 or _continues(patched, as_implicit, tag, explicit=True):
        return ""
    patched[at + 4 : at + 6] = fitting[0]
    if b"SS" in fitting and not _take_sign(patched, at):
        return ""
    return f"header mended: element {_name(tag)} has no value representation"


def _candidates(tag: int) -> tuple[bytes, ...]:
    """What an element's value representation may be, with a short length or a long one: the dictionary's own, one
    or several, and UN, which is read by the dictionary too. None where it does not know the element."""
    if tag & PRIVATE:
        return DROPPED
    known = dictionary_VR(tag) if dictionary_has_tag(tag) or repeater_has_tag(tag) else ""
    return (*known.encode().split(b" or "), b"UN") if len(known) > 1 else ()


def _take_sign(patched: memoryview, at: int) -> bool:
    """Let Pixel Representation choose between US and SS for the element at an offset; whether it does."""
    sign = plain_element(patched, SIGN)
    code = SIGNED.get(sign.value) if isinstance(sign, RawDataElement) and sign.value else None
    patched[at + 4 : at + 6] = code or NONE
    return code is not None


def _fits(patched: memoryview, at: int, code: bytes) -> bool:
    """Whether another element follows if this one has such a value representation."""
    before = bytes(patched[at + 4 : at + 6])
    patched[at + 4 : at + 6] = code
    each = element_at(patched, at, "<", explicit=True)
    patched[at + 4 : at + 6] = before
    if each is None or (code in LONG and bytes(patched[at + 6 : at + 8]) != b"\0\0"):
        return False
    return _continues(patched, each[4], each[0], explicit=True)


def _measure(patched: memoryview, at: int, explicit: bool) -> str:
    """Give the sequence at an offset the length that its items have, if another element follows there and
    none where it says; what was done, or empty."""
    each = element_at(patched, at, "<", explicit)
    if each is None or not _may_be_sequence(each[0], each[1]) or each[4] - each[2] == UNDEFINED:
        return ""
    tag, _, start, end, _ = each
    if bytes(patched[start : start + 4]) != ITEM or _continues(patched, end, tag, explicit=explicit):
        return ""
    measured = end_of_items(patched, start, explicit)
    if measured == end or not _continues(patched, measured, tag, explicit=explicit):
        return ""
    patched[start - 4 : start] = pack("<L", measured - start)
    return f"header mended: the items of {_name(tag)} take {measured - start} bytes, not {end - start}"


def _may_be_sequence(tag: int, vr: str) -> bool:
    """Whether an element that begins like one is a sequence: of implicit ones the dictionary tells, if it can."""
    return vr == "SQ" or (not vr and (bool(tag & PRIVATE) or _candidates(tag)[:1] == (b"SQ",)))


def _continues(data: memoryview, at: int, tag: int, *, explicit: bool) -> bool:
    """Whether an element follows that may stand behind the one with this tag, within the data, or with pixels."""
    each = element_at(data, at, "<", explicit)
    return each is not None and tag < each[0] < LAST and (each[3] <= len(data) or each[0] in PIXEL_KEYWORDS)


def _tag(data: memoryview, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little") << 16 | int.from_bytes(data[at + 2 : at + 4], "little")


def _name(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
