"""A session: one run's model, adapter, value network, optimisers and trajectories, and the steps that change them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from vard_worker import canaries
from vard_worker.assessment import Quality, quality
from vard_worker.checks import check_open
from vard_worker.errors import Cancellation, Code, WorkerError, invalid, stop_if
from vard_worker.finite import demand_finite
from vard_worker.kl_budget import Held, KlBudget, KlWeight, hold
from vard_worker.loading import load
from vard_worker.model import Model
from vard_worker.objectives.base import Need, Objective
from vard_worker.objectives.batch import Batch
from vard_worker.roots import Roots
from vard_worker.sampling import denoise
from vard_worker.settings import OpenSettings
from vard_worker.trainer import Descent, Loss, Trainer, frozen, stratified_pairs
from vard_worker.trajectories import Sampling, Target, Trajectory, at, clean_at
from vard_worker.value import ValueNetwork, value_network
from vard_worker.weights import check_weights, fingerprint

CHUNK_BYTES = 1 << 20


@dataclass
class LastChange:
    """The last changing request and its answer, so that a retry is answered and not done again."""

    digest: bytes = b""
    response: bytes = b""


@dataclass(frozen=True)
class Images:
    """Whole images, as many as about 1 MiB holds: uint8 (N, height, width, 3)."""

    first: int
    """Index of the first one among those asked for."""
    pixels: np.ndarray
    kl: list[float]
    """Each one's trajectory KL in nats, where it was measured; else empty."""


@dataclass(frozen=True)
class PolicyStep:
    """One gradient step on the adapter, measured before it."""

    loss: float
    kl_per_trajectory: float
    """Estimate of Σ_t KL_t in nats: T times the mean over the minibatch."""
    gradient_norm: float
    metrics: dict[str, float]
    """The objective's own by name, and ``objective``, the loss without the KL."""


@dataclass(frozen=True)
class PolicyPhase:
    """What a request for improvement came to."""

    steps: list[PolicyStep]
    eta: float
    """η after the last step."""
    held: Held
    """How the policy was held to its budget; nothing where it has none."""


@dataclass(frozen=True)
class Description:
    """What a session is; the fields are the protocol's ``SessionDescription``."""

    session_id: str
    operation: int
    trajectory_ids: list[str]
    pipeline: str
    device: str
    latent_shape: tuple[int, int, int]
    image_shape: tuple[int, int, int]
    timesteps: list[int]
    sigmas: list[float]
    model_parameters: int
    adapter_parameters: int
    value_parameters: int
    conditional: bool
    family: str
    chain: str
    eta: float
    targets: list[str]
    times: list[float]


