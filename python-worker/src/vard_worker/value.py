"""Value networks V(x_t, t, c): the reward expected at the end of the chain, from a state in the midst of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn

from vard_worker.errors import invalid
from vard_worker.families import Condition
from vard_worker.families.base import Features
from vard_worker.settings import ValueSettings

if TYPE_CHECKING:
    from vard_worker.model import Model

CONV_WIDTH = 64
ENCODER_WIDTH = 256
Tokens = Callable[[Condition | None], Tensor | None]
"""What of a condition tells about the prompt, (B, L, D)."""
GROUPS = 8
"""Of each normalisation's channels; widths are multiples of it."""
SMALLEST_MAP = 4
"""Feature maps are halved while both sides are above this."""
LARGEST_CLEAN = 4.0
"""Bound on what is looked ahead to, in units of a latent's deviation: from near-pure noise x̂_0 may be an order of magnitude larger."""


class Modulation(nn.Module):
    """One vector from timestep and prompt: shape (B, width).

    The timestep goes in as a sinusoidal embedding; the prompt as the mean over its tokens' embeddings.
    """

    def __init__(self, width: int, condition_width: int | None) -> None:
        super().__init__()
        self.width = width
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.condition = nn.Linear(condition_width, width) if condition_width else None

    def forward(self, t_B: Tensor, condition_BLD: Tensor | None) -> Tensor:
        weights = self.time[0].weight
        embedding_BW = self.time(get_timestep_embedding(t_B, self.width).to(weights.dtype))
        if self.condition is not None:
            embedding_BW = embedding_BW + self.condition(condition_BLD.to(weights.dtype).mean(1))
        return F.silu(embedding_BW)


class Block(nn.Module):
    """A residual block of two convolutions, scaled and shifted by the modulation vector (FiLM)."""

    def __init__(self, width: int, modulation_width: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.GroupNorm(GROUPS, width), nn.GroupNorm(GROUPS, width)
        self.conv_1, self.conv_2 = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.film = nn.Linear(modulation_width, 2 * width)

    def forward(self, h_BCHW: Tensor, modulation_BW: Tensor) -> Tensor:
        residual = self.conv_1(F.silu(self.norm_1(h_BCHW)))
        scale, shift = self.film(modulation_BW)[:, :, None, None].chunk(2, dim=1)
        residual = self.conv_2(F.silu(self.norm_2(residual) * (1 + scale) + shift))
        return h_BCHW + residual


class ValueNetwork(nn.Module):
    """V(x_t, t, c); one that ``looks_ahead`` sees ``Model.lookahead`` beside the state."""

    looks_ahead: bool

    def forward(self, x_BCHW: Tensor, t_B: Tensor, condition: Condition | None, clean_BCHW: Tensor | None = None) -> Tensor:
        """Shape (B,), differentiable in both tensors; ``clean_BCHW`` is what lies ahead, and is given to those alone that look."""
        raise NotImplementedError


class ConvValue(ValueNetwork):
    """A small convolutional network on latents; as deep as the latent's size asks for."""

    def __init__(
        self,
        latent_shape: tuple[int, int, int],
        condition_width: int | None,
        tokens: Tokens,
        width: int = CONV_WIDTH,
        looks_ahead: bool = False,
    ) -> None:
        super().__init__()
        self.tokens, self.looks_ahead = tokens, looks_ahead
        channels, sides = latent_shape[0] * (1 + looks_ahead), min(latent_shape[1:])
        self.modulation = Modulation(width, condition_width)
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList([Block(width, width)])
        self.downs = nn.ModuleList([nn.Identity()])
        while sides > SMALLEST_MAP:
            self.downs.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
            self.blocks.append(Block(width, width))
            sides = (sides + 1) // 2
        self.blocks.append(Block(width, width))
        self.downs.append(nn.Identity())
        self.head = Head(width, width)

    def forward(self, x_BCHW: Tensor, t_B: Tensor, condition: Condition | None, clean_BCHW: Tensor | None = None) -> Tensor:
        modulation_BW = self.modulation(t_B, self.tokens(condition))
        h = self.stem(x_BCHW if clean_BCHW is None else torch.cat([x_BCHW, bounded(clean_BCHW)], dim=1))
        for down, block in zip(self.downs, self.blocks, strict=True):
            h = block(down(h), modulation_BW)
        return self.head(h, modulation_BW)


class Head(nn.Module):
    """From a feature map and the modulation vector to one number; 0 before it has learnt anything."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.hidden = nn.Linear(channels + width, width)
        self.out = nn.Linear(width, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, h_BCHW: Tensor, modulation_BW: Tensor) -> Tensor:
        pooled_BC = F.silu(self.norm(h_BCHW)).mean((2, 3))
        return self.out(F.silu(self.hidden(torch.cat([pooled_BC, modulation_BW], dim=1))))[:, 0]


class EncoderValue(ValueNetwork):
    """A head on the features that the pretrained denoising network's frozen encoder makes of x_t.

    ``encode`` maps (x, t, condition) to a feature map of ``channels`` channels, with the adapter switched off. It holds
    no weights of this module: they are the policy's, and are neither trained nor saved here.
    """

    def __init__(
        self,
        encode: Features,
        channels: int,
        condition_width: int | None,
        tokens: Tokens,
        width: int = ENCODER_WIDTH,
        looks_ahead: bool = False,
    ) -> None:
        super().__init__()
        self.encode, self.tokens, self.looks_ahead = encode, tokens, looks_ahead
        self.modulation = Modulation(width, condition_width)
        self.project = nn.Conv2d(channels * (1 + looks_ahead), width, 1)
        self.block = Block(width, width)
        self.head = Head(width, width)

    def forward(self, x_BCHW: Tensor, t_B: Tensor, condition: Condition | None, clean_BCHW: Tensor | None = None) -> Tensor:
        modulation_BW = self.modulation(t_B, self.tokens(condition))
        # The encoder knows no timestep before 0: x_0 is, to it, a state with next to no noise.
        features = self.encode(x_BCHW, t_B.clamp(min=0), condition)
        if clean_BCHW is not None:
            features = torch.cat([features, self.encode(bounded(clean_BCHW), torch.zeros_like(t_B), condition)], dim=1)
        return self.head(self.block(self.project(features.to(self.project.weight.dtype)), modulation_BW), modulation_BW)


def bounded(clean_BCHW: Tensor) -> Tensor:
    return clean_BCHW.clamp(-LARGEST_CLEAN, LARGEST_CLEAN)


def untold(condition: Condition | None) -> None:
    """Of a prompt that the value network is not told."""


def value_network(settings: ValueSettings, model: Model, seed: int) -> ValueNetwork:
    """The value network that the settings name, with first weights drawn from ``seed``.

    Raises INVALID_ARGUMENT for one that would see nothing: each group of a normalisation that is a single number becomes 0.
    """
    if settings.kind == "conv" and settings.width == GROUPS and model.family.latent_shape[1:] == (1, 1):
        raise invalid("value.width", f"{GROUPS} is too few where a latent is one point; give {2 * GROUPS} or more, or a larger picture")
    family, looks_ahead = model.family, settings.input == "lookahead"
    told, tokens = (family.condition_width, family.tokens) if settings.prompt else (None, untold)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if settings.kind == "conv":
            network = ConvValue(family.latent_shape, told, tokens, settings.width or CONV_WIDTH, looks_ahead)
        else:
            encode, channels = model.encoder()
            network = EncoderValue(encode, channels, told, tokens, settings.width or ENCODER_WIDTH, looks_ahead)
    return network.to(model.device)
