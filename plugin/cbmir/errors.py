"""Every error that cbmir raises on purpose.

    CbmirError
    ├── UnusableInput            what the user handed in cannot be used
    │   ├── NotAPicture          neither DICOM nor a picture format that is read here
    │   ├── BrokenFile           a known format, but damaged or cut short
    │   ├── NoPixels             a DICOM object that carries no picture and no waveform
    │   ├── Undecodable          no installed decoder gives the pixels
    │   ├── ImplausibleSize      no pixel at all, or more than the configured bound
    │   ├── ConflictingInstance  a known SOP Instance UID with other pixels
    │   ├── ConflictingLabels    two labels of one name for one image
    │   ├── UnsafeArchive        a zip that would unpack beyond all measure
    │   ├── Unforeseen           cbmir's own code fails at it: no fault of the file's, as far as can be told
    │   ├── BadManifest          a label manifest that cannot be understood
    │   ├── BadExport            a JSON document that does not follow the schema
    │   └── BadRequest           an argument out of its range
    ├── NotFound                 no such file, instance, encoder, job
    ├── EmptyGallery             nothing to search in, or the filter keeps nothing
    ├── EncoderMismatch          features of two encoders, or a wrong dimension, would be compared
    ├── EncoderNotReady          it cannot answer yet, or what is asked would leave nothing that answers
    ├── WeightsMismatch          a weights file whose hash or shapes are not as recorded
    ├── TrainingFailed           too little data, or a loss that is no number
    ├── JobCancelled             somebody asked the running job to stop
    └── Unavailable              a server, a database or a disk does not answer
        ├── DatabaseUnavailable
        ├── SchemaOutdated       the database needs `cbmir db upgrade`
        ├── ArchiveUnavailable   an archive (PACS) is down, too slow, or cuts off
        ├── ArchiveRefused       an archive does not let us in, or does not allow what was asked
        ├── ArchiveGarbled       an archive's answer is not what the standard says
        ├── MassDeletion         an archive seems to have lost everything at once
        ├── BrokerUnavailable
        └── DiskFull

Foreign errors are translated into one of these once, where they enter.
"""

from __future__ import annotations


class CbmirError(Exception):
    """Base of the tree.

    Args:
        reason: what is wrong, in one sentence, naming the file or the value; never a patient's identity.
        remedy: what the user can do about it, in one sentence; empty where there is nothing to do.
    """

    code = "internal"

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[CbmirError], tuple[str, str]]:
        return type(self), (self.reason, self.remedy)

    @property
    def sentence(self) -> str:
        """Reason and remedy in one line."""
        return f"{self.reason} {self.remedy}".strip()

    def as_json(self) -> dict[str, str]:
        """Code, reason and remedy by name."""
        return {"code": self.code, "reason": self.reason, "remedy": self.remedy}


class UnusableInput(CbmirError):
    code = "unusable-input"


class NotAPicture(UnusableInput):
    code = "not-a-picture"


class BrokenFile(UnusableInput):
    code = "broken-file"


class NoPixels(UnusableInput):
    code = "no-pixels"


class Undecodable(UnusableInput):
    code = "undecodable"


class ImplausibleSize(UnusableInput):
    code = "implausible-size"


class ConflictingInstance(UnusableInput):
    code = "conflicting-instance"


class ConflictingLabels(UnusableInput):
    code = "conflicting-labels"


class UnsafeArchive(UnusableInput):
    code = "unsafe-archive"


class Unforeseen(UnusableInput):
    code = "unforeseen"


class BadManifest(UnusableInput):
    code = "bad-manifest"


class BadExport(UnusableInput):
    code = "bad-export"


class BadRequest(UnusableInput):
    code = "bad-request"


class NotFound(CbmirError):
    code = "not-found"


class EmptyGallery(CbmirError):
    code = "empty-gallery"


class EncoderMismatch(CbmirError):
    code = "encoder-mismatch"


class EncoderNotReady(CbmirError):
    code = "encoder-not-ready"


class WeightsMismatch(CbmirError):
    code = "weights-mismatch"


class TrainingFailed(CbmirError):
    code = "training-failed"


class JobCancelled(CbmirError):
    code = "cancelled"


class Unavailable(CbmirError):
    code = "unavailable"


class DatabaseUnavailable(Unavailable):
    code = "database-unavailable"


class SchemaOutdated(Unavailable):
    code = "schema-outdated"


class ArchiveUnavailable(Unavailable):
    code = "archive-unavailable"


class ArchiveRefused(Unavailable):
    code = "archive-refused"


class ArchiveGarbled(Unavailable):
    code = "archive-garbled"


class MassDeletion(Unavailable):
    code = "mass-deletion"


class BrokerUnavailable(Unavailable):
    code = "broker-unavailable"


class DiskFull(Unavailable):
    code = "disk-full"
