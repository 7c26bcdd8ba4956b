"""Canaries: what is sampled, trained and exported is one and the same policy, and the model is what its checkpoint says.

A session is tried out once, when it is opened and before anything is paid for: a chain of a few steps, one call of the
value network, one gradient of the run's own loss. After the first improvement its sampler is looked at again. Exported
files are the business of ``exported``. Nothing stays of a trial: no gradient, no weight, no drawn random number.

A restored session is not tried out again: the checkpoint's checksums and the fingerprint of the model (``weights``) say
that it is the one that was.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import nn

from vard_worker.errors import Cancellation, Code, WorkerError, is_out_of_memory
from vard_worker.families import Drawn
from vard_worker.finite import not_finite
from vard_worker.model import Model
from vard_worker.objectives import ClippedRatio, Objective, Vard
from vard_worker.objectives.batch import Batch
from vard_worker.policies import ADAPTER
from vard_worker.settings import TrajectorySettings
from vard_worker.trainer import frozen
from vard_worker.trajectories import Sampling, Target, TrajectorySpec

if TYPE_CHECKING:
    from vard_worker.session import PolicyStep, Session

log = logging.getLogger(__name__)

STEPS = 3
"""Of the trial's chain: enough for a first step, a last one and one between."""
CLOSED_FORM_STEPS = 32
"""Steps of the session's own chain that are held against the scheduler, spread evenly."""
CLOSED_FORM_TOLERANCE = 1e-3
"""Of the largest number; float32 leaves about 1e-6, more where ᾱ is near 0."""
STIR = 1e-2
SEEDS = (1, 2)
CUDA_TOLERANCE = 1e-3
"""Of the largest number. CUDA's libraries choose their kernels anew where memory or alignment differ; CPUs do not."""
IDS = ("trial.0", "trial.1")
REPORT = "if the checkpoint is an ordinary one this is a defect: report it with the worker's log"


# ------------------------------------------------------------------------------------------------------ at opening


def try_out(session: Session, cancelled: Cancellation) -> None:
    """Raises MODEL_NOT_LOADABLE for what cannot be sampled, valued or trained; INCONSISTENT for what can, but is not what
    it seems."""
    with no_randomness(session.model):
        with canary("the sampler's step is the closed form's", session):
            check_closed_form(session.model)
        trial = short(session)
        with canary("a first sample, KL 0", session):
            drawn = sampled(trial, cancelled, measure_kl=True)
            check_kl_is_zero([trajectory.kl for trajectory in trial.trajectories.values()])
        with canary("the pipeline draws the same", session):
            check_pipeline(trial, drawn, cancelled)
        if session.value is not None:
            with canary("a first value", session, "algorithm.value.kind", "use algorithm.value.kind: conv"):
                trial.evaluate([Target(name, 0.0) for name in trial.trajectories], len(IDS), cancelled)
        with canary("a gradient reaches every target", session):
            check_gradient(trial)
        with canary("sampling follows the adapter", session):
            check_sampler_follows(trial, drawn, cancelled)


def check_closed_form(model: Model) -> None:
    """One step of the sampler, μ_t + σ_t ε, is what training takes it for, with a random output in the network's place."""
    chain, device = model.chain, model.device
    draw_numbers = torch.Generator("cpu").manual_seed(SEEDS[0])
    shape = (1, *model.latent_shape)
    last = chain.steps - 1
    for k in sorted({round(i * last / (CLOSED_FORM_STEPS - 1)) for i in range(CLOSED_FORM_STEPS)}):
        x, output = (torch.randn(shape, generator=draw_numbers).to(device) for _ in range(2))
        generators = [[torch.Generator("cpu").manual_seed(SEEDS[1])] for _ in range(2)]
        stepped = chain.step(output, k, x, generators[0])
        step_B = torch.tensor([k], device=device)
        noise = randn_tensor(shape, generators[1], device, torch.float32)
        expected = chain.mean(output, x, step_B) + chain.sigma_at(step_B).view(-1, 1, 1, 1) * noise
        error, size = (stepped - expected).abs().max().item(), expected.abs().max().item()
        if not error <= CLOSED_FORM_TOLERANCE * max(1.0, size):
            raise inconsistent(
                f"at timestep {float(chain.timesteps[k]):g} the {type(chain.scheduler).__name__}'s step and the closed form that training uses differ by {error:.2g}: "
                f"the checkpoint's scheduler/scheduler_config.json asks for something that is not supported; {REPORT}"
            )


