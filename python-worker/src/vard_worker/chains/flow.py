"""Flow matching: x_s = (1 - s) x_0 + s ε, with s the scheduler's σ from 1 (noise) to 0, and a network that gives v ≈ ε - x_0.

The saved scheduler solves the ODE dx = v ds, which has no noise and so no KL and no likelihood. Two chains with the same
marginals have both: ``flow-sde`` and ``flow-cps``. With η = 0 each is the ODE, to the bit of the scheduler's own step.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import ClassVar

import diffusers
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from vard_worker.chains import noise_schedule
from vard_worker.chains.base import Chain
from vard_worker.chains.diffusion import at
from vard_worker.chains.noise_schedule import refused

SOLVERS = ("DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler", "SASolverScheduler")
"""Solvers that take a flow's σ where their configuration says ``use_flow_sigmas``."""
SUPPORTED = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", *SOLVERS)
"""Solvers of one and the same flow. Which of them a checkpoint was saved with says nothing of the network."""
POSITIVE = ("shift", "flow_shift", "base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len")
LARGEST = 1e6
SMALLEST_SIGMA = 0.01
"""Of the noise that a step draws at η = 1. A step with less is the ODE's: its noise shows in no picture, and a KL that is divided by
its square would be most of what a trajectory pays. Saved schedules have such steps: the last level of Stable Diffusion 3 but 0 is 0.001."""


class StochasticScheduler(FlowMatchEulerDiscreteScheduler):
    """A ``FlowMatchEulerDiscreteScheduler`` whose step draws noise: x' = a x + b v + σ z.

    Pipelines of flow matching hand their scheduler no generator, so it holds them itself: one for each image of a batch.
    """

    eta: float = 0.0
    generators: list[torch.Generator] | None = None
    shape: tuple[int, ...] | None = None
    """Of an image's latents, where a pipeline keeps them in another: noise is drawn in this one, and packed then."""
    pack: Callable[[Tensor], Tensor] | None = None
    solver: SchedulerMixin | None = None
    """One of ``SOLVERS`` that a checkpoint was saved with: it says where the levels lie, and what the network is told of them."""

    def coefficients(self) -> Tensor:
        """a, b and σ of each step, shape (3, T), float64, from ``sigmas`` (T+1,), the last of which is 0."""
        raise NotImplementedError

    def steps(self) -> Tensor:
        """The same, but for steps with next to no noise, which are the ODE's: x' = x + v ds."""
        table = self.coefficients()
        ds = self.sigmas.double().diff()
        ode = torch.stack([torch.ones_like(ds), ds, torch.zeros_like(ds)])
        return torch.where(table[2] < SMALLEST_SIGMA * self.eta, ode, table)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: list[float] | None = None,
        mu: float | None = None,
        timesteps: list[float] | None = None,
    ) -> None:
        # Pipelines look for these names before they give them.
        if self.solver is None or sigmas is not None or timesteps is not None:
            super().set_timesteps(num_inference_steps, device, sigmas, mu, timesteps)
        else:
            self.solver.set_timesteps(num_inference_steps, device, **({} if mu is None else {"mu": mu}))
            levels = self.solver.sigmas[: len(self.solver.timesteps)]
            self.sigmas = torch.cat([levels, torch.zeros(1)]).to(device, torch.float32)
            self.timesteps = self.solver.timesteps.to(device, torch.float32)
            self.num_inference_steps = len(self.timesteps)
            self._step_index = self._begin_index = None
        self.table = self.steps().to(torch.float32)

    def at(self, k: int) -> None:
        """Makes step ``k`` the next."""
        self._step_index = k

    def step(self, model_output: Tensor, timestep: Tensor, sample: Tensor, return_dict: bool = True, **named: object) -> object:
        """In float32, as the ODE's step is."""
        if self.eta == 0:
            return super().step(model_output, timestep, sample, return_dict=return_dict, **named)
        if self.step_index is None:
            self._init_step_index(timestep)
        x, output = sample.to(torch.float32), model_output.to(torch.float32)
        a, b, sigma = self.table[:, self.step_index].tolist()
        noise = randn_tensor(x.shape if self.shape is None else (len(x), *self.shape), self.generators, x.device, torch.float32)
        if self.pack is not None:
            noise = self.pack(noise)
        previous = (a * x + b * output + sigma * noise).to(model_output.dtype)
        self._step_index += 1
        if not return_dict:
            return (previous,)
        return diffusers.schedulers.scheduling_flow_match_euler_discrete.FlowMatchEulerDiscreteSchedulerOutput(prev_sample=previous)


