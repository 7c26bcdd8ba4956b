"""Which image of a prompt people prefer, by the Human Preference Score v2 (Wu et al. 2023, arxiv.org/abs/2306.09341)."""

from __future__ import annotations

import open_clip
import torch
from PIL.Image import Image
from torch import Tensor

from vard_rewards.models import ModelReward, cosine, fill, read_weights


class Hpsv2(ModelReward):
    """The cosine of the embeddings of image and prompt, by a CLIP ViT-H/14 tuned on people's preferences; ordinary images have
    about 0.2 to 0.35. github.com/tgxs002/HPSv2 gives the same number.

    ``weights``: ``HPS_v2_compressed.pt`` or ``HPS_v2.1_compressed.pt`` of the hub's ``xswu/HPSv2``, or the same as safetensors.
    ``architecture``: open_clip's name of the model whose weights these are.
    """

    range = (-1.0, 1.0)

    def __init__(self, weights: str, architecture: str = "ViT-H-14", device: str = "auto", dtype: str = "float32", batch: int = 16) -> None:
        super().__init__(device, dtype, batch)
        self.model = open_clip.create_model(architecture, load_weights=False)
        fill(self.model, read_weights(weights), weights)
        self.model.to(self.device, self.dtype).eval()
        self._transform = open_clip.image_transform(self.model.visual.image_size, is_train=False)
        self._tokenizer = open_clip.get_tokenizer(architecture)

    def score(self, images: list[Image], prompts: list[str]) -> Tensor:
        pixels = torch.stack([self._transform(image) for image in images]).to(self.device, self.dtype)
        tokens = self._tokenizer(prompts).to(self.device)
        return cosine(self.model.encode_image(pixels), self.model.encode_text(tokens))
