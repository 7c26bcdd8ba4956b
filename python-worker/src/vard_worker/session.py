"""A session: one run's model, adapter, value network, optimisers and trajectories, and the steps that change them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor, nn

from vard.v1 import worker_pb2 as pb
from vard_worker import canaries, policy
from vard_worker.checks import check_open
from vard_worker.chains.gaussian import kl, log_prob
from vard_worker.errors import Cancellation, Code, WorkerError, invalid, stop_if
from vard_worker.finite import demand_finite
from vard_worker.loading import load
from vard_worker.model import Model
from vard_worker.roots import Roots
from vard_worker.training import all_or_nothing, frozen, parameters_of, stratified_pairs
from vard_worker.trajectories import Trajectory
from vard_worker.value import CONV_WIDTH, ENCODER_WIDTH, ConvValue, EncoderValue
from vard_worker.weights import check_weights, fingerprint

CHUNK_BYTES = 1 << 20

@dataclass
class LastChange:
    """The last changing request and its answer, so that a retry is answered and not done again."""

    digest: bytes = b""
    response: bytes = b""


@dataclass
class Session:
    request: pb.OpenRequest
    model: Model
    value: nn.Module | None
    policy_optimizer: torch.optim.Optimizer
    value_optimizer: torch.optim.Optimizer | None
    weights: str = ""
    """The pretrained model's fingerprint."""
    operation: int = 0
    last: LastChange = field(default_factory=LastChange)
    trajectories: dict[str, Trajectory] = field(default_factory=dict)

    # ------------------------------------------------------------------------------------------------ opening

    @staticmethod
    def open(request: pb.OpenRequest, roots: Roots = Roots()) -> Session:
        check_open(request)
        model = load(request.model, request.sampler, request.seed, roots)
        with canaries.canary("the weights are numbers, and are known by a fingerprint"):
            check_weights(model, request.model.checkpoint)
            weights = fingerprint(model)
        value = value_network(request.value, model, request.seed) if request.HasField("value") else None
        return Session(
            request=request,
            model=model,
            value=value,
            policy_optimizer=torch.optim.AdamW(model.policies.parameters(), weight_decay=0.0),
            value_optimizer=None if value is None else torch.optim.AdamW(value.parameters(), weight_decay=0.0),
            weights=weights,
        )

    def describe(self) -> pb.SessionDescription:
        chain = self.model.chain
        trained, family = self.model.policies.parameters(), self.model.family
        return pb.SessionDescription(
            session_id=self.request.session_id,
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
            targets=self.request.model.adapter.targets or family.targets,
            times=chain.timesteps.tolist(),
        )

    # ------------------------------------------------------------------------------------------------ sampling

    def sample(self, request: pb.SampleRequest, cancelled: Cancellation) -> Iterator[pb.ImageChunk]:
        """Denoises batch by batch; each batch's images leave as soon as they are decoded.

        The trajectories join the session after the last one is done: all or none.
        """
        if not self.model.family.prompted and any(spec.prompt for spec in request.trajectories):
            raise invalid("trajectories.prompt", "this model takes no prompt; leave it empty")
        kept: dict[str, Trajectory] = {}
        for start in range(0, len(request.trajectories), request.batch):
            specs = request.trajectories[start : start + request.batch]
            drawn, finished = self._denoise(specs, request, cancelled)
            if request.retain:
                kept.update(zip((spec.id for spec in specs), drawn, strict=True))
            kls = [trajectory.kl for trajectory in drawn] if request.measure_kl else []
            yield from self._chunks(start, finished, kls)
        self.trajectories.update(kept)

    def sampled_again(self, request: pb.SampleRequest) -> Iterator[pb.ImageChunk]:
        """The images of trajectories that an earlier try of the same request drew."""
        for start in range(0, len(request.trajectories), request.batch):
            held = [self.trajectories[spec.id] for spec in request.trajectories[start : start + request.batch]]
            kls = [trajectory.kl for trajectory in held] if request.measure_kl else []
            yield from self._chunks(start, torch.stack([trajectory.states[-1] for trajectory in held]), kls)

    @torch.no_grad()
    def _denoise(
        self, specs: list[pb.TrajectorySpec], request: pb.SampleRequest, cancelled: Cancellation
    ) -> tuple[list[Trajectory], Tensor]:
        """A batch's trajectories, and their finished latents (B, C, H, W)."""
        model, chain = self.model, self.model.chain
        generators = [torch.Generator("cpu").manual_seed(spec.seed) for spec in specs]
        condition = model.encode([spec.prompt for spec in specs])
        x = randn_tensor((len(specs), *model.latent_shape), generators, model.device, torch.float32)
        x = x * chain.init_noise_sigma
        states, log_probs, kl_B = [x], [], torch.zeros(len(specs), device=model.device)
        for k, t in enumerate(chain.timesteps):
            stop_if(cancelled)
            output = model.predict(x, t, condition)
            x_prev = chain.step(output, k, x, generators)
            step_B = torch.full((len(specs),), k, device=model.device)
            if request.retain or request.measure_kl:
                mean, sigma_B = chain.mean(output, x, step_B), chain.sigma_at(step_B)
            if request.retain:
                log_probs.append(log_prob(x_prev, mean, sigma_B))
                states.append(x_prev)
            if request.measure_kl:
                with model.reference():
                    reference = chain.mean(model.predict(x, t, condition), x, step_B)
                kl_B += kl(mean, reference, sigma_B)
            x = x_prev
        recorded = {"a latent": x, "a KL": kl_B} | ({"a log-probability": torch.stack(log_probs)} if log_probs else {})
        demand_finite("sampling", recorded.items(), "lower sampler.guidance, use float32, or go back to an earlier checkpoint")
        kls = kl_B.tolist() if request.measure_kl else [None] * len(specs)
        if request.retain:
            states_BT, log_probs_BT = torch.stack(states, dim=1), torch.stack(log_probs, dim=1)
        else:
            states_BT, log_probs_BT = x[:, None], x.new_empty(len(specs), 0)
        drawn = [
            # Clones: a row of the batch would keep the whole batch alive.
            Trajectory(spec.prompt, states_BT[i].clone(), log_probs_BT[i].clone(), kls[i])
            for i, spec in enumerate(specs)
        ]
        return drawn, x

    def _chunks(self, first: int, x_BCHW: Tensor, kls: list[float]) -> Iterator[pb.ImageChunk]:
        images = self.model.decode(x_BCHW)
        per_chunk = max(1, CHUNK_BYTES // images[0].nbytes)
        for start in range(0, len(images), per_chunk):
            part = images[start : start + per_chunk]
            data = part.tobytes()
            yield pb.ImageChunk(
                first=first + start,
                shape=part.shape,
                dtype=pb.UINT8,
                data=data,
                crc32=zlib.crc32(data),
                kl=kls[start : start + per_chunk],
            )

    def release(self, ids: list[str]) -> None:
        self._held(ids)
        for trajectory_id in ids:
            del self.trajectories[trajectory_id]

    # ------------------------------------------------------------------------------------------------ value

    def evaluate(self, request: pb.EvaluateRequest, cancelled: Cancellation) -> list[pb.ValueQuality]:
        """The value network's error at each state of the chain, over the request's trajectories."""
        self._needs_value()
        held = self._held([target.trajectory_id for target in request.targets])
        target_N = torch.tensor([target.value for target in request.targets], dtype=torch.float64)
        states, timesteps = self.model.chain.steps + 1, self.model.chain.state_timesteps
        pairs = [(i, k) for k in range(states) for i in range(len(held))]
        predictions = []
        for start in range(0, len(pairs), request.batch):
            stop_if(cancelled)
            with torch.no_grad():
                predictions.append(self._value_of(held, pairs[start : start + request.batch]).cpu())
        value_SN = torch.cat(predictions).double().view(states, len(held))
        outputs = zip((f"its output at timestep {float(t):g}" for t in timesteps), value_SN, strict=True)
        demand_finite("the value network", outputs, "lower algorithm.value.learning-rate, or use float32")
        return [
            pb.ValueQuality(timestep=round(float(t)), **quality(value_N, target_N))
            for t, value_N in zip(timesteps, value_SN, strict=True)
        ]

    def fit_value(self, request: pb.FitValueRequest, cancelled: Cancellation) -> list[float]:
        """Gradient steps on E[(V(x_t, t, c) - target)²], over (trajectory, state) pairs with t stratified."""
        self._needs_value()
        held = self._held([target.trajectory_id for target in request.targets])
        targets = [target.value for target in request.targets]
        generator = torch.Generator("cpu").manual_seed(request.seed)
        pairs = stratified_pairs(len(held), self.model.chain.steps + 1, request.steps * request.batch, generator, cancelled)
        losses = []
        with all_or_nothing(self.value_optimizer):
            for step in range(request.steps):
                stop_if(cancelled)
                batch = pairs[step * request.batch : (step + 1) * request.batch].tolist()
                target_B = torch.tensor([targets[i] for i, _ in batch], device=self.model.device)
                loss = (self._value_of(held, batch) - target_B).square().mean()
                self._descend(self.value_optimizer, loss, request.learning_rate, request.max_gradient_norm)
                losses.append(loss.item())
            demand_finite("the value network", self.value.named_parameters(), "lower algorithm.value.learning-rate, or use float32")
        return losses

    def _value_of(self, held: list[Trajectory], pairs: list[tuple[int, int]]) -> Tensor:
        """V at (trajectory, state) pairs, shape (B,)."""
        x = torch.stack([held[i].states[k] for i, k in pairs])
        t = self.model.chain.state_timesteps[[k for _, k in pairs]]
        return self.value(x, t, self.model.condition([held[i].prompt for i, _ in pairs]))

    # ------------------------------------------------------------------------------------------------ policy

    def improve_policy(self, request: pb.ImprovePolicyRequest, cancelled: Cancellation) -> list[pb.PolicyStep]:
        """Gradient steps on the adapter, over (trajectory, t) pairs with t stratified and x_t detached."""
        by_value = request.WhichOneof("objective") == "value"
        if by_value:
            self._needs_value()
        held = self._held(request.trajectory_ids)
        generator = torch.Generator("cpu").manual_seed(request.seed)
        pairs = stratified_pairs(len(held), self.model.chain.steps, request.steps * request.batch, generator, cancelled)
        steps = []
        at_start = self.model.policies.at_start()
        with all_or_nothing(self.policy_optimizer), frozen(self.value):
            for step in range(request.steps):
                stop_if(cancelled)
                batch = pairs[step * request.batch : (step + 1) * request.batch].tolist()
                steps.append(self._improve_once(request, held, batch, generator))
            demand_finite("the adapter", self.model.policies.weights().items(), "lower algorithm.policy.learning-rate, or use float32")
            if at_start:
                canaries.check_first_improvement(self, steps[0])
        return steps

    def _improve_once(
        self, request: pb.ImprovePolicyRequest, held: list[Trajectory], pairs: list[tuple[int, int]], generator: torch.Generator
    ) -> pb.PolicyStep:
        terms = self.policy_loss(request, held, pairs, generator)
        norm = self._descend(self.policy_optimizer, terms.loss, request.learning_rate, request.max_gradient_norm)
        return pb.PolicyStep(
            loss=terms.loss.item(),
            objective=terms.objective.item(),
            kl_per_trajectory=self.model.chain.steps * terms.kl_B.mean().item(),
            gradient_norm=norm,
            clipped=terms.clipped.item(),
        )

    def policy_loss(
        self, request: pb.ImprovePolicyRequest, held: list[Trajectory], pairs: list[tuple[int, int]], generator: torch.Generator
    ) -> policy.Terms:
        """The request's loss over (trajectory, step) pairs; differentiable in the adapter. Noise comes from ``generator``."""
        model, chain = self.model, self.model.chain
        x = torch.stack([held[i].states[k] for i, k in pairs])
        step_B = torch.tensor([k for _, k in pairs], device=model.device)
        t_B, sigma_B = chain.timesteps[step_B], chain.sigma_at(step_B)
        condition = model.condition([held[i].prompt for i, _ in pairs])

        with torch.no_grad(), model.reference():
            reference = chain.mean(model.predict(x, t_B, condition), x, step_B)
        mean = chain.mean(model.predict(x, t_B, condition), x, step_B)
        kl_B = kl(mean, reference, sigma_B)
        if request.WhichOneof("objective") == "value":
            noise = torch.randn(x.shape, generator=generator).to(model.device)
            x_prev = mean + sigma_B.view(-1, 1, 1, 1) * noise
            value_B = self.value(x_prev, chain.state_timesteps[step_B + 1], condition)
            return policy.value_loss(value_B, kl_B, request.kl_weight)
        x_prev = torch.stack([held[i].states[k + 1] for i, k in pairs])
        old_B = torch.stack([held[i].log_probs[k] for i, k in pairs])
        advantages = request.clipped_ratio.advantages
        advantage_B = torch.tensor([advantages[i] for i, _ in pairs], device=model.device)
        new_B = log_prob(x_prev, mean, sigma_B)
        return policy.clipped_ratio_loss(new_B, old_B, advantage_B, request.clipped_ratio.clip, kl_B, request.kl_weight)

    # ------------------------------------------------------------------------------------------------ shared

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor, learning_rate: float, max_norm: float) -> float:
        """One step of the optimiser. Returns the gradient's L2 norm before it was scaled down."""
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters_of(optimizer), max_norm if max_norm > 0 else math.inf).item()
        if not math.isfinite(loss.item()) or not math.isfinite(norm):
            raise WorkerError(
                Code.NOT_FINITE,
                f"the loss became {loss.item():g} and its gradient's norm {norm:g}; lower the learning rate, or use float32",
            )
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return norm

    def _held(self, ids: list[str]) -> list[Trajectory]:
        unknown = [trajectory_id for trajectory_id in ids if trajectory_id not in self.trajectories]
        if unknown:
            raise WorkerError(
                Code.UNKNOWN_TRAJECTORY,
                f"{len(unknown)} of {len(ids)} trajectories are not held, {unknown[0]!r} first; sample them with retain, before Release",
                "trajectory_id",
            )
        return [self.trajectories[trajectory_id] for trajectory_id in ids]

    def _needs_value(self) -> None:
        if self.value is None:
            raise invalid("value", "this session was opened without a value network; open it with one")


def value_network(config: pb.ValueConfig, model: Model, seed: int) -> nn.Module:
    """The value network that the configuration names, with first weights drawn from ``seed``."""
    family = model.family
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if config.kind == pb.ValueConfig.CONV:
            network = ConvValue(family.latent_shape, family.condition_width, family.tokens, config.width or CONV_WIDTH)
        else:
            encode, channels = model.encoder()
            network = EncoderValue(encode, channels, family.condition_width, family.tokens, config.width or ENCODER_WIDTH)
    return network.to(model.device)


def quality(value_N: Tensor, target_N: Tensor) -> dict[str, float]:
    """MSE, R² = 1 - Σ(target - V)² / Σ(target - mean)², and Pearson's correlation."""
    error = (target_N - value_N).square()
    spread = (target_N - target_N.mean()).square().sum().item()
    both = math.sqrt(spread * (value_N - value_N.mean()).square().sum().item())
    covariance = ((value_N - value_N.mean()) * (target_N - target_N.mean())).sum().item()
    return {
        "mse": error.mean().item(),
        "r2": 1 - error.sum().item() / spread if spread > 0 else math.nan,
        "correlation": covariance / both if both > 0 else math.nan,
    }


def count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
