"""Two trainings, one after the other: the autoencoder, then text encoder and UNet together on its latents.

Both resume. What a step sees (pictures, noise, timesteps, emptied captions) is a function of the seed and the
step's number alone, so a checkpoint is weights, optimiser and step, and a resumed run gives the same bits.
"""

import copy
import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch import nn
from tqdm import trange
from transformers import CLIPTokenizer

from vard_emoji import models
from vard_emoji.data import Dataset


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights."""

    seed: int = 0
    vae_steps: int = 4000
    vae_batch: int = 16
    vae_lr: float = 2e-3
    kl_weight: float = 1e-3
    unet_steps: int = 3000
    unet_batch: int = 64
    unet_lr: float = 1e-3
    warmup: int = 200
    decay: float = 0.35  # the last part of the steps, over which the rate falls to zero
    empty_captions: float = 0.1
    min_snr_gamma: float = 5.0
    ema: float = 0.999
    bf16: bool = True


def generator(seed: int, stage: str, step: int) -> torch.Generator:
    """The source of all randomness of one step."""
    return torch.Generator().manual_seed((seed << 40) + (sum(stage.encode()) << 24) + step)


def batch_rows(rows: torch.Tensor, batch: int, seed: int, stage: str, step: int) -> torch.Tensor:
    """Rows of one step: the dataset shuffled anew each time through, cut into batches."""
    position = torch.arange(step * batch, (step + 1) * batch)
    chosen = torch.empty_like(position)
    for epoch in (position // len(rows)).unique():
        order = torch.randperm(len(rows), generator=generator(seed, stage + " order", int(epoch)))
        mine = position // len(rows) == epoch
        chosen[mine] = rows[order[position[mine] % len(rows)]]
    return chosen


def learning_rate(step: int, steps: int, peak: float, warmup: int, decay: float) -> float:
    """Linear warm-up, flat, linear to zero over the last `decay` of `steps`."""
    return peak * min(1.0, (step + 1) / warmup, (steps - step) / max(1.0, decay * steps))


def min_snr_weight(alphas_cumprod: torch.Tensor, gamma: float) -> torch.Tensor:
    """Weight of the squared error of predicted noise: min(SNR, gamma) / SNR, SNR = a / (1 - a).

    Hang et al., Efficient Diffusion Training via Min-SNR Weighting Strategy, 2023, section 3.4.
    """
    snr = alphas_cumprod / (1 - alphas_cumprod)
    return snr.clamp(max=gamma) / snr


def images(data: Dataset, rows: torch.Tensor) -> torch.Tensor:
    """uint8 -> [-1, 1]."""
    return data.images[rows].float() / 127.5 - 1


@contextmanager
def weights(module: nn.Module, values: dict[str, torch.Tensor]) -> Iterator[None]:
    """`module` in evaluation mode with other weights, for as long as the block lasts."""
    own = {name: p.detach().clone() for name, p in module.named_parameters()}
    module.load_state_dict(values, strict=False)
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.load_state_dict(own, strict=False)
        module.train()


def replica(module: nn.Module) -> nn.Module:
    """A copy with gradients of its own on the same weights."""
    twin = copy.deepcopy(module)
    for own, shared in zip(twin.parameters(), module.parameters(), strict=True):
        own.data = shared.data
    return twin


def run_steps(
    stage: str,
    module: nn.Module,
    loss_at: Callable[[nn.Module, int, slice], torch.Tensor],
    batch: int,
    rate_at: Callable[[int], float],
    steps: int,
    work: Path,
    *,
    ema: float,
    validate: Callable[[], float],
    on_save: Callable[[int], None] = lambda step: None,
    save_every: int = 250,
) -> None:
    """AdamW from step 0, or from the checkpoint in `work`, to `steps`; leaves the averaged weights in `module`.

    Each half of a batch is one thread's: two threads that meet once a step are faster than two that meet in every
    operation, much so where other programs want the cores too.
    """
    parameters = list(module.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1.0, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    average = {name: p.detach().clone() for name, p in module.named_parameters()}
    start, recent = 0, float("nan")
    checkpoint, log = work / f"{stage}.pt", work / f"{stage}.jsonl"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        average, start, recent = state["average"], state["step"], state["recent"]
    module.train()
    replicas, halves = [module, replica(module)], [slice(0, batch // 2), slice(batch // 2, batch)]

    def backward(step: int, part: int) -> float:
        part_loss = loss_at(replicas[part], step, halves[part]) / len(halves)
        part_loss.backward()
        return part_loss.item()

    bar = trange(start, steps, initial=start, total=steps, desc=stage, unit="step", mininterval=5)
    with ThreadPoolExecutor(len(halves)) as pool, bar:
        for step in bar:
            for group in optimizer.param_groups:
                group["lr"] = rate_at(step)
            for each in replicas:
                each.zero_grad()
            loss = sum(pool.map(partial(backward, step), range(len(halves))))
            torch._foreach_add_([p.grad for p in parameters], [p.grad for p in replicas[1].parameters()])
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            # Early on the average follows closely, so that it does not drag the initial weights along.
            keep = min(ema, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(list(average.values()), parameters, 1 - keep)
            recent = loss if math.isnan(recent) else 0.98 * recent + 0.02 * loss
            bar.set_postfix(loss=f"{recent:.4f}", refresh=False)
            if (step + 1) % save_every == 0 or step + 1 == steps:
                state = {"module": module.state_dict(), "optimizer": optimizer.state_dict(), "average": average}
                torch.save(state | {"step": step + 1, "recent": recent}, checkpoint.with_suffix(".new"))
                checkpoint.with_suffix(".new").replace(checkpoint)
                with weights(module, average):
                    record = {"step": step + 1, "rate": rate_at(step), "loss": recent, "held_out": validate()}
                    with log.open("a") as lines:
                        lines.write(json.dumps(record) + "\n")
                    on_save(step + 1)
    module.load_state_dict(average, strict=False)
    module.eval()


def train_autoencoder(vae: AutoencoderKL, data: Dataset, recipe: Recipe, work: Path) -> None:
    """L1 + half the squared error + a little KL, on every picture that is not held out, skin tones included."""
    train = data.whole(held_out=False)
    unseen = images(data, data.whole(held_out=True))

    def loss_at(vae: AutoencoderKL, step: int, part: slice) -> torch.Tensor:
        rows = batch_rows(train, recipe.vae_batch, recipe.seed, "vae", step)
        x_BCHW = images(data, rows[part])
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
            posterior = vae.encode(x_BCHW).latent_dist
            noise = torch.randn(
                (len(rows), *posterior.mean.shape[1:]),
                generator=generator(recipe.seed, "vae noise", step),
                dtype=posterior.mean.dtype,
            )
            y_BCHW = vae.decode(posterior.mean + posterior.std * noise[part]).sample
        kl = 0.5 * (posterior.mean.float() ** 2 + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        return F.l1_loss(y_BCHW, x_BCHW) + 0.5 * F.mse_loss(y_BCHW, x_BCHW) + recipe.kl_weight * kl

    def validate() -> float:
        return F.l1_loss(vae.decode(vae.encode(unseen).latent_dist.mean).sample, unseen).item()

    steps = recipe.vae_steps
    rate = partial(learning_rate, steps=steps, peak=recipe.vae_lr, warmup=recipe.warmup, decay=recipe.decay)
    run_steps("vae", vae, loss_at, recipe.vae_batch, rate, steps, work, ema=recipe.ema, validate=validate)


@torch.no_grad()
def normalize_latents(vae: AutoencoderKL, x_BCHW: torch.Tensor) -> None:
    """Give each latent channel mean 0 and standard deviation 1, by the two 1x1 convolutions around the latents.

    Stable Diffusion's one `scaling_factor` leaves the mean, far from 0 where most pictures are white: noise at the
    last timestep would still show it. Afterwards scaling_factor is 1.
    """
    latent = vae.encode(x_BCHW).latent_dist.mean
    mean, std = latent.mean((0, 2, 3)), latent.std((0, 2, 3))
    into, out = vae.quant_conv, vae.post_quant_conv
    out.bias += (out.weight[:, :, 0, 0] * mean).sum(1)
    out.weight *= std[None, :, None, None]
    half = len(mean)  # the rest are log variances
    into.weight[:half] /= std[:, None, None, None]
    into.bias[:half] = (into.bias[:half] - mean) / std
    into.bias[half:] -= 2 * std.log()


def train_diffusion(
    unet: nn.Module,
    text: nn.Module,
    tokenizer: CLIPTokenizer,
    latents: torch.Tensor,
    data: Dataset,
    recipe: Recipe,
    work: Path,
    on_save: Callable[[int], None] = lambda step: None,
    save_every: int = 250,
) -> None:
    """Predict the noise; latents [n, 4, 8, 8] of all pictures, of which only captioned, not held out ones are seen."""
    train = data.captioned(held_out=False)
    unseen = data.captioned(held_out=True)
    ids = models.tokenize(tokenizer, [e.caption for e in data.emoji])
    empty = models.tokenize(tokenizer, [""])[0]
    scheduler = models.scheduler()
    weight = min_snr_weight(scheduler.alphas_cumprod, recipe.min_snr_gamma)

    def loss_of(both: nn.ModuleDict, rows: torch.Tensor, empty_captions: float, g: torch.Generator, part: slice) -> torch.Tensor:
        n = len(rows)
        # One timestep from each of n equal parts of the schedule: the mean over the batch varies less.
        t_B = ((torch.randperm(n, generator=g) + torch.rand(n, generator=g)) / n * len(weight)).long()
        noise = torch.randn(latents[rows].shape, generator=g)
        ids_BT = torch.where(torch.rand(n, 1, generator=g) < empty_captions, empty, ids[rows])
        rows, t_B, noise, ids_BT = rows[part], t_B[part], noise[part], ids_BT[part]
        noisy = scheduler.add_noise(latents[rows], noise, t_B)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
            predicted = both["unet"](noisy, t_B, both["text"](ids_BT).last_hidden_state).sample
        return (weight[t_B] * (predicted.float() - noise).square().mean((1, 2, 3))).mean()

    def loss_at(both: nn.ModuleDict, step: int, part: slice) -> torch.Tensor:
        rows = batch_rows(train, recipe.unet_batch, recipe.seed, "unet", step)
        return loss_of(both, rows, recipe.empty_captions, generator(recipe.seed, "unet noise", step), part)

    both = nn.ModuleDict({"unet": unet, "text": text})

    def validate() -> float:
        return loss_of(both, unseen, 0.0, generator(recipe.seed, "held out", 0), slice(None)).item()

    steps = recipe.unet_steps
    rate = partial(learning_rate, steps=steps, peak=recipe.unet_lr, warmup=recipe.warmup, decay=recipe.decay)
    run_steps(
        "unet", both, loss_at, recipe.unet_batch, rate, steps, work,
        ema=recipe.ema, validate=validate, on_save=on_save, save_every=save_every,
    )  # fmt: skip


def train(recipe: Recipe, data: Dataset, work: Path, on_save: Callable[[StableDiffusionPipeline, int], None]) -> None:
    """The whole recipe; `on_save` gets the pipeline as it is, again and again, the last time finished."""
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    tokenizer = models.train_tokenizer(sorted({e.caption for e in data.emoji if e.captioned}))
    vae, text, unet = models.autoencoder(), models.text_encoder(tokenizer), models.unet()
    train_autoencoder(vae, data, recipe, work)
    everything = images(data, torch.arange(len(data.images)))
    normalize_latents(vae, everything[data.captioned(held_out=False)])
    with torch.no_grad():
        latents = torch.cat([vae.encode(x).latent_dist.mean for x in everything.split(256)])
    pipeline = models.pipeline(vae, text, tokenizer, unet)
    train_diffusion(unet, text, tokenizer, latents, data, recipe, work, lambda step: on_save(pipeline, step))
