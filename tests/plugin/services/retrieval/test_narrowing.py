"""What a filter keeps of a gallery is what the database's own conditions keep, whatever has changed meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, select

from cbmir.errors import BrokenFile
from cbmir.files import write_whole
from cbmir.index import terms as file
from cbmir.services.retrieval import gallery, narrowing
from cbmir.services.retrieval.indexes import index_files, report, term_files
from cbmir.settings import Settings
from cbmir.store import encoders, features, instances, ledger, undated
from cbmir.store.filters import Where
from cbmir.store.labels import set_labels
from cbmir.store.session import Database
from cbmir.store.tables import Archive, Feature, Frame, Instance
from cbmir.types import InstanceHeader, LabelOrigin, NewFrame, RemoteInstance

CODES = ("", "MR", "CT", "mr", "DX")
DATES = (None, date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 2))
PARTS = ("", "HEAD", "Head", "KNEE")
LABELS = {
    "modality": ("mri", "MR", "xray", "scan", "MRI|ct"),
    "subclass": ("tear", "Tear", "none", "none | tear", "a|Tear|b"),
}
TERMS = [
    *(f"modality={each}" for each in ("MR", "mri", "ct", "XRAY", "scan", "OPT")),
    *(f"modality!={each}" for each in ("MR", "mri")),
    *(f"body_part={each}" for each in ("HEAD", "knee", "foot")),
    "body_part!=HEAD",
    *(f"subclass={each}" for each in ("tear", "Tear", "other", "none|tear", "a")),
    "subclass!=tear",
    "subclass!=a|Tear|b",
    "archive=pacs",
    "archive!=pacs",
    "archive=nowhere",
    *(f"group{each}" for each in ("=p-1", "!=p-1", "=p-9", "=nobody")),
    *(
        f"study_date{each}"
        for each in (">=2024-02-01", ">2024-02-01", "<2024-02-01", "=2024-02-01", "!=2024-02-01")
    ),
]


@dataclass
class Hospital:
    """Instances with features of one encoder, and a process that has the gallery open."""

    database: Database
    settings: Settings
    encoder_id: str
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    count: int = 0
    open: gallery.Galleries = field(default_factory=gallery.Galleries)

    def add(self, count: int) -> None:
        """Instances of one to three frames, that carry this and that."""
        for _ in range(count):
            self.count += 1
            with self.database.write() as session:
                instances.add(
                    session,
                    header=self.header() if self.random.random() < 0.7 else None,
                    file_name=f"{self.count}.dcm",
                    origin="",
                    sha256=self.digest(self.count),
                    group_key=f"p-{self.count % 5}",
                    frames=[NewFrame(n, "0" * 64, 8, 8, "test/1") for n in range(1, self.random.integers(2, 5))],
                    labels={name: (value, LabelOrigin.HEADER) for name, value in self.labels().items()},
                )
        self.extract()

    def extract(self) -> None:
        with self.database.write() as session:
            encoder = encoders.get(session, self.encoder_id)
            frames = [id for id, _ in features.missing_frames(session, encoder.id, after=0, limit=10**6)]
            vectors = self.random.normal(size=(len(frames), encoder.dimension)).astype(np.float32)
            features.add_batch(session, encoder, frames, vectors)

    def header(self) -> InstanceHeader:
        return InstanceHeader(
            sop_instance_uid=f"1.2.{self.count}",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
            study_instance_uid=f"1.3.{self.count // 3}",
            series_instance_uid=f"1.4.{self.count // 2}",
            modality=self.choice(CODES),
            body_part=self.choice(PARTS),
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            patient_key="never stored",
            study_date=DATES[self.count // 3 % len(DATES)],
        )

    def labels(self) -> dict[str, str]:
        return {name: self.choice(values) for name, values in LABELS.items() if self.random.random() < 0.6}

    def choice(self, values: tuple[str, ...]) -> str:
        return values[int(self.random.integers(len(values)))]

    @staticmethod
    def digest(number: int) -> str:
        return hashlib.sha256(str(number).encode()).hexdigest()

    def some(self, session: object) -> list[Instance]:
        rows = session.scalars(select(Instance).order_by(Instance.id)).all()  # type: ignore[attr-defined]
        return [rows[place] for place in self.random.choice(len(rows), 5, replace=False)]

    def compare(self, galleries: gallery.Galleries | None = None, mixed: int = 6) -> None:
        """Every single filter and some that are mixed by chance, by the terms and by the database."""
        with self.database.read() as session:
            encoder = encoders.get(session, self.encoder_id)
            held = (galleries or self.open).of(self.database, session, encoder, self.settings)
            assert narrowing.kept(session, held.terms, Where()).tolist() == held.frame_ids.tolist()
            featured = select(Feature.frame_id).where(Feature.encoder_id == encoder.id)
            for where in self.filters(mixed):
                found = narrowing.kept(session, held.terms, where)
                kept = select(Frame.id).join(Frame.instance).where(*where.clause(), Frame.id.in_(featured))
                assert found.tolist() == session.scalars(kept.order_by(Frame.id)).all(), where

    def found(self, where: Where) -> int:
        """How many frames a filter keeps of the open gallery."""
        with self.database.read() as session:
            held = self.open.of(self.database, session, encoders.get(session, self.encoder_id), self.settings)
            return len(narrowing.kept(session, held.terms, where))

    def filters(self, count: int) -> list[Where]:
        single = [Where.parse([term]) for term in TERMS]
        pairs = [[self.choice(tuple(TERMS)) for _ in range(3)] for _ in range(count)]
        mixed = [Where.parse([f"{one} OR {other}", third]) for one, other, third in pairs]
        others = [Where(exclude_group="p-1"), Where(modality="MR", exclude_instance=1), Where(exclude_group="x")]
        return single + mixed + others


@pytest.fixture
def hospital(any_database: Database, settings: Settings, add_network: Callable[..., str]) -> Hospital:
    found = Hospital(any_database, settings, add_network(any_database))
    found.add(30)
    return found


def test_every_filter_keeps_what_the_database_keeps(hospital: Hospital) -> None:
    hospital.compare(mixed=60)
    hospital.compare(gallery.Galleries(), mixed=60)  # another process, from the file


def test_values_that_name_several_are_kept_as_the_database_keeps_them(hospital: Hospital) -> None:
    for _ in range(5):
        with hospital.database.write() as session:
            for instance in session.scalars(select(Instance)):
                values = {name: drawn_value(hospital.random) for name in ("finding", "group")}
                set_labels(
                    session, instance, {name: value for name, value in values.items() if value}, LabelOrigin.USER
                )
        with hospital.database.read() as session:
            encoder = encoders.get(session, hospital.encoder_id)
            terms = hospital.open.of(hospital.database, session, encoder, hospital.settings).terms
            for _ in range(60):
                name, value = hospital.choice(("finding", "group")), drawn_value(hospital.random) or "a"
                where = Where.parse([f"{name}{hospital.choice(('=', '!='))}{value}"])
                kept = select(Frame.id).join(Frame.instance).where(*where.clause()).order_by(Frame.id)
                assert narrowing.kept(session, terms, where).tolist() == session.scalars(kept).all(), where
    hospital.compare()


def drawn_value(random: np.random.Generator) -> str:
    """Few letters, so that one value is often among others, and what a database may take for something else."""
    return "".join(random.choice(list("aaabA||| \n%_'"), random.integers(0, 6))).strip()


def test_terms_of_an_earlier_format_are_made_anew(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    hospital.compare()
    path = term_files.path(hospital.settings, hospital.encoder_id)
    before, (generation, terms) = path.read_bytes(), file.read(path, hospital.encoder_id)
    whole = {"label:subclass": {"a|Tear|b": terms.members}}  # as they were kept, without a term of each label
    with monkeypatch.context() as earlier:
        earlier.setattr(file, "KIND", replace(file.KIND, format=1))
        file.write(path, hospital.encoder_id, generation, file.Terms(terms.members, whole))
    hospital.compare(gallery.Galleries())
    assert path.read_bytes() == before


def test_what_comes_and_goes_is_followed(hospital: Hospital) -> None:
    hospital.compare()
    hospital.add(10)
    hospital.compare()
    with hospital.database.write() as session:
        for instance in hospital.some(session):
            instances.delete(session, instance)
    hospital.compare()
    hospital.compare(gallery.Galleries())


def test_terms_that_are_older_than_the_record_are_made_anew(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital.compare()
    path = term_files.path(hospital.settings, hospital.encoder_id)
    old = path.read_bytes()
    for _ in range(3):
        with hospital.database.write() as session:
            instances.delete(session, hospital.some(session)[0])
    monkeypatch.setattr(index_files, "most_changes", lambda _: 0)
    index_files.rebuild(hospital.database, hospital.settings)
    path.write_bytes(old)
    hospital.compare()
    hospital.compare(gallery.Galleries())
    assert path.read_bytes() != old


def test_labels_that_change_are_followed(hospital: Hospital) -> None:
    hospital.compare()
    with hospital.database.write() as session:
        for instance in hospital.some(session):
            set_labels(session, instance, {"subclass": "tear", "modality": "scan"}, LabelOrigin.USER)
    hospital.compare()
    hospital.compare(gallery.Galleries())


def test_a_header_that_changes_is_followed(hospital: Hospital) -> None:
    hospital.compare()
    with hospital.database.write() as session:
        for instance in hospital.some(session):
            hospital.count += 1
            instances.identify(
                session,
                instance,
                header=hospital.header(),
                sha256=hospital.digest(hospital.count),
                origin="",
                group_key="p-9",
            )
    hospital.compare()


def test_dates_that_become_known_are_followed(hospital: Hospital) -> None:
    hospital.compare()
    with hospital.database.write() as session:
        undated.date_studies(session, {uid: date(2024, 2, 1) for uid in sorted(undated.studies(session))[:3]})
        undated.date_instance(session, hospital.some(session)[0].id, date(2024, 1, 1))
    hospital.compare()


LISTED = [RemoteInstance(f"1.2.{number}", "1.4.1", "1.3.1", "1.2.840.10008.5.1.4.1.1.4") for number in range(15)]


def add_archive(hospital: Hospital, name: str) -> int:
    """An archive that lists some of what is known; its row id."""
    with hospital.database.write() as session:
        archive = Archive(name=name, kind="dicomweb", address="", options={}, sealed_credentials=b"")
        session.add(archive)
        session.flush()
        ledger.take_in(session, archive.id, LISTED, lambda _: True)
    return archive.id


def test_an_archive_that_lists_what_is_known_is_followed(hospital: Hospital) -> None:
    hospital.compare()
    add_archive(hospital, "pacs")
    hospital.compare()
    assert hospital.found(Where(archive="pacs")) > 0
    with hospital.database.write() as session:
        session.execute(delete(Archive))
    hospital.compare()


def test_what_one_of_two_archives_deleted_is_listed_by_the_other_alone(hospital: Hospital) -> None:
    archive_id, _ = add_archive(hospital, "pacs"), add_archive(hospital, "vna")
    both = hospital.found(Where(archive="pacs"))
    assert hospital.found(Where(archive="vna")) == both > 0
    with hospital.database.write() as session:
        ledger.mark_deleted(session, [each.id for each in ledger.all_alive(session, archive_id)])
    hospital.compare()
    assert hospital.found(Where(archive="pacs")) == 0
    assert hospital.found(Where.parse(["archive!=pacs", "archive=vna"])) == both
    with hospital.database.write() as session:
        ledger.take_in(session, archive_id, LISTED, lambda _: True)
    hospital.compare()
    assert hospital.found(Where(archive="pacs")) == both


def damaged(path: Path) -> None:
    data = path.read_bytes()
    write_whole(path, data[:-20] + bytes(20))


def cut_short(path: Path) -> None:
    write_whole(path, path.read_bytes()[:-100])


def of_another_encoder(path: Path) -> None:
    generation, terms = file.read(path, path.stem)
    file.write(path, "another", generation, terms)


def of_another_database(path: Path) -> None:
    generation, _ = file.read(path, path.stem)
    file.write(path, path.stem, generation, file.NONE)


def of_the_future(path: Path) -> None:
    generation, terms = file.read(path, path.stem)
    file.write(path, path.stem, generation + 5, terms)


@pytest.mark.parametrize("spoil", [damaged, cut_short, of_another_encoder, of_another_database, of_the_future])
def test_a_spoilt_file_is_made_anew(hospital: Hospital, spoil: Callable[[Path], None]) -> None:
    hospital.compare()
    path = term_files.path(hospital.settings, hospital.encoder_id)
    before = path.read_bytes()
    spoil(path)
    hospital.compare(gallery.Galleries())
    assert path.read_bytes() == before


def test_verify_sees_a_term_that_is_not_the_database_s(hospital: Hospital) -> None:
    hospital.compare()
    report.verify(hospital.database, hospital.settings, hospital.encoder_id)
    path = term_files.path(hospital.settings, hospital.encoder_id)
    generation, terms = file.read(path, hospital.encoder_id)
    name = next(iter(terms.holders))
    wrong = {**terms.holders, name: dict.fromkeys(terms.holders[name], terms.members)}
    file.write(path, hospital.encoder_id, generation, file.Terms(terms.members, wrong))
    with pytest.raises(BrokenFile, match="does not say what the database does"):
        report.verify(hospital.database, hospital.settings, hospital.encoder_id)


def test_a_file_of_another_encoder_is_refused(hospital: Hospital) -> None:
    hospital.compare()
    with pytest.raises(BrokenFile, match="another encoder"):
        file.read(term_files.path(hospital.settings, hospital.encoder_id), "another")


def test_a_frame_without_a_feature_is_kept_by_no_filter(hospital: Hospital) -> None:
    with hospital.database.write() as session:
        first = session.scalars(select(Instance.id)).first()
        session.add(Frame(instance_id=first, frame_number=99, picture="", rows=1, columns=1, pipeline="", steps=[]))
    hospital.compare()


def test_a_label_that_no_image_has_is_named() -> None:
    terms = file.NONE.changed(np.empty(0, np.int64), np.array([1]), [(1, "label:subclass", "tear")])
    unknown = narrowing.nothing_kept(terms, Where(label={"subclas": "tear"}))
    assert "asks for 'subclas'" in unknown.reason
    assert unknown.remedy == "Ask for modality, body_part, archive, subclass."
    for where in (Where(label={"subclass": "none"}), Where(label={"group": "nobody"}), Where(modality="US")):
        assert "filter keeps no image" in narrowing.nothing_kept(terms, where).reason
