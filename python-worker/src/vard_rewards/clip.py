"""How well image and prompt go together, by CLIP (Radford et al. 2021, arxiv.org/abs/2103.00020)."""

from __future__ import annotations

from PIL.Image import Image
from torch import Tensor
from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

from vard_rewards.models import ModelReward, cosine


class ClipReward(ModelReward):
    """Scores by a CLIP model in transformers' format: a folder, or a hub id. Weights are read from safetensors alone.

    Images are scaled as the checkpoint's preprocessor says, by Pillow, as those were that the models were published with.
    Prompts are cut where the model's tokenizer ends.
    """

    def __init__(self, checkpoint: str, processor: str, device: str, dtype: str, batch: int) -> None:
        super().__init__(device, dtype, batch)
        self.model = CLIPModel.from_pretrained(checkpoint, dtype=self.dtype, use_safetensors=True).to(self.device).eval()
        self._processor = CLIPImageProcessorPil.from_pretrained(processor)
        self._tokenizer = AutoTokenizer.from_pretrained(processor)
        self._tokens = self.model.config.text_config.max_position_embeddings

    def embed_images(self, images: list[Image]) -> Tensor:
        """(B, D)."""
        pixels = self._processor(images=images, return_tensors="pt")["pixel_values"]
        return self.model.get_image_features(pixels.to(self.device, self.dtype)).pooler_output

    def embed_prompts(self, prompts: list[str]) -> Tensor:
        """(B, D)."""
        tokens = self._tokenizer(prompts, padding=True, truncation=True, max_length=self._tokens, return_tensors="pt").to(self.device)
        return self.model.get_text_features(tokens.input_ids, tokens.attention_mask).pooler_output

    def cosines(self, images: list[Image], prompts: list[str]) -> Tensor:
        """(B,), -1 to 1."""
        return cosine(self.embed_images(images), self.embed_prompts(prompts))


class ClipScore(ClipReward):
    """100 times the cosine of the embeddings of image and prompt: CLIP's own logit, whose scale has come to 100 in training.

    Hessel et al.'s CLIPScore (2021, arxiv.org/abs/2104.08718) is 2.5 times the same cosine, and 0 where that is below 0: it
    orders the same, but does not tell bad images apart.

    ``checkpoint``: a folder or hub id, as ``openai/clip-vit-large-patch14``.
    """

    range = (-100.0, 100.0)

    def __init__(self, checkpoint: str = "openai/clip-vit-large-patch14", device: str = "auto", dtype: str = "float32", batch: int = 16) -> None:
        super().__init__(checkpoint, checkpoint, device, dtype, batch)

    def score(self, images: list[Image], prompts: list[str]) -> Tensor:
        return 100 * self.cosines(images, prompts)
