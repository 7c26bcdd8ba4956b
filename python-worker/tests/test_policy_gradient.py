"""The gradient of the losses, by autograd, against finite differences in float64 through a real tiny UNet and value."""

from __future__ import annotations

import pytest
import torch

from conftest import Client
from vard.v1 import worker_pb2 as pb
from vard_worker.families import Condition
from vard_worker.objectives import ClippedRatio, Vard
from vard_worker.objectives.batch import Batch
from vard_worker.session import Session
from vard_worker.trajectories import Trajectory

OBJECTIVES = {
    "vard": Vard(),
    "ddpo": ClippedRatio(advantage=(1.0, -2.0, 0.5), clip=10.0),
}


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("value", ["CONV", "ENCODER"])
@pytest.mark.parametrize("sees", ["STATE", "LOOKAHEAD"])
def test_autograd_agrees_with_finite_differences(opened: Client, tiny_sd, objective: str, value: str, sees: str) -> None:
    config = pb.ValueConfig(kind=pb.ValueConfig.Kind.Value(value), width=16, input=pb.ValueConfig.Input.Value(sees))
    session = in_float64(opened, tiny_sd, config)
    held, pairs = list(session.trajectories.values()), [(0, 0), (1, 2), (2, 4), (0, 3)]
    parameters = session.model.policies.parameters()

    def loss() -> torch.Tensor:
        noise = session.noise(OBJECTIVES[objective], len(pairs), torch.Generator().manual_seed(5))
        return OBJECTIVES[objective].loss(Batch(session.model, session.value, held, pairs, 0.3, noise)).loss

    gradient = torch.autograd.grad(loss(), parameters)
    draw = torch.Generator().manual_seed(11)
    for _ in range(3):
        direction = [torch.randn(p.shape, generator=draw, dtype=torch.float64) for p in parameters]
        slope = sum((g * d).sum() for g, d in zip(gradient, direction, strict=True)).item()
        h = 1e-6
        with torch.no_grad():
            up = moved(parameters, direction, h, loss)
            down = moved(parameters, direction, -h, loss)
        assert slope != 0
        assert (up - down) / (2 * h) == pytest.approx(slope, rel=1e-5)


def moved(parameters: list[torch.Tensor], direction: list[torch.Tensor], h: float, loss) -> float:
    for parameter, step in zip(parameters, direction, strict=True):
        parameter += h * step
    value = loss().item()
    for parameter, step in zip(parameters, direction, strict=True):
        parameter -= h * step
    return value


def in_float64(client: Client, tiny_sd, config: pb.ValueConfig) -> Session:
    """A session away from its start, so that no gradient is zero by construction, with everything in float64."""
    client = Client(client.handler, "f64")
    client.open(tiny_sd, value=config)
    client.sample(["a", "b", "c"])
    client.fit({"a": 1.0, "b": -1.0, "c": 0.3}, steps=5)
    client.improve(["a", "b", "c"], steps=3)
    session = client.handler.sessions["f64"]
    session.model.net.double()
    session.value.double()
    for name, held in session.trajectories.items():
        session.trajectories[name] = Trajectory(held.prompt, held.states.double(), held.log_probs.double(), None)
    encode = session.model.condition

    def condition(prompts: list[str]) -> Condition:
        return {key: tensor.double() for key, tensor in encode(prompts).items()}

    session.model.condition = condition
    return session
