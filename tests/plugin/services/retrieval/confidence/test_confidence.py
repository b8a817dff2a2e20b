"""Is there anything similar? Scores against brute force, the promise of the calibration, and its upkeep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from cbmir.errors import EmptyGallery
from cbmir.index import exact, registry
from cbmir.progress import Silence
from cbmir.services.features.extract import extract
from cbmir.services.retrieval.confidence.calibrate import calibrate, refresh, sample
from cbmir.services.retrieval.confidence.crowd import METHOD, Crowd, confidence
from cbmir.services.retrieval.retrieve import Question, retrieve
from cbmir.settings import Settings
from cbmir.store import calibrations, encoders, features
from cbmir.store.session import Database
from cbmir.types import FloatArray


def crowd_of(vectors: FloatArray, groups: Sequence[int], gone: Sequence[int] = ()) -> Crowd:
    def some_vectors(ids: Sequence[int]) -> Mapping[int, FloatArray]:
        return {each: vectors[each] for each in ids if each not in gone}

    def some_groups(ids: Sequence[int]) -> Mapping[int, int]:
        return {each: groups[each] for each in ids if each not in gone}

    return Crowd(exact.build(np.arange(len(vectors)), vectors), some_vectors, some_groups)


def by_hand(vectors: FloatArray, groups: FloatArray, query: FloatArray, own: int) -> float:
    """The score, from all distances."""

    def nearest(point: FloatArray, without: int) -> list[tuple[float, int]]:
        away = np.linalg.norm(vectors.astype(np.float64) - point, axis=1)
        return sorted((float(away[at]), at) for at in range(len(vectors)) if groups[at] != without)

    around = nearest(query, own)[:10]
    usual = [np.mean([d for d, _ in nearest(vectors[at], groups[at])[:5]]) for _, at in around]
    return float(np.mean([d for d, _ in around[:5]]) / np.mean(usual))


@pytest.mark.parametrize("each", [1, 3, 60])
def test_scores_are_those_of_brute_force(each: int) -> None:
    noise = np.random.default_rng(0)
    groups = np.repeat(np.arange(240 // each), each)
    vectors = noise.normal(size=(240, 4)).astype(np.float32) + groups[:, np.newaxis] % 5
    crowd = crowd_of(vectors, groups.tolist())
    queries = noise.normal(size=(3, 4)).astype(np.float32)
    found = crowd.scores(crowd.index.search(queries, 10))
    np.testing.assert_allclose(found, [by_hand(vectors, groups, query, -1) for query in queries], rtol=1e-5)
    own = crowd.own_scores([0, 100, 239])
    expected = [by_hand(vectors, groups, vectors[at], groups[at]) for at in (0, 100, 239)]
    np.testing.assert_allclose(own, expected, rtol=1e-5)


def test_about_as_many_are_flagged_as_the_level_says_wherever_they_lie() -> None:
    noise = np.random.default_rng(1)
    scale = np.array([0.1, 10.0])  # a dense region and a sparse one
    kinds = noise.integers(0, 2, 1_600)
    vectors = (noise.normal(size=(1_600, 3)) * scale[kinds, np.newaxis] + 100 * kinds[:, np.newaxis]).astype("f4")
    crowd = crowd_of(vectors[:800], list(range(800)))
    calibration = np.sort(crowd.own_scores(range(800))).astype(np.float32)
    scores = crowd.scores(crowd.index.search(vectors[800:], 10))
    found = np.array([confidence(float(score), calibration) for score in scores])
    for kind in (0, 1):
        assert 0.02 < (found[kinds[800:] == kind] < 0.1).mean() < 0.2
    (far,) = crowd.scores(crowd.index.search(np.full((1, 3), 5.0, np.float32), 10))
    assert confidence(float(far), calibration) == 1 / 801, "between the regions there is nothing"


def test_a_member_deleted_meanwhile_is_passed_over() -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    whole, holed = crowd_of(vectors, list(range(40))), crowd_of(vectors, list(range(40)), gone=[3, 4])
    assert np.isnan(holed.own_scores([3])[0])
    assert np.isfinite(holed.scores(whole.index.search(vectors[3:4], 10))).all()


def test_without_another_patient_there_is_no_score() -> None:
    crowd = crowd_of(np.eye(3, dtype=np.float32), [7, 7, 7])
    assert np.isnan(crowd.own_scores([0, 1])).all()
    assert np.isnan(crowd.scores([[]])).all()


def test_the_sample_takes_one_of_each_patient_before_a_second() -> None:
    groups = np.array([1] * 50 + [2] * 3 + [3], np.int64)
    frames = np.arange(100, 154, dtype=np.int64)
    chosen = sample(frames, groups, 5)
    of = [int(groups[each - 100]) for each in chosen]
    assert sorted(of[:3]) == [1, 2, 3]
    assert sorted(of[3:]) == [1, 2]
    assert len(set(sample(frames, groups, 1_000))) == 54
    assert sample(frames, groups, 5) == chosen


def test_confidence_counts_what_is_at_least_as_far() -> None:
    calibration = np.array([1, 2, 3, 4], np.float32)
    assert [confidence(score, calibration) for score in (0.5, 2.0, 4.0, 9.0)] == [1.0, 0.8, 0.4, 0.2]


def test_an_answer_says_what_it_is_worth(
    database: Database, settings: Settings, stock: Callable[..., None], add_network: Callable[..., str]
) -> None:
    stock(database, patients=20)
    encoder = add_network(database)
    extract(database, settings, encoder, Silence())
    before = retrieve(database, settings, Question(frame_id=1))
    assert (before.verdict.confidence, before.verdict.nothing_similar) == (None, None)
    assert refresh(database, settings, None, Silence())
    assert not refresh(database, settings, None, Silence()), "nothing has changed"
    answer = retrieve(database, settings, Question(frame_id=1, k=1)).as_json()
    assert 0 < answer["confidence"] <= 1
    assert answer["nothing_similar"] is (answer["confidence"] < settings.nothing_similar_below)
    assert len(answer["hits"]) == 1
    strict = retrieve(database, replace(settings, nothing_similar_below=1.1), Question(frame_id=1))
    assert strict.verdict.nothing_similar
    off = retrieve(database, replace(settings, nothing_similar_below=0.0), Question(frame_id=1))
    assert off.verdict.confidence is None


def test_a_calibration_is_renewed_when_the_gallery_has_grown_by_a_tenth(
    database: Database, settings: Settings, stock: Callable[..., None], add_network: Callable[..., str]
) -> None:
    stock(database, patients=20)
    encoder = add_network(database)
    extract(database, settings, encoder, Silence())
    made = calibrate(database, settings, None, Silence())
    assert made == {"encoder": encoder, "features": 40, "sample": 40}
    stock(database, patients=22)
    extract(database, settings, encoder, Silence())
    assert not refresh(database, settings, encoder, Silence()), "44 are no more than a tenth more"
    stock(database, patients=23)
    extract(database, settings, encoder, Silence())
    assert refresh(database, settings, encoder, Silence())
    with database.read() as session:
        stored = calibrations.get(session, encoder, METHOD)
        assert stored is not None
        assert (stored.features, stored.generation) == (46, encoders.get(session, encoder).generation)
        assert (np.diff(stored.scores) >= 0).all()
        assert features.count(session, encoder) == 46


def test_nothing_to_calibrate_with(
    database: Database, settings: Settings, stock: Callable[..., None], add_network: Callable[..., str]
) -> None:
    stock(database, patients=1)
    extract(database, settings, add_network(database), Silence())
    with pytest.raises(EmptyGallery, match="two patients"):
        calibrate(database, settings, None, Silence())
    assert not refresh(database, settings, None, Silence())


def test_the_registry_gives_an_index_that_a_crowd_can_use() -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    crowd = replace(crowd_of(vectors, list(range(30))), index=registry.build(np.arange(30), vectors))
    assert np.isfinite(crowd.own_scores([0, 1, 2])).all()
