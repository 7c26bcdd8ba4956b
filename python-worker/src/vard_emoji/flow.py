"""`python -m vard_emoji.flow --out checkpoints/emoji-flow`: train the small Stable Diffusion 3 checkpoint on a CPU.

Its autoencoder is emoji-sd's, frozen, and so is its tokenizer; its first text encoder begins as emoji-sd's.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline, StableDiffusionPipeline
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from vard_emoji import data, export, models
from vard_emoji.__main__ import CACHE
from vard_emoji.data import Dataset
from vard_emoji.train import batch_rows, generator, images, learning_rate, run_steps

BASE = Path(__file__).resolve().parents[3] / "checkpoints" / "emoji-sd"
SECOND_WIDTH = 32
"""Of the second text encoder, which the pipeline insists on."""
ABSENT = 256
"""Tokens that the pipeline reads as zeros where its T5 is absent: its default `max_sequence_length`."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights."""

    seed: int = 0
    steps: int = 2600
    batch: int = 64
    lr: float = 1e-3
    warmup: int = 200
    decay: float = 0.35  # the last part of the steps, over which the rate falls to zero
    empty_captions: float = 0.1
    ema: float = 0.999
    bf16: bool = True


def text_encoder(tokenizer: CLIPTokenizer, width: int) -> CLIPTextModelWithProjection:
    """Of two layers, of which the pipeline reads the first: its penultimate hidden state, and the pooled end."""
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=width, intermediate_size=4 * width, projection_dim=width,
            num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=models.TOKENS,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip


def transformer() -> SD3Transformer2DModel:
    """One token a latent: 64 of them."""
    width = models.WIDTH + SECOND_WIDTH
    return SD3Transformer2DModel(
        sample_size=8, patch_size=1, in_channels=models.LATENT_CHANNELS, out_channels=models.LATENT_CHANNELS,
        num_layers=4, attention_head_dim=32, num_attention_heads=4, caption_projection_dim=128,
        joint_attention_dim=width, pooled_projection_dim=width, pos_embed_max_size=16, qk_norm="rms_norm",
    )  # fmt: skip


def pipeline(base: StableDiffusionPipeline) -> StableDiffusion3Pipeline:
    first = text_encoder(base.tokenizer, models.WIDTH)
    own = base.text_encoder.state_dict()
    prefix = "" if any(name.startswith("text_model.") for name in own) else "text_model."
    told = first.load_state_dict({prefix + name: tensor for name, tensor in own.items()}, strict=False)
    if told.unexpected_keys or told.missing_keys != ["text_projection.weight"]:
        raise ValueError(f"emoji-sd's text encoder does not fit: {told}")
    # The pipeline adds it, and emoji-sd's latents have mean 0 already.
    base.vae.register_to_config(shift_factor=0.0)
    return StableDiffusion3Pipeline(
        transformer=transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=base.vae,
        text_encoder=first,
        tokenizer=base.tokenizer,
        text_encoder_2=text_encoder(base.tokenizer, SECOND_WIDTH),
        tokenizer_2=base.tokenizer,
        text_encoder_3=None,
        tokenizer_3=None,
    )


@contextmanager
def last_key_counts(times: int) -> Iterator[None]:
    """Attention as if the last key stood there so many times.

    The tokens of an absent T5 are all zero, have no position, and so stay equal from block to block. One of them with log(n)
    added to its attention score does what n do, at a fifth of the cost of a training step.
    """
    plain = F.scaled_dot_product_attention

    def weighed(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **options: object) -> torch.Tensor:
        if options.get("attn_mask") is not None or options.get("is_causal"):
            # The text encoders', which read from left to right.
            return plain(query, key, value, **options)
        mask = query.new_zeros(key.shape[-2])
        mask[-1] = math.log(times)
        return plain(query, key, value, **options | {"attn_mask": mask.expand(query.shape[-2], -1)})

    F.scaled_dot_product_attention = weighed
    try:
        yield
    finally:
        F.scaled_dot_product_attention = plain


