"""What an index that is kept somewhere was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

REMEDY = "Build it anew: `cbmir index build`."


@dataclass(frozen=True)
class Stamp:
    """What a kept index was made from, and how good it is.

    Attributes:
        encoder_id: whose features.
        generation: theirs; it holds those of all generations up to this one.
        pipelines: the conversions that made their pictures.
        recall: the share of the true 10 nearest that it finds, measured when it was made; None for an exact one.
    """

    encoder_id: str
    generation: int
    pipelines: tuple[str, ...]
    recall: float | None = None

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """What `dataclasses.asdict` gave.

        Raises:
            KeyError, TypeError: if it is something else.
        """
        return cls(told["encoder_id"], told["generation"], tuple(told["pipelines"]), told.get("recall"))
