"""How beautiful people find an image, whatever the prompt (LAION's improved aesthetic predictor, Schuhmann 2022)."""

from __future__ import annotations

from PIL.Image import Image
from torch import Tensor, nn
from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

from vard_rewards.models import LinearHead, ModelReward, fill, read_weights


class LaionAesthetic(ModelReward):
    """A linear head on CLIP ViT-L/14's embedding of the image, scaled to length 1: about 1 to 10, as people rated.
    github.com/christophschuhmann/improved-aesthetic-predictor; DDPO's aesthetic reward (arxiv.org/abs/2305.13301).

    ``weights``: the head's file, ``sac+logos+ava1-l14-linearMSE.pth`` of that repository, or the same as safetensors.
    ``checkpoint``: CLIP's, a folder or hub id, of which the image half is loaded.
    """

    def __init__(
        self,
        weights: str,
        checkpoint: str = "openai/clip-vit-large-patch14",
        device: str = "auto",
        dtype: str = "float32",
        batch: int = 16,
    ) -> None:
        super().__init__(device, dtype, batch)
        self.model = CLIPVisionModelWithProjection.from_pretrained(checkpoint, dtype=self.dtype, use_safetensors=True).to(self.device).eval()
        self._processor = CLIPImageProcessorPil.from_pretrained(checkpoint)
        # Small, and its layers multiply up: always in float32.
        self.head = LinearHead(self.model.config.projection_dim)
        fill(self.head, read_weights(weights), weights)
        self.head.to(self.device).eval()

    def score(self, images: list[Image], prompts: list[str]) -> Tensor:
        pixels = self._processor(images=images, return_tensors="pt")["pixel_values"]
        embeddings = self.model(pixels.to(self.device, self.dtype)).image_embeds.float()
        return self.head(nn.functional.normalize(embeddings, dim=-1))
