"""The flow chains: against their formulas, written out anew in float64, against diffusers' own steps, and in distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers import (
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    SASolverScheduler,
    SchedulerMixin,
    UniPCMultistepScheduler,
)

from conftest import refused
from vard.v1 import worker_pb2 as pb
from vard_worker.chains.flow import FlowChain, FlowCps, FlowSde

CPU = torch.device("cpu")
KINDS = {"flow-sde": FlowSde, "flow-cps": FlowCps}


def chain_of(kind: str, steps: int = 10, eta: float = 0.7, **config: object) -> FlowChain:
    scheduler = KINDS[kind].scheduler_of(FlowMatchEulerDiscreteScheduler(**config), "model")
    scheduler.set_timesteps(steps, **({"mu": 0.8} if config.get("use_dynamic_shifting") else {}))
    return KINDS[kind](scheduler, eta, CPU)


def coarse(kind: str, eta: float) -> FlowChain:
    """Of a schedule whose last step is no smaller than the others."""
    scheduler = KINDS[kind].scheduler_of(FlowMatchEulerDiscreteScheduler(), "model")
    scheduler.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25])
    return KINDS[kind](scheduler, eta, CPU)


def formula(kind: str, s: np.ndarray, k: int, eta: float, x: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean and deviation of step k, as the papers write them; a step with next to no noise is the ODE's."""
    now, after = s[k], s[k + 1]
    dt = after - now
    if kind == "flow-sde":
        g = eta * math.sqrt(now / (1 - (s[1] if now >= 1 else now)))
        drift = v + g**2 / (2 * now) * (x + (1 - now) * v)
        mean, sigma = x + drift * dt, g * math.sqrt(-dt)
    else:
        clean, noise = x - now * v, x + (1 - now) * v
        mean, sigma = (1 - after) * clean + after * math.cos(eta * math.pi / 2) * noise, after * math.sin(eta * math.pi / 2)
    return (x + dt * v, 0.0) if sigma < 0.01 * eta else (mean, sigma)


def test_a_step_with_next_to_no_noise_has_none_and_costs_no_kl() -> None:
    """Stable Diffusion 3's last level but 0 is 0.001·shift: the step from there moves the picture by a thousandth of a change, and a KL divided
    by its noise would be most of a trajectory's."""
    sde, cps = chain_of("flow-sde", 8), chain_of("flow-cps", 8)
    assert sde.scheduler.sigmas[-2] == pytest.approx(0.001)
    assert (sde.sigma[:-1] > 0.1).all() and sde.sigma[-1] == 0
    # The step to 0.001 would draw as much noise as that.
    assert (cps.sigma[:-2] > 0.1).all() and not cps.sigma[-2:].any()
    # Where the last step is a large one, it has its noise.
    assert (coarse("flow-sde", 0.7).sigma > 0.1).all()


