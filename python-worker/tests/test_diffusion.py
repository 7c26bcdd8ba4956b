"""μ_t, σ_t, KL_t and log-probabilities, against closed forms and against the schedulers' own steps."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, PNDMScheduler

from vard_worker.chains import Chain
from vard_worker.chains.ddim import Ddim
from vard_worker.chains.ddpm import Ddpm
from vard_worker.chains.gaussian import kl, log_prob

CPU = torch.device("cpu")
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False}


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_step_is_the_schedulers_own(spacing: str, prediction_type: str, clip: bool, eta: float) -> None:
    scheduler = DDIMScheduler(**SD | {"clip_sample": clip}, prediction_type=prediction_type, timestep_spacing=spacing, steps_offset=1, set_alpha_to_one=False)
    scheduler.set_timesteps(20)
    check_against_own_step(scheduler, eta, {"eta": eta})


@pytest.mark.parametrize("variance_type", ["fixed_small", "fixed_large", "fixed_small_log"])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("steps", [20, 1000])
def test_ddpm_step_is_the_schedulers_own(variance_type: str, prediction_type: str, steps: int) -> None:
    scheduler = DDPMScheduler(variance_type=variance_type, prediction_type=prediction_type, clip_sample=True)
    scheduler.set_timesteps(steps)
    check_against_own_step(scheduler, 1.0, {})


def transitions(scheduler: DDIMScheduler | DDPMScheduler, eta: float, device: torch.device) -> Chain:
    return (Ddim if isinstance(scheduler, DDIMScheduler) else Ddpm)(scheduler, eta, device)


def check_against_own_step(scheduler: DDIMScheduler | DDPMScheduler, eta: float, extra: dict[str, float]) -> None:
    chain = transitions(scheduler, eta, CPU)
    assert chain.timesteps.tolist() == scheduler.timesteps.tolist()
    draw = torch.Generator().manual_seed(3)
    for k in range(0, chain.steps, max(1, chain.steps // 20)):
        x, output = torch.randn(2, 4, 8, 8, generator=draw), torch.randn(2, 4, 8, 8, generator=draw)
        seed = 100 + k
        own = scheduler.step(output, scheduler.timesteps[k], x, generator=torch.Generator().manual_seed(seed), **extra).prev_sample
        noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(seed))
        step_B = torch.tensor([k, k])
        ours = chain.mean(output, x, step_B) + chain.sigma_at(step_B).view(-1, 1, 1, 1) * noise
        torch.testing.assert_close(ours, own, rtol=1e-4, atol=1e-5)


def test_ddim_with_full_noise_is_ddpm() -> None:
    """η = 1 makes DDIM the ancestral sampler (arXiv 2010.02502, section 4.1)."""
    ddim, ddpm = DDIMScheduler(**SD), DDPMScheduler(**SD)
    ddim.set_timesteps(50), ddpm.set_timesteps(50)
    one, other = transitions(ddim, 1.0, CPU), transitions(ddpm, 1.0, CPU)
    x, output = torch.randn(50, 1, 2, 2), torch.randn(50, 1, 2, 2)
    step_B = torch.arange(50)
    torch.testing.assert_close(one.mean(output, x, step_B), other.mean(output, x, step_B), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(one.sigma, other.sigma, rtol=1e-4, atol=1e-6)


def test_a_step_without_noise_has_sigma_zero_not_the_schedulers_clamp() -> None:
    ddpm = DDPMScheduler()
    ddpm.set_timesteps(10)
    assert transitions(ddpm, 1.0, CPU).sigma[-1] == 0.0


def test_kl_is_that_of_two_gaussians() -> None:
    mean, reference = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 8, 8)
    sigma_B = torch.tensor([0.3, 1.0, 2.5])
    expected = [
        torch.distributions.kl_divergence(torch.distributions.Normal(m, s), torch.distributions.Normal(r, s)).sum()
        for m, r, s in zip(mean, reference, sigma_B, strict=True)
    ]
    torch.testing.assert_close(kl(mean, reference, sigma_B), torch.stack(expected))


def test_kl_without_noise_is_zero_and_has_no_gradient() -> None:
    mean = torch.randn(2, 1, 2, 2, requires_grad=True)
    kl_B = kl(mean, torch.zeros(2, 1, 2, 2), torch.tensor([0.0, 1.0]))
    kl_B.sum().backward()
    assert kl_B[0] == 0.0
    assert mean.grad[0].eq(0).all() and mean.grad.isfinite().all()


def test_log_prob_is_the_normal_density_averaged_over_dimensions() -> None:
    x, mean, sigma_B = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8), torch.tensor([0.4, 1.7])
    expected = torch.distributions.Normal(mean, sigma_B.view(-1, 1, 1, 1)).log_prob(x).mean((1, 2, 3))
    torch.testing.assert_close(log_prob(x, mean, sigma_B), expected)


def test_sigma_is_the_closed_form() -> None:
    """Formula 16 of arXiv 2010.02502."""
    scheduler = DDIMScheduler(**SD, set_alpha_to_one=False, steps_offset=1)
    scheduler.set_timesteps(20)
    chain = transitions(scheduler, 0.7, CPU)
    a = scheduler.alphas_cumprod.double()
    k, t, prev = 4, int(scheduler.timesteps[4]), int(scheduler.timesteps[5])
    assert chain.sigma[k] == pytest.approx(0.7 * math.sqrt((1 - a[prev]) / (1 - a[t])) * math.sqrt(1 - a[t] / a[prev]), rel=1e-5)


@pytest.mark.parametrize("changes", [{"variance_type": "learned_range"}, {"thresholding": True}])
def test_what_has_no_closed_form_is_refused(changes: dict) -> None:
    scheduler = DDPMScheduler(**changes)
    scheduler.set_timesteps(10)
    with pytest.raises(ValueError, match="not supported"):
        transitions(scheduler, 1.0, CPU)


def test_another_familys_scheduler_is_turned_into_ddim_without_clipping() -> None:
    """A PNDM configuration has no clip_sample; DDIM's default would clip latents at 1."""
    config = PNDMScheduler(beta_schedule="scaled_linear", skip_prk_steps=True).config
    assert DDIMScheduler.from_config(config).config.clip_sample
    assert not DDIMScheduler.from_config(config, clip_sample=False).config.clip_sample
