"""What people think of an image for its prompt, by ImageReward (Xu et al. 2023, arxiv.org/abs/2304.05977)."""

from __future__ import annotations

import math
import re

from PIL.Image import Image
from torch import Tensor
from transformers import AutoTokenizer, BlipTextConfig, BlipTextModel, BlipVisionConfig, BlipVisionModel, CLIPImageProcessorPil

from vard_rewards.models import LinearHead, ModelReward, fill, read_weights

MEAN, DEVIATION = 0.16717362830052426, 1.0333394966054072
"""Of the head's scores over the paper's data: published scores are put on that footing."""
TOKENS = 35
HEAD_WIDTH = 64
"""Of each attention head, in BLIP's image encoders of every size and in BERT."""

VISION_KEYS = {
    r"cls_token": "embeddings.class_embedding",
    r"pos_embed": "embeddings.position_embedding",
    r"patch_embed\.proj\.": "embeddings.patch_embedding.",
    r"blocks\.(\d+)\.norm([12])\.": r"encoder.layers.\1.layer_norm\2.",
    r"blocks\.(\d+)\.attn\.qkv\.": r"encoder.layers.\1.self_attn.qkv.",
    r"blocks\.(\d+)\.attn\.proj\.": r"encoder.layers.\1.self_attn.projection.",
    r"blocks\.(\d+)\.mlp\.": r"encoder.layers.\1.mlp.",
    r"norm\.": "post_layernorm.",
}
"""The names of BLIP's own image encoder, after ``blip.visual_encoder.``, and transformers' for the same. Those of the text
encoder are the same in both."""


class ImageReward(ModelReward):
    """BLIP's text encoder reads the prompt while it looks at the image, and a linear head tells from its first token what
    people think: mean 0 and deviation 1 over the paper's data, about -2 to 2. github.com/THUDM/ImageReward.

    ``weights``: ``ImageReward.pt`` of the hub's ``THUDM/ImageReward``, or the same as safetensors. All sizes are read from it.
    ``tokenizer``: BERT's, a folder or hub id.
    """

    def __init__(
        self,
        weights: str,
        tokenizer: str = "google-bert/bert-base-uncased",
        device: str = "auto",
        dtype: str = "float32",
        batch: int = 16,
    ) -> None:
        super().__init__(device, dtype, batch)
        vision, text, head = parts(read_weights(weights), weights)
        self.vision = BlipVisionModel(vision_config(vision))
        fill(self.vision, vision, weights)
        self.text = BlipTextModel(text_config(text), add_pooling_layer=False)
        fill(self.text, text, weights)
        self.head = LinearHead(self.text.config.hidden_size)
        fill(self.head, head, weights)
        self.vision.to(self.device, self.dtype).eval()
        self.text.to(self.device, self.dtype).eval()
        # Small, and its layers multiply up: in float32, as published.
        self.head.to(self.device).eval()
        side = self.vision.config.image_size
        # CLIP's mean and deviation, bicubic, the middle of the image: as published.
        self._processor = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
        self._tokenizer = AutoTokenizer.from_pretrained(tokenizer)

    def score(self, images: list[Image], prompts: list[str]) -> Tensor:
        pixels = self._processor(images=images, return_tensors="pt")["pixel_values"]
        seen = self.vision(pixels.to(self.device, self.dtype)).last_hidden_state
        tokens = self._tokenizer(prompts, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt").to(self.device)
        read = self.text(tokens.input_ids, tokens.attention_mask, encoder_hidden_states=seen).last_hidden_state
        return (self.head(read[:, 0].float()) - MEAN) / DEVIATION


Weights = dict[str, Tensor]


def parts(weights: Weights, file: str) -> tuple[Weights, Weights, Weights]:
    """Image encoder, text encoder and head, each by transformers' names."""
    below: dict[str, Weights] = {"blip.visual_encoder.": {}, "blip.text_encoder.": {}, "mlp.": {}}
    for name, value in weights.items():
        for prefix, part in below.items():
            if name.startswith(prefix):
                part[name.removeprefix(prefix)] = value
    vision, text, head = below.values()
    missing = [prefix + "*" for prefix, part in below.items() if not part]
    if missing:
        raise ValueError(f"{file} is no ImageReward: it has no {', '.join(missing)}")
    # A count from 0, not a weight.
    text.pop("embeddings.position_ids", None)
    return {renamed(name): value for name, value in vision.items()}, text, head


def renamed(name: str) -> str:
    for old, new in VISION_KEYS.items():
        if match := re.match(old, name):
            return match.expand(new) + name[match.end() :]
    return name


def vision_config(vision: Weights) -> BlipVisionConfig:
    width, _, patch, _ = vision["embeddings.patch_embedding.weight"].shape
    positions = vision["embeddings.position_embedding"].shape[1]
    return BlipVisionConfig(
        hidden_size=width,
        intermediate_size=vision["encoder.layers.0.mlp.fc1.weight"].shape[0],
        num_hidden_layers=layers(vision, r"encoder\.layers\.(\d+)\."),
        num_attention_heads=width // HEAD_WIDTH,
        image_size=math.isqrt(positions - 1) * patch,
        patch_size=patch,
        layer_norm_eps=1e-6,
    )


def text_config(text: Weights) -> BlipTextConfig:
    vocabulary, width = text["embeddings.word_embeddings.weight"].shape
    return BlipTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        encoder_hidden_size=text["encoder.layer.0.crossattention.self.key.weight"].shape[1],
        intermediate_size=text["encoder.layer.0.intermediate.dense.weight"].shape[0],
        num_hidden_layers=layers(text, r"encoder\.layer\.(\d+)\."),
        num_attention_heads=width // HEAD_WIDTH,
        max_position_embeddings=text["embeddings.position_embeddings.weight"].shape[0],
    )


def layers(weights: Weights, numbered: str) -> int:
    return 1 + max(int(match[1]) for name in weights if (match := re.match(numbered, name)))
