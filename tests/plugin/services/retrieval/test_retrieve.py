"""Questions of every kind, asked of a small library of real objects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, func, select

from cbmir.errors import BadRequest, EmptyGallery, EncoderMismatch, NotAPicture, NotFound
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Silence
from cbmir.services.features.extract import extract
from cbmir.services.features.loading import load_encoder
from cbmir.services.ingestion.ingest import ingest
from cbmir.services.ingestion.run import Ingested
from cbmir.services.retrieval.retrieve import Answer, Question, retrieve
from cbmir.settings import Settings
from cbmir.store import encoders, features, instances
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, Feature, Instance

Make = Callable[..., bytes]

PATIENTS, VOLUME, IMAGES = 3, 5, 2
FRAMES = 3 * PATIENTS + VOLUME + IMAGES


def uid(name: object) -> str:
    return f"1.2.826.0.1.{name}"


class Library:
    """Three MR objects of each of three patients, a volume of five frames, two labelled images of one eye."""

    def __init__(self, folder: Path, make_dicom: Make, make_png: Make) -> None:
        self.singles = {
            number: make_dicom(number, SOPInstanceUID=uid(number), PatientID=f"patient {number // 3}")
            for number in range(3 * PATIENTS)
        }
        slices = np.random.default_rng(90).integers(0, 4095, (VOLUME, 24, 24), dtype=np.uint16)
        self.volume = make_dicom(
            90, SOPInstanceUID=uid(90), PatientID="", NumberOfFrames=VOLUME, PixelData=slices.tobytes()
        )
        self.image = make_png(51)
        for number, data in self.singles.items():
            (folder / f"mr-{number}").write_bytes(data)
        (folder / "volume").write_bytes(self.volume)
        (folder / "drusen.png").write_bytes(self.image)
        (folder / "normal.png").write_bytes(make_png(52))
        (folder / "manifest.csv").write_text(
            "path,modality,subclass,group\ndrusen.png,oct,drusen,eye\nnormal.png,oct,normal,eye\n"
        )


@pytest.fixture
def library(tmp_path: Path, database: Database, settings: Settings, make_dicom: Make, make_png: Make) -> Library:
    """Ingested, not yet extracted."""
    folder = tmp_path / "library"
    folder.mkdir()
    made = Library(folder, make_dicom, make_png)
    counts = ingest(database, settings, [folder], str(folder / "manifest.csv"), Silence())
    assert counts == Ingested(ingested=FRAMES - VOLUME + 1)
    return made


Ask = Callable[..., Answer]


@pytest.fixture
def ask(database: Database, settings: Settings, library: Library, add_network: Callable[..., str]) -> Ask:
    """Asks the extracted library."""
    assert library.singles
    extract(database, settings, add_network(database), Silence())
    return lambda **question: retrieve(database, settings, Question(**question))


def frame_ids(database: Database, sop_instance_uid: str) -> list[int]:
    with database.read() as session:
        return [frame.id for frame in instances.frames_of(session, sop_instance_uid)]


def found(answer: Answer) -> list[int]:
    return [hit.frame_id for hit in answer.hits]


def brute_force(database: Database, feature: np.ndarray, without: list[int]) -> list[tuple[int, float]]:
    with database.read() as session:
        ids, vectors = features.matrix(session, encoders.resolve(session, None).id)
    distances = np.sqrt(((vectors.astype(np.float64) - feature) ** 2).sum(axis=1))
    pairs = sorted(zip(distances.tolist(), ids.tolist(), strict=True))
    return [(frame_id, distance) for distance, frame_id in pairs if frame_id not in without]


def assert_alike(answer: Answer, expected: list[tuple[int, float]]) -> None:
    """The same frames in the same order, at distances that are the same but for the order of their sums."""
    assert [hit.frame_id for hit in answer.hits] == [frame_id for frame_id, _ in expected]
    np.testing.assert_allclose([hit.distance for hit in answer.hits], [each for _, each in expected], rtol=1e-12)


def stored_feature(database: Database, frame_id: int) -> np.ndarray:
    with database.read() as session:
        vector = features.vector(session, encoders.resolve(session, None).id, frame_id)
    assert vector is not None
    return vector


def test_an_object_of_the_library_finds_the_true_neighbours_and_not_itself(ask: Ask, database: Database) -> None:
    own = frame_ids(database, uid(4))
    answer = ask(sop_instance_uid=uid(4), k=7)
    expected = brute_force(database, stored_feature(database, own[0]), own)[:7]
    assert_alike(answer, expected)
    assert [hit.rank for hit in answer.hits] == list(range(1, 8))
    assert (answer.frame_id, answer.query["frame_id"], answer.query["left_out"]) == (own[0], own[0], 1)


def test_five_hits_by_default_and_all_there_are_for_a_large_k(ask: Ask) -> None:
    assert len(ask(sop_instance_uid=uid(0)).hits) == 5
    assert len(ask(sop_instance_uid=uid(0), k=1000).hits) == FRAMES - 1


def test_an_unknown_file_is_encoded_like_the_library(
    ask: Ask, database: Database, settings: Settings, make_png: Make
) -> None:
    answer = ask(data=make_png(77), name="new.png", k=FRAMES)
    with database.read() as session:
        network = load_encoder(encoders.resolve(session, None), settings)
    pixels = Shelf(settings.pictures).get(answer.picture)
    feature = network.encode(network.preprocessing.apply(pixels)[np.newaxis])[0]
    assert_alike(answer, brute_force(database, feature, []))
    assert (answer.frame_id, answer.query["gallery"], answer.query["left_out"]) == (None, FRAMES, 0)


def test_the_same_picture_in_another_object_is_at_no_distance(ask: Ask, make_dicom: Make) -> None:
    copy = make_dicom(4, SOPInstanceUID=uid("4.1"), PatientID="somebody else")
    first = ask(data=copy, name="copy").hits[0]
    assert (first.sop_instance_uid, first.distance) == (uid(4), pytest.approx(0, abs=1e-5))


def test_a_file_of_the_library_is_recognised_by_its_bytes_or_its_uid(
    ask: Ask, database: Database, library: Library, make_dicom: Make
) -> None:
    resent = make_dicom(4, SOPInstanceUID=uid(4), PatientID="patient 1", InstitutionName="elsewhere")
    for data in (library.singles[4], resent):
        answer = ask(data=data, name="again", k=FRAMES)
        assert not set(found(answer)) & set(frame_ids(database, uid(4)))
        assert answer.frame_id == frame_ids(database, uid(4))[0]
    image = ask(data=library.image, name="renamed.png", k=FRAMES)
    assert "drusen.png" not in [hit.file_name for hit in image.hits]
    assert image.query["labels"] == {"modality": "oct", "subclass": "drusen"}
    assert image.query["file_name"] == "renamed.png"


def test_one_uid_with_other_pixels_is_its_own_object_but_not_its_own_picture(
    ask: Ask, database: Database, make_dicom: Make
) -> None:
    answer = ask(data=make_dicom(99, SOPInstanceUID=uid(4)), name="changed", k=FRAMES)
    assert not set(found(answer)) & set(frame_ids(database, uid(4)))
    assert answer.frame_id is None


def test_no_frame_of_the_own_volume_is_a_hit_and_the_middle_one_asks(
    ask: Ask, database: Database, library: Library
) -> None:
    volume = frame_ids(database, uid(90))
    for answer in (ask(sop_instance_uid=uid(90), k=FRAMES), ask(data=library.volume, name="volume", k=FRAMES)):
        assert not set(found(answer)) & set(volume)
        assert len(answer.hits) == FRAMES - VOLUME
        assert (answer.query["frame_number"], answer.frame_id) == (3, volume[2])


def test_a_frame_may_be_chosen(ask: Ask, database: Database, library: Library) -> None:
    volume = frame_ids(database, uid(90))
    by_uid = ask(sop_instance_uid=uid(90), frame_number=5)
    by_file = ask(data=library.volume, name="volume", frame_number=5)
    by_id = ask(frame_id=volume[4])
    assert by_uid.frame_id == by_file.frame_id == by_id.frame_id == volume[4]
    assert by_uid.hits == by_file.hits == by_id.hits
    for subject in ({"sop_instance_uid": uid(90)}, {"data": library.volume, "name": "volume"}):
        with pytest.raises(NotFound, match="no frame 6"):
            ask(**subject, frame_number=6)


def test_a_frame_whose_feature_is_missing_is_encoded(ask: Ask, database: Database) -> None:
    own = frame_ids(database, uid(4))
    before = ask(sop_instance_uid=uid(4), k=FRAMES)
    with database.write() as session:
        session.execute(delete(Feature).where(Feature.frame_id == own[0]))
        features.forget_history(session, before.encoder)
    after = ask(sop_instance_uid=uid(4), k=FRAMES)
    assert found(after) == found(before)
    assert (before.missing, after.missing) == (0, 1)
    assert [hit.distance for hit in after.hits] == pytest.approx([hit.distance for hit in before.hits], abs=1e-5)


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        (Where(modality="MR"), 3 * PATIENTS + VOLUME),
        (Where(modality="oct"), IMAGES),
        (Where(label={"subclass": "normal"}), 1),
        (Where(modality="MR", body_part="HEAD"), 3 * PATIENTS + VOLUME),
    ],
)
def test_a_filter_loses_nobody(ask: Ask, make_png: Make, where: Where, kept: int) -> None:
    everything = ask(data=make_png(77), name="new.png", k=FRAMES)
    answer = ask(data=make_png(77), name="new.png", k=FRAMES, where=where)
    assert (len(answer.hits), answer.query["gallery"]) == (kept, kept)
    assert found(answer) == [frame_id for frame_id in found(everything) if frame_id in set(found(answer))]
    assert answer.query["where"] == where.as_json()


def test_a_filter_and_the_own_instance_together(ask: Ask) -> None:
    answer = ask(sop_instance_uid=uid(4), k=FRAMES, where=Where(modality="MR"))
    assert len(answer.hits) == 3 * PATIENTS + VOLUME - 1
    beside = ask(sop_instance_uid=uid(4), k=FRAMES, where=Where(modality="oct"))
    assert (len(beside.hits), beside.query["left_out"]) == (IMAGES, 0)


def test_the_same_patient_may_be_left_out(ask: Ask, library: Library, make_dicom: Make) -> None:
    others = {uid(number) for number in (0, 1, 2, 6, 7, 8)}
    new = make_dicom(1000, SOPInstanceUID=uid(1000), PatientID="patient 1")
    questions: list[dict[str, Any]] = [
        {"sop_instance_uid": uid(4)},
        {"data": library.singles[4], "name": "known"},
        {"data": new, "name": "new"},
    ]
    for question in questions:
        answer = ask(**question, k=FRAMES, where=Where(modality="MR"), exclude_same_patient=True)
        assert {hit.sop_instance_uid for hit in answer.hits} == others | {uid(90)}
        assert (answer.query["left_out"], answer.query["patient_known"]) == (3, True)


def test_the_group_of_a_manifest_is_a_patient(ask: Ask, library: Library) -> None:
    answer = ask(data=library.image, name="drusen.png", k=FRAMES, exclude_same_patient=True)
    assert "normal.png" not in [hit.file_name for hit in answer.hits]
    assert answer.query["patient_known"] is True


def test_an_unknown_patient_is_admitted(ask: Ask, make_png: Make) -> None:
    assert ask(sop_instance_uid=uid(90), exclude_same_patient=True).query["patient_known"] is False
    answer = ask(data=make_png(77), name="new.png", exclude_same_patient=True, k=FRAMES)
    assert (answer.query["patient_known"], len(answer.hits)) == (False, FRAMES)


def test_the_json_is_as_the_issue_gives_it_and_names_no_patient(ask: Ask, settings: Settings) -> None:
    answer = ask(sop_instance_uid=uid(4), k=2, exclude_same_patient=True)
    document = json.loads(json.dumps(answer.as_json()))
    assert list(document) == [
        "query",
        "encoder",
        "confidence",
        "nothing_similar",
        "hits",
        "priors",
        "outdated",
        "missing",
        "recall",
    ]
    assert document["hits"][0]["rank"] == 1
    assert (document["outdated"], document["missing"]) == (0, 0)
    assert set(document["hits"][0]) >= {"distance", "file_name", "sop_instance_uid", "frame_number", "labels"}
    query = document["query"]
    assert (query["sop_instance_uid"], query["file_name"], query["frame_number"]) == (uid(4), "mr-4", 1)
    assert (query["k"], query["exclude_same_patient"], query["gallery"]) == (2, True, FRAMES - 3)
    assert query["labels"] == {"modality": "mri"}
    text = json.dumps(document)
    assert not any(secret in text for secret in ("patient 1", "Doe", "p-", settings.resolved_secret_key))


def test_the_query_picture_is_kept_for_the_web(ask: Ask, settings: Settings, make_png: Make) -> None:
    answer = ask(data=make_png(77), name="new.png")
    assert Shelf(settings.pictures).get(answer.picture).shape == (24, 24)


@pytest.mark.parametrize("k", [0, -1, 1001])
def test_a_k_out_of_range_is_refused(ask: Ask, k: int) -> None:
    with pytest.raises(BadRequest, match=str(k)):
        ask(sop_instance_uid=uid(4), k=k)


def test_exactly_one_picture_is_asked_about(ask: Ask) -> None:
    for question in ({}, {"sop_instance_uid": uid(4), "frame_id": 1}, {"data": b"", "name": "", "frame_id": 1}):
        with pytest.raises(BadRequest, match="one picture"):
            ask(**question)


def test_what_is_not_there_is_named(ask: Ask) -> None:
    with pytest.raises(NotFound, match=r"1\.2\.826\.0\.1\.555"):
        ask(sop_instance_uid=uid(555))
    with pytest.raises(NotFound, match="4711"):
        ask(frame_id=4711)
    with pytest.raises(NotFound, match="nobody-12345678"):
        ask(sop_instance_uid=uid(4), encoder_id="nobody-12345678")
    with pytest.raises(NotFound, match="no archive nix"):
        ask(sop_instance_uid=uid(4), where=Where(archive="nix"))


def test_a_file_that_is_no_picture_is_refused(ask: Ask) -> None:
    with pytest.raises(NotAPicture, match=r"note\.dcm"):
        ask(data=b"good morning " * 50, name="note.dcm")


def test_an_empty_gallery_says_what_is_missing(
    database: Database, settings: Settings, add_network: Callable[..., str], make_png: Make
) -> None:
    question = Question(data=make_png(1), name="a.png")
    with pytest.raises(NotFound, match="no encoder"):
        retrieve(database, settings, question)
    add_network(database)
    with pytest.raises(EmptyGallery, match="no image") as error:
        retrieve(database, settings, question)
    assert "cbmir ingest" in error.value.remedy


def test_a_library_without_features_says_so(
    library: Library, database: Database, settings: Settings, add_network: Callable[..., str]
) -> None:
    encoder_id = add_network(database)
    with pytest.raises(EmptyGallery, match=encoder_id) as error:
        retrieve(database, settings, Question(data=library.image, name="a.png"))
    assert "cbmir extract" in error.value.remedy


def test_nothing_left_to_search_says_why(ask: Ask) -> None:
    with pytest.raises(EmptyGallery, match="filter keeps no image"):
        ask(sop_instance_uid=uid(4), where=Where(modality="US"))
    with pytest.raises(EmptyGallery, match="own patient"):
        ask(frame_id=_drusen(ask), where=Where(modality="oct"), exclude_same_patient=True)
    with pytest.raises(EmptyGallery, match="own object"):
        ask(frame_id=_drusen(ask), where=Where(label={"subclass": "drusen"}))


def _drusen(ask: Ask) -> int:
    return ask(sop_instance_uid=uid(4), where=Where(label={"subclass": "drusen"})).hits[0].frame_id


def test_features_of_two_encoders_are_never_mixed(
    ask: Ask, database: Database, settings: Settings, add_network: Callable[..., str]
) -> None:
    first = ask(sop_instance_uid=uid(4), k=FRAMES)
    other = add_network(database, seed=1)
    extract(database, settings, other, Silence())
    second = ask(sop_instance_uid=uid(4), k=FRAMES, encoder_id=other)
    assert (first.encoder, second.encoder) != (other, first.encoder)
    assert [hit.distance for hit in first.hits] != [hit.distance for hit in second.hits]
    assert ask(sop_instance_uid=uid(4), k=FRAMES, encoder_id=first.encoder).hits == first.hits


def test_a_stored_feature_of_another_dimension_is_refused(ask: Ask, database: Database) -> None:
    encoder_id = ask(sop_instance_uid=uid(4)).encoder
    with database.write() as session:
        feature = session.scalars(select(Feature).limit(1)).one()
        feature.vector = feature.vector[:-4]
        features.forget_history(session, encoder_id)
    with pytest.raises(EncoderMismatch):
        ask(sop_instance_uid=uid(4))


def test_new_and_deleted_objects_count_at_once(
    ask: Ask, database: Database, settings: Settings, tmp_path: Path, make_dicom: Make
) -> None:
    assert len(ask(sop_instance_uid=uid(4), k=FRAMES).hits) == FRAMES - 1
    with database.write() as session:
        gone = instances.find_by_sop_instance_uid(session, uid(5))
        assert gone is not None
        instances.delete(session, gone)
    answer = ask(sop_instance_uid=uid(4), k=FRAMES)
    assert uid(5) not in [hit.sop_instance_uid for hit in answer.hits]
    assert len(answer.hits) == FRAMES - 2
    (tmp_path / "new").write_bytes(make_dicom(4, SOPInstanceUID=uid("4.2")))
    ingest(database, settings, [tmp_path / "new"], None, Silence())
    extract(database, settings, None, Silence())
    assert ask(sop_instance_uid=uid(4)).hits[0].sop_instance_uid == uid("4.2")


def test_both_databases_answer_alike(
    any_database: Database,
    settings: Settings,
    tmp_path: Path,
    make_dicom: Make,
    make_png: Make,
    add_network: Callable[..., str],
) -> None:
    (folder := tmp_path / "library").mkdir()
    Library(folder, make_dicom, make_png)
    ingest(any_database, settings, [folder], str(folder / "manifest.csv"), Silence())
    extract(any_database, settings, add_network(any_database), Silence())
    question = Question(sop_instance_uid=uid(4), where=Where(modality="MR"), exclude_same_patient=True)
    answer = retrieve(any_database, settings, question)
    assert {hit.sop_instance_uid for hit in answer.hits} <= {uid(n) for n in (0, 1, 2, 6, 7, 8, 90)}
    assert answer.query["gallery"] == 6 + VOLUME
    with any_database.read() as session:
        assert session.scalar(select(func.count()).select_from(Encoder)) == 1
        assert session.scalar(select(func.count()).select_from(Instance)) == FRAMES - VOLUME + 1