def check_kl_is_zero(kls: list[float]) -> None:
    if any(kls):
        raise inconsistent(
            f"the KL to the pretrained model is {max(kls):.2g} nats before any training, not exactly 0: the adapter does not start as no change; {REPORT}",
            "model.adapter",
        )


def check_pipeline(trial: Session, drawn: Drawn, cancelled: Cancellation) -> None:
    """The checkpoint's own pipeline, without the adapter, draws the very pictures that the session draws."""
    with trial.model.reference():
        plain = trial.model.draw(trial.model.net, trial.model.family.trial_prompts, SEEDS)
    difference = difference_of(drawn, plain)
    if difference is None:
        return
    with trial.model.reference():
        pretrained = sampled(trial, cancelled)
    if difference_of(pretrained, plain) is None:
        raise inconsistent(f"the untrained adapter changes the model's pictures: {difference}; {REPORT}", "model.adapter")
    raise inconsistent(
        f"{type(trial.model.family.pipeline).__name__} and vard draw other pictures from the same seeds: {difference}. The checkpoint needs something of its pipeline "
        f"that vard does not do, so the run would fine-tune another model than yours; use another checkpoint, and {REPORT}"
    )


def check_sampler_follows(trial: Session, drawn: Drawn, cancelled: Cancellation) -> None:
    """With any other adapter, the sampler draws other pictures."""
    with stirred(trial.model):
        if torch.equal(sampled(trial, cancelled).numbers, drawn.numbers):
            raise unfollowed()


def check_gradient(trial: Session) -> None:
    """The gradient of the run's own loss reaches the B of every module that the adapter changes.

    The value's head starts at zero, and so would the gradient through it: its last layer passes on its input's sum here.
    """
    model, chain = trial.model, trial.model.chain
    if trial.value is not None:
        objective: Objective = Vard()
    elif (chain.sigma > 0).any():
        objective = ClippedRatio(advantage=(1.0,), clip=1.0)
    else:
        # A likelihood ratio needs noise. Whether such a run may be begun is not decided here.
        return
    held = [trial.trajectories[IDS[0]]]
    generator = torch.Generator("cpu").manual_seed(SEEDS[0])
    layers = model.policies.layers()
    try:
        with frozen(trial.value), awake(trial.value):
            # One after the other: a run whose batches are small may have no memory for three.
            for k in range(chain.steps):
                batch = Batch(model, trial.value, held, [(0, k)], kl_weight=0.0, noise=trial.noise(objective, 1, generator))
                objective.loss(batch).loss.backward()
        gradients = {name: layer.lora_B[ADAPTER].weight.grad for name, layer in layers.items()}
        weights = [(f"the gradient of {name}", gradient) for name, gradient in gradients.items() if gradient is not None]
        if (name := not_finite(weights)) is not None:
            raise WorkerError(Code.NOT_FINITE, f"the first gradient: {name} is NaN or infinite; use float32, or a smaller model.adapter.alpha")
        without = [name for name, gradient in gradients.items() if gradient is None or not gradient.any()]
    finally:
        trial.policy_optimizer.zero_grad(set_to_none=True)
    if without:
        listed = ", ".join(without[:5]) + (", …" if len(without) > 5 else "")
        raise inconsistent(
            f"the loss has no gradient for {len(without)} of the {len(layers)} modules that model.adapter.targets names: {listed}. They would be exported as they began: "
            "this model does not use them, or attends with them to a single position; name the others alone",
            "model.adapter.targets",
        )


# ------------------------------------------------------------------------------------------------------ later


def check_first_improvement(session: Session, first: PolicyStep) -> None:
    """After the steps that took the adapter from its start: the first of them saw a KL of 0, and the sampler draws what the
    new policy draws."""
    model = session.model
    with canary("the first improvement moves the sampler", session), no_randomness(model):
        check_kl_is_zero([first.kl_per_trajectory])
        if model.policies.at_start():
            return
        trial = short(session)
        with model.reference():
            pretrained = sampled(trial, never)
        if not torch.equal(sampled(trial, never).numbers, pretrained.numbers):
            return
        with stirred(model):
            if torch.equal(sampled(trial, never).numbers, pretrained.numbers):
                raise unfollowed()
        log.warning("The first policy phase moved the adapter by so little that no picture changed: raise algorithm.policy.learning-rate")


