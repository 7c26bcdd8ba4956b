"""How a session is opened, as plain data: what the rest of the worker knows of a request.

``translate`` makes these of messages, ``checkpoint`` of its JSON, ``checks`` bounds them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar, get_type_hints

import torch

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""By the names that settings give them."""
INPUTS = ("state", "lookahead")


@dataclass(frozen=True)
class AdapterSettings:
    """A LoRA on the denoising network, W + (alpha / rank) · B A."""

    rank: int
    alpha: float
    targets: tuple[str, ...] = ()
    """Ends of module names, as PEFT takes them; empty for the model family's own."""


@dataclass(frozen=True)
class ModelSettings:
    """Which pretrained model, and how it is held."""

    checkpoint: str
    """A folder in diffusers format, or a hub id."""
    adapter: AdapterSettings
    revision: str = ""
    """The hub revision; empty for the default one."""
    dtype: str = "float32"
    """A key of ``DTYPES``."""
    device: str = "auto"
    """"auto" (CUDA when present), "cpu", "cuda", "cuda:1"."""
    height: int | None = None
    """Pixels of the images; None for the model's own size."""
    width: int | None = None
    gradient_checkpointing: bool = False
    """Keep fewer activations of the denoising network and compute them again backwards."""
    offload: bool = False
    """Keep text encoders and VAE in the CPU's memory while they are not in use."""


@dataclass(frozen=True)
class SamplerSettings:
    """Which Markov chain is sampled and trained."""

    steps: int
    guidance: float = 1.0
    """Classifier-free guidance scale; 1 is none."""
    kind: str | None = None
    """A registered chain, as "ddim"; None for the model family's own."""
    eta: float | None = None
    """The chain's own measure of noise; None for its default."""


@dataclass(frozen=True)
class ValueSettings:
    """Which value network."""

    kind: str
    """"conv" or "encoder"."""
    width: int | None = None
    """Channels of its layers; None for the kind's default."""
    input: str = "state"
    """What it sees, one of ``INPUTS``: the state x_t, or beside it the look-ahead to the clean sample."""
    prompt: bool = True
    """Whether it is told the prompt."""


@dataclass(frozen=True)
class TrajectorySettings:
    """How the states of trajectories are kept."""

    dtype: str = "float32"
    """A key of ``DTYPES``."""
    device: str = "model"
    """"model" for the model's device, or "cpu"."""


@dataclass(frozen=True)
class OpenSettings:
    """All that a session is made of."""

    session_id: str
    model: ModelSettings
    sampler: SamplerSettings
    value: ValueSettings | None = None
    """None for algorithms without a value function."""
    seed: int = 0
    """Seeds the first weights of adapter and value network; 0 to 2^64 - 1."""
    trajectories: TrajectorySettings = field(default_factory=TrajectorySettings)


@dataclass(frozen=True)
class Load:
    """How much of everything a run asks for at once, for a plan."""

    sample_batch: int
    value_batch: int
    """Pairs of a value fit that go through the networks together."""
    policy_batch: int
    trajectories: int
    """Held at a time, at most."""
    prompts: int = 1
    """Different ones, whose encodings are kept."""


def to_json(settings: OpenSettings) -> dict[str, Any]:
    """As plain JSON, every key written out."""
    return asdict(settings)


def from_json(content: dict[str, Any]) -> OpenSettings:
    """What ``to_json`` made. Raises TypeError, KeyError or ValueError for anything else."""
    model, value = content["model"], content["value"]
    adapter = model["adapter"] | {"targets": tuple(model["adapter"]["targets"])}
    return checked(
        OpenSettings,
        content
        | {
            "model": checked(ModelSettings, model | {"adapter": checked(AdapterSettings, adapter)}),
            "sampler": checked(SamplerSettings, content["sampler"]),
            "value": None if value is None else checked(ValueSettings, value),
            "trajectories": checked(TrajectorySettings, content["trajectories"]),
        },
    )


S = TypeVar("S")


def checked(kind: type[S], content: dict[str, Any]) -> S:
    """One of these dataclasses; Python itself does not look at types, and a number given as text would go far."""
    for name, expected in get_type_hints(kind).items():
        held = content.get(name)
        if isinstance(held, tuple):
            expected, held = str, "" if all(isinstance(one, str) for one in held) else None
        # To Python a boolean is a number, and a whole number no float.
        allowed = expected | int if expected in (float, float | None) else expected
        if name in content and (not isinstance(held, allowed) or (isinstance(held, bool) and expected is not bool)):
            raise TypeError(f"{name}: {held!r}")
    return kind(**content)