@pytest.mark.parametrize(
    "config", [{}, {"shift": 3.0}, {"use_dynamic_shifting": True}, {"shift_terminal": 0.02}, {"use_karras_sigmas": True, "shift": 3.0}], ids=str
)
@pytest.mark.parametrize("eta", [0.05, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_mean_and_deviation_are_the_formulas(kind: str, eta: float, config: dict) -> None:
    chain = chain_of(kind, 12, eta, **config)
    s = chain.scheduler.sigmas.double().numpy()
    draw = np.random.default_rng(3)
    for k in range(chain.steps):
        x, v = draw.normal(size=(1, 2, 3, 3)), draw.normal(size=(1, 2, 3, 3))
        mean, sigma = formula(kind, s, k, eta, x, v)
        step_B = torch.tensor([k])
        ours = chain.mean(torch.from_numpy(v).float(), torch.from_numpy(x).float(), step_B)
        np.testing.assert_allclose(ours.numpy(), mean, rtol=2e-5, atol=2e-5)
        assert chain.sigma[k].item() == pytest.approx(sigma, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("eta", [0.0, 0.7])
@pytest.mark.parametrize("kind", KINDS)
def test_the_samplers_step_is_the_closed_form(kind: str, eta: float) -> None:
    chain = chain_of(kind, 10, eta, shift=3.0)
    for k in range(chain.steps):
        x, v = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
        own = chain.step(v, k, x, [torch.Generator().manual_seed(i) for i in (1, 2)])
        noise = torch.stack([torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(i)) for i in (1, 2)])
        step_B = torch.tensor([k, k])
        torch.testing.assert_close(own, chain.mean(v, x, step_B) + chain.sigma_at(step_B).view(-1, 1, 1, 1) * noise, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("config", [{}, {"shift": 3.0}, {"use_dynamic_shifting": True}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_without_noise_it_is_the_saved_schedulers_step_to_the_bit(kind: str, config: dict) -> None:
    chain = chain_of(kind, 10, 0.0, **config)
    saved = FlowMatchEulerDiscreteScheduler(**config)
    saved.set_timesteps(10, **({"mu": 0.8} if config.get("use_dynamic_shifting") else {}))
    assert torch.equal(saved.timesteps, chain.timesteps) and not chain.sigma.any()
    for k, t in enumerate(saved.timesteps):
        x, v = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
        assert torch.equal(saved.step(v, t, x).prev_sample, chain.step(v, k, x, []))


def test_all_noise_anew_is_diffusers_stochastic_sampling() -> None:
    chain = chain_of("flow-cps", 10, 1.0, shift=3.0)
    theirs = FlowMatchEulerDiscreteScheduler(shift=3.0, stochastic_sampling=True)
    theirs.set_timesteps(10)
    # Theirs draws noise of 0.003 too, before the last step.
    for k, t in enumerate(theirs.timesteps[:-2]):
        x, v = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
        own = chain.step(v, k, x, [torch.Generator().manual_seed(k)])
        torch.testing.assert_close(own, theirs.step(v, t, x, generator=torch.Generator().manual_seed(k)).prev_sample, rtol=1e-5, atol=1e-5)


def test_what_the_network_says_of_the_clean_sample_and_the_noise() -> None:
    chain = chain_of("flow-sde", 10)
    x0, eps, step_B = torch.randn(10, 1, 2, 2), torch.randn(10, 1, 2, 2), torch.arange(10)
    x = chain.noised(x0, eps, step_B)
    v = eps - x0
    torch.testing.assert_close(chain.clean(v, x, step_B), x0, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(chain.noise(v, x, step_B), eps, rtol=1e-4, atol=1e-5)


MEAN, DEVIATION = 0.7, 0.4
"""Of x_0, which is Gaussian."""


def affine(level: float) -> tuple[float, float]:
    """The exact velocity E[ε - x_0 | x_s] = slope · x + offset."""
    variance = (1 - level) ** 2 * DEVIATION**2 + level**2
    slope = (level - (1 - level) * DEVIATION**2) / variance
    return slope, -MEAN - slope * (1 - level) * MEAN


def simulated(chain: FlowChain, samples: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each state, drawn by the chain."""
    draw = torch.Generator().manual_seed(5)
    x = torch.randn(samples, 1, 1, 1, generator=draw)
    states = [x]
    for k in range(chain.steps):
        slope, offset = affine(float(chain.level[k]))
        x = chain.mean(slope * x + offset, x, torch.tensor([k])) + chain.sigma[k] * torch.randn(x.shape, generator=draw)
        states.append(x)
    return np.array([x.mean().item() for x in states]), np.array([x.std().item() for x in states])


def recursion(kind: str, s: np.ndarray, eta: float) -> tuple[np.ndarray, np.ndarray]:
    """The same in closed form: a step is affine, x' = α x + β + σ z, so mean' = α mean + β and variance' = α² variance + σ²."""
    means, variances = [0.0], [1.0]
    for k in range(len(s) - 1):
        slope, offset = affine(s[k])
        (at_zero, sigma), (at_one, _) = (formula(kind, s, k, eta, np.float64(x), np.float64(slope * x + offset)) for x in (0.0, 1.0))
        means.append((at_one - at_zero) * means[-1] + at_zero)
        variances.append((at_one - at_zero) ** 2 * variances[-1] + sigma**2)
    return np.array(means), np.sqrt(variances)


@pytest.mark.parametrize("eta", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_the_states_have_the_spread_that_the_recursion_says(kind: str, eta: float) -> None:
    chain = chain_of(kind, 20, eta)
    mean, deviation = simulated(chain)
    told_mean, told_deviation = recursion(kind, chain.scheduler.sigmas.double().numpy(), eta)
    np.testing.assert_allclose(mean, told_mean, atol=0.03)
    np.testing.assert_allclose(deviation, told_deviation, rtol=0.02)


@pytest.mark.parametrize("eta", [0.0, 0.7, 1.0])
def test_the_sde_has_the_flows_marginals(eta: float) -> None:
    """N((1 - s) m, (1 - s)² d² + s²), with ever more steps; but near s = 1, where g is not bounded, not for η > 0."""
    errors = []
    for steps in (50, 200, 800):
        s = chain_of("flow-sde", steps, eta).scheduler.sigmas.double().numpy()
        mean, deviation = recursion("flow-sde", s, eta)
        there = s < 0.5
        np.testing.assert_allclose(mean[there], ((1 - s) * MEAN)[there], atol=0.02)
        errors.append(np.abs(deviation - np.sqrt((1 - s) ** 2 * DEVIATION**2 + s**2))[there].max())
    assert errors[0] < 0.05 and errors[1] < 0.012 and errors[2] < 0.004


def test_coefficient_preserving_sampling_draws_less_spread() -> None:
    """It puts x̂_0 and ε̂, which are means, where x_0 and ε would be: with η = 1 a spread of 0.4 becomes about 0.28, however many
    the steps. The pictures are sharp, but fewer of them are rare."""
    ends = {eta: recursion("flow-cps", chain_of("flow-cps", 200, eta).scheduler.sigmas.double().numpy(), eta)[1][-1] for eta in (0.0, 0.7, 1.0)}
    assert ends[0.0] == pytest.approx(DEVIATION, abs=0.005)
    assert 0.25 < ends[1.0] < ends[0.7] < 0.35


def test_coefficient_preserving_sampling_leaves_no_noise_where_the_sde_does() -> None:
    """With few large steps and an exact network for a single x_0, whose spread is 0, flow-cps ends in it."""
    x0 = 0.3
    left = {}
    for kind in KINDS:
        chain = coarse(kind, 1.0)
        x = torch.randn(4_000, 1, 1, 1, generator=torch.Generator().manual_seed(1))
        for k in range(chain.steps):
            velocity = (x - x0) / chain.level[k]
            x = chain.mean(velocity, x, torch.tensor([k])) + chain.sigma[k] * torch.randn(x.shape, generator=torch.Generator().manual_seed(2 + k))
        left[kind] = (x - x0).std().item()
    assert left["flow-cps"] < 1e-5 < 0.1 < left["flow-sde"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_has_a_chain(kind: str) -> None:
    chain = chain_of(kind, 1, 0.7)
    assert chain.sigma.isfinite().all() and chain.from_x.isfinite().all()


READ = [
    FlowMatchEulerDiscreteScheduler(shift=3.0),
    FlowMatchEulerDiscreteScheduler(stochastic_sampling=True),
    FlowMatchHeunDiscreteScheduler(shift=3.0),
    DPMSolverMultistepScheduler(use_flow_sigmas=True, flow_shift=3.0, prediction_type="flow_prediction"),
]


@pytest.mark.parametrize("saved", READ, ids=lambda saved: type(saved).__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_solvers_of_the_same_flow_are_read(kind: str, saved: object) -> None:
    KINDS[kind].check_saved(type(saved).__name__, dict(saved.config), "model")
    scheduler = KINDS[kind].scheduler_of(saved, "model")
    scheduler.set_timesteps(5)
    assert not scheduler.config.stochastic_sampling
    assert scheduler.config.shift == (saved.config.flow_shift if "flow_shift" in saved.config else saved.config.shift)


OF_A_FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
SOLVERS = [
    DPMSolverMultistepScheduler(**OF_A_FLOW, flow_shift=3.0),
    UniPCMultistepScheduler(**OF_A_FLOW, flow_shift=3.0),
    UniPCMultistepScheduler(**OF_A_FLOW, use_dynamic_shifting=True),
    DEISMultistepScheduler(**OF_A_FLOW, flow_shift=2.0),
    SASolverScheduler(**OF_A_FLOW, flow_shift=5.0),
]


@pytest.mark.parametrize("steps", [1, 4, 20])
@pytest.mark.parametrize("saved", SOLVERS, ids=lambda saved: type(saved).__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_solver_says_where_the_levels_lie(kind: str, saved: SchedulerMixin, steps: int) -> None:
    """And what the network is told of them; the last level alone is always 0."""
    dynamic = {"mu": 0.8} if saved.config.get("use_dynamic_shifting") else {}
    scheduler = KINDS[kind].scheduler_of(saved, "model")
    scheduler.set_timesteps(steps, **dynamic)
    chain = KINDS[kind](scheduler, 0.7, torch.device("cpu"))
    scheduler = chain.new_scheduler()
    scheduler.set_timesteps(steps, **dynamic)

    plain = type(saved).from_config(saved.config)
    plain.set_timesteps(steps, **dynamic)
    for levels in (chain.level, scheduler.sigmas[:-1]):
        assert torch.equal(levels, plain.sigmas[:steps].float())
    for timesteps in (chain.timesteps, scheduler.timesteps):
        assert torch.equal(timesteps, plain.timesteps.float())
    assert scheduler.sigmas[-1] == 0
    # The first level may lie a hair below 1, where the noise of flow-sde would have no bound.
    assert chain.sigma.isfinite().all() and chain.sigma.max() < 2


NOT_READ = [
    ("DDIMScheduler", {}, "DDIMScheduler"),
    ("DPMSolverMultistepScheduler", {"prediction_type": "epsilon"}, "use_flow_sigmas"),
    ("FlowMatchEulerDiscreteScheduler", {"invert_sigmas": True}, "invert_sigmas: true"),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 0}, "shift: 0"),
    ("FlowMatchEulerDiscreteScheduler", {"shift": "three"}, "shift: 'three'"),
    ("FlowMatchEulerDiscreteScheduler", {"shift_terminal": 1}, "shift_terminal: 1"),
    ("FlowMatchEulerDiscreteScheduler", {"num_train_timesteps": 0}, "num_train_timesteps: 0"),
    ("FlowMatchEulerDiscreteScheduler", {"time_shift_type": "cubic"}, "time_shift_type"),
    ("FlowMatchEulerDiscreteScheduler", {"_class_name": "LCMScheduler"}, "LCMScheduler"),
]


@pytest.mark.parametrize(("name", "config", "why"), NOT_READ)
def test_what_is_no_such_flow_is_refused_by_name(name: str, config: dict, why: str) -> None:
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        FlowSde.check_saved(name, config, "model")
    assert why in caught.value.message and "scheduler/scheduler_config.json" in caught.value.message
