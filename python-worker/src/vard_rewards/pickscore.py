"""Which image of a prompt people would pick (Kirstain et al. 2023, arxiv.org/abs/2305.01569)."""

from __future__ import annotations

import math

from PIL.Image import Image
from torch import Tensor

from vard_rewards.clip import ClipReward


class PickScore(ClipReward):
    """The learned scale times the cosine of the embeddings of image and prompt, by a CLIP-H that was tuned on the choices of
    the people of Pick-a-Pic: the paper's equation 1. A difference of d between two images means odds of e^d. Ordinary
    images have about 18 to 24.

    ``checkpoint``: ``yuvalkirstain/PickScore_v1``, or a folder with it. ``processor``: the checkpoint that CLIP-H's tokenizer and
    image preprocessor come from; that of the published usage by default.
    """

    def __init__(
        self,
        checkpoint: str = "yuvalkirstain/PickScore_v1",
        processor: str = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        device: str = "auto",
        dtype: str = "float32",
        batch: int = 16,
    ) -> None:
        super().__init__(checkpoint, processor, device, dtype, batch)
        self._scale = math.exp(self.model.logit_scale.item())
        self.range = (-self._scale, self._scale)

    def score(self, images: list[Image], prompts: list[str]) -> Tensor:
        # In double: a float32 at the end of the range may round beyond it.
        return self._scale * self.cosines(images, prompts).double()
