"""Those that `index.py` measures side by side."""

from __future__ import annotations

from contenders import arrays, databases, libraries, ours
from contenders.base import Contender

CONTENDERS: tuple[type[Contender], ...] = (
    ours.Exact,
    ours.Hnsw,
    arrays.PapersLoop,
    arrays.Norms,
    arrays.PcaBound,
    libraries.Brute,
    libraries.KdTree,
    libraries.BallTree,
    libraries.FaissFlat,
    libraries.Faiss8Bit,
    libraries.FaissIvf,
    libraries.FaissHnsw,
    libraries.Hnswlib,
    databases.SqliteBlobs,
    databases.SqliteVec,
    databases.Pgvector,
    databases.PgvectorHnsw,
)
"""In the order of the table."""
