"""A checkpoint's scheduler is read as what it is: another step of the same process, or a refusal by name."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, SchedulerMixin

from conftest import STEPS, Client, images, in_config, in_index, refused
from vard.v1 import worker_pb2 as pb
from vard_worker.chains.ddim import Ddim
from vard_worker.chains.ddpm import Ddpm
from vard_worker.chains.noise_schedule import SUPPORTED, chain_scheduler

CONFIG = "scheduler/scheduler_config.json"
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
ALL = sorted(name for name in dir(diffusers) if name.endswith("Scheduler"))
# These need a library that the worker does not have: SciPy, torchsde.
HERE = [name for name in SUPPORTED if issubclass(getattr(diffusers, name), SchedulerMixin)]

KINDS = {pb.SamplerConfig.DDIM: Ddim, pb.SamplerConfig.DDPM: Ddpm}

CARRIED_OVER = {
    "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type", "rescale_betas_zero_snr",
    "clip_sample", "clip_sample_range", "set_alpha_to_one", "timestep_spacing", "steps_offset", "variance_type",
}  # fmt: skip
"""DDIM or DDPM takes them too, and means the same."""
REFUSED_VALUES = {"use_flow_sigmas", "timestep_type", "thresholding"}
"""Another process, another input, a step without a closed form."""
OF_A_REFUSED_VALUE = {"flow_shift", "use_dynamic_shifting", "time_shift_type", "shift_terminal", "dynamic_thresholding_ratio", "sample_max_value"}
"""They matter with use_flow_sigmas, or with thresholding, alone."""
OF_THE_SOLVER = {
    "algorithm_type", "solver_order", "solver_type", "solver_p", "predict_x0", "disable_corrector", "predictor_order", "corrector_order",
    "lower_order_final", "euler_at_final", "skip_prk_steps", "tau_func", "interpolation_type", "final_sigmas_type", "lambda_min_clipped",
    "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas", "sigma_min", "sigma_max",
}  # fmt: skip
"""Which noise levels a solver goes through, and by which formula: the network's output means the same at each."""


@pytest.mark.parametrize("name", HERE)
def test_every_key_of_every_scheduler_is_known(name: str) -> None:
    """A diffusers that adds one has to be read, before it is used."""
    keys = set(inspect.signature(getattr(diffusers, name).__init__).parameters) - {"self"}
    assert keys <= CARRIED_OVER | REFUSED_VALUES | OF_A_REFUSED_VALUE | OF_THE_SOLVER


def saved_as(model: Path, scheduler: SchedulerMixin) -> None:
    in_index(scheduler=["diffusers", type(scheduler).__name__])(model)
    scheduler.save_pretrained(model / "scheduler")


@pytest.mark.parametrize("kind", [pb.SamplerConfig.DDIM, pb.SamplerConfig.DDPM])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", HERE)
def test_a_solver_of_the_same_process_is_read(client: Client, model: Path, name: str, prediction_type: str, kind: int) -> None:
    takes = inspect.signature(getattr(diffusers, name).__init__).parameters
    scheduler = getattr(diffusers, name)(**{key: value for key, value in SD.items() if key in takes}, prediction_type=prediction_type)
    saved_as(model, scheduler)
    client.open(model, sampler=pb.SamplerConfig(kind=kind))
    ours = client.handler.sessions["s"].model.chain.scheduler
    assert ours.config.prediction_type == prediction_type and not ours.config.clip_sample
    assert torch.equal(ours.alphas_cumprod, scheduler.alphas_cumprod)


@pytest.mark.parametrize("name", [name for name in ALL if name not in SUPPORTED])
def test_a_scheduler_of_another_process_is_refused_by_name(client: Client, model: Path, name: str) -> None:
    in_index(scheduler=["diffusers", name])(model)
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(model)
    assert f"its scheduler is a {name}, " in caught.value.message