@dataclass
class Session:
    settings: OpenSettings
    model: Model
    value: ValueNetwork | None
    policy_optimizer: torch.optim.Optimizer
    value_optimizer: torch.optim.Optimizer | None
    weights: str = ""
    """The pretrained model's fingerprint."""
    operation: int = 0
    last: LastChange = field(default_factory=LastChange)
    trajectories: dict[str, Trajectory] = field(default_factory=dict)

    # ------------------------------------------------------------------------------------------------ opening

    @staticmethod
    def open(settings: OpenSettings, roots: Roots = Roots()) -> Session:
        check_open(settings)
        model = load(settings.model, settings.sampler, settings.seed, roots)
        with canaries.canary("the weights are numbers, and are known by a fingerprint"):
            check_weights(model, settings.model.checkpoint)
            weights = fingerprint(model)
        value = None if settings.value is None else value_network(settings.value, model, settings.seed)
        return Session(
            settings=settings,
            model=model,
            value=value,
            policy_optimizer=torch.optim.AdamW(model.policies.parameters(), weight_decay=0.0),
            value_optimizer=None if value is None else torch.optim.AdamW(value.parameters(), weight_decay=0.0),
            weights=weights,
        )

    def describe(self) -> Description:
        chain, family = self.model.chain, self.model.family
        trained = self.model.policies.parameters()
        return Description(
            session_id=self.settings.session_id,
            operation=self.operation,
            trajectory_ids=list(self.trajectories),
            pipeline=type(family.pipeline).__name__,
            device=str(self.model.device),
            latent_shape=family.latent_shape,
            image_shape=family.image_shape,
            timesteps=[round(t) for t in chain.timesteps.tolist()],
            sigmas=chain.sigma.tolist(),
            model_parameters=count(self.model.net.parameters()) - count(trained),
            adapter_parameters=count(trained),
            value_parameters=0 if self.value is None else count(self.value.parameters()),
            conditional=family.prompted,
            family=family.name,
            chain=chain.kind,
            eta=chain.eta,
            targets=list(self.settings.model.adapter.targets or family.targets),
            times=chain.timesteps.tolist(),
        )

    # ------------------------------------------------------------------------------------------------ sampling

    def sample(self, sampling: Sampling, cancelled: Cancellation) -> Iterator[Images]:
        """Denoises batch by batch; each batch's images leave as soon as they are decoded.

        The trajectories join the session after the last one is done: all or none.
        """
        self._takes(sampling)
        kept: dict[str, Trajectory] = {}
        looks_ahead = self.value is not None and self.value.looks_ahead
        for start in range(0, len(sampling.specs), sampling.batch):
            specs = sampling.specs[start : start + sampling.batch]
            drawn, finished = denoise(self.model, specs, sampling, self.settings.trajectories, cancelled, looks_ahead)
            if sampling.retain:
                kept.update(zip((spec.id for spec in specs), drawn, strict=True))
            kls = [trajectory.kl for trajectory in drawn] if sampling.measure_kl else []
            yield from self._images(start, finished, kls)
        self.trajectories.update(kept)

    def sampled_again(self, sampling: Sampling) -> Iterator[Images]:
        """The images of trajectories that an earlier try of the same request drew."""
        for start in range(0, len(sampling.specs), sampling.batch):
            held = [self.trajectories[spec.id] for spec in sampling.specs[start : start + sampling.batch]]
            kls = [trajectory.kl for trajectory in held] if sampling.measure_kl else []
            yield from self._images(start, at(held, [(i, -1) for i in range(len(held))], self.model.device), kls)

    def _images(self, first: int, x_BCHW: Tensor, kls: list[float]) -> Iterator[Images]:
        images = self.model.decode(x_BCHW)
        per_chunk = max(1, CHUNK_BYTES // images[0].nbytes)
        for start in range(0, len(images), per_chunk):
            yield Images(first + start, images[start : start + per_chunk], kls[start : start + per_chunk])

    def release(self, ids: Sequence[str]) -> None:
        self._held(ids)
        for trajectory_id in ids:
            del self.trajectories[trajectory_id]

    # ------------------------------------------------------------------------------------------------ value

    def evaluate(self, targets: Sequence[Target], batch: int, cancelled: Cancellation) -> list[Quality]:
        """The value network's error at each state of the chain, over the trajectories that the targets name; ``batch`` pairs
        in one forward pass."""
        self._needs_value()
        held = self._held([target.trajectory_id for target in targets])
        target_N = torch.tensor([target.value for target in targets], dtype=torch.float64)
        states, timesteps = self.model.chain.steps + 1, self.model.chain.state_timesteps
        pairs = [(i, k) for k in range(states) for i in range(len(held))]
        predictions = []
        for start in range(0, len(pairs), batch):
            stop_if(cancelled)
            with torch.no_grad():
                predictions.append(self._value_of(held, pairs[start : start + batch]).cpu())
        value_SN = torch.cat(predictions).double().view(states, len(held))
        outputs = zip((f"its output at timestep {float(t):g}" for t in timesteps), value_SN, strict=True)
        demand_finite("the value network", outputs, "lower algorithm.value.learning-rate, or use float32")
        return [quality(round(float(t)), value_N, target_N) for t, value_N in zip(timesteps, value_SN, strict=True)]

    def fit_value(self, targets: Sequence[Target], descent: Descent, cancelled: Cancellation) -> list[float]:
        """Gradient steps on E[(V(x_t, t, c) - target)²], over (trajectory, state) pairs with t stratified. Returns each
        step's loss, measured before it."""
        self._needs_value()
        held = self._held([target.trajectory_id for target in targets])
        generator = torch.Generator("cpu").manual_seed(descent.seed)
        pairs = stratified_pairs(len(held), self.model.chain.steps + 1, descent.steps * descent.batch, generator, cancelled)
        losses = []
        with Trainer(self.value_optimizer, descent) as trainer:
            for batch in pairs.split(descent.batch):
                stop_if(cancelled)
                drawn = batch.tolist()

                def loss_of(rows: slice, drawn: list[tuple[int, int]] = drawn) -> tuple[Tensor, dict[str, Tensor]]:
                    value_B = self._value_of(held, drawn[rows])
                    target_B = torch.tensor([targets[i].value for i, _ in drawn[rows]], device=value_B.device)
                    return (value_B - target_B).square().mean(), {}

                losses.append(trainer.step(loss_of).loss)
            demand_finite("the value network", self.value.named_parameters(), "lower algorithm.value.learning-rate, or use float32")
        return losses

    def _value_of(self, held: Sequence[Trajectory], pairs: Sequence[tuple[int, int]]) -> Tensor:
        """V at (trajectory, state) pairs, shape (B,)."""
        t, device = self.model.chain.state_timesteps[[k for _, k in pairs]], self.model.device
        clean = clean_at(held, pairs, device) if self.value.looks_ahead else None
        return self.value(at(held, pairs, device), t, self.model.condition([held[i].prompt for i, _ in pairs]), clean)

    # ------------------------------------------------------------------------------------------------ policy

    def improve_policy(
        self,
        ids: Sequence[str],
        objective: Objective,
        kl_weight: float,
        descent: Descent,
        cancelled: Cancellation,
        budget: KlBudget | None = None,
    ) -> PolicyPhase:
        """Gradient steps on the adapter, over (trajectory, t) pairs with t stratified and x_t detached; then the budget is held."""
        held = self._held(ids)
        self._meets(objective, held)
        if budget is not None:
            self._takes(budget.probes)
        model, steps, kept = self.model, [], Held([], 1.0)
        weight = KlWeight(kl_weight, None if budget is None else budget.aim)
        generator = torch.Generator("cpu").manual_seed(descent.seed)
        pairs = stratified_pairs(len(held), model.chain.steps, descent.steps * descent.batch, generator, cancelled)
        at_start = model.policies.at_start()
        with Trainer(self.policy_optimizer, descent) as trainer, frozen(self.value):
            prepared = objective.prepare(held)
            for batch in pairs.split(descent.batch):
                stop_if(cancelled)
                noise = self.noise(prepared, len(batch), generator)
                drawn = batch.tolist()

                def loss_of(rows: slice, drawn: list[tuple[int, int]] = drawn, noise: Tensor | None = noise) -> tuple[Tensor, dict[str, Tensor]]:
                    part = Batch(model, self.value, held, drawn[rows], weight.now(), None if noise is None else noise[rows])
                    terms = prepared.loss(part)
                    return terms.loss, {"kl": terms.kl_B.mean(), "objective": terms.objective, **terms.metrics}

                steps.append(self._policy_step(trainer, loss_of))
                weight.saw(steps[-1].kl_per_trajectory)
            demand_finite("the adapter", model.policies.weights().items(), "lower algorithm.policy.learning-rate, or use float32")
            if at_start:
                canaries.check_first_improvement(self, steps[0])
            if budget is not None:
                probes = budget.probes
                kept = hold(model.policies, budget, lambda: self._mean_kl(probes, cancelled))
        return PolicyPhase(steps, weight.eta, kept)

    def _mean_kl(self, sampling: Sampling, cancelled: Cancellation) -> float:
        """Nats a trajectory, of fresh ones that are not kept."""
        kls: list[float] = []
        for start in range(0, len(sampling.specs), sampling.batch):
            drawn, _ = denoise(self.model, sampling.specs[start : start + sampling.batch], sampling, self.settings.trajectories, cancelled)
            kls += [cast(float, trajectory.kl) for trajectory in drawn]
        return sum(kls) / len(kls)

    def _policy_step(self, trainer: Trainer, loss_of: Loss) -> PolicyStep:
        step = trainer.step(loss_of)
        kl_per_trajectory = self.model.chain.steps * step.told.pop("kl")
        return PolicyStep(step.loss, kl_per_trajectory, step.gradient_norm, step.told)

    def noise(self, objective: Objective, rows: int, generator: torch.Generator) -> Tensor | None:
        """A batch's noise, where the objective needs it. It is drawn for the batch and not for its pieces, so that it does
        not depend on how large these are."""
        if Need.NOISE not in objective.needs:
            return None
        return torch.randn((rows, *self.model.latent_shape), generator=generator).to(self.model.device)

    def _meets(self, objective: Objective, held: Sequence[Trajectory]) -> None:
        """Refuses an objective that needs what this session, or a trajectory, does not have."""
        if Need.VALUE in objective.needs:
            self._needs_value()
        if Need.LOG_PROBS in objective.needs and not (self.model.chain.sigma > 0).any():
            raise invalid("objective", f"{objective.kind} needs log-probabilities, and no step of this chain has noise: give a larger sampler.eta")
        if Need.KL in objective.needs and any(trajectory.kl is None for trajectory in held):
            raise invalid("objective", f"{objective.kind} needs each trajectory's KL: sample them with measure_kl")

    # ------------------------------------------------------------------------------------------------ shared

    def _held(self, ids: Sequence[str]) -> list[Trajectory]:
        unknown = [trajectory_id for trajectory_id in ids if trajectory_id not in self.trajectories]
        if unknown:
            raise WorkerError(
                Code.UNKNOWN_TRAJECTORY,
                f"{len(unknown)} of {len(ids)} trajectories are not held, {unknown[0]!r} first; sample them with retain, before Release",
                "trajectory_id",
            )
        return [self.trajectories[trajectory_id] for trajectory_id in ids]

    def _takes(self, sampling: Sampling) -> None:
        if not self.model.family.prompted and any(spec.prompt for spec in sampling.specs):
            raise invalid("trajectories.prompt", "this model takes no prompt; leave it empty")

    def _needs_value(self) -> None:
        if self.value is None:
            raise invalid("value", "this session was opened without a value network; open it with one")


def count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
