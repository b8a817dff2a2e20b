"""What is learnt from labels: each picture lies near the proxy of its label, and far from all others.

'No Fuss Distance Metric Learning using Proxies' (Movshovitz-Attias et al., 2017), as a softmax over cosines
('NormFace', Wang et al., 2017) with smoothed labels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SCALE = 16.0
"""What cosines are multiplied with before the softmax."""
SMOOTHING = 0.1
"""Share of the probability that is spread over all labels."""


class Proxies(nn.Module):
    """One direction a label.

    Args:
        labels: how many.
        dimension: numbers in a feature.
    """

    def __init__(self, labels: int, dimension: int) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.randn(labels, dimension) * 0.1)

    def loss(self, features: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy, the mean over the labelled pictures; 0 where there is none.

        Args:
            features: float32 (n, dimension), of unit length.
            targets: float32 (n, labels); a row adds up to 1, or is 0 for a picture without a label.
        """
        labelled = targets.sum(1)
        smooth = targets * (1 - SMOOTHING) + SMOOTHING / targets.shape[1] * labelled[:, None]
        cosines = features @ functional.normalize(self.directions).T
        losses = -(smooth * (SCALE * cosines).log_softmax(1)).sum(1)
        return losses.sum() / labelled.sum().clamp(min=1)
