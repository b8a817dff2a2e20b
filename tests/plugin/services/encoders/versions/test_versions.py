"""Another encoder is prepared beside the one that answers, switched to, gone back from, and freed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from cbmir.errors import EmptyGallery, EncoderNotReady, NotFound
from cbmir.progress import Silence
from cbmir.services.encoders.versions.free import free, size
from cbmir.services.encoders.versions.keeping import extract_kept, next_to_extract
from cbmir.services.encoders.versions.overview import versions
from cbmir.services.encoders.versions.switch import activate, back
from cbmir.services.features.extract import extract, extract_new
from cbmir.services.retrieval.retrieve import Question, retrieve
from cbmir.settings import Settings
from cbmir.store import encoders, features
from cbmir.store.session import Database

Stock = Callable[..., None]
AddNetwork = Callable[..., str]


@pytest.fixture
def pair(database: Database, settings: Settings, stock: Stock, add_network: AddNetwork) -> tuple[str, str]:
    """Twelve pictures; an encoder that answers, and one beside it without features."""
    stock(database)
    old = add_network(database, 1)
    extract(database, settings, old, Silence())
    return old, add_network(database, 2)


def states(database: Database) -> dict[str, str]:
    with database.read() as session:
        return {each.encoder.id: each.state.value for each in versions(session)}


def answered_by(database: Database, settings: Settings, encoder_id: str | None = None) -> str:
    answer = retrieve(database, settings, Question(frame_id=1, k=3, encoder_id=encoder_id))
    assert len(answer.hits) == 3
    return answer.encoder


def test_from_one_encoder_to_the_next_and_back(
    database: Database, settings: Settings, pair: tuple[str, str]
) -> None:
    old, new = pair
    assert states(database) == {old: "in use", new: "preparing"}
    assert answered_by(database, settings) == old
    with pytest.raises(EncoderNotReady, match="12 images") as caught:
        activate(database, new)
    assert f"cbmir extract --encoder {new}" in caught.value.remedy
    assert f"cbmir encoders activate {new} --incomplete" in caught.value.remedy
    extract(database, settings, new, Silence())
    assert states(database) == {old: "in use", new: "ready"}
    assert answered_by(database, settings) == old, "complete, but nobody has switched"
    assert activate(database, new).as_json() == {"encoder": new, "before": old, "lacking": 0}
    assert answered_by(database, settings) == new
    assert answered_by(database, settings, old) == old, "the old one can still be asked by name"
    assert back(database).encoder == old
    assert answered_by(database, settings) == old
    assert back(database).encoder == new


def test_before_it_is_complete_only_who_insists_switches(
    database: Database, settings: Settings, pair: tuple[str, str]
) -> None:
    old, new = pair
    with pytest.raises(NotFound, match="No other encoder"):
        back(database)
    switched = activate(database, new, incomplete=True)
    assert (switched.before, switched.lacking) == (old, 12)
    with pytest.raises(EmptyGallery, match=new):
        answered_by(database, settings)
    with pytest.raises(NotFound, match="nobody"):
        activate(database, "nobody")


def test_what_arrives_meanwhile_gets_features_of_both(
    database: Database, settings: Settings, pair: tuple[str, str], stock: Stock
) -> None:
    old, new = pair
    with database.read() as session:
        assert next_to_extract(session) == new, "the old one has all"
        assert next_to_extract(session, after=new) is None
    stock(database, patients=8)  # two more than there were
    with database.read() as session:
        assert next_to_extract(session) == old
        assert next_to_extract(session, after=old) == new
    assert extract_new(database, settings, Silence()) == 4
    with database.read() as session:
        assert (features.count(session, old), features.count(session, new)) == (16, 4)
    report = extract_kept(database, settings, Silence())
    assert (report["encoder"], report["extracted"]) == (old, 0)
    assert [(each["encoder"], each["extracted"]) for each in report["beside"]] == [(new, 12)]
    with database.read() as session:
        assert next_to_extract(session) is None


def test_the_features_of_one_that_does_not_answer_are_freed(
    database: Database, settings: Settings, pair: tuple[str, str], stock: Stock
) -> None:
    old, new = pair
    extract(database, settings, new, Silence())
    activate(database, new)
    with database.read() as session:
        assert size(session, old) == {"encoder": old, "features": 12, "bytes": 12 * 48 * 4}
        with pytest.raises(EncoderNotReady, match="answers the queries"):
            size(session, new)
    with pytest.raises(EncoderNotReady, match="answers the queries"):
        free(database, settings, new, Silence())
    assert free(database, settings, old, Silence()) == {"encoder": old, "freed": 12}
    assert states(database) == {new: "in use", old: "freed"}
    assert [path.stem for path in settings.indexes.glob("*.index")] in ([], [new]), "its index is gone, too"
    for refused in (lambda: answered_by(database, settings, old), lambda: activate(database, old)):
        with pytest.raises(EncoderNotReady, match="were freed"):
            refused()
    with pytest.raises(EncoderNotReady):
        back(database)
    stock(database, patients=7)
    extract_kept(database, settings, Silence())
    assert states(database)[old] == "freed", "nothing new is extracted for it"
    assert answered_by(database, settings) == new
    extract(database, settings, old, Silence())
    assert back(database).encoder == old


FREE = """
import sys
from pathlib import Path
from cbmir.services.encoders.versions import free
from cbmir.settings import Settings
from cbmir.store.session import Database
free.AT_ONCE = 1

class Slowly:
    def update(self, done, *_, **__):
        print(done, flush=True)
        if done == 5:
            sys.stdin.read()

settings = Settings(data=Path(sys.argv[1]))
free.free(Database(settings.resolved_database_url), settings, sys.argv[2], Slowly())
"""


def test_a_kill_while_freeing_leaves_a_part_that_nobody_uses(
    database: Database, settings: Settings, pair: tuple[str, str]
) -> None:
    old, new = pair
    extract(database, settings, new, Silence())
    command = [sys.executable, "-c", FREE, str(settings.data), new]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "5\n":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    with database.read() as session:
        assert features.count(session, new) == 7
    assert states(database) == {old: "in use", new: "freed"}
    assert answered_by(database, settings) == old
    with pytest.raises(EncoderNotReady, match="were freed"):
        answered_by(database, settings, new)
    assert free(database, settings, new, Silence())["freed"] == 7, "the sweeper queues the job again"


SWITCH = """
import sys
from itertools import cycle
from pathlib import Path
from cbmir.services.encoders.versions.switch import activate
from cbmir.settings import Settings
from cbmir.store.session import Database
database = Database(Settings(data=Path(sys.argv[1])).resolved_database_url)
print("ready", flush=True)
for encoder in cycle(sys.argv[2:]):
    activate(database, encoder)
"""


def test_a_kill_while_switching_leaves_one_of_both(
    database: Database, settings: Settings, pair: tuple[str, str]
) -> None:
    old, new = pair
    extract(database, settings, new, Silence())
    command = [sys.executable, "-c", SWITCH, str(settings.data), new, old]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seen = set()
        until = time.monotonic() + 60
        while seen != {old, new}:
            assert time.monotonic() < until, "it never switched"
            seen.add(answered_by(database, settings))
        process.send_signal(signal.SIGKILL)
    with database.read() as session:
        active = encoders.resolve(session, None).id
    assert answered_by(database, settings) == active
