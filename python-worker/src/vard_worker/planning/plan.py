"""The plan of a run: what would be loaded, how much of it is trained, and what memory it takes at its peak."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from vard_worker.chains.gaussian import kl
from vard_worker.checks import check_open
from vard_worker.encodings import MOST_BYTES, size
from vard_worker.families import Condition
from vard_worker.loading import choose_device
from vard_worker.model import DECODED_PIXELS, Model
from vard_worker.objectives.batch import Batch
from vard_worker.objectives.clipped_ratio import ClippedRatio
from vard_worker.objectives.vard import Vard
from vard_worker.planning.blueprint import model_of
from vard_worker.planning.meter import Meter, on_gpu
from vard_worker.residence import DECODERS
from vard_worker.roots import Roots
from vard_worker.settings import DTYPES, Load, OpenSettings
from vard_worker.trainer import frozen
from vard_worker.trajectories import Trajectory
from vard_worker.value import ValueNetwork

PROMPT = "a prompt"
CUDA_CONTEXT = 1 << 30
"""What CUDA's libraries take for themselves and their workspaces, about; PyTorch does not see it."""
MOMENTS, UNDO = 2, 3
"""Copies of trained weights: AdamW's moments; and of weights and moments while they change, to undo it."""


@dataclass(frozen=True)
class PlannedPart:
    name: str
    kind: str
    """The class of the network."""
    parameters: int
    bytes: int
    offloaded: bool


@dataclass(frozen=True)
class Plan:
    """All sizes in bytes, on the model's device unless said otherwise."""

    family: str
    pipeline: str
    device: str
    chain: str
    eta: float
    latent_shape: tuple[int, int, int]
    image_shape: tuple[int, int, int]
    parts: list[PlannedPart]
    targets: list[str]
    adapter_modules: int
    adapter_parameters: int
    value_parameters: int
    weight_bytes: int
    """Of the parts that stay on the device, adapter and value network."""
    optimizer_bytes: int
    trajectory_bytes: int
    """Wherever they are kept."""
    encoding_bytes: int
    phases: dict[str, int]
    """What each comes on top of what stays: encode, sample, decode, value, policy."""
    policy_bytes: int
    """Of the policy's phase without gradient checkpointing."""
    policy_checkpointed_bytes: int
    """And with it; 0 where it was not looked at."""
    peak_bytes: int
    """The estimate for the device: what stays and the largest phase, and about 1 GiB for CUDA itself on a GPU."""


def plan(settings: OpenSettings, load: Load, roots: Roots = Roots()) -> Plan:
    """Raises what opening would raise for configurations."""
    check_open(settings)
    device = choose_device_loosely(settings.model.device)
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with torch.random.fork_rng(devices=[]):
        model, value = model_of(settings, fake, roots)
    with torch.random.fork_rng(devices=[]), fake:
        return Planner(settings, load, model, value, device).plan()


def choose_device_loosely(name: str) -> torch.device:
    """A plan may be for a machine with a GPU that is not here."""
    return torch.device(name) if name.startswith("cuda") else choose_device(name)


