"""What a loss sees of its (trajectory, step) pairs: computed when it is asked for, and once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from vard_worker.chains.gaussian import kl, log_prob
from vard_worker.families import Condition
from vard_worker.model import Model
from vard_worker.objectives.base import Terms
from vard_worker.trajectories import Trajectory, at
from vard_worker.value import ValueNetwork


@dataclass
class Batch:
    """A batch, or micro-batch, of B pairs. Everything lies on the model's device; states are detached."""

    model: Model
    network: ValueNetwork | None
    """The value network, frozen, where the session has one."""
    held: Sequence[Trajectory]
    """The request's trajectories."""
    pairs: Sequence[tuple[int, int]]
    """Of each row: the trajectory's index in ``held``, and the step k in 0 … T-1 from state x_t (k) to x_{t-1} (k + 1)."""
    kl_weight: float
    """η, in units of normalised reward a nat."""
    noise: Tensor | None = None

    @property
    def noise_BCHW(self) -> Tensor:
        """Standard normal, one for each pair, for those who need ``Need.NOISE``."""
        assert self.noise is not None, "an objective that uses the noise needs Need.NOISE"
        return self.noise

    @cached_property
    def x_BCHW(self) -> Tensor:
        """x_t, as it was kept."""
        return at(self.held, self.pairs, self.model.device)

    @cached_property
    def recorded_BCHW(self) -> Tensor:
        """The x_{t-1} that was drawn when the trajectory was sampled."""
        return at(self.held, [(i, k + 1) for i, k in self.pairs], self.model.device)

    @cached_property
    def recorded_log_prob_B(self) -> Tensor:
        """Its log-probability under the policy that drew it, averaged over the latent's dimensions."""
        return torch.stack([self.held[i].log_probs[k] for i, k in self.pairs])

    @cached_property
    def step_B(self) -> Tensor:
        """k, the step's index into the chain."""
        return torch.tensor([k for _, k in self.pairs], device=self.model.device)

    @cached_property
    def t_B(self) -> Tensor:
        """What the network is given as time."""
        return self.model.chain.timesteps[self.step_B]

    @cached_property
    def sigma_B(self) -> Tensor:
        """σ_t."""
        return self.model.chain.sigma_at(self.step_B)

    @cached_property
    def condition(self) -> Condition | None:
        return self.model.condition([self.held[i].prompt for i, _ in self.pairs])

    @cached_property
    def pretrained_mean_BCHW(self) -> Tensor:
        """μ_t of the pretrained model, without gradient."""
        with torch.no_grad(), self.model.reference():
            return self._mean()

    @cached_property
    def mean_BCHW(self) -> Tensor:
        """μ_t of the trained policy; differentiable in the adapter."""
        # First, so that its activations are gone when those of the trained policy, which stay, are made.
        _ = self.pretrained_mean_BCHW
        return self._mean()

    def _mean(self) -> Tensor:
        output = self.model.predict(self.x_BCHW, self.t_B, self.condition)
        return self.model.chain.mean(output, self.x_BCHW, self.step_B)

    @cached_property
    def kl_B(self) -> Tensor:
        """KL_t to the pretrained model in nats; differentiable in the adapter."""
        return kl(self.mean_BCHW, self.pretrained_mean_BCHW, self.sigma_B)

    @cached_property
    def log_prob_B(self) -> Tensor:
        """The recorded x_{t-1}'s log-probability under the trained policy, averaged over the latent's dimensions."""
        return log_prob(self.recorded_BCHW, self.mean_BCHW, self.sigma_B)

    def value(self, x_BCHW: Tensor, state_B: Tensor) -> Tensor:
        """V(x, t, c) of the pairs' prompts, shape (B,), at the states ``state_B`` of the chain, T the finished one; it needs
        ``Need.VALUE``."""
        assert self.network is not None, "an objective that uses the value network needs Need.VALUE"
        clean = self.model.lookahead(x_BCHW, state_B, self.condition) if self.network.looks_ahead else None
        return self.network(x_BCHW, self.model.chain.state_timesteps[state_B], self.condition, clean)

    def of(self, series: Sequence[float]) -> Tensor:
        """Each pair's number of a series that has one for each trajectory, shape (B,)."""
        return torch.tensor([series[i] for i, _ in self.pairs], device=self.model.device)

    def terms(self, objective: Tensor, **metrics: Tensor) -> Terms:
        """L = objective + η E[KL_t]."""
        return Terms(objective + self.kl_weight * self.kl_B.mean(), objective, self.kl_B, metrics)
