"""A file to a DICOM object: found by content, with or without preamble and meta header (PS3.10 7.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from typing import BinaryIO, cast

from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from cbmir.dicom import transferred, values
from cbmir.dicom.boundary import RESEND, translated
from cbmir.dicom.codestream import likely_syntax
from cbmir.dicom.deflated import inflated
from cbmir.dicom.elements import (
    ITEM,
    LONG,
    PIXEL_KEYWORDS,
    PREAMBLE,
    UNDEFINED,
    Element,
    element_at,
    end_of_meta,
    plain_header,
)
from cbmir.dicom.mended import (
    BARELY,
    Mended,
    mended_header,
    misnamed,
    new_meta,
    seems_bare,
    syntax_of_bare,
    without_preamble,
)
from cbmir.dicom.nested import misfit
from cbmir.dicom.octets import Octets
from cbmir.dicom.watched import Watched
from cbmir.errors import BrokenFile, NotAPicture

MAX_INFLATED_HEADER = 32 * 1024**2
"""Bytes that the elements before its pixels may inflate to: values are copied, and turned into larger objects."""

UNCOMPRESSED = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)

ITEM_HEAD = 8
"""Bytes of an item's tag and length, in front of the offset table and of each fragment (PS3.5 A.4)."""

STRAY = BaseTag(0xFFFEE000)
"""The tag of an item, where pydicom takes it for an element."""

FIRST = 64 * 1024
"""Bytes of a compressed frame that tell what it is."""

DEFLATED, EXPLICIT = (each.encode() for each in (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian))

SIGNS = ("SOPClassUID", "SOPInstanceUID", "Modality", "StudyDate", "RecognitionCode", "ImageType")
"""Elements of group 0008, any of which shows that bytes without a preamble are a DICOM dataset."""

HEADLESS = b"DICM\2\0"
"""What an object without preamble begins with that has a meta header, of group 0002."""

WITHOUT_PREAMBLE = "read without a preamble: the file begins with DICM"
"""What is said of it."""

LENGTH_TO_END = 0x00080001
"""The tag of a retired element that counts the bytes behind it."""

HEAD = 4096
"""Bytes from which a file is recognised."""

HEADER = 256 * 1024
"""Bytes that nearly all headers fit in: of those that do not, pydicom reads what it needs."""


@dataclass(frozen=True)
class DicomObject:
    """A DICOM object whose pixels, which may be larger than memory, are left where they lie.

    Attributes:
        dataset: everything before the pixels; its `file_meta` always names a transfer syntax, a guessed one where
            the file has none.
        keyword: one of `PIXEL_KEYWORDS`, or empty.
        vr: of that element, such as OW.
        pixels: the value of that element; of compressed pixels the items (PS3.5 A.4), up to the end of the file.
        mended: what had to be mended in the header, in words.
    """

    dataset: Dataset
    keyword: str
    vr: str
    pixels: Octets
    mended: tuple[str, ...] = ()

    @classmethod
    def in_memory(cls, dataset: Dataset) -> DicomObject:
        """An object around a dataset that holds its pixels itself."""
        keyword = next((each for each in PIXEL_KEYWORDS.values() if each in dataset), "")
        value = dataset[keyword].value if keyword else b""
        vr = str(dataset[keyword].VR) if keyword else ""
        return cls(dataset, keyword, vr, Octets.of(value if isinstance(value, bytes) else b""))


def is_dicom(head: bytes, size: int | None = None) -> bool:
    """Whether a file looks like a DICOM object: by the letters DICM, or by what can only be two elements.

    Args:
        head: its first bytes, at least `HEAD` of them where there are so many.
        size: of the whole file in bytes; None where `head` is all of it.
    """
    return (
        head[PREAMBLE : PREAMBLE + 4] == b"DICM"
        or head.startswith(HEADLESS)
        or _starts_with_element(head, size or len(head))
    )


