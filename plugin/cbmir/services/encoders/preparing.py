"""What may be asked to be done to a picture before an added encoder sees it: each fault has words of its own."""

from __future__ import annotations

from math import isfinite

from cbmir.encoders.base import Preprocessing
from cbmir.errors import BadRequest
from cbmir.words import counted


def check(wanted: Preprocessing) -> None:
    """Refuse what cannot be done, or says two things at once.

    Raises:
        cbmir.errors.BadRequest: naming the option, what is wrong with it, and what to give.
    """
    for option, values in (("--mean", wanted.mean), ("--std", wanted.std)):
        _check_numbers(option, values, wanted.channels)
    if (least := min(wanted.std, default=1)) <= 0:
        raise BadRequest(f"--std {least:g}: a picture cannot be divided by it.", "Give numbers above 0.")
    if wanted.channels == 1 and wanted.order != "RGB":
        raise BadRequest(
            f"--order {wanted.order} is one of colours, and --channels 1 asks for grey.",
            "Leave out --order, or give --channels 3.",
        )
    if not wanted.can_be_done:
        raise BadRequest(
            f"An input of {wanted.side} pixels a side and {counted(wanted.channels, 'channel')} cannot be made.",
            "Give a side of 1 to 4096 pixels, and 1 or 3 channels.",
        )


def _check_numbers(option: str, values: tuple[float, ...], channels: int) -> None:
    if len(values) not in (0, channels):
        raise BadRequest(
            f"{option} has {counted(len(values), 'number')}, and the input {counted(channels, 'channel')}.",
            "Give one number for all channels, or one for each.",
        )
    if not all(map(isfinite, values)):
        raise BadRequest(f"{option} holds a number that is not finite.", "Give numbers such as 0.485,0.456,0.406.")
