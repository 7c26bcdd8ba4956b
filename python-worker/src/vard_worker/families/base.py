"""What one kind of pipeline is to the rest of the worker: which parts it has, what of them is trained, how it encodes, predicts
and decodes. Knows nothing of chains, losses or rewards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from diffusers import DiffusionPipeline, SchedulerMixin
from torch import Tensor, nn

Condition = dict[str, Tensor]
"""Encoded prompts, opaque to all but the family that made them: every tensor has the batch first."""

Features = Callable[[Tensor, Tensor, Condition | None], Tensor]
"""(x (B, C, H, W), t (B,), condition) to a feature map (B, C', H', W'), differentiable in x."""


@dataclass(frozen=True)
class Part:
    """A component of a pipeline.

    ``classes`` are those that it may have, of ``library``. ``weights`` is its files' stem, if it has any, and ``network`` the
    class that reads them. An ``optional`` part may be null in ``model_index.json``.
    """

    library: str
    classes: tuple[str, ...]
    weights: str | None = None
    network: type[nn.Module] | None = None
    optional: bool = False


DIFFUSERS_WEIGHTS, TRANSFORMERS_WEIGHTS = "diffusion_pytorch_model", "model"


@dataclass(frozen=True)
class Drawing:
    """What a pipeline's own call is asked for: the same as a session's sampling, so that both can be compared.

    ``scheduler`` is fresh: its timesteps are still to be set. One generator an image, that draws x_T and then each step's
    noise.
    """

    prompts: tuple[str, ...]
    generators: list[torch.Generator]
    scheduler: SchedulerMixin
    steps: int
    eta: float


@dataclass(frozen=True)
class Drawn:
    """Pictures.

    ``numbers`` (B, C, H, W): latents, or for a pipeline on pixels the pictures in [0, 1]. ``images`` (B, height, width, 3),
    uint8, where a VAE made them and they are to be compared.
    """

    numbers: Tensor
    images: np.ndarray | None


class Family(ABC):
    """One kind of pipeline.

    ``pipeline`` is in eval mode with every weight frozen; an adapter may be put on ``net``, the part that is trained.
    ``latent_shape`` is (C, H, W), ``image_shape`` (height, width, 3).
    """

    name: ClassVar[str]
    pipeline_class: ClassVar[type[DiffusionPipeline]]
    parts: ClassVar[Mapping[str, Part]]
    """The parts that are loaded, ``scheduler`` too; what else the folder has stays unread."""
    unread: ClassVar[Mapping[str, object]] = {}
    """Arguments of the pipeline for parts that take no part in drawing an image, and are not loaded."""
    network: ClassVar[str]
    """The part that is trained: ``unet`` or ``transformer``."""
    process: ClassVar[str]
    """``diffusion`` or ``flow``: which chains can read its network."""
    scheduler_changes: ClassVar[Mapping[str, object]] = {}
    """Keys of the saved scheduler's configuration that the chain has otherwise."""
    targets: ClassVar[tuple[str, ...]]
    """Ends of the names of the modules that get a LoRA where none are named."""
    prompted: bool = True
    """Whether it draws what a prompt says."""

    trial_prompts: tuple[str, str] = ("a red cat", "two dogs")
    """What a session is tried out with."""

    latent_shape: tuple[int, int, int]
    image_shape: tuple[int, int, int]

    # ------------------------------------------------------------------------------------ before weights are read

    @classmethod
    @abstractmethod
    def check(cls, root: Path, checkpoint: str) -> None:
        """Looks at the configurations of the folder's networks, and that they fit one another. Raises MODEL_NOT_LOADABLE,
        naming the file, the key and the cure; ``checkpoint`` is what the caller calls the folder."""

    @classmethod
    def dtype_of(cls, part: str, config: dict[str, object], dtype: torch.dtype) -> torch.dtype:
        """What a part's weights are kept in, where ``dtype`` is asked for."""
        return dtype

    # ------------------------------------------------------------------------------------ with its parts

    def __init__(self, pipeline: DiffusionPipeline, guidance: float, dtype: torch.dtype, height: int = 0, width: int = 0) -> None:
        """``height`` and ``width`` in pixels, 0 for the model's own. Raises INVALID_ARGUMENT for a size or a guidance that it
        cannot draw with."""
        self.pipeline = pipeline
        self.guidance = guidance
        self.dtype = dtype

    @property
    def net(self) -> nn.Module:
        """The network that is trained."""
        return getattr(self.pipeline, self.network)

    def networks(self) -> dict[str, nn.Module]:
        """The pipeline's networks by their parts' names, ``net`` too."""
        return {name: part for name, part in self.pipeline.components.items() if isinstance(part, nn.Module)}

    @property
    def device(self) -> torch.device:
        return self.net.device

    @property
    @abstractmethod
    def condition_width(self) -> int | None:
        """Width D of what ``tokens`` gives, or None for an unconditional model."""

    @abstractmethod
    def encode(self, prompts: list[str]) -> Condition | None:
        """Encodes prompts together, as a plain pipeline does, without gradients; None for an unconditional model."""

    def abridged(self, condition: Condition) -> Condition:
        """An encoding that ``predict`` and ``middle`` make the same of, to rounding, in less time. Pictures are drawn with the whole one,
        whose bits are the pipeline's."""
        return condition

    @abstractmethod
    def tokens(self, condition: Condition | None) -> Tensor | None:
        """What of a condition tells a value network about the prompt, (B, L, D); None for an unconditional model."""

    @abstractmethod
    def predict(self, x_BCHW: Tensor, t: Tensor, condition: Condition | None) -> Tensor:
        """The network's output at the chain's time ``t`` (a scalar, or (B,)), after guidance; of x's shape and dtype."""

    def set_timesteps(self, scheduler: SchedulerMixin, steps: int) -> None:
        """Sets them as the pipeline itself does for images of this size."""
        scheduler.set_timesteps(steps)

    @abstractmethod
    def decode(self, x_BCHW: Tensor) -> np.ndarray:
        """Finished latents to RGB images, uint8, shape (B, height, width, 3)."""

    @abstractmethod
    def middle(self) -> tuple[Features, int]:
        """What the network has made of x half-way through, and its number of channels. The caller switches the adapter off."""

    @abstractmethod
    def draw(self, net: nn.Module, drawing: Drawing) -> Drawn:
        """Pictures by the pipeline's own call, of this pipeline's parts but with the network ``net``.

        In bfloat16 ``net`` is wrapped so that the pipeline sees float32 on both sides of it (``plain.Mixed``): a plain
        pipeline would keep its latents, the guidance and the scheduler's step in bfloat16, where a session has float32.
        """

    def comparable(self, x_BCHW: Tensor, images: np.ndarray) -> Drawn:
        """What a session drew, finished latents and images, as ``draw`` gives it."""
        return Drawn(x_BCHW, images)

    def without_effect(self) -> list[str]:
        """Names of modules that the network has, but whose output it does not use: an adapter on them would learn nothing."""
        return []

    # ------------------------------------------------------------------------------------ the exported file

    @abstractmethod
    def save_lora(self, folder: Path, weights: dict[str, Tensor], metadata: dict[str, object]) -> None:
        """Writes ``pytorch_lora_weights.safetensors``, by the pipeline's own class where it has a method for that."""

    @abstractmethod
    def load_lora(self, net: nn.Module, file: Path) -> None:
        """Puts an exported file on a fresh network, as its user does."""

    # ------------------------------------------------------------------------------------ shared

    def autocast(self) -> AbstractContextManager[None]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)