class Planner:
    def __init__(self, settings: OpenSettings, load: Load, model: Model, value: ValueNetwork | None, device: torch.device) -> None:
        self._settings, self._load = settings, load
        self._model, self._value, self._device = model, value, device
        self._offload = settings.model.offload and device.type != "cpu"

    def plan(self) -> Plan:
        model, family, policies = self._model, self._model.family, self._model.policies
        trained = policies.parameters()
        parts = [self._part(name, part) for name, part in family.networks().items()]
        values = [] if self._value is None else list(self._value.parameters())
        adapter_bytes, value_bytes = nbytes(trained), nbytes(values)
        encoded, encode = self._measured(self._encode, ())
        condition = cast("Condition | None", encoded)
        phases = {"encode": encode + self._moved(parts, self._encodes)} if condition is not None else {}
        phases["sample"] = self._measured(self._sample, ())[1]
        if "vae" in family.networks():
            phases["decode"] = self._measured(self._decode, ())[1] + self._moved(parts, lambda name: name in DECODERS)
        if self._value is not None:
            phases["value"] = self._measured(self._fit, values)[1] + UNDO * value_bytes
        plainly = self._measured(self._improve, trained)[1] + UNDO * adapter_bytes
        again = 0
        if family.net._supports_gradient_checkpointing:
            policies.checkpoint_gradients()
            again = self._measured(self._improve, trained)[1] + UNDO * adapter_bytes
        phases["policy"] = again if self._settings.model.gradient_checkpointing else plainly
        weights = sum(part.bytes for part in parts if not part.offloaded) + adapter_bytes + value_bytes
        states = self._state_bytes()
        kept = min(MOST_BYTES, size(condition) // self._load.sample_batch * self._load.prompts)
        stays = weights + MOMENTS * (adapter_bytes + value_bytes) + kept
        stays += states if self._settings.trajectories.device == "model" or self._device.type == "cpu" else 0
        return Plan(
            family=family.name,
            pipeline=type(family.pipeline).__name__,
            device=str(self._device),
            chain=model.chain.kind,
            eta=model.chain.eta,
            latent_shape=family.latent_shape,
            image_shape=family.image_shape,
            parts=parts,
            targets=list(self._settings.model.adapter.targets or family.targets),
            adapter_modules=len(policies.layers()),
            adapter_parameters=sum(parameter.numel() for parameter in trained),
            value_parameters=sum(parameter.numel() for parameter in values),
            weight_bytes=weights,
            optimizer_bytes=MOMENTS * (adapter_bytes + value_bytes),
            trajectory_bytes=states,
            encoding_bytes=kept,
            phases=phases,
            policy_bytes=plainly,
            policy_checkpointed_bytes=again,
            peak_bytes=stays + max(phases.values()) + (CUDA_CONTEXT if self._device.type == "cuda" else 0),
        )

    # ------------------------------------------------------------------------------------------------ what stays

    def _part(self, name: str, part: nn.Module) -> PlannedPart:
        tensors = [*part.parameters(), *part.buffers()]
        if part is self._model.net:
            adapter = {id(parameter) for parameter in self._model.policies.parameters()}
            tensors = [tensor for tensor in tensors if id(tensor) not in adapter]
        parameters = sum(tensor.numel() for tensor in tensors if isinstance(tensor, nn.Parameter))
        return PlannedPart(name, type(part).__name__, parameters, nbytes(tensors), self._offload and part is not self._model.net)

    def _encodes(self, name: str) -> bool:
        return name not in DECODERS and name != self._model.family.network

    def _moved(self, parts: list[PlannedPart], names: Callable[[str], bool]) -> int:
        return sum(part.bytes for part in parts if part.offloaded and names(part.name))

    def _state_bytes(self) -> int:
        channels, height, width = self._model.latent_shape
        states = self._model.chain.steps + 1
        each = 1 if self._value is None else 1 + self._value.looks_ahead
        return self._load.trajectories * each * states * channels * height * width * DTYPES[self._settings.trajectories.dtype].itemsize

    # ------------------------------------------------------------------------------------------------ what each phase adds

    def _measured(self, phase: Callable[[], object], trained: Iterable[Tensor]) -> tuple[object, int]:
        """What the phase gives, and the bytes at its peak, gradients too."""
        known = [tensor for part in self._model.family.networks().values() for tensor in (*part.parameters(), *part.buffers())]
        if self._value is not None:
            known += list(self._value.parameters())
        meter = Meter(known)
        cuda = self._device.type == "cuda"
        with ExitStack() as stack:
            stack.enter_context(on_gpu() if cuda else nullcontext())
            stack.enter_context(meter)
            result = phase()
        for parameter in trained:
            parameter.grad = None
        return result, meter.peak

    def _encode(self) -> Condition | None:
        # Alone too, as for training; what comes later finds both kept.
        self._model.condition([PROMPT])
        return self._model.encode([PROMPT] * self._load.sample_batch)

    def _x(self, rows: int) -> Tensor:
        return torch.zeros((rows, *self._model.latent_shape))

    @torch.no_grad()
    def _sample(self) -> None:
        model, rows = self._model, self._load.sample_batch
        x, condition = self._x(rows), model.encode([PROMPT] * rows)
        states = [x.clone() for _ in range(model.chain.steps + 1)]
        step_B = torch.zeros(rows, dtype=torch.long)
        time = torch.zeros((), dtype=model.chain.timesteps.dtype)
        mean = model.chain.mean(model.predict(x, time, condition), x, step_B)
        with model.reference():
            kl(mean, model.chain.mean(model.predict(x, time, condition), x, step_B), torch.ones(rows))
        del states

    @torch.no_grad()
    def _decode(self) -> None:
        height, width, _ = self._model.family.image_shape
        vae = self._model.family.pipeline.vae
        rows = min(self._load.sample_batch, max(1, DECODED_PIXELS // (height * width)))
        vae.decode(self._x(rows).to(vae.dtype), return_dict=False)

    def _fit(self) -> None:
        rows = self._load.value_batch
        condition = self._model.condition([PROMPT] * rows)
        t = torch.zeros(rows, dtype=self._model.chain.timesteps.dtype)
        value = cast(ValueNetwork, self._value)
        clean = self._x(rows) if value.looks_ahead else None
        (value(self._x(rows), t, condition, clean) - torch.zeros(rows)).square().mean().backward()

    def _improve(self) -> None:
        model, rows = self._model, self._load.policy_batch
        states = torch.zeros((model.chain.steps + 1, *model.latent_shape))
        held = [Trajectory(PROMPT, states, torch.zeros(model.chain.steps), 0.0)]
        objective = ClippedRatio(advantage=(1.0,), clip=1.0) if self._value is None else Vard()
        noise = torch.zeros((rows, *model.latent_shape))
        with frozen(self._value):
            objective.loss(Batch(model, self._value, held, [(0, 0)] * rows, kl_weight=1.0, noise=noise)).loss.backward()


def nbytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
