"""What requests must satisfy before anything is done for them.

The bounds are far above what any run needs. They are there so that one wrong number is refused, and does not fill the
memory or keep the worker for a year.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence

from vard_worker.chains import CHAINS, Chain
from vard_worker.errors import Code, WorkerError, invalid
from vard_worker.kl_budget import KlBudget
from vard_worker.settings import DTYPES, INPUTS, Load, OpenSettings
from vard_worker.trainer import Descent
from vard_worker.trajectories import Sampling, Target

SESSION_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

MAX_SESSIONS = 16
MAX_RANK = 1024
MAX_TARGETS = 256
MAX_WIDTH = 1024
MAX_SIDE = 1 << 14
"""Pixels of an image's side."""
MAX_TRAJECTORIES = 1 << 16
MAX_HELD = 1 << 24
"""Trajectories of a plan: several requests' worth."""
MAX_PROMPT = 10_000
"""Characters; text encoders read some 77 tokens."""
MAX_ID = 256
MAX_BATCH = 4096
MAX_STEPS = 1_000_000
MAX_PAIRS = 1 << 24
"""steps · batch: the pairs are drawn before the first step."""
MAX_LEARNING_RATE = 100.0
"""AdamW moves each weight by about the rate. Far beyond, one step leaves weights that draw nothing any more, and the loss
that would show it is never computed."""


def check_open(settings: OpenSettings) -> None:
    model, sampler, kept = settings.model, settings.sampler, settings.trajectories
    if not model.checkpoint:
        raise invalid("model.checkpoint", "empty; give a folder in diffusers format or a hub id")
    one_of("model.dtype", model.dtype, DTYPES)
    in_range("model.adapter.rank", model.adapter.rank, 1, MAX_RANK)
    finite("model.adapter.alpha", model.adapter.alpha, above=0.0)
    in_range("model.adapter.targets", len(model.adapter.targets), 0, MAX_TARGETS)
    if not all(model.adapter.targets):
        raise invalid("model.adapter.targets", "one is empty, which is every module's end; name ends of the network's module names, as to_q")
    if sampler.kind is not None:
        one_of("sampler.kind", sampler.kind, CHAINS)
    for field, side in (("model.height", model.height), ("model.width", model.width)):
        if side is not None:
            in_range(field, side, 1, MAX_SIDE)
    at_least("sampler.steps", sampler.steps, 1)
    finite("sampler.guidance", sampler.guidance, least=1.0)
    if sampler.eta is not None:
        finite("sampler.eta", sampler.eta, least=0.0)
        # Which chain is the model's own is known when its folder has been looked at.
        check_eta(sampler.eta, max((chain for chain in CHAINS.values() if sampler.kind in (None, chain.kind)), key=lambda chain: chain.most_eta))
    if settings.value is not None:
        one_of("value.kind", settings.value.kind, ("conv", "encoder"))
        one_of("value.input", settings.value.input, INPUTS)
        width = settings.value.width
        if width is not None:
            in_range("value.width", width, 1, MAX_WIDTH)
            if width % 8:
                raise invalid("value.width", f"{width} is no multiple of 8; give one, or 0 for the default")
    one_of("trajectories.dtype", kept.dtype, DTYPES)
    one_of("trajectories.device", kept.device, ("model", "cpu"))


def check_eta(eta: float, chain: type[Chain]) -> None:
    if eta > chain.most_eta:
        raise invalid("sampler.eta", f"{eta:g}; give a number from 0 to {chain.most_eta:g} for {chain.kind}")


