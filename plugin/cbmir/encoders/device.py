"""Where torch runs a network."""

from __future__ import annotations

import torch

PROCESSOR, CARD = "cpu", "cuda"


def device() -> str:
    """As torch names it: the graphics card where torch finds one that it can use, else the processor.

    `CUDA_VISIBLE_DEVICES`, set to nothing, hides the card.
    """
    return CARD if torch.cuda.is_available() else PROCESSOR
