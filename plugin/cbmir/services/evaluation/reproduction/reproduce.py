"""The use case: the paper's experiment, by the product's own ingest, train, extract and evaluate.

Every step finds what an earlier start has done, so that one that was cut off goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cbmir.archive.manifest import Manifest
from cbmir.errors import BadRequest, EmptyGallery
from cbmir.evaluation.example import Example
from cbmir.evaluation.reproduction import definitions, page, paper
from cbmir.evaluation.reproduction.tables import table_1, table_2
from cbmir.files import write_whole
from cbmir.phantoms import archive
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.services.evaluation import examples
from cbmir.services.evaluation.evaluate import evaluate
from cbmir.services.evaluation.prepare import prepare
from cbmir.services.evaluation.reproduction import results, rivals
from cbmir.services.evaluation.reproduction.choice import choose
from cbmir.services.evaluation.reproduction.judge import K, judge
from cbmir.services.evaluation.reproduction.results import Method
from cbmir.services.evaluation.reproduction.wanted import Wanted
from cbmir.services.features.extract import extract
from cbmir.services.ingestion.ingest import ingest
from cbmir.services.ingestion.run import Ingested
from cbmir.services.training.plan import data_sha256
from cbmir.services.training.train import train
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store import training as library
from cbmir.store.session import Database
from cbmir.store.tables import Encoder

MANIFEST = "manifest.csv"
COMMAND = "command.txt"
SUBCLASS_KS = (1, 5, 20)
DCNN = "dcnn"


@dataclass(frozen=True)
class Reproduction:
    """The steps of one reproduction, to be taken in order.

    Attributes:
        database, settings: of an installation that holds nothing else.
        wanted: how.
        out: folder that gets page, tables and figures.
    """

    database: Database
    settings: Settings
    wanted: Wanted
    out: Path

    def claim(self) -> None:
        """Take the folder for this reproduction.

        Raises:
            cbmir.errors.BadRequest: if another one has taken it, whose results would be mixed with these; or if a
                number that was asked for is out of its range.
        """
        self.wanted.training(paper.OWN)
        kept, command = self.out / COMMAND, self.wanted.command()
        if kept.exists() and (found := kept.read_text(encoding="utf-8").strip()) != command:
            raise BadRequest(
                f"The folder {self.out} holds another reproduction: {found}", "Name another folder, or delete it."
            )
        write_whole(kept, f"{command}\n".encode())

    def take_in(self, progress: Progress) -> Ingested:
        """Ingest the images.

        Raises:
            cbmir.errors.BadManifest: if the manifest does not say modality and patient of each.
        """
        folder = self.wanted.images or self._drawn(progress)
        manifest = folder / MANIFEST
        files = choose(Manifest.read(manifest), self.wanted.limit, self.wanted.seed)
        return ingest(self.database, self.settings, files, str(manifest), progress)

    def _drawn(self, progress: Progress) -> Path:
        folder = self.settings.data / f"archive-{archive.VERSION}"
        if not archive.read_manifest(folder):
            archive.build(folder, progress)
        return folder

    def train(self, progress: Progress) -> Encoder:
        """Train the paper's own network; one that was trained here is taken as it is.

        Raises:
            as `cbmir.services.training.train.train`.
        """
        return self._trained(paper.OWN, progress)

    def _trained(self, architecture: str, progress: Progress) -> Encoder:
        request = self.wanted.training(architecture)
        wanted = {**request.as_json(), "data_sha256": data_sha256(self._frames())}
        with self.database.read() as session:
            known = [row for row in encoders.listing(session) if row.training.items() >= wanted.items()]
        if known:
            return known[0]
        watch = judge if architecture == paper.OWN else None
        encoder_id = train(
            self.database, self.settings, request, progress, run=f"reproduce-{architecture}", judge=watch
        )
        with self.database.read() as session:
            return encoders.get(session, encoder_id)

    def compete(self, own: Encoder, progress: Progress) -> list[Method]:
        """Bring the rivals: train the DCNN on the same split, and take the weights of the others."""
        with self.database.read() as session:
            parts = encoders.parts(session, own.id)
        methods = []
        for name in paper.NAMES:
            if name == paper.OWN:
                methods.append(Method(name, own.id, "trained here"))
            elif name not in self.wanted.methods:
                methods.append(Method(name, None, "left out, as was asked for"))
            elif name == DCNN:
                methods.append(self._dcnn(progress))
            else:
                methods.append(self._frozen(name, parts))
        return methods

    def _dcnn(self, progress: Progress) -> Method:
        if len({frame.label for frame in self._frames()}) < 2:
            return Method(DCNN, None, "none: with one label alone there is nothing to learn")
        return Method(DCNN, self._trained(DCNN, progress).id, "trained here, to name the sub-class")

    def _frames(self) -> list[library.TrainingFrame]:
        with self.database.read() as session:
            return library.frames(session)

    def _frozen(self, name: str, parts: dict[int, Any]) -> Method:
        found, folder = rivals.weights_of(name, self.wanted), self.wanted.weights
        called = str(rivals.file_of(name, folder)) if folder else ""
        if found is None:
            missing = f"{called} is not there" if called else "no --weights were named"
            return Method(name, None, f"none: {missing}; docs/reproduce.md says how to get them")
        data, said = found
        side = self.wanted.rival_side
        return Method(name, rivals.add(self.database, self.settings, name, data, said, side, parts, called), said)

    def extract(self, methods: list[Method], progress: Progress) -> None:
        """Give every image a feature of every method.

        Raises:
            as `cbmir.services.features.extract.extract`.
        """
        for method in methods:
            if method.encoder_id:
                extract(self.database, self.settings, method.encoder_id, progress)

    def evaluate(self, methods: list[Method], progress: Progress) -> dict[str, Any]:
        """Ask the test patients' images, by every method; write page, tables and figures.

        Returns:
            `command`, `data` (`sha256`, and `modalities` with counts), `versions`, `notices` (what keeps this from
            being the paper's experiment), `asked` (counts), `training` (how the autoencoder was trained, and its
            `history`), `epoch_k`, `table_1`, `table_2`, `subclass` (`rows`, or the `reason` why there
            are none), `evaluations` (of each method, as `cbmir.services.evaluation.evaluate.evaluate` returns them)
            and `definitions`.

        Raises:
            cbmir.errors.EmptyGallery: if too few patients have images.
            cbmir.errors.DiskFull: if there is no room for the results.
        """
        measured = {each.name: self._evaluation(each, progress) for each in methods if each.encoder_id}
        own = self._own(methods)
        rows = [
            {"method": each.name, "weights": each.weights, "evaluation": measured.get(each.name)}
            for each in methods
        ]
        result = {
            **results.made(own, self.wanted, self._frames()),
            "asked": results.asked(measured[paper.OWN]),
            "notices": results.notices(measured[paper.OWN], self.wanted, methods, self._frames()),
            "training": results.training(own),
            "epoch_k": K,
            "table_1": table_1(measured[paper.OWN]),
            "table_2": table_2(rows),
            "subclass": self._subclass(methods, progress),
            "evaluations": measured,
            "definitions": definitions.of(K),
        }
        page.write(self.out, result, self._examples(own))
        return result

    def _own(self, methods: list[Method]) -> Encoder:
        (encoder_id,) = (each.encoder_id for each in methods if each.name == paper.OWN)
        with self.database.read() as session:
            return encoders.get(session, str(encoder_id))

    def _examples(self, own: Encoder) -> list[Example]:
        with self.database.read() as session:
            return examples.pick(session, prepare(session, own, "modality"), Shelf(self.settings.pictures))

    def _evaluation(self, method: Method, progress: Progress) -> dict[str, Any]:
        folder = self.out / "reports" / method.name
        return evaluate(
            self.database, self.settings, method.encoder_id, paper.KS, "modality", progress, report=folder
        )

    def _subclass(self, methods: list[Method], progress: Progress) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        queries = 0
        for each in (each for each in methods if each.encoder_id):
            try:
                found = evaluate(self.database, self.settings, each.encoder_id, SUBCLASS_KS, "subclass", progress)
            except (BadRequest, EmptyGallery) as error:  # no image has a sub-class, or none that two patients share
                return {"ks": list(SUBCLASS_KS), "queries": 0, "rows": [], "reason": error.reason}
            queries = found["queries"]
            rows.append({"method": each.name, "precision": {k: row["precision"] for k, row in found["at"].items()}})
        return {"ks": list(SUBCLASS_KS), "queries": queries, "rows": rows, "reason": ""}


def installation(settings: Settings, out: Path) -> Settings:
    """The settings of the installation that a reproduction keeps for itself, in its own folder."""
    return replace(settings, data=out / "data", database_url="")
