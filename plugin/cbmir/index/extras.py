"""Packages that only some installations have."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from cbmir.errors import Unavailable


def needed(module: str, extra: str) -> Any:
    """A module of an optional dependency.

    Raises:
        cbmir.errors.Unavailable: if it is not installed; it says which extra brings it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise Unavailable(
            f"The index `{extra}` needs the package {module}, which is not installed.",
            f"Run `pip install 'cbmir[{extra}]'`.",
        ) from error
