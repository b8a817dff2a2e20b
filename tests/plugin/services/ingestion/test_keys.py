"""A database keeps to the secret key that it was filled under."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cbmir.errors import BadRequest
from cbmir.services.ingestion import keys
from cbmir.settings import Settings
from cbmir.store import secret_keys
from cbmir.store.session import Database

FORMER, LATTER = "f" * 64, "1" * 64


def test_the_first_key_is_kept_and_another_refused_until_it_is_accepted(
    any_database: Database, settings: Settings
) -> None:
    former, latter = (replace(settings, secret_key=each) for each in (FORMER, LATTER))
    keys.check(any_database, former)
    keys.check(any_database, former)
    with pytest.raises(BadRequest, match="not the one that this database was filled under") as refused:
        keys.check(any_database, latter)
    assert "CBMIR_SECRET_KEY" in refused.value.remedy
    assert not any(each in refused.value.sentence for each in (FORMER, LATTER))
    keys.accept(any_database, latter)
    keys.check(any_database, latter)
    with pytest.raises(BadRequest):
        keys.check(any_database, former)


def test_of_two_that_start_at_once_the_first_wins(any_database: Database) -> None:
    for each in (FORMER, LATTER):
        with any_database.write() as session:
            secret_keys.keep_first(session, keys.fingerprint(each))
    with any_database.read() as session:
        assert secret_keys.known(session) == keys.fingerprint(FORMER)


def test_a_fingerprint_tells_keys_apart_and_nothing_of_them() -> None:
    assert keys.fingerprint(FORMER) != keys.fingerprint(LATTER)
    assert len(keys.fingerprint(FORMER)) == 64
    assert FORMER[:8] not in keys.fingerprint(FORMER)


def test_who_only_looks_keeps_none(any_database: Database, settings: Settings) -> None:
    former, latter = (replace(settings, secret_key=each) for each in (FORMER, LATTER))
    assert not keys.look(any_database, former)
    keys.check(any_database, latter)
    assert keys.look(any_database, latter)
    with pytest.raises(BadRequest):
        keys.look(any_database, former)
