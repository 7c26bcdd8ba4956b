"""A reward of one's own, in Python: warm colours. ``./vard run examples/emoji-python.yaml``."""

from __future__ import annotations

import numpy as np
from PIL import Image


def score(images: list[Image.Image], prompts: list[str]) -> list[float]:
    """How far red is above blue: -1 to 1, mean over the pixels."""
    return [warmth(np.asarray(image, np.float64)) for image in images]


def warmth(rgb: np.ndarray) -> float:
    """Of (H, W, 3), 0 to 255."""
    return float((rgb[..., 0] - rgb[..., 2]).mean() / 255)