REFUSED: list[tuple[str, dict[str, object], str]] = [
    ("DDIMScheduler", {"prediction_type": "flow_prediction"}, "prediction_type: 'flow_prediction'; supported are epsilon, v_prediction, sample"),
    ("UniPCMultistepScheduler", {"prediction_type": "flow_prediction", "use_flow_sigmas": True}, "prediction_type: 'flow_prediction'"),
    ("UniPCMultistepScheduler", {"use_flow_sigmas": True, "flow_shift": 3.0}, "use_flow_sigmas: true; it is a flow-matching model"),
    ("DPMSolverMultistepScheduler", {"use_flow_sigmas": True}, "use_flow_sigmas: true"),
    ("DEISMultistepScheduler", {"use_flow_sigmas": True}, "use_flow_sigmas: true"),
    ("SASolverScheduler", {"use_flow_sigmas": True}, "use_flow_sigmas: true"),
    ("EulerDiscreteScheduler", {"timestep_type": "continuous", "prediction_type": "v_prediction"}, "timestep_type: 'continuous'"),
    ("DDPMScheduler", {"thresholding": True}, "thresholding: true; dynamic thresholding is not supported: set it to false"),
    ("DPMSolverMultistepScheduler", {"thresholding": True}, "thresholding: true"),
    ("DDIMScheduler", {"timestep_spacing": "karras"}, "timestep_spacing: 'karras'; supported are leading, trailing, linspace"),
    ("DDIMScheduler", {"beta_schedule": "quadratic"}, "DDIMScheduler cannot be made of it: quadratic"),
    ("DDPMScheduler", {"beta_schedule": "sigmoid"}, "beta_schedule: 'sigmoid', which DDIMScheduler does not have; try the other sampler.kind"),
    ("HeunDiscreteScheduler", {"beta_schedule": "exp"}, "beta_schedule: 'exp'"),
    ("DDIMScheduler", {"rescale_betas_zero_snr": True}, "prediction_type: 'epsilon', but the noise schedule ends in pure noise"),
    ("EulerDiscreteScheduler", {"rescale_betas_zero_snr": True}, "prediction_type: 'epsilon', but the noise schedule ends in pure noise"),
    ("DDIMScheduler", {"beta_schedule": "linear", "beta_end": 1.0}, "prediction_type: 'epsilon', but the noise schedule ends in pure noise"),
    # PNDM passes over a key that DDIM would take.
    ("PNDMScheduler", {"rescale_betas_zero_snr": True}, "the noise schedule of its PNDMScheduler and the one that DDIMScheduler makes"),
    ("DDIMScheduler", {"num_train_timesteps": 10**9}, "num_train_timesteps: 1000000000; give a whole number from 1 to 100000"),
    ("DDIMScheduler", {"num_train_timesteps": 0}, "num_train_timesteps: 0"),
    ("DDIMScheduler", {"num_train_timesteps": "1000"}, "num_train_timesteps: '1000'"),
    ("DDIMScheduler", {"beta_end": 1e9}, "beta_end: 1000000000.0; a variance of noise is a number from 0 to 1"),
    ("DDIMScheduler", {"beta_end": float("nan")}, "beta_end: nan; give a number that is finite"),
    ("DDIMScheduler", {"beta_start": float("inf")}, "beta_start: inf; give a number that is finite"),
    ("DDIMScheduler", {"beta_start": -0.1}, "beta_start: -0.1; a variance"),
    ("DDIMScheduler", {"beta_start": "0.1"}, "beta_start: '0.1'; a variance"),
    ("DDIMScheduler", {"trained_betas": [0.1] * 10}, "trained_betas: not a list of 1000 numbers"),
    ("DDIMScheduler", {"trained_betas": [0.1] * 999 + [2]}, "trained_betas[999]: 2; a variance"),
    ("DDIMScheduler", {"steps_offset": -1}, "steps_offset: -1; give a whole number"),
    ("DDIMScheduler", {"clip_sample_range": 0}, "clip_sample_range: 0; give a number above 0"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "told"), REFUSED, ids=[f"{name[:-9]} {told[:60]}" for name, _, told in REFUSED])
