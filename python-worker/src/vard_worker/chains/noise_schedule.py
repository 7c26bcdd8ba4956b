"""What a checkpoint's saved scheduler says of the network (its noise schedule, and what its output means), carried over
to the DDIM or DDPM chain that is fine-tuned; and refused where that chain would read the network as something it is not.
"""

from __future__ import annotations

import diffusers
import torch
from diffusers import DDIMScheduler, DDPMScheduler, SchedulerMixin

from vard_worker.errors import WorkerError
from vard_worker.model_files import not_loadable

FILE = "scheduler/scheduler_config.json"

SUPPORTED = (
    "DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler",
    "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "DPMSolverSDEScheduler", "UniPCMultistepScheduler",
    "DEISMultistepScheduler", "SASolverScheduler", "HeunDiscreteScheduler", "LMSDiscreteScheduler", "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler", "DDIMParallelScheduler", "DDPMParallelScheduler",
)  # fmt: skip
"""Solvers of one and the same process: x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε, with ᾱ in ``alphas_cumprod``. Which of them a
checkpoint was saved with is a choice of solver, and says nothing of the network."""
ANOTHER_PROCESS = (
    "whose noise schedule is not the alphas_cumprod of DDIM and DDPM: it is a flow-matching, EDM or other kind of model; give an SD 1.x or 2.x model, or a DDPM"
)
DISTILLED = "of a consistency-distilled model, whose output is not the mean that DDIM and DDPM take it for; take the model that it was distilled from"
REASONS = {"LCMScheduler": DISTILLED, "TCDScheduler": DISTILLED}

PREDICTIONS = ("epsilon", "v_prediction", "sample")
SPACINGS = ("leading", "trailing", "linspace")
MOST_TIMESTEPS = 100_000
"""The published models have 1,000 to 4,000; the schedule is held in memory."""


def reason(scheduler: str) -> str:
    """Why a scheduler that is not ``SUPPORTED`` is not."""
    return REASONS.get(scheduler, ANOTHER_PROCESS)


Ours = DDIMScheduler | DDPMScheduler


def check_scheduler(scheduler: str, config: dict[str, object], ours: type[Ours], checkpoint: str) -> None:
    """Refuses, before any weight is read, a configuration of the class ``scheduler`` that the chain's scheduler, of the class
    ``ours``, would not read as that class does. Raises MODEL_NOT_LOADABLE, naming the key and the cure."""
    check_numbers(config, checkpoint)
    written_by = config.get("_class_name", scheduler)
    if written_by not in SUPPORTED:
        raise refused(
            checkpoint, f"_class_name: {written_by!r}, {reason(str(written_by))}; or put back the file that belongs to the {scheduler} of model_index.json"
        )
    # One solver may be given another's file, but both must take it for the same process.
    for name in dict.fromkeys((scheduler, written_by)):
        try:
            saved = getattr(diffusers, name).from_config(config)
        except Exception as error:  # each class has its own checks, and raises what it likes
            raise refused(checkpoint, f"{name} cannot be made of it: {' '.join(str(error).split())}") from error
        check_meaning(saved, checkpoint)
        chain_scheduler(saved, ours, checkpoint)


