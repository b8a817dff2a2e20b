"""DINOv2 ViT-S/14 with registers, frozen: a peer that `encoder_rivals.py` brings, and no part of the product.

From 'DINOv2: Learning Robust Visual Features without Supervision' (Oquab et al., 2023) and 'Vision Transformers
Need Registers' (Darcet et al., 2023); the weights' names are those under which they are published.
"""

from __future__ import annotations

import numpy as np
import safetensors.torch
import torch
from torch import Tensor
from torch.nn import functional

from cbmir.encoders import photographs
from cbmir.encoders.base import Preprocessing
from cbmir.types import FloatArray

WIDTH, HEADS, PATCH, SIDE, BLOCKS, EPSILON = 384, 6, 14, 224, 12, 1e-6


class Dinov2:
    """Its CLS token after the last norm; torch is set to one thread, as who encodes much does so by several.

    Args:
        data: the weights, safetensors.
    """

    dimension = WIDTH
    preprocessing = Preprocessing(SIDE, 3, mean=photographs.MEAN, std=photographs.DEVIATION)

    def __init__(self, data: bytes) -> None:
        torch.set_num_threads(1)
        self._weights = safetensors.torch.load(data)

    @torch.inference_mode()
    def encode(self, inputs: FloatArray) -> FloatArray:
        """float32 (n, 3, 224, 224) -> float32 (n, 384)."""
        x = self._tokens(torch.from_numpy(inputs))
        for number in range(BLOCKS):
            at = f"blocks.{number}"
            x = x + self._attention(self._norm(x, f"{at}.norm1"), at) * self._weights[f"{at}.ls1.gamma"]
            wide = functional.gelu(self._dense(self._norm(x, f"{at}.norm2"), f"{at}.mlp.fc1"))
            x = x + self._dense(wide, f"{at}.mlp.fc2") * self._weights[f"{at}.ls2.gamma"]
        found: FloatArray = self._norm(x[:, 0], "norm").numpy().astype(np.float32)
        return found

    def _tokens(self, inputs: Tensor) -> Tensor:
        """CLS, registers, and patches with their places: (n, 1 + r + p, 384)."""
        weights = self._weights
        maps = functional.conv2d(
            inputs, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], stride=PATCH
        )
        places = weights["pos_embed"]
        side = round((places.shape[1] - 1) ** 0.5)
        table = places[:, 1:].reshape(1, side, side, WIDTH).permute(0, 3, 1, 2)
        table = functional.interpolate(table, maps.shape[2:], mode="bicubic", antialias=True)
        patches = (maps + table).flatten(2).transpose(1, 2)
        first = (weights["cls_token"] + places[:, :1]).expand(len(inputs), -1, -1)
        return torch.cat([first, weights["register_tokens"].expand(len(inputs), -1, -1), patches], 1)

    def _attention(self, x: Tensor, at: str) -> Tensor:
        count, tokens, _ = x.shape
        mixed = self._dense(x, f"{at}.attn.qkv").reshape(count, tokens, 3, HEADS, WIDTH // HEADS)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value)
        return self._dense(seen.transpose(1, 2).reshape(count, tokens, WIDTH), f"{at}.attn.proj")

    def _dense(self, x: Tensor, at: str) -> Tensor:
        return functional.linear(x, self._weights[f"{at}.weight"], self._weights[f"{at}.bias"])

    def _norm(self, x: Tensor, at: str) -> Tensor:
        return functional.layer_norm(
            x, (WIDTH,), self._weights[f"{at}.weight"], self._weights[f"{at}.bias"], EPSILON
        )
