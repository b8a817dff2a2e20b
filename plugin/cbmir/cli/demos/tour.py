"""The demo's six steps: the main job on drawn patients, each step with a check of what came out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cbmir.cli.context import Context
from cbmir.cli.demos.steps import Outcome
from cbmir.phantoms import archive
from cbmir.phantoms.archive import Entry
from cbmir.progress import Progress
from cbmir.services.ingestion.ingest import ingest
from cbmir.store import encoders, features, instances, quarantine
from cbmir.store.tables import Encoder
from cbmir.training.request import TrainingRequest
from cbmir.types import Part

KS = (5, 20)
LEAST_PRECISION = 0.9
"""Of the five nearest by modality, as a mean over the four: nobody takes a hand for an electroencephalogram."""


@dataclass
class Tour:
    """One run of the demo on an installation; what an earlier run has done is found in its database.

    Attributes:
        context: of the installation.
        patients: drawn of each subclass.
        epochs: of the training.
    """

    context: Context
    patients: int
    epochs: int
    entries: list[Entry] = field(default_factory=list)
    encoder_id: str = ""

    @property
    def folder(self) -> Path:
        """Where the drawn archive lies."""
        return self.context.settings.data / f"archive-{archive.VERSION}-{self.patients}"

    def draw(self, progress: Progress) -> Outcome:
        """The archive of drawn patients, and the real files of the pydicom wheel."""
        self.entries = archive.read_manifest(self.folder)
        known = bool(self.entries)
        if not known:
            archive.copy_real_files(self.folder / "pydicom")
            self.entries = archive.build(self.folder, progress, patients=self.patients)
        people = len({entry.group for entry in self.entries})
        real = sum(path.is_file() for path in (self.folder / "pydicom").rglob("*"))
        line = f"{len(self.entries)} DICOM objects of {people} patients, {real} real files of pydicom"
        outcome = Outcome([f"{line}{' (drawn before)' if known else ''}: {self.folder}"])
        missing = [entry.path for entry in self.entries if not (self.folder / entry.path).is_file()]
        outcome.check(not missing, f"{len(missing)} drawn objects are gone: delete {self.folder} and start again")
        return outcome

    def take_in(self, progress: Progress) -> Outcome:
        """Ingest the archive with its manifest."""
        counts = ingest(
            self.context.database,
            self.context.settings,
            [self.folder],
            str(self.folder / archive.MANIFEST),
            progress,
        )
        with self.context.database.read() as session:
            reasons = Counter(row.code for row in quarantine.listing(session, limit=None))
        outcome = Outcome(
            [
                f"{counts.ingested} ingested, {counts.duplicates} known already, {counts.quarantined} set aside",
                "set aside, as they should be: " + ", ".join(f"{n} {code}" for code, n in reasons.most_common()),
            ]
        )
        outcome.check(not counts.failed, f"{counts.failed} files could not be read")
        outcome.check(bool(reasons), "nothing was set aside, though some files are damaged on purpose")
        lost = [entry.path for entry in self.entries if not self._is_stored(entry)]
        outcome.check(not lost, f"{len(lost)} drawn objects are not in the library, such as {''.join(lost[:1])}")
        return outcome

    def _is_stored(self, entry: Entry) -> bool:
        return self._group(entry) is not None

    def _group(self, entry: Entry) -> int | None:
        """The row of the entry's patient, if the object is stored under its labels."""
        sha256 = hashlib.sha256((self.folder / entry.path).read_bytes()).hexdigest()
        with self.context.database.read() as session:
            instance = instances.find_by_sha256(session, sha256)
            if instance is None or ("subclass", entry.subclass) not in ((x.name, x.value) for x in instance.labels):
                return None
            return instance.group_id

    def train(self, progress: Progress) -> Outcome:
        """The paper's autoencoder, on four fifths of the patients."""
        from cbmir.services.training.train import train

        request = TrainingRequest(epochs=self.epochs)
        encoder = self._trained(request)
        known = encoder is not None
        if encoder is None:
            encoder_id = train(self.context.database, self.context.settings, request, progress)
            with self.context.database.read() as session:
                encoder = encoders.get(session, encoder_id)
        self.encoder_id = encoder.id
        history = encoder.metrics["history"]
        first, best = history[0]["validation_loss"], encoder.metrics["validation_loss"]
        line = f"{encoder.id}: validation loss {first:.4f} after epoch 1, {best:.4f} after {len(history)}"
        outcome = Outcome([line + (" (trained before)" if known else "")])
        losses = [row["train_loss"] for row in history]  # of few patients the validation loss may rise by chance
        outcome.check(min(losses[1:], default=0.0) < losses[0], "the training did not lower the loss")
        return outcome

    def _trained(self, request: TrainingRequest) -> Encoder | None:
        with self.context.database.read() as session:
            rows = encoders.listing(session)
        return next((row for row in rows if row.training.items() >= request.as_json().items()), None)

    def extract(self, progress: Progress) -> Outcome:
        """A feature for every picture."""
        from cbmir.services.features.extract import extract

        report = extract(self.context.database, self.context.settings, self.encoder_id, progress)
        with self.context.database.read() as session:
            missing = features.count_missing(session, self.encoder_id)
        outcome = Outcome([f"{report['extracted']} pictures encoded, {report['already']} were already"])
        outcome.check(not missing, f"{missing} pictures have no feature")
        return outcome

    def evaluate(self, progress: Progress) -> Outcome:
        """How well patients are found that the encoder has never seen."""
        from cbmir.services.evaluation.evaluate import evaluate

        outcome = Outcome()
        for label in ("modality", "subclass"):
            report = evaluate(self.context.database, self.context.settings, self.encoder_id, KS, label, progress)
            outcome.lines += _evaluation(report, label)
            if label == "modality":
                self._check_modalities(report, outcome)
        names = ("accuracy", "precision", "recall_capped")
        outcome.lines += [f"{name}: {report['definitions'][name]}" for name in names]
        return outcome

    def _check_modalities(self, report: dict[str, Any], outcome: Outcome) -> None:
        ours = {entry.modality for entry in self.entries} & set(report["per_class"])
        reached = [report["per_class"][name]["at"][str(KS[0])]["precision"] for name in sorted(ours)]
        mean = sum(reached) / max(len(reached), 1)
        outcome.check(
            mean >= LEAST_PRECISION, f"of the {KS[0]} nearest only {mean:.0%} are of the query's modality"
        )

    def ask(self, progress: Progress) -> Outcome:
        """A query of each modality, with an object of a patient whom the encoder has never seen."""
        from cbmir.services.retrieval.retrieve import Question, retrieve

        outcome = Outcome()
        asked = list(self._unseen())
        outcome.check(len(asked) == 4, "no test patient of some modality")
        for number, entry in enumerate(asked, 1):
            data = (self.folder / entry.path).read_bytes()
            question = Question(data=data, name=Path(entry.path).name, exclude_same_patient=True)
            answer = retrieve(self.context.database, self.context.settings, question).as_json()
            outcome.lines += _hits(entry, answer["hits"])
            own = [hit for hit in answer["hits"] if hit["labels"].get("modality") == entry.modality]
            outcome.check(len(answer["hits"]) == 5, f"{entry.path} has {len(answer['hits'])} hits")
            outcome.check(len(own) >= 3, f"{entry.path} finds more of other modalities than of its own")
            progress.update(number, len(asked), entry.subclass)
        return outcome

    def _unseen(self) -> Iterator[Entry]:
        with self.context.database.read() as session:
            parts = encoders.parts(session, self.encoder_id)
        for modality in dict.fromkeys(entry.modality for entry in self.entries):
            ours = (entry for entry in self.entries if entry.modality == modality)
            unseen = (entry for entry in ours if parts.get(self._group(entry) or 0) == Part.TEST)
            yield from [entry for entry in [next(unseen, None)] if entry]


def _evaluation(report: dict[str, Any], label: str) -> list[str]:
    lines = [f"by {label}: {report['queries']} pictures of test patients asked of {report['gallery']} others"]
    for k, row in report["at"].items():
        numbers = ", ".join(f"{name} {row[name]:.3f}" for name in ("accuracy", "precision", "recall_capped"))
        lines.append(f"   at {k:>2}: {numbers}")
    each = (
        f"{name} {found['at'][str(KS[0])]['precision']:.2f} ({found['queries']})"
        for name, found in report["per_class"].items()
    )
    return [*lines, f"   precision at {KS[0]} of each (queries): {', '.join(each)}"]


def _hits(entry: Entry, hits: Sequence[dict[str, Any]]) -> list[str]:
    lines = [f"most like {Path(entry.path).name} ({entry.modality}, {entry.subclass}), of other patients:"]
    for hit in hits:
        frame = f" frame {hit['frame_number']}" if hit["frame_number"] > 1 else ""
        labels = ", ".join(hit["labels"].get(name, "?") for name in ("modality", "subclass"))
        lines.append(f"   {hit['rank']}  {hit['distance']:8.4f}  {hit['file_name'] + frame:<32}  {labels}")
    return lines
