"""VARD on a problem whose optimum is known in closed form.

The data are Gaussian, N(m, s² I), so the ideal denoiser is affine and so is the chain: x_{k+1} = α_k x_k + β_k + σ_k ε.
The reward is linear, r = w·x_0. Shifting step k's mean by δ_k moves E[x_0] by G_k δ_k, with the gain G_k = Π_{j>k} α_j,
whatever the other shifts are: V's gradient at state k+1 is G_k w. Each step minimises -G_k w·δ_k + η |δ_k|² / (2σ_k²), so

    δ_k* = σ_k² G_k w / η,   E[x_0] shifts by Σ_k G_k² σ_k² w / η,   KL* = Σ_k σ_k² G_k² |w|² / (2η²).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from torch import Tensor, nn

from vard_worker.chains import CHAINS, Chain
from vard_worker.chains.ddim import Ddim
from vard_worker.families import Family
from vard_worker.model import Model
from vard_worker.objectives import ClippedRatio, Vard
from vard_worker.policies import Policies
from vard_worker.sampling import denoise
from vard_worker.session import Session
from vard_worker.settings import AdapterSettings, ModelSettings, OpenSettings, SamplerSettings
from vard_worker.trainer import Descent
from vard_worker.trajectories import Sampling, Target, TrajectorySpec

STEPS, MEAN, DEVIATION = 8, 0.5, 0.8
REWARD = torch.tensor([0.6, -0.3, 0.0, 0.9])
N = 128


class ShiftedDenoiser(nn.Module):
    """The ideal prediction for N(m, s² I), of the noise or of a flow's velocity, and a learnt shift of each step's mean, in units of
    σ_t: the adapter. ``of_clean`` and ``of_noise``, (T,), say what x_t is made of."""

    def __init__(self, timesteps: Tensor, of_clean: Tensor, of_noise: Tensor, velocity: bool) -> None:
        super().__init__()
        self.device = torch.device("cpu")
        self.timesteps, self.of_clean, self.of_noise, self.velocity = timesteps, of_clean, of_noise, velocity
        self.lora_shift = nn.Parameter(torch.zeros(STEPS, 1, 2, 2))
        self.output_per_sigma = torch.zeros(STEPS)
        self.adapted = True

    def forward(self, x: Tensor, t: Tensor, return_dict: bool) -> tuple[Tensor]:
        step = (self.timesteps[None] == t.reshape(-1, 1)).int().argmax(1)
        a, b = (table[step].view(-1, 1, 1, 1) for table in (self.of_clean, self.of_noise))
        clean = MEAN + DEVIATION**2 * a / (a**2 * DEVIATION**2 + b**2) * (x - a * MEAN)
        noise = (x - a * clean) / b
        output = noise - clean if self.velocity else noise
        if self.adapted:
            output = output + self.lora_shift[step] * self.output_per_sigma[step].view(-1, 1, 1, 1)
        return (output,)


class LinearGaussian(Family):
    name, network, process, targets, prompted, parts = "linear-gaussian", "unet", "diffusion", (), False, {}
    condition_width = None
    latent_shape, image_shape = (1, 2, 2), (2, 2, 3)
    check = draw = middle = save_lora = load_lora = None

    def networks(self) -> dict[str, nn.Module]:
        return {"unet": self.net}

    def encode(self, prompts: list[str]) -> None:
        return None

    def tokens(self, condition: None) -> None:
        return None

    def predict(self, x_BCHW: Tensor, t: Tensor, condition: None) -> Tensor:
        return self.net(x_BCHW, t, return_dict=False)[0]

    def decode(self, x_BCHW: Tensor):
        return x_BCHW.numpy().repeat(3, axis=1).transpose(0, 2, 3, 1).copy()


class ShiftPolicies(Policies):
    @contextmanager
    def use(self, name: str) -> Iterator[None]:
        self.net.adapted = name != "pretrained"
        yield
        self.net.adapted = True


class LinearValue(nn.Module):
    """V(x, t) = w_t·x + b_t, which holds the true value function."""

    looks_ahead = False

    def __init__(self, state_timesteps: Tensor) -> None:
        super().__init__()
        self.timesteps = state_timesteps
        self.weight = nn.Parameter(torch.zeros(STEPS + 1, 4))
        self.bias = nn.Parameter(torch.zeros(STEPS + 1))

    def forward(self, x: Tensor, t_B: Tensor, condition: None, clean: None = None) -> Tensor:
        state = (self.timesteps[None] == t_B[:, None]).int().argmax(1)
        return (self.weight[state] * x.flatten(1)).sum(1) + self.bias[state]


def made(kind: str) -> tuple[Chain, Callable[[], ShiftedDenoiser]]:
    """A chain, and how the ideal network of its process is made."""
    device = torch.device("cpu")
    if kind == "ddim":
        scheduler = DDIMScheduler(clip_sample=False, set_alpha_to_one=False)
        scheduler.set_timesteps(STEPS)
        a = scheduler.alphas_cumprod[scheduler.timesteps]
        return Ddim(scheduler, 1.0, device), lambda: ShiftedDenoiser(scheduler.timesteps, a.sqrt(), (1 - a).sqrt(), velocity=False)
    flow = CHAINS[kind].scheduler_of(FlowMatchEulerDiscreteScheduler(), "model")
    flow.set_timesteps(STEPS)
    s = flow.sigmas[:-1]
    return CHAINS[kind](flow, 0.7, device), lambda: ShiftedDenoiser(flow.timesteps, 1 - s, s, velocity=True)


def toy(kind: str) -> Session:
    chain, fresh_net = made(kind)
    net = fresh_net()
    family = LinearGaussian(SimpleNamespace(unet=net), 1.0, torch.float32)
    model = Model(family, chain, ShiftPolicies(net), fresh_net=fresh_net)
    steps = torch.arange(STEPS)
    unit = torch.ones(STEPS, 1, 1, 1)
    mean_per_output = (chain.mean(unit, 0 * unit, steps) - chain.mean(0 * unit, 0 * unit, steps)).flatten()
    # A last step without noise stays as it is.
    model.net.output_per_sigma = torch.where(chain.sigma > 0, chain.sigma / mean_per_output, 0.0)
    value = LinearValue(chain.state_timesteps)
    return Session(
        settings=OpenSettings("toy", ModelSettings("toy", AdapterSettings(1, 1.0)), SamplerSettings(STEPS)),
        model=model,
        value=value,
        policy_optimizer=torch.optim.AdamW([model.net.lora_shift], weight_decay=0.0),
        value_optimizer=torch.optim.AdamW(value.parameters(), weight_decay=0.0),
    )


def optimum(session: Session, eta: float) -> tuple[Tensor, float]:
    """E[x_0]'s shift, shape (4,), and the trajectory's KL in nats."""
    chain, alphas = session.model.chain, step_gains(session)
    gains = [torch.tensor(alphas[k + 1 :]).prod().item() for k in range(STEPS)]
    spread = sum(gain**2 * sigma.item() ** 2 for gain, sigma in zip(gains, chain.sigma, strict=True))
    return spread * REWARD / eta, spread * REWARD.square().sum().item() / (2 * eta**2)


def step_gains(session: Session) -> list[float]:
    """α_k of each step."""
    chain, one = session.model.chain, torch.ones(1, 1, 2, 2)
    alphas = []
    with session.model.reference():
        for k, t in enumerate(chain.timesteps):
            at_one, at_zero = (chain.mean(session.model.predict(x, t, None), x, torch.tensor([k])) for x in (one, 0 * one))
            alphas.append((at_one - at_zero).flatten()[0].item())
    return alphas


def train(session: Session, eta: float, iterations: int = 25) -> tuple[Tensor, float]:
    """Runs VARD. Returns the shift of E[x_0] that the learnt policy makes, and its measured KL per trajectory."""
    never = lambda: False
    prior = finished(session, 10_000)
    for iteration in range(iterations):
        rate = 0.5 ** (iteration // 5)
        ids = [f"{iteration}-{i}" for i in range(N)]
        list(session.sample(request(ids, 1_000 * iteration, retain=True), never))
        targets = [Target(name, float(REWARD @ held.states[-1].flatten())) for name, held in session.trajectories.items()]
        session.fit_value(targets, Descent(steps=60, batch=N, learning_rate=0.1 * rate, seed=iteration), never)
        session.improve_policy(ids, Vard(), eta, Descent(steps=20, batch=N, learning_rate=0.1 * rate, seed=iteration), never)
        session.release([name for name in session.trajectories if int(name.split("-")[0]) <= iteration - 8])
    # The same seeds as the prior's: the noise cancels, and the difference is the shift itself.
    chunks = list(session.sample(request([f"e{i}" for i in range(64)], 0, measure_kl=True), never))
    return (finished(session, 10_000) - prior).mean(0), sum(kl for chunk in chunks for kl in chunk.kl) / 64


def request(ids: list[str], first_seed: int, **flags: bool) -> Sampling:
    return Sampling(tuple(TrajectorySpec(name, "", first_seed + i) for i, name in enumerate(ids)), N, **flags)


def finished(session: Session, first_seed: int) -> Tensor:
    """x_0 of 64 trajectories, (64, 4)."""
    sampling = request([str(i) for i in range(64)], first_seed)
    _, x = denoise(session.model, sampling.specs, sampling, session.settings.trajectories, lambda: False)
    return x.flatten(1)


@pytest.mark.parametrize(("kind", "eta"), [("ddim", 0.5), ("ddim", 1.0), ("ddim", 4.0), ("flow-sde", 1.0), ("flow-cps", 1.0)])
def test_vard_reaches_the_closed_form_optimum(kind: str, eta: float) -> None:
    session = toy(kind)
    expected_shift, expected_kl = optimum(session, eta)
    shift, kl = train(session, eta)
    assert (shift - expected_shift).norm() < 0.1 * expected_shift.norm()
    assert kl == pytest.approx(expected_kl, rel=0.2)


@pytest.mark.parametrize("kind", ["ddim", "flow-sde"])
def test_ddpo_raises_the_expected_reward(kind: str) -> None:
    session = toy(kind)
    prior = finished(session, 10_000)
    for iteration in range(20):
        ids = [f"{iteration}-{i}" for i in range(N)]
        list(session.sample(request(ids, 1_000 * iteration, retain=True), lambda: False))
        rewards = torch.stack([session.trajectories[name].states[-1].flatten() @ REWARD for name in ids])
        advantages = ((rewards - rewards.mean()) / rewards.std()).tolist()
        objective = ClippedRatio(advantage=tuple(advantages), clip=0.1)
        session.improve_policy(ids, objective, 0.0, Descent(steps=STEPS, batch=N, learning_rate=0.02, seed=iteration), lambda: False)
        session.release(ids)
    gained = ((finished(session, 10_000) - prior) @ REWARD).mean().item()
    assert gained > 0.5 * (prior @ REWARD).std().item()


@pytest.mark.parametrize("kind", ["ddim", "flow-sde", "flow-cps"])
def test_the_chain_has_the_spread_that_its_recursion_says(kind: str) -> None:
    """Var[x_{k+1}] = α_k² Var[x_k] + σ_k²: what the closed form rests on."""
    session = toy(kind)
    alphas, chain = step_gains(session), session.model.chain
    variance = 1.0
    for alpha, sigma in zip(alphas, chain.sigma.tolist(), strict=True):
        variance = alpha**2 * variance + sigma**2
    x = torch.cat([finished(session, 64 * i) for i in range(16)])
    assert x.std().item() == pytest.approx(variance**0.5, rel=0.05)