def test_what_would_be_read_as_something_else_is_refused_before_weights_are_read(
    client: Client, model: Path, name: str, changes: dict[str, object], told: str
) -> None:
    in_index(scheduler=["diffusers", name])(model)
    in_config(CONFIG, _class_name=name, **changes)(model)
    (model / "unet/diffusion_pytorch_model.safetensors").write_bytes(b"none")
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(model)
    assert caught.value.message.startswith(f"model.checkpoint: {model}: {CONFIG}: {told}")


@pytest.mark.parametrize("own", ["FlowMatchEulerDiscreteScheduler", "EDMEulerScheduler", "LCMScheduler", 7])
def test_a_configuration_of_another_class_is_refused_whatever_the_index_says(client: Client, model: Path, own: object) -> None:
    """diffusers makes the index's class of it, with that class's own betas for those that it lacks."""
    file = model / "scheduler/scheduler_config.json"
    file.write_text(json.dumps({"_class_name": own, "num_train_timesteps": 1000, "shift": 3.0}))
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(model)
    assert f"scheduler/scheduler_config.json: _class_name: {own!r}" in caught.value.message


def test_a_key_that_its_class_has_by_default_must_be_the_chains_too(client: Client, model: Path) -> None:
    """Heun's betas are another default than DDIM's; diffusers carries over only what was written."""
    in_index(scheduler=["diffusers", "HeunDiscreteScheduler"])(model)
    (model / CONFIG).write_text(json.dumps({"_class_name": "HeunDiscreteScheduler"}))
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(model)
    assert "write num_train_timesteps, beta_start, beta_end and beta_schedule out" in caught.value.message


@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_in_pure_noise_before_its_end_is_refused(client: Client, model: Path, kind: int) -> None:
    in_config(CONFIG, prediction_type="v_prediction", trained_betas=[0.1] * 500 + [1.0] * 500)(model)
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(model, sampler=pb.SamplerConfig(kind=kind, steps=20))
    assert f"{CONFIG}: the noise schedule has no step from timestep" in caught.value.message


# ------------------------------------------------------------------------------------------------ zero terminal SNR


def from_pure_noise(kind: int, steps: int, prediction_type: str = "v_prediction", spacing: str = "trailing") -> DDIMScheduler | DDPMScheduler:
    saved = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, rescale_betas_zero_snr=True,
        prediction_type=prediction_type, timestep_spacing=spacing,
    )  # fmt: skip
    scheduler = chain_scheduler(saved, KINDS[kind].scheduler_class, "model")
    scheduler.set_timesteps(steps)
    return scheduler


