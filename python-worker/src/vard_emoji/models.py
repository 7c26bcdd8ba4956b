"""The parts of the pipeline, untrained: what makes it small is all here."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

TOKENS = 16
WIDTH = 128  # of the text embedding
LATENT_CHANNELS = 4


def train_tokenizer(captions: Iterable[str], vocab_size: int = 2048) -> CLIPTokenizer:
    """CLIP's tokenizer (lower case, `</w>` at word ends) on a byte pair encoding of our captions.

    Written out, since the tokenizers library breaks ties between pairs by hash, otherwise in each process.
    """
    backend = CLIPTokenizer().backend_tokenizer
    split, normalize = backend.pre_tokenizer.pre_tokenize_str, backend.normalizer.normalize_str
    counts = Counter(word for text in captions for word, _ in split(normalize(text)))
    words = {word: [*word[:-1], word[-1] + "</w>"] for word in sorted(counts)}
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<|startoftext|>", "<|endoftext|>", *alphabet, *(letter + "</w>" for letter in alphabet)]
    merges: list[tuple[str, str]] = []
    while len(tokens) < vocab_size:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, parts in words.items():
            for pair in pairwise(parts):
                pairs[pair] += counts[word]
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        tokens.append("".join(best))
        for parts in words.values():
            for k in reversed(range(len(parts) - 1)):
                if parts[k : k + 2] == list(best):
                    parts[k : k + 2] = [tokens[-1]]
    tokens = list(dict.fromkeys(tokens))
    return CLIPTokenizer(vocab={token: k for k, token in enumerate(tokens)}, merges=merges, model_max_length=TOKENS)


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Token ids [n, 16], padded and cut as StableDiffusionPipeline does it."""
    return tokenizer(captions, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt").input_ids


def text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def autoencoder() -> AutoencoderKL:
    """32x32x3 -> 8x8x4."""
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        block_out_channels=(32, 64, 96),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        mid_block_add_attention=False,
        sample_size=32,
        scaling_factor=1.0,
    )


def unet() -> UNet2DConditionModel:
    """Wide where it is cheap: attention and 160 channels at 4x4, only convolutions of 64 channels at 8x8."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 160),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,  # diffusers' name for the number of heads
    )


def scheduler() -> DDIMScheduler:
    """Stable Diffusion v1.5's noise schedule."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="epsilon",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="leading",
    )


def pipeline(vae: AutoencoderKL, text: CLIPTextModel, tokenizer: CLIPTokenizer, unet: UNet2DConditionModel) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
