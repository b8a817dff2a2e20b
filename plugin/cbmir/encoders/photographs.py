"""What networks that were trained on ImageNet's photographs expect of red, green and blue in [0, 1]."""

from __future__ import annotations

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