def check_numbers(config: dict[str, object], checkpoint: str) -> None:
    """Bounds what the schedule is computed from."""
    timesteps = config.get("num_train_timesteps", 1000)
    if type(timesteps) is not int or not 1 <= timesteps <= MOST_TIMESTEPS:
        raise refused(checkpoint, f"num_train_timesteps: {timesteps!r}; give a whole number from 1 to {MOST_TIMESTEPS}")
    betas = {key: config[key] for key in ("beta_start", "beta_end") if config.get(key) is not None}
    trained = config.get("trained_betas")
    if trained is not None:
        if not isinstance(trained, list) or len(trained) < timesteps:
            raise refused(checkpoint, f"trained_betas: not a list of {timesteps} numbers, which num_train_timesteps asks for")
        betas |= {f"trained_betas[{i}]": beta for i, beta in enumerate(trained)}
    for key, beta in betas.items():
        if not is_number(beta) or not 0 <= beta <= 1:
            raise refused(checkpoint, f"{key}: {beta!r}; a variance of noise is a number from 0 to 1")
    offset = config.get("steps_offset")
    if offset is not None and (type(offset) is not int or not 0 <= offset < timesteps):
        raise refused(checkpoint, f"steps_offset: {offset!r}; give a whole number from 0 to {timesteps - 1}")
    bound = config.get("clip_sample_range")
    if bound is not None and (not is_number(bound) or not 0 < bound <= 1e6):
        raise refused(checkpoint, f"clip_sample_range: {bound!r}; give a number above 0")


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_meaning(saved: SchedulerMixin, checkpoint: str) -> None:
    """Refuses what says that the process, or the network's output, is another than that of DDIM and DDPM. All other keys
    choose a solver and its steps (``use_karras_sigmas``, ``solver_order``, ``algorithm_type``, ``final_sigmas_type``, …),
    or matter with one of these alone (``flow_shift``)."""
    config = saved.config
    if config.prediction_type not in PREDICTIONS:
        raise refused(checkpoint, f"prediction_type: {config.prediction_type!r}; supported are {', '.join(PREDICTIONS)}")
    if config.get("use_flow_sigmas"):
        raise refused(checkpoint, "use_flow_sigmas: true; it is a flow-matching model, and those are not supported")
    if config.get("timestep_type", "discrete") != "discrete":
        raise refused(checkpoint, f"timestep_type: {config.timestep_type!r}; its network takes a noise level for a timestep, which is not supported")
    if config.get("thresholding"):
        raise refused(checkpoint, "thresholding: true; dynamic thresholding is not supported: set it to false")
    if config.get("timestep_spacing", "leading") not in SPACINGS:
        raise refused(checkpoint, f"timestep_spacing: {config.timestep_spacing!r}; supported are {', '.join(SPACINGS)}")


def chain_scheduler(saved: SchedulerMixin, made: type[Ours], checkpoint: str, **changes: object) -> Ours:
    """The scheduler of the chain: ``saved``'s configuration, with ``changes``, under another step. Raises
    MODEL_NOT_LOADABLE where its noise schedule, or what it takes the network's output for, would be another."""
    if made is DDPMScheduler and saved.config.get("variance_type", "") is None:
        # Solvers write that they have none, and DDPM needs one.
        changes["variance_type"] = "fixed_small"
    try:
        ours = made.from_config(saved.config, **changes)
    except NotImplementedError as error:
        raise refused(checkpoint, f"beta_schedule: {saved.config.beta_schedule!r}, which {made.__name__} does not have; try the other sampler.kind") from error
    theirs = getattr(saved, "alphas_cumprod", None)
    if theirs is None:
        raise refused(checkpoint, f"a {type(saved).__name__}, {reason(type(saved).__name__)}")
    if not (theirs.isfinite().all() and ours.alphas_cumprod.isfinite().all()):
        raise refused(checkpoint, "beta_start, beta_end, beta_schedule: the noise schedule that they make is not finite")
    # Some write 2^-24 where the schedule ends at 0.
    if theirs.shape != ours.alphas_cumprod.shape or not torch.allclose(theirs, ours.alphas_cumprod, rtol=1e-4, atol=1e-6):
        raise refused(
            checkpoint,
            f"the noise schedule of its {type(saved).__name__} and the one that {made.__name__} makes of the same keys differ;"
            " write num_train_timesteps, beta_start, beta_end and beta_schedule out, and remove keys that the class does not take",
        )
    if saved.config.prediction_type != ours.config.prediction_type:
        raise refused(checkpoint, f"prediction_type: {saved.config.prediction_type!r} would be read as {ours.config.prediction_type!r}")
    if ours.config.prediction_type == "epsilon" and ours.alphas_cumprod[-1] <= 0:
        raise refused(
            checkpoint,
            "prediction_type: 'epsilon', but the noise schedule ends in pure noise (rescale_betas_zero_snr, or a beta of 1), where the noise says"
            " nothing of the image; such models predict v: set prediction_type to v_prediction if this one does, else rescale_betas_zero_snr to false",
        )
    return ours


def refused(checkpoint: str, why: str) -> WorkerError:
    return not_loadable(checkpoint, f"{FILE}: {why}")
