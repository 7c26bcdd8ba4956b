"""What a denoising chain is to the rest of the worker: a Markov chain p(x_{t-1} | x_t) = N(μ_t, σ_t² I), in closed form.

Shapes: ``x_BCHW`` is a batch of latents; ``step_B`` holds each row's index k in 0..T-1 into the chain, which is not
its timestep: ``chain.timesteps[k]`` is. State k has the timestep ``chain.state_timesteps[k]``; state T is the finished x_0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from diffusers import SchedulerMixin
from torch import Tensor

FINISHED = -1
"""The timestep that stands for x_0, one past the chain's end."""


class Chain(ABC):
    """One kind of chain, made of a scheduler whose timesteps are set.

    ``timesteps`` (T,) is what the network is given as time, ``sigma`` (T,) the standard deviation of each step's noise, 0
    where it has none; both on the model's device, ``sigma`` in float32. The sampler takes the scheduler's own step, so that
    a plain pipeline with ``new_scheduler()`` draws the same images to the bit; training takes ``mean`` and ``sigma_at``.
    """

    kind: ClassVar[str]
    """As in ``sampler.kind``."""
    process: ClassVar[str]
    """Of the networks that it can read: ``diffusion`` (x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε) or ``flow`` (x_s = (1 - s) x_0 + s ε)."""
    default_eta: ClassVar[float]
    takes_eta: ClassVar[bool] = True
    most_eta: ClassVar[float] = 1.0
    """Above it a step would overshoot, or be the root of a negative number."""

    scheduler: SchedulerMixin
    eta: float
    timesteps: Tensor
    sigma: Tensor

    @classmethod
    @abstractmethod
    def check_saved(cls, scheduler: str, config: dict[str, object], checkpoint: str) -> None:
        """Refuses, before any weight is read, what a checkpoint has as its scheduler: of the class ``scheduler`` by
        ``model_index.json``, with this configuration. Raises MODEL_NOT_LOADABLE, naming the file, the key and the cure."""

    @classmethod
    @abstractmethod
    def scheduler_of(cls, saved: SchedulerMixin, checkpoint: str, **changes: object) -> SchedulerMixin:
        """The chain's scheduler, of a checkpoint's saved one with ``changes`` to its configuration; its timesteps are still to be
        set. Raises MODEL_NOT_LOADABLE where it would read the network as something that it is not."""

    @abstractmethod
    def __init__(self, scheduler: SchedulerMixin, eta: float, device: torch.device) -> None:
        """Reads the chain off a scheduler whose timesteps are set. Raises ValueError for what has no closed form."""

    @classmethod
    def check_eta(cls, scheduler: SchedulerMixin, eta: float) -> None:
        """Raises INVALID_ARGUMENT for an η with which the scheduler's step is not a number."""

    @classmethod
    def shortened_eta(cls, scheduler: SchedulerMixin, eta: float) -> float:
        """``eta``, or the nearest with which a chain of this scheduler's fewer timesteps has a step."""
        return eta

    @property
    def steps(self) -> int:
        return len(self.timesteps)

    @property
    def state_timesteps(self) -> Tensor:
        """Timesteps of the states x_T … x_0, shape (T+1,); the last is ``FINISHED``."""
        return torch.cat([self.timesteps, self.timesteps.new_tensor([FINISHED])])

    @property
    def init_noise_sigma(self) -> float:
        """The standard deviation of x_T."""
        return float(getattr(self.scheduler, "init_noise_sigma", 1.0))

    def sigma_at(self, step_B: Tensor) -> Tensor:
        """σ_t, shape (B,)."""
        return self.sigma[step_B]

    @abstractmethod
    def mean(self, output_BCHW: Tensor, x_BCHW: Tensor, step_B: Tensor) -> Tensor:
        """μ_t from the network's output, shape (B, C, H, W); differentiable in both tensors."""

    @abstractmethod
    def clean(self, output_BCHW: Tensor, x_BCHW: Tensor, step_B: Tensor) -> Tensor:
        """x̂_0, what the network's output says of the clean sample; shape (B, C, H, W), differentiable."""

    @abstractmethod
    def noise(self, output_BCHW: Tensor, x_BCHW: Tensor, step_B: Tensor) -> Tensor:
        """ε̂, what the network's output says of the noise; shape (B, C, H, W), differentiable."""

    @abstractmethod
    def noised(self, x0_BCHW: Tensor, noise_BCHW: Tensor, step_B: Tensor) -> Tensor:
        """x_t of q(x_t | x_0), for unit noise; shape (B, C, H, W)."""

    @abstractmethod
    def step(self, output_BCHW: Tensor, k: int, x_BCHW: Tensor, generators: list[torch.Generator]) -> Tensor:
        """x_{t-1} by the scheduler's own step k, its noise drawn from each row's generator."""

    def new_scheduler(self, generators: list[torch.Generator] | None = None) -> SchedulerMixin:
        """One like the chain's, whose timesteps are still to be set: what a plain pipeline draws the same with.

        ``generators``, one for each image, are for schedulers that draw noise and that pipelines hand none.
        """
        return type(self.scheduler).from_config(self.scheduler.config)
