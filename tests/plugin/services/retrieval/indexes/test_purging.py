"""A deleted feature is found no more at once; it leaves the index file too, however little else changes."""

from __future__ import annotations

from typing import Any

import numpy as np

from cbmir.services.retrieval.indexes import index_files
from cbmir.settings import Settings
from cbmir.store import encoders, features, instances
from cbmir.store.session import Database
from cbmir.store.tables import Frame, Group, Instance


def given(database: Database, encoder_id: str, number: int) -> tuple[int, bytes]:
    """A new patient's frame, and the bytes of its feature."""
    vector = np.random.default_rng(number).normal(size=(1, 48)).astype(np.float32)
    with database.write() as session:
        frame = Frame(frame_number=1, picture=f"{number:064x}", rows=8, columns=8, pipeline="test")
        named = {"file_name": f"{number}", "sha256": f"{number:064x}"}
        session.add(Instance(group=Group(key=f"p-{number}"), frames=[frame], **named))
        session.flush()
        features.add_batch(session, encoders.get(session, encoder_id), [frame.id], vector)
        return frame.id, vector.tobytes()


def test_a_deleted_feature_leaves_the_file(database: Database, settings: Settings, add_network: Any) -> None:
    encoder_id = add_network(database)
    assert not index_files.purge(database, settings, encoder_id), "there is none"
    (gone, deleted), (_, kept) = given(database, encoder_id, 1), given(database, encoder_id, 2)
    index_files.rebuild(database, settings)
    (file,) = settings.indexes.glob("*.index")
    assert deleted in file.read_bytes()
    assert not index_files.purge(database, settings, encoder_id), "it holds nothing that was deleted"
    with database.write() as session:
        instances.delete(session, instances.frame(session, gone).instance)
    given(database, encoder_id, 3)
    assert not index_files.keep_up(database, settings, encoder_id), "so little is no reason to make it anew"
    assert index_files.purge(database, settings, encoder_id)
    assert deleted not in file.read_bytes()
    assert kept in file.read_bytes()
    assert not index_files.purge(database, settings, encoder_id)