def read_object(source: bytes | BinaryIO, name: str) -> DicomObject:
    """Parse a DICOM object, in whatever transfer syntax.

    Args:
        source: the whole file, or one that is open for reading and stays so as long as the pixels are wanted.
        name: what the user calls it, for the error's reason.

    Raises:
        cbmir.errors.NotAPicture: if it is no DICOM.
        cbmir.errors.BrokenFile: if it is cut short or damaged.
        cbmir.errors.UnsafeArchive: if a deflated object inflates beyond `cbmir.dicom.deflated.MAX_INFLATED`.
    """
    file = Octets.of(source)
    head = bytes(file.read(0, HEAD))
    if not is_dicom(head, file.length):
        raise NotAPicture(f"{name} is no DICOM object.", "Hand in a DICOM object, or a PNG, JPEG, TIFF or BMP.")
    with transferred.named(file, name), translated(f"{name} is a DICOM object that cannot be parsed"):
        if head.startswith(HEADLESS):
            return _headless(file, name)
        if seems_bare(head) and (found := _bare(file, name)):
            return found
        return _plainly_parsed(file, name) or _leniently_parsed(file, name)


def _starts_with_element(head: bytes, size: int) -> bool:
    """Whether the first two elements' tags and lengths make sense, in any of the three encodings (PS3.5 7.1)."""
    return any(_plausible(head, size, order, explicit) for order in "<>" for explicit in (True, False))


def _plausible(head: bytes, size: int, order: str, explicit: bool) -> bool:
    first = element_at(head, 0, order, explicit)
    if first is None or first[0] >> 16 not in (0x0002, 0x0008):
        return False
    second = element_at(head, first[3], order, explicit)
    if second is None or _miscounts(first) or _miscounts(second):
        return False
    return first[0] < second[0] and second[0] >> 16 <= 0x0028 and second[3] <= size


def _miscounts(element: Element) -> bool:
    """Whether it counts the bytes behind it, and is not of four itself (PS3.5 7.2): then it is no element. What
    Fortran compilers write begins as Length to End would, and goes on as a group length would."""
    tag, _, start, end, _ = element
    return (tag == LENGTH_TO_END or not tag & 0xFFFF) and end - start != 4


def _bare(file: Octets, name: str) -> DicomObject | None:
    """A dataset that begins with the file and has the letters DICM in a value, where a preamble would end; None of
    any other, and of one without pixels that is longer than `MAX_INFLATED_HEADER`."""
    if header := without_preamble(file.read(0, HEADER)):
        return _after(header, file, name)
    data = file.read(0, MAX_INFLATED_HEADER + 1)
    syntax = syntax_of_bare(data) if len(data) <= MAX_INFLATED_HEADER else None
    if syntax is None:
        return None
    found = _leniently_parsed(Octets.of(new_meta(syntax) + data), name)
    return replace(found, mended=(*found.mended, BARELY))


def _headless(file: Octets, name: str) -> DicomObject:
    """An object without its preamble, which begins with the letters DICM. What is not plain is read from memory.

    Raises:
        cbmir.errors.BrokenFile: if that would take more than `MAX_INFLATED_HEADER`, too.
    """
    preamble = bytes(PREAMBLE)
    if header := plain_header(memoryview(preamble + file.read(0, HEADER))):
        return _after((header[0], header[1] - PREAMBLE, (WITHOUT_PREAMBLE,)), file, name)
    if file.length > MAX_INFLATED_HEADER:
        raise BrokenFile(f"{name} has no preamble, and a header that is not understood without.", RESEND)
    found = _leniently_parsed(Octets.of(preamble + file.read()), name)
    return replace(found, mended=(WITHOUT_PREAMBLE, *found.mended))


def _is_deflated(file: Octets) -> bool:
    head = file.read(0, HEAD)
    return (
        bytes(head[PREAMBLE : PREAMBLE + 4]) == b"DICM" and end_of_meta(head)[1] == DeflatedExplicitVRLittleEndian
    )


