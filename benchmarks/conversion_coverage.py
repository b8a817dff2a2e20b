"""Which objects of a folder are converted: by transfer syntax, photometric interpretation and modality.

    python benchmarks/conversion_coverage.py FOLDER [--write docs/coverage.md]

Files are found as `cbmir ingest` and `cbmir convert` find them, which look into zips: the numbers are the same.
Of a file that is no DICOM object, or whose header cannot be read, nothing is known but the reason.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from pydicom.uid import UID

from cbmir.archive.folder import Source, Unlisted, find_sources
from cbmir.errors import UnusableInput
from cbmir.services.conversion.convert import convert, read_header
from cbmir.services.conversion.keep import opened
from cbmir.settings import Settings
from cbmir.types import InstanceHeader

Kind = tuple[str, str, str]
"""Transfer syntax UID, photometric interpretation, modality."""


def main() -> None:
    """Convert what is there and print, or write, the table."""
    arguments = _arguments()
    converted: Counter[Kind] = Counter()
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for source in find_sources([arguments.folder], Settings()):
        kind, reason = outcome(source)
        if reason:
            reasons[reason][kind] += 1
        else:
            converted[kind] += 1
    lines = "\n".join([*table(converted), "", *refusals(reasons)]) + "\n"
    if arguments.write:
        files = converted.total() + sum(kinds.total() for kinds in reasons.values())
        arguments.write.write_text(TITLE.format(files=files) + lines)
    print(lines)


TITLE = """# What is converted

Made by `python benchmarks/conversion_coverage.py FOLDER`, over a collection of {files} files: those that pydicom,
pylibjpeg, highdicom and others test with, series of four vendors, some that were damaged on purpose, and the list
of them all, which is a text. Each is converted, or refused for a reason.

"""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="List what of a folder is converted.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", type=Path)
    return parser.parse_args()


def outcome(source: Source | Unlisted) -> tuple[Kind | str, str]:
    """What a file is - of one that is refused, the kind of object - and the code of the reason if it is refused."""
    header = None
    try:
        if isinstance(source, Unlisted):
            raise source.error
        with opened(source.read(), Settings()) as stream:
            header = read_header(stream, source.file_name)
            convert(stream, source.file_name, Settings(max_frames=3), "")
    except UnusableInput as error:
        return _object(header), error.code
    return _kind(header), ""


def _kind(header: InstanceHeader | None) -> Kind:
    if header is None:
        return "", "", "plain image"
    photometric = header.photometric or "waveform"
    return header.transfer_syntax_uid, photometric, header.modality or "none"


def _object(header: InstanceHeader | None) -> str:
    if header is None:
        return "without a header that can be read"
    name = UID(header.sop_class_uid).name if header.sop_class_uid else "an object without a SOP class"
    return name.removesuffix(" Storage")


def table(converted: Counter[Kind]) -> Iterator[str]:
    """Rows by transfer syntax and photometric interpretation, modalities with their numbers."""
    yield "| transfer syntax | photometric interpretation | modalities (objects) | converted |"
    yield "|---|---|---|---|"
    for syntax, photometric in sorted({kind[:2] for kind in converted}):
        found = Counter({kind[2]: count for kind, count in converted.items() if kind[:2] == (syntax, photometric)})
        named = ", ".join(f"{modality} {count}" for modality, count in sorted(found.items()))
        yield f"| {UID(syntax).name or '–'} | {photometric or '–'} | {named} | {found.total()} |"
    yield f"| all | | | {converted.total()} |"


def refusals(reasons: dict[str, Counter[str]]) -> Iterator[str]:
    """Rows by reason: the kinds of objects."""
    yield "| not converted: reason | objects | number |"
    yield "|---|---|---|"
    for reason, kinds in sorted(reasons.items()):
        named = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
        yield f"| `{reason}` | {named} | {kinds.total()} |"


if __name__ == "__main__":
    main()