class FlowSdeScheduler(StochasticScheduler):
    def coefficients(self) -> Tensor:
        """Flow-GRPO (arXiv 2505.05470), with its noise level a = η:

        g = η √(s / (1 - s*)), where s* = s, but the schedule's second σ in its first step, whose s is 1 or next to it, ds = s' - s < 0,
        μ = x (1 + g²/(2s) ds) + v (1 + g² (1 - s)/(2s)) ds,  σ = g √(-ds).
        """
        s, after = self.sigmas[:-1].double(), self.sigmas[1:].double()
        ds = after - s
        star = s.clone()
        # A schedule of one step has no second σ but 0.
        star[0] = after[0] if len(s) > 1 else 0.5
        g2 = self.eta**2 * s / (1 - star)
        return torch.stack([1 + g2 / (2 * s) * ds, (1 + g2 * (1 - s) / (2 * s)) * ds, (g2 * -ds).sqrt()])


class FlowCpsScheduler(StochasticScheduler):
    def coefficients(self) -> Tensor:
        """Coefficient-preserving sampling: x' = (1 - s') x̂_0 + s' (cos(ηπ/2) ε̂ + sin(ηπ/2) z).

        What x' has of the clean sample and of noise is as the schedule says, whatever η is, so none is left at the end. With
        x̂_0 = x - s v and ε̂ = x + (1 - s) v it is linear in x and v.
        """
        s, after = self.sigmas[:-1].double(), self.sigmas[1:].double()
        kept, fresh = math.cos(self.eta * math.pi / 2), math.sin(self.eta * math.pi / 2)
        return torch.stack([(1 - after) + after * kept, after * kept * (1 - s) - (1 - after) * s, after * fresh])