# ------------------------------------------------------------------------------------------------------ shared


@contextmanager
def canary(name: str, session: Session | None = None, field: str = "model.checkpoint", cure: str = "use another checkpoint") -> Iterator[None]:
    """Times a canary, and tells what the libraries raise for a model that cannot be used, which has no type of its own, as
    MODEL_NOT_LOADABLE; without a session to name, as it is."""
    started = time.perf_counter()
    try:
        yield
    except WorkerError:
        raise
    except Exception as error:
        if session is None or is_out_of_memory(error):
            raise
        why = f"{field}: {session.settings.model.checkpoint}: trying it out failed ({name}): {type(error).__name__}: {error}; {cure}"
        raise WorkerError(Code.MODEL_NOT_LOADABLE, why, field) from error
    log.info("canary: %s: %.3f s", name, time.perf_counter() - started)


def short(session: Session) -> Session:
    """The session with a chain of few steps and no trajectories: the same networks, the same code."""
    # What is held against a pipeline's pictures is in its precision.
    settings = dataclasses.replace(session.settings, trajectories=TrajectorySettings())
    return dataclasses.replace(session, settings=settings, model=session.model.shortened(STEPS), trajectories={})


def sampled(trial: Session, cancelled: Cancellation, measure_kl: bool = False) -> Drawn:
    """Two pictures by the session's own sampling, in one batch."""
    conditional = trial.model.family.prompted
    specs = tuple(
        TrajectorySpec(name, prompt if conditional else "", seed) for name, prompt, seed in zip(IDS, trial.model.family.trial_prompts, SEEDS, strict=True)
    )
    parts = [images.pixels for images in trial.sample(Sampling(specs, len(IDS), retain=True, measure_kl=measure_kl), cancelled)]
    x = torch.stack([trial.trajectories[name].states[-1] for name in IDS])
    return trial.model.family.comparable(x, np.concatenate(parts))


def difference_of(one: Drawn, other: Drawn) -> str | None:
    """By how much two drawings of the same differ, in words; None if they do not."""
    largest = (one.numbers - other.numbers).abs().max().item()
    allowed = CUDA_TOLERANCE * one.numbers.abs().max().item() if one.numbers.is_cuda else 0.0
    if not largest <= allowed:
        return f"their latents differ by up to {largest:.2g}" if one.images is not None else f"they differ by up to {largest:.2g}"
    if allowed == 0.0 and one.images is not None and other.images is not None and (one.images != other.images).any():
        return "their latents are the same, but the decoded images are not"
    return None


def inconsistent(message: str, field: str = "model.checkpoint") -> WorkerError:
    return WorkerError(Code.INCONSISTENT, f"{field}: {message}", field)


def unfollowed() -> WorkerError:
    return inconsistent(
        "sampling draws the pretrained model's pictures whatever the adapter's weights are: what is trained is not what is sampled; "
        f"use another version of peft or diffusers (requirements.lock names the tested ones). {REPORT}",
        "model.adapter",
    )


def never() -> bool:
    return False


@contextmanager
def no_randomness(model: Model) -> Iterator[None]:
    """Libraries may draw from PyTorch's own generators; a run's bits are not to depend on it."""
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        yield


@contextmanager
def stirred(model: Model) -> Iterator[None]:
    """Other weights in every B, for as long as this lasts."""
    generator = torch.Generator("cpu").manual_seed(SEEDS[0])
    layers = list(model.policies.layers().values())
    kept = [layer.lora_B[ADAPTER].weight.detach().clone() for layer in layers]
    try:
        with torch.no_grad():
            for layer in layers:
                weight = layer.lora_B[ADAPTER].weight
                size = STIR / max(1.0, abs(layer.scaling[ADAPTER]))
                weight.copy_(size * torch.randn(weight.shape, generator=generator))
        yield
    finally:
        with torch.no_grad():
            for layer, weight in zip(layers, kept, strict=True):
                layer.lora_B[ADAPTER].weight.copy_(weight)


@contextmanager
def awake(value: nn.Module | None) -> Iterator[None]:
    """A value network whose last layer is 1 everywhere, for as long as this lasts."""
    if value is None:
        yield
        return
    last = value.head.out.weight
    kept = last.detach().clone()
    try:
        with torch.no_grad():
            last.fill_(1.0)
        yield
    finally:
        with torch.no_grad():
            last.copy_(kept)
