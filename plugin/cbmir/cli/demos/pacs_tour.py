"""The steps of `cbmir demo-pacs`: an archive is filled, followed, asked, and a study of it deleted."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from cbmir.cli.archives.words import Words
from cbmir.cli.context import Context
from cbmir.cli.demos import own_orthanc, servers
from cbmir.cli.demos.own_orthanc import NAME, Orthanc
from cbmir.cli.demos.pacs_deletion import Doomed
from cbmir.cli.demos.pacs_filling import by_uid, send, uids_in
from cbmir.cli.demos.servers import Server
from cbmir.cli.demos.steps import Outcome
from cbmir.cli.demos.tour import Tour
from cbmir.errors import BadRequest
from cbmir.phantoms import archive as phantoms
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.services.archives import registered, status
from cbmir.services.archives.check import test
from cbmir.services.archives.status import ArchiveStatus
from cbmir.services.archives.verify import Verified, verify
from cbmir.services.retrieval.retrieve import Question, retrieve
from cbmir.store import archives, encoders, instances
from cbmir.store.tables import Instance
from cbmir.types import Part

LOOKED_AT = 10_000
"""Objects among which the queries, and the study to delete, are chosen."""

LONGEST_FOLLOWING, LONGEST_DELETION = 1800.0, 60.0
"""Seconds after which something must be wrong."""

POLL_SECONDS = 0.05


@dataclass
class PacsTour:
    """One run of the demo; what an earlier run has done is found in its folder.

    Attributes:
        context: of the demo's own installation.
        running: ends the servers.
        patients: drawn of each subclass.
        epochs: of the training.
        source: a folder of DICOM files to send instead of drawn ones.
        orthanc, up: the servers, once they run.
        files: what is sent, by SOP Instance UID.
        listed: how many objects Orthanc has then.
        asked: modality -> SOP and Study Instance UID of the object that was asked about.
    """

    context: Context
    running: ExitStack
    patients: int
    epochs: int
    source: Path | None = None
    orthanc: Orthanc = field(init=False)
    up: Server = field(init=False)
    files: dict[str, Path] = field(default_factory=dict)
    listed: int = 0
    asked: dict[str, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.learning = Tour(self.context, self.patients, self.epochs)

    @property
    def web_url(self) -> str:
        """Base URL of cbmir's web."""
        return f"http://{servers.LOCAL}:{self.context.settings.port}"

    @property
    def similar_url(self) -> str:
        """Where the button of Orthanc's page leads, for the study of the first query."""
        study = next(study for _, study in self.asked.values())
        return f"{self.web_url}/similar?study={study}"

    def start(self, progress: Progress) -> Outcome:
        """`cbmir up`, and Orthanc beside it."""
        settings = self.context.settings
        own_orthanc.installed()  # to be told at once where it is not
        self.context.database.dispose()  # made and brought up to date before the workers ask for it
        progress.update(0, 2, "cbmir")
        self.up = self.running.enter_context(servers.up(settings))
        progress.update(1, 2, "Orthanc")
        self.orthanc = self.running.enter_context(own_orthanc.running(settings.data / "orthanc", self.web_url))
        script = "with cbmir's script" if own_orthanc.SCRIPT.exists() else "without cbmir's script, for want of it"
        return Outcome([f"Orthanc, {script}: {self.orthanc.url}", f"cbmir, its web and workers: {self.web_url}"])

    def send(self, progress: Progress) -> Outcome:
        """By C-STORE what Orthanc does not have yet."""
        gathered = self._gathered(progress)
        self.files = by_uid(gathered)
        if not self.files:
            raise BadRequest(f"There is no DICOM file below {self.source}.", "Name another folder with --from.")
        before = uids_in(self.orthanc.by_rest)
        missing = {uid: file for uid, file in self.files.items() if uid not in before}
        refused = send(self.orthanc.by_dimse, self.orthanc.by_rest, list(missing.values()), progress)
        after = uids_in(self.orthanc.by_rest)
        self.listed = len(after)
        outcome = Outcome([f"{len(missing) - len(refused)} objects sent, {len(before)} were there already"])
        if len(gathered) > len(self.files):
            others = len(gathered) - len(self.files)
            outcome.lines.append(f"{others} other files are no DICOM objects with a UID of their own")
        if refused:
            outcome.lines.append(f"{len(refused)} more are not taken by Orthanc, such as {refused[0].name}")
        lost = [uid for uid, file in missing.items() if uid not in after and file not in refused]
        outcome.check(not lost, f"Orthanc does not have {len(lost)} of the objects that it took")
        outcome.check(not refused or self.source is not None, "Orthanc does not take some of the drawn objects")
        return outcome

    def _gathered(self, progress: Progress) -> list[Path]:
        """The files to be sent; patients are drawn where they were not before."""
        if self.source is not None:
            return sorted(path for path in self.source.rglob("*") if path.is_file())
        folder = self.learning.folder
        entries = phantoms.read_manifest(folder) or phantoms.build(folder, progress, patients=self.patients)
        return [folder / entry.path for entry in entries]

    def add(self, progress: Progress) -> Outcome:
        """Make Orthanc known to cbmir; where it was so before, it may have another port now."""
        connection = self.orthanc.by_rest
        checks = test(connection)
        with self.context.database.write() as session:
            row = archives.find(session, NAME)
            if row is not None:
                archives.change(session, row.id, address=connection.address, paused=False)
        if row is None:
            registered.add(self.context.database, self.context.settings, connection)
        outcome = Outcome([f"{each.what}: {each.said}" for each in checks])
        outcome.check(all(each.fine for each in checks), "Orthanc does not answer as an archive should")
        return outcome

    def follow(self, progress: Progress) -> Outcome:
        """Wait until the workers, which follow it by themselves, have settled everything that it has."""
        self._wait(lambda: self._settled(progress) == self.listed, LONGEST_FOLLOWING)
        found, settled = self._status(), self._settled(progress)
        outcome = Outcome([Words(found).line])
        outcome.check(settled == self.listed, f"of {self.listed} objects in Orthanc {settled} are settled here")
        outcome.check(found.held > 0, "no image was taken into the index")
        return outcome

    def _status(self) -> ArchiveStatus:
        with self.context.database.read() as session:
            return status.of(session, NAME)

    def _settled(self, progress: Progress) -> int:
        found = self._status()
        settled = found.held + found.skipped + found.set_aside
        progress.update(settled, self.listed, "objects")
        return settled

    def _wait(self, until: Callable[[], bool], seconds: float) -> float:
        """Wait for the condition, or until the time is over; the servers must not end meanwhile.

        Returns:
            How long that took, in seconds.
        """
        began = time.monotonic()
        while not until() and time.monotonic() - began < seconds:
            self.up.check()
            self.orthanc.server.check()
            time.sleep(POLL_SECONDS)
        return time.monotonic() - began

    def ask(self, progress: Progress) -> Outcome:
        """About an object of each modality, by its UID, as the button of Orthanc's pages asks."""
        self.asked = self._questions()
        outcome, own, found = Outcome(), 0, 0
        for number, (modality, (uid, _)) in enumerate(self.asked.items(), 1):
            question = Question(sop_instance_uid=uid, exclude_same_patient=True)
            hits = retrieve(self.context.database, self.context.settings, question).hits
            same = sum(hit.labels.get("modality") == modality for hit in hits)
            outcome.lines.append(f"{modality}: {same} of the {len(hits)} most like it, of other patients, are too")
            outcome.check(bool(hits), f"nothing is found for {modality}")
            own, found = own + same, found + len(hits)
            progress.update(number, len(self.asked), modality)
        outcome.check(bool(self.asked), "there is no image to ask about")
        outcome.check(
            2 * own >= found or self.source is not None, "most hits are of another modality than asked about"
        )
        return outcome

    def _questions(self) -> dict[str, tuple[str, str]]:
        """One of each modality, of a patient whom the encoder has never seen where there is one."""
        with self.context.database.read() as session:
            parts = encoders.parts(session, self.learning.encoder_id)
            held = sorted(self._held(session), key=lambda each: parts.get(each.group_id) == Part.TEST)
            return {_modality(each): _uids(each) for each in held}  # the last of each modality stays

    def verify(self, progress: Progress) -> Outcome:
        """The proof, object by object, that the index is what Orthanc is."""
        found = self._verified(progress)
        outcome = Outcome(
            [
                f"{found.listed} objects in Orthanc: {found.held} are images here, {found.skipped} show nothing, "
                f"{found.set_aside} are set aside; differences: {len(found.differences)}"
            ]
        )
        outcome.check(not found.differences, f"{len(found.differences)} objects are not here as they are there")
        return outcome

    def _verified(self, progress: Progress) -> Verified:
        with registered.followed(self.context.database, self.context.settings, NAME) as followed:
            return verify(followed, progress)

    def delete(self, progress: Progress) -> Outcome:
        """Delete a study in Orthanc, and see how soon nothing of it is left here."""
        database, kept = self.context.database, {study for _, study in self.asked.values()}
        with database.read() as session:
            doomed = Doomed.chosen(self._held(session), kept)
        self.orthanc.delete_study(doomed.study)
        seconds = self._wait(lambda: not doomed.left(database), LONGEST_DELETION)
        images = f"a study of {len(doomed.uids)} images"
        outcome = Outcome([f"{images}: gone here {seconds:.1f} s after it was deleted in Orthanc"])
        outcome.check(
            not doomed.left(database), f"{images} is still here, {seconds:.0f} s after it was deleted there"
        )
        shelf = Shelf(self.context.settings.pictures)
        outcome.check(not doomed.pictures_on(shelf, database), "a deleted image's picture is still on the disk")
        return outcome

    def _held(self, session: Session) -> list[Instance]:
        """The images of what was sent."""
        return instances.of_uids(session, list(self.files)[:LOOKED_AT])


def _modality(instance: Instance) -> str:
    return next((each.value for each in instance.labels if each.name == "modality"), "other")


def _uids(instance: Instance) -> tuple[str, str]:
    return str(instance.sop_instance_uid), str(instance.study_instance_uid)
