"""An approximate index in one file; see `cbmir.index.container`. Graph and vectors are FAISS's own bytes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cbmir.index import container, extras
from cbmir.index.container import ALIGNMENT, Kind
from cbmir.index.file import sound, stamp_of
from cbmir.index.hnsw import HnswIndex
from cbmir.index.stamp import REMEDY, Stamp
from cbmir.types import IdArray

KIND = Kind("cbmir-hnsw", 1, "index file", REMEDY)


def write(path: Path, stamp: Stamp, index: HnswIndex) -> None:
    """As `cbmir.index.file.write`."""
    data = extras.needed("faiss", "hnsw").serialize_index(index.graph)
    lead = -(data.nbytes - index.vectors.nbytes) % ALIGNMENT  # the vectors come last: they are to lie aligned
    graph = np.concatenate([np.zeros(lead, np.uint8), data])
    container.write(path, KIND, {"stamp": asdict(stamp), "lead": lead}, {"ids": index.ids, "graph": graph})


def read(path: Path, encoder_id: str) -> tuple[Stamp, HnswIndex]:
    """As `cbmir.index.file.read`: nothing is copied, the vectors and the graph stay where they are mapped.

    Raises:
        cbmir.errors.Unavailable: if FAISS is not installed.
        as `cbmir.index.file.read`.
    """
    faiss, found = extras.needed("faiss", "hnsw"), container.read(path, KIND)
    with sound(path):
        arrays = found.arrays()
        index = _index(faiss, arrays["ids"], arrays["graph"][found.told["lead"] :])
        return stamp_of(found, path, encoder_id), index


def read_stamp(path: Path, encoder_id: str) -> Stamp:
    """As `cbmir.index.file.read_stamp`."""
    found = container.read(path, KIND)
    with sound(path):
        return stamp_of(found, path, encoder_id)


def _index(faiss: Any, ids: IdArray, data: npt.NDArray[np.uint8]) -> HnswIndex:
    graph = faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(data), data.nbytes))
    if not isinstance(graph, faiss.IndexHNSWFlat) or graph.ntotal != len(ids):
        raise ValueError("no graph of these members")
    size = graph.ntotal * graph.d * np.dtype(np.float32).itemsize
    vectors = data[len(data) - size :].view(np.float32)  # they hold on to the mapping, which the graph looks into
    return HnswIndex(ids, vectors.reshape(graph.ntotal, graph.d), graph)