class FlowChain(Chain):
    """μ = a x + b v, with coefficients of shape (T,), float32 on the model's device."""

    process = "flow"
    scheduler_class: ClassVar[type[StochasticScheduler]]
    scheduler: StochasticScheduler

    def __init__(self, scheduler: StochasticScheduler, eta: float, device: torch.device) -> None:
        """Raises ValueError for a schedule that does not go down from at most 1 to 0."""
        s = scheduler.sigmas.double()
        if not (0 < s[0] <= 1 and (s.diff() < 0).all() and s[-1] == 0 and s.isfinite().all()):
            raise ValueError("its noise levels do not go down from at most 1 to 0; correct shift, base_shift, max_shift, shift_terminal or the kind of sigmas")
        scheduler.eta = eta
        scheduler.table = scheduler.steps().to(torch.float32)
        self.scheduler, self.eta = scheduler, eta
        self.timesteps = scheduler.timesteps.to(device, torch.float32)
        self.level = scheduler.sigmas[:-1].to(device, torch.float32)
        """s of each step, shape (T,)."""
        self.from_x, self.from_v, self.sigma = scheduler.table.to(device)

    @classmethod
    def check_saved(cls, scheduler: str, config: dict[str, object], checkpoint: str) -> None:
        written_by = str(config.get("_class_name", scheduler))
        for name in dict.fromkeys((scheduler, written_by)):
            if name not in SUPPORTED:
                raise refused(
                    checkpoint, f"_class_name: {name!r}; supported for flow matching are {', '.join(SUPPORTED[:2])}, and solvers with use_flow_sigmas: true"
                )
            if name in SOLVERS and not (config.get("use_flow_sigmas") and config.get("prediction_type") == "flow_prediction"):
                raise refused(
                    checkpoint,
                    f"a {name} whose use_flow_sigmas is not true, or whose prediction_type is not flow_prediction: its network would not be a flow's",
                )
        timesteps = config.get("num_train_timesteps", 1000)
        if type(timesteps) is not int or not 1 <= timesteps <= noise_schedule.MOST_TIMESTEPS:
            raise refused(checkpoint, f"num_train_timesteps: {timesteps!r}; give a whole number from 1 to {noise_schedule.MOST_TIMESTEPS}")
        for key in POSITIVE:
            value = config.get(key)
            if value is not None and not (noise_schedule.is_number(value) and 0 < value <= LARGEST):
                raise refused(checkpoint, f"{key}: {value!r}; give a number above 0")
        terminal = config.get("shift_terminal")
        if terminal is not None and not (noise_schedule.is_number(terminal) and 0 <= terminal < 1):
            raise refused(checkpoint, f"shift_terminal: {terminal!r}; give a number from 0 to below 1")
        if config.get("invert_sigmas"):
            raise refused(checkpoint, "invert_sigmas: true; a flow from 0 to 1 is not supported")
        try:
            cls.scheduler_of(getattr(diffusers, scheduler).from_config(config), checkpoint)
        except Exception as error:  # each class has its own checks, and raises what it likes
            raise refused(checkpoint, f"{scheduler} cannot be made of it: {' '.join(str(error).split())}") from error

    @classmethod
    def scheduler_of(cls, saved: SchedulerMixin, checkpoint: str, **changes: object) -> StochasticScheduler:
        config = dict(saved.config)
        if "flow_shift" in config:
            changes.setdefault("shift", config["flow_shift"])
        solver = type(saved).__name__ in SOLVERS
        if solver:  # Of its keys, diffusers would warn of those that the chain's scheduler has not.
            known = inspect.signature(FlowMatchEulerDiscreteScheduler.__init__).parameters
            config = {key: value for key, value in config.items() if key in known}
        scheduler = cls.scheduler_class.from_config(config, stochastic_sampling=False, **changes)
        if solver:
            scheduler.solver = saved
        return scheduler

    def clean(self, output_BCHW: Tensor, x_BCHW: Tensor, step_B: Tensor) -> Tensor:
        return x_BCHW - at(self.level, step_B) * output_BCHW

    def noise(self, output_BCHW: Tensor, x_BCHW: Tensor, step_B: Tensor) -> Tensor:
        return x_BCHW + (1 - at(self.level, step_B)) * output_BCHW

    def noised(self, x0_BCHW: Tensor, noise_BCHW: Tensor, step_B: Tensor) -> Tensor:
        s = at(self.level, step_B)
        return (1 - s) * x0_BCHW + s * noise_BCHW

    def mean(self, output_BCHW: Tensor, x_BCHW: Tensor, step_B: Tensor) -> Tensor:
        return at(self.from_x, step_B) * x_BCHW + at(self.from_v, step_B) * output_BCHW

    def step(self, output_BCHW: Tensor, k: int, x_BCHW: Tensor, generators: list[torch.Generator]) -> Tensor:
        self.scheduler.generators = generators
        self.scheduler.at(k)
        return self.scheduler.step(output_BCHW, self.scheduler.timesteps[k], x_BCHW, return_dict=False)[0]

    def new_scheduler(self, generators: list[torch.Generator] | None = None) -> StochasticScheduler:
        scheduler = self.scheduler_class.from_config(self.scheduler.config)
        scheduler.eta, scheduler.generators, scheduler.solver = self.eta, generators, self.scheduler.solver
        return scheduler


class FlowSde(FlowChain):
    """The SDE of Flow-GRPO; η is its noise level: 0.7 in its authors' runs, √2 draws as much noise as the flow's own (g = √(2s / (1 - s)),
    the memoryless one of Adjoint Matching, arXiv 2409.08861)."""

    kind = "flow-sde"
    default_eta = 0.7
    most_eta = 1.5
    scheduler_class = FlowSdeScheduler


class FlowCps(FlowChain):
    """Coefficient-preserving sampling; η = 1 draws all noise anew, as ``stochastic_sampling`` of diffusers does."""

    kind = "flow-cps"
    default_eta = 0.7
    scheduler_class = FlowCpsScheduler