def check_sampling(sampling: Sampling, trajectories: str = "trajectories", batch: str = "batch") -> None:
    """``trajectories`` and ``batch`` are what the request calls them."""
    if not sampling.specs:
        raise invalid(trajectories, "empty; name at least one")
    in_range(trajectories, len(sampling.specs), 1, MAX_TRAJECTORIES)
    in_range(batch, sampling.batch, 1, MAX_BATCH)
    ids = [spec.id for spec in sampling.specs]
    if not all(ids) or len(set(ids)) < len(ids):
        raise invalid(f"{trajectories}.id", "each needs an id of its own")
    if max(map(len, ids)) > MAX_ID:
        raise invalid(f"{trajectories}.id", f"one has {max(map(len, ids))} characters; {MAX_ID} are the most")
    longest = max(len(spec.prompt) for spec in sampling.specs)
    if longest > MAX_PROMPT:
        raise invalid(f"{trajectories}.prompt", f"one has {longest} characters; {MAX_PROMPT} are the most")


def check_descent(descent: Descent) -> None:
    in_range("steps", descent.steps, 1, MAX_STEPS)
    in_range("batch", descent.batch, 1, MAX_BATCH)
    if descent.steps * descent.batch > MAX_PAIRS:
        raise invalid("steps", f"{descent.steps} of batch {descent.batch} are more than {MAX_PAIRS} (trajectory, t) pairs; give several requests")
    in_range("micro_batch", descent.micro_batch, 0, MAX_BATCH)
    finite("learning_rate", descent.learning_rate, above=0.0)
    finite("final_learning_rate", descent.final_learning_rate, least=0.0)
    for field in ("learning_rate", "final_learning_rate"):
        rate = getattr(descent, field)
        if rate > MAX_LEARNING_RATE:
            raise invalid(field, f"{rate:g} is above {MAX_LEARNING_RATE:g}")
    finite("max_gradient_norm", descent.max_gradient_norm, least=0.0)


def check_budget(budget: KlBudget) -> None:
    finite("kl_budget.aim", budget.aim, above=0.0)
    finite("kl_budget.least", budget.least, least=0.0)
    if budget.least > budget.aim:
        raise invalid("kl_budget.least", f"{budget.least:g} is above the aim, {budget.aim:g}")
    check_sampling(budget.probes, "kl_budget.probes", "kl_budget.batch")


def check_load(load: Load) -> None:
    for field in ("sample_batch", "value_batch", "policy_batch"):
        in_range(field, getattr(load, field), 1, MAX_BATCH)
    in_range("trajectories", load.trajectories, 1, MAX_HELD)
    in_range("prompts", load.prompts, 1, MAX_TRAJECTORIES)


def check_targets(targets: Sequence[Target]) -> None:
    distinct("targets.trajectory_id", [target.trajectory_id for target in targets])
    for i, target in enumerate(targets):
        finite(f"targets[{i}].value", target.value)


def check_new_session(session_id: str, sessions: Iterable[str]) -> None:
    if not SESSION_ID.fullmatch(session_id):
        raise invalid("session_id", f"{session_id!r}; give 1 to 64 letters, digits, '.', '_' and '-'")
    held = set(sessions)
    if session_id in held:
        raise WorkerError(Code.SESSION_EXISTS, f"session {session_id!r} exists; close it first, or choose another id", "session_id")
    if len(held) >= MAX_SESSIONS:
        raise invalid("session_id", f"{len(held)} sessions are open, each with a model of its own; close one first")


def one_of(field: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise invalid(field, f"{value!r}; give one of {', '.join(known)}")


def at_least(field: str, value: int, least: int) -> None:
    if value < least:
        raise invalid(field, f"{value} is below {least}")


def in_range(field: str, value: int, least: int, most: int) -> None:
    at_least(field, value, least)
    if value > most:
        raise invalid(field, f"{value} is above {most}")


def finite(field: str, value: float, least: float = -math.inf, above: float = -math.inf) -> None:
    if not math.isfinite(value):
        raise invalid(field, f"{value} is not finite")
    if value < least:
        raise invalid(field, f"{value:g} is below {least:g}")
    if value <= above:
        raise invalid(field, f"{value:g} is not above {above:g}")


def distinct(field: str, ids: Iterable[str]) -> list[str]:
    ids = list(ids)
    if not ids:
        raise invalid(field, "empty; name at least one trajectory")
    if len(set(ids)) < len(ids):
        raise invalid(field, "a trajectory is named twice")
    return ids
