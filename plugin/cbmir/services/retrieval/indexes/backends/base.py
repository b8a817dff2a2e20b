"""What every backend can do: keep an index of each encoder's features, and give it back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from sqlalchemy.orm import Session

from cbmir.index.base import Index
from cbmir.index.stamp import Stamp
from cbmir.store.filters import Where
from cbmir.store.tables import Encoder
from cbmir.types import FloatArray, IdArray

Mark = tuple[int, int]
"""Tells one kept index from the next: another one has another."""
Piece = tuple[IdArray, FloatArray]
"""Ids int64 (n,), and their features float32 (n, d)."""


class Backend(Protocol):
    """Keeps indexes outside of this process; each is made from the database, and can be made anew at any time.

    Attributes:
        name: what `CBMIR_INDEX` calls it.
        lasts: whether who has opened an index can go on with it when it was made anew.
    """

    @property
    def name(self) -> str: ...

    @property
    def lasts(self) -> bool: ...

    def check(self, session: Session) -> None:
        """See whether it can be used at all.

        Raises:
            cbmir.errors.Unavailable, cbmir.errors.BadRequest: if a package, a server or an extension is missing.
        """

    def mark(self, session: Session, encoder_id: str) -> Mark | None:
        """The mark of what is kept now; None where nothing is."""

    def stamp(self, session: Session, encoder_id: str) -> Stamp:
        """What the kept index was made from.

        Raises:
            cbmir.errors.NotFound: if none is kept.
            cbmir.errors.BrokenFile: if it is damaged, or of another encoder.
        """

    def read(self, session: Session, encoder_id: str) -> tuple[Stamp, Index]:
        """The kept index, ready to be searched.

        Raises:
            as `stamp`.
        """

    def write(self, session: Session, encoder: Encoder) -> None:
        """Make an index of the features up to the generation that `encoder` was read with, in place of the old one.

        Who searches meanwhile finds the old one, which stays if this fails.

        Raises:
            cbmir.errors.DiskFull, cbmir.errors.Unavailable: if it cannot be kept.
            cbmir.errors.EncoderMismatch: if a stored vector is not of the encoder's dimension.
        """

    def drop(self, session: Session, encoder_id: str) -> None:
        """Take away what is kept, if anything is."""

    def size(self, session: Session, encoder_id: str) -> int:
        """Bytes that it takes."""

    def sample(self, index: Index, count: int) -> Piece:
        """Some of its members, so many at most, spread over all ids; the highest is among them."""

    def pieces(self, index: Index) -> Iterator[Piece]:
        """All of its members."""


@runtime_checkable
class Filtering(Protocol):
    """An index that can filter by itself, where a search is among more ids than one would like to tell it."""

    def by(self, where: Where) -> Index:
        """The same, for searches among what the filter keeps: in the place of many ids the filter is told."""