def condition(both: nn.ModuleDict, ids_BT: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the pipeline's `encode_prompt` gives, with one token of zeros for all of T5's; and the pooled encodings."""
    encoded = [both[name](ids_BT, output_hidden_states=True) for name in ("text", "text_2")]
    tokens_BTD = torch.cat([each.hidden_states[-2] for each in encoded], dim=-1)
    return F.pad(tokens_BTD, (0, 0, 0, 1)), torch.cat([each.text_embeds for each in encoded], dim=-1)


def logit_normal(u_B: torch.Tensor) -> torch.Tensor:
    """s of uniform numbers: SD3's `rf/lognorm(0, 1)` (arXiv 2403.03206, section 3.1), which is densest half-way."""
    return torch.sigmoid(torch.special.ndtri(u_B.clamp(1e-4, 1 - 1e-4)))


def train(pipe: StableDiffusion3Pipeline, dataset: Dataset, recipe: Recipe, work: Path, on_save: Callable[[int], None], save_every: int = 250) -> None:
    """Predict the velocity ε - x_0 of the pictures' latents: E|v(x_s, s, c) - (ε - x_0)|²."""
    work.mkdir(parents=True, exist_ok=True)
    learns, unseen = dataset.captioned(held_out=False), dataset.captioned(held_out=True)
    with torch.no_grad():
        everything = images(dataset, torch.arange(len(dataset.images)))
        latents = torch.cat([pipe.vae.encode(x).latent_dist.mean for x in everything.split(256)])
    ids = models.tokenize(pipe.tokenizer, [each.caption for each in dataset.emoji])
    empty = models.tokenize(pipe.tokenizer, [""])[0]
    both = nn.ModuleDict({"transformer": pipe.transformer, "text": pipe.text_encoder, "text_2": pipe.text_encoder_2})

    def loss_of(both: nn.ModuleDict, rows: torch.Tensor, empty_captions: float, g: torch.Generator, part: slice) -> torch.Tensor:
        n = len(rows)
        # One s from each of n equal parts of the distribution: the mean over the batch varies less.
        s_B = logit_normal((torch.randperm(n, generator=g) + torch.rand(n, generator=g)) / n)
        noise = torch.randn(latents[rows].shape, generator=g)
        ids_BT = torch.where(torch.rand(n, 1, generator=g) < empty_captions, empty, ids[rows])
        x0, s_B, noise, ids_BT = latents[rows[part]], s_B[part], noise[part], ids_BT[part]
        s = s_B.view(-1, 1, 1, 1)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
            tokens, pooled = condition(both, ids_BT)
            velocity = both["transformer"]((1 - s) * x0 + s * noise, tokens, pooled, s_B * 1000, return_dict=False)[0]
        return (velocity.float() - (noise - x0)).square().mean()

    def loss_at(both: nn.ModuleDict, step: int, part: slice) -> torch.Tensor:
        rows = batch_rows(learns, recipe.batch, recipe.seed, "flow", step)
        return loss_of(both, rows, recipe.empty_captions, generator(recipe.seed, "flow noise", step), part)

    def validate() -> float:
        return loss_of(both, unseen, 0.0, generator(recipe.seed, "held out", 0), slice(None)).item()

    rate = partial(learning_rate, steps=recipe.steps, peak=recipe.lr, warmup=recipe.warmup, decay=recipe.decay)
    with last_key_counts(ABSENT):
        run_steps("flow", both, loss_at, recipe.batch, rate, recipe.steps, work, ema=recipe.ema, validate=validate, on_save=on_save, save_every=save_every)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m vard_emoji.flow", description=__doc__.partition(": ")[2])
    parser.add_argument("--out", type=Path, required=True, help="folder of the pipeline; rewritten as training goes on")
    parser.add_argument("--base", type=Path, default=BASE, help="emoji-sd, whose autoencoder and text encoder are taken")
    parser.add_argument("--cache", type=Path, default=CACHE, help="pictures and training state, git-ignored")
    parser.add_argument("--prompts", type=Path, help="draw a sheet of these prompts into OUT/samples.png")
    parser.add_argument("--export-every", type=int, default=1000, metavar="STEPS")
    for field in fields(Recipe):
        kind = {"action": argparse.BooleanOptionalAction} if field.type == "bool" else {"type": {"int": int, "float": float}[field.type]}
        parser.add_argument("--" + field.name.replace("_", "-"), default=field.default, help="%(default)s", **kind)
    arguments = parser.parse_args()
    recipe = Recipe(**{field.name: getattr(arguments, field.name) for field in fields(Recipe)})
    torch.set_num_threads(1)  # an operation; a batch has two threads
    torch.manual_seed(recipe.seed)
    pipe = pipeline(StableDiffusionPipeline.from_pretrained(arguments.base))

    def on_save(step: int) -> None:
        if step % arguments.export_every and step != recipe.steps:
            return
        export.save(pipe, arguments.out, ("vae", "transformer"))
        if arguments.prompts:
            prompts = export.prompts_of(arguments.prompts)
            # From the folder, so that the sheet shows what its users get.
            saved = StableDiffusion3Pipeline.from_pretrained(arguments.out, text_encoder_3=None, tokenizer_3=None)
            export.sheet(export.sample(saved, prompts), prompts).save(arguments.out / "samples.png", optimize=True)

    train(pipe, data.load(arguments.cache), recipe, arguments.cache / "flow", on_save)


if __name__ == "__main__":
    main()