def _inflated(file: Octets, name: str) -> DicomObject:
    """A deflated object (PS3.5 A.5), read as the uncompressed one that it is behind its meta header."""
    start = end_of_meta(file.read(0, HEAD))[0]
    meta = bytes(file.read(0, start)).replace(DEFLATED, EXPLICIT.ljust(len(DEFLATED), b"\0"), 1)
    stream = BytesIO()
    stream.write(meta)
    stream.writelines(inflated(file.read(start), name))
    view = stream.getbuffer()  # of the same bytes: memory holds them once
    whole = Octets(stream, 0, len(view), view)
    found = _plainly_parsed(whole, name) or _leniently_parsed(whole, name, MAX_INFLATED_HEADER)
    if found.dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian:
        found.dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return found


def _pixels(dataset: Dataset, rest: Octets, name: str) -> DicomObject:
    """The object, its pixel element being what `rest` begins with, if it is one."""
    head = rest.read(0, 12)
    explicit = bytes(head[4:6]) in LONG  # by its own bytes: some files change their encoding half-way
    order = "<" if dataset.original_encoding[1] else ">"
    element = element_at(head, 0, order, explicit)
    if element is None or element[0] not in PIXEL_KEYWORDS:
        return DicomObject(dataset, "", "", rest.part(rest.length))
    tag, vr, start, end, _ = element
    length = None if end - start == UNDEFINED else end - start
    if length is not None and end > rest.length:
        reason = f"{name} is cut short: its pixels promise {length} bytes and have {rest.length - start}."
        raise BrokenFile(reason, RESEND)
    if length is None:
        _name_compression(dataset, rest.part(start))
    elif transferred.outgrew(rest.part(start), length, order, explicit):
        raise transferred.damage(name)
    return DicomObject(dataset, PIXEL_KEYWORDS[tag], vr or "OW", rest.part(start, length))


def _name_compression(dataset: Dataset, items: Octets) -> None:
    """Name the transfer syntax of pixels in items for which none is named, or an uncompressed one."""
    if values.text(dataset.file_meta, "TransferSyntaxUID") not in ("", *UNCOMPRESSED):
        return
    head = items.read(0, ITEM_HEAD)
    frame = ITEM_HEAD + int.from_bytes(head[4:], "little") + ITEM_HEAD
    if bytes(head[:4]) == ITEM and (syntax := likely_syntax(bytes(items.read(frame, FIRST)))):
        dataset.file_meta.TransferSyntaxUID = UID(syntax)


def _plainly_parsed(file: Octets, name: str) -> DicomObject | None:
    """The object, of a header without surprises by its bytes; None of any other, which pydicom knows."""
    plain = plain_header(file.read(0, HEADER))
    if plain is None or misfit(plain[0], file):
        return None
    found = _pixels(plain[0], file.part(plain[1]), name)
    _refuse_nonsense(found.dataset, name)
    return found


def _leniently_parsed(file: Octets, name: str, most: int | None = None) -> DicomObject:
    """What pydicom makes of an unusual file, within `most` bytes; where it finds no pixels, or what seems left of a
    sequence, what there is once the header is mended."""
    try:
        with translated(f"{name} is a DICOM object that cannot be parsed"):
            found = _inflated(file, name) if _is_deflated(file) else _parsed_by_pydicom(file, name, most)
    except BrokenFile:
        if header := _mended(file):
            return _after(header, file, name)
        raise
    header = None if found.keyword and _is_ordered(found.dataset) else _mended(file)
    if header:
        return _after(header, file, name)
    _refuse_stray(found.dataset, name)
    return found


def _is_ordered(dataset: Dataset) -> bool:
    """Whether elements lie in the file in the order of their tags (PS3.5 7.1), and no item among them: what is left
    of a sequence whose length is too small does not, and pydicom lets it replace other elements."""
    if _has_stray(dataset):  # which pydicom cannot give among its elements
        return False
    places = [each.value_tell for each in dataset.elements() if isinstance(each, RawDataElement)]
    return places == sorted(places)