@pytest.mark.parametrize("spacing", ["trailing", "linspace", "leading"])
@pytest.mark.parametrize("prediction_type", ["v_prediction", "sample"])
@pytest.mark.parametrize("steps", [5, 20, 1000])
@pytest.mark.parametrize(("kind", "eta"), [(pb.SamplerConfig.DDIM, 0.0), (pb.SamplerConfig.DDIM, 0.99), (pb.SamplerConfig.DDPM, 1.0)])
def test_the_chain_from_pure_noise_is_the_schedulers_own(kind: int, eta: float, prediction_type: str, spacing: str, steps: int) -> None:
    scheduler = from_pure_noise(kind, steps, prediction_type, spacing)
    KINDS[kind].check_eta(scheduler, eta)
    chain = KINDS[kind](scheduler, eta, torch.device("cpu"))
    if spacing != "leading" or steps == 1000:
        assert chain.alpha_bar[0] == 0
    draw = torch.Generator().manual_seed(3)
    extra = {"eta": eta} if isinstance(scheduler, DDIMScheduler) else {}
    for k in range(0, chain.steps, max(1, chain.steps // 20)):
        x, output = torch.randn(2, 4, 8, 8, generator=draw), torch.randn(2, 4, 8, 8, generator=draw)
        own = scheduler.step(output, scheduler.timesteps[k], x, generator=torch.Generator().manual_seed(k), **extra).prev_sample
        noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(k))
        step_B = torch.tensor([k, k])
        ours = chain.mean(output, x, step_B) + chain.sigma_at(step_B).view(-1, 1, 1, 1) * noise
        torch.testing.assert_close(ours, own, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("steps", [2, 3, 5, 6, 10, 20, 50])
def test_an_eta_is_refused_where_the_schedulers_own_step_is_nan_and_nowhere_else(steps: int) -> None:
    scheduler = from_pure_noise(pb.SamplerConfig.DDIM, steps)
    zeros = torch.zeros(1, 4, 2, 2)
    own = [scheduler.step(zeros, t, zeros, eta=1.0, generator=torch.Generator()).prev_sample for t in scheduler.timesteps]
    if torch.stack(own).isfinite().all():
        Ddim.check_eta(scheduler, 1.0)
    else:
        with refused(pb.INVALID_ARGUMENT) as caught:
            Ddim.check_eta(scheduler, 1.0)
        assert caught.value.message.startswith("sampler.eta: 1 makes each image NaN")


def test_an_eta_that_draws_nan_is_refused_when_the_model_opens(client: Client, model: Path) -> None:
    in_config(CONFIG, prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing")(model)
    with refused(pb.INVALID_ARGUMENT) as caught:
        client.open(model, sampler=pb.SamplerConfig(steps=3))
    assert caught.value.field == "sampler.eta"


PLAIN_DIFFUSERS = """
import sys
import numpy as np, torch
from diffusers import StableDiffusionPipeline

checkpoint, steps, out = sys.argv[1:]
torch.set_num_threads(1)
pipe = StableDiffusionPipeline.from_pretrained(checkpoint)
images = pipe(
    ["cat", "dog"], num_inference_steps=int(steps), guidance_scale=3.0, eta=1.0, output_type="np",
    generator=[torch.Generator("cpu").manual_seed(seed) for seed in (11, 12)],
).images
np.save(out, (images * 255).round().astype("uint8"))
"""


def test_a_v_prediction_from_pure_noise_draws_what_plain_diffusers_draws(client: Client, model: Path, tmp_path: Path) -> None:
    in_config(CONFIG, prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing")(model)
    client.open(model)
    specs = [pb.TrajectorySpec(id=str(i), prompt=prompt, seed=11 + i) for i, prompt in enumerate(["cat", "dog"])]
    ours = images(client.call("Sample", pb.SampleRequest(session_id="s", trajectories=specs, batch=2)))
    out = tmp_path / "images.npy"
    command = [sys.executable, "-c", PLAIN_DIFFUSERS, str(model), str(STEPS), str(out)]
    subprocess.run(command, check=True, timeout=300, env={"PATH": "", "HF_HUB_OFFLINE": "1"})
    assert (np.load(out) == ours).all()


def test_a_v_prediction_from_pure_noise_is_fine_tuned(client: Client, model: Path) -> None:
    in_config(CONFIG, prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing")(model)
    client.open(model)
    ids = ["a", "b", "c"]
    before = client.sample(ids, measure_kl=True)
    assert client.kl == [0.0, 0.0, 0.0]
    client.fit({name: float(i) for i, name in enumerate(ids)})
    for step in client.improve(ids).steps:
        assert np.isfinite([step.loss, step.kl_per_trajectory]).all() and step.gradient_norm > 0
    assert (client.sample(ids, retain=False) != before).any()


def test_ddpm_takes_what_a_solver_writes_of_variances(model: Path, client: Client) -> None:
    """A solver's ``variance_type: null`` says that it has none, where DDPM needs one."""
    saved_as(model, diffusers.DPMSolverMultistepScheduler(**SD))
    assert json.loads((model / CONFIG).read_text())["variance_type"] is None
    client.open(model, sampler=pb.SamplerConfig(kind=pb.SamplerConfig.DDPM))
    assert client.handler.sessions["s"].model.chain.scheduler.config.variance_type == DDPMScheduler().config.variance_type