def _has_stray(dataset: Dataset) -> bool:
    return STRAY in dataset.keys()  # noqa: SIM118 the dataset's own `in` takes ten times as long


def _mended(file: Octets) -> Mended | None:
    head = file.read(0, HEADER)
    return mended_header(head) or misnamed(head)


def _after(header: Mended, file: Octets, name: str) -> DicomObject:
    """The object that has such a header, and its pixels behind it."""
    dataset, at, said = header
    found = replace(_pixels(dataset, file.part(at), name), mended=said)
    _refuse_misfit(dataset, file.part(0, at), name)
    _refuse_nonsense(dataset, name)
    return found


def _parsed_by_pydicom(file: Octets, name: str, most: int | None) -> DicomObject:
    """The same; what pydicom lets pass is refused, and the encoding named where no meta header does."""
    stream = file.opened()
    watched = cast(BinaryIO, Watched(stream, file.length, name, most))
    dataset = dcmread(watched, force=True, stop_before_pixels=True)
    at = stream.tell()
    found = _pixels(dataset, file.part(at), name)
    _refuse_cut(found, name)
    _refuse_misfit(dataset, file.part(0, at), name)
    _refuse_nonsense(dataset, name)
    _fill_transfer_syntax(dataset)
    if not found.keyword:
        _refuse_rest(dataset, file, at, name)
    return found


def _refuse_cut(found: DicomObject, name: str) -> None:
    for element in found.dataset.values():
        if not isinstance(element, RawDataElement) or element.length == UNDEFINED:
            continue
        if found.keyword and element.tag > max(PIXEL_KEYWORDS):
            continue  # what follows the pixels, mostly padding, does not matter here
        there = len(element.value or b"")
        if there < element.length:
            what = "cut short" if element.tag.is_private or dictionary_has_tag(element.tag) else "damaged"
            reason = f"{name} is {what}: element {element.tag} promises {element.length} bytes and has {there}."
            raise BrokenFile(reason, RESEND)


def _refuse_misfit(dataset: Dataset, header: Octets, name: str) -> None:
    """Refuse wrong lengths within a sequence of which values are taken: they may hide a window, or make one up."""
    if keyword := misfit(dataset, header):
        reason = f"{name} is damaged: the items of its {keyword} have lengths that do not fit each other."
        raise BrokenFile(reason, RESEND)


def _refuse_stray(dataset: Dataset, name: str) -> None:
    if _has_stray(dataset):
        raise BrokenFile(f"{name} is damaged: an item of a sequence stands outside of one.", RESEND)


def _refuse_rest(dataset: Dataset, file: Octets, at: int, name: str) -> None:
    """Refuse what lies behind the last element: pydicom passes over a value without an end, or half a tag."""
    last = max(dataset.values(), key=_place, default=None)  # some writers do not keep to the order of tags
    if isinstance(last, RawDataElement) and last.length != UNDEFINED:
        at = min(at, last.value_tell + last.length)
    rest = bytes(file.read(at)).strip(b"\0")
    if rest:
        raise BrokenFile(
            f"{name} is cut short or damaged: nothing can be made of its last {file.length - at} bytes.", RESEND
        )


def _place(element: DataElement | RawDataElement) -> int:
    """Where an element's value begins, in bytes from the beginning of its file."""
    return element.value_tell if isinstance(element, RawDataElement) else element.file_tell or 0


def _refuse_nonsense(dataset: Dataset, name: str) -> None:
    if not any(values.has(dataset, each) for each in SIGNS) and "MediaStorageSOPClassUID" not in dataset.file_meta:
        raise BrokenFile(f"{name} begins like a DICOM object, but none of its elements makes sense.", RESEND)


def _fill_transfer_syntax(dataset: Dataset) -> None:
    if dataset.file_meta.get("TransferSyntaxUID"):
        return
    implicit, little = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
