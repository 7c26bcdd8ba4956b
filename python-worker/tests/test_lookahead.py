"""A value network that looks ahead: what it sees is the pretrained network's x̂_0, recorded when the trajectory was drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from conftest import Client
from vard.v1 import worker_pb2 as pb
from vard_worker import testing
from vard_worker.trajectories import clean_at

IDS = ["a", "b", "c"]
AHEAD = {kind: pb.ValueConfig(kind=kind, input=pb.ValueConfig.LOOKAHEAD) for kind in (pb.ValueConfig.CONV, pb.ValueConfig.ENCODER)}


@pytest.fixture
def moved(client: Client, tiny_sd: Path) -> Client:
    """Trajectories of a policy that is not the pretrained one any more."""
    client.open(tiny_sd, value=AHEAD[pb.ValueConfig.CONV])
    client.sample(["first"])
    client.fit({"first": 1.0})
    client.improve(["first"], steps=30)
    client.sample(IDS)
    return client


def test_what_is_recorded_is_the_pretrained_networks_clean_sample(moved: Client) -> None:
    session = moved.handler.sessions["s"]
    model, held = session.model, [session.trajectories[name] for name in IDS]
    for k in range(model.chain.steps):
        x = torch.stack([trajectory.states[k] for trajectory in held])
        with torch.no_grad():
            condition = model.condition([trajectory.prompt for trajectory in held])
            with model.reference():
                pretrained = model.chain.clean(model.predict(x, model.chain.timesteps[k], condition), x, torch.full((3,), k))
            trained = model.chain.clean(model.predict(x, model.chain.timesteps[k], condition), x, torch.full((3,), k))
        recorded = clean_at(held, [(i, k) for i in range(3)], model.device)
        torch.testing.assert_close(recorded, pretrained, rtol=1e-4, atol=1e-4)
        assert (recorded - trained).abs().max() > 10 * (recorded - pretrained).abs().max()
        torch.testing.assert_close(model.lookahead(x, torch.full((3,), k), condition).detach(), pretrained, rtol=1e-4, atol=1e-4)


def test_the_finished_sample_is_what_lies_ahead_of_it(moved: Client) -> None:
    session = moved.handler.sessions["s"]
    for name in IDS:
        trajectory = session.trajectories[name]
        assert torch.equal(trajectory.clean[-1], trajectory.states[-1])
    x, states = torch.randn(2, *session.model.latent_shape), torch.tensor([0, session.model.chain.steps])
    with torch.no_grad():
        ahead = session.model.lookahead(x, states, session.model.condition(["cat", "dog"]))
    assert torch.equal(ahead[1], x[1]) and not torch.allclose(ahead[0], x[0])


@pytest.mark.parametrize("kind", AHEAD)
def test_it_tells_states_apart_by_what_lies_ahead_alone(client: Client, tiny_sd: Path, kind: int) -> None:
    client.open(tiny_sd, value=AHEAD[kind])
    client.sample(IDS)
    client.fit({name: float(i) for i, name in enumerate(IDS)}, steps=20)
    session = client.handler.sessions["s"]
    x, condition = torch.randn(1, *session.model.latent_shape), session.model.condition(["cat"])
    t = session.model.chain.timesteps[:1]
    with torch.no_grad():
        one, other = (session.value(x, t, condition, clean) for clean in (torch.zeros_like(x), torch.ones_like(x)))
        large, larger = (session.value(x, t, condition, scale * torch.ones_like(x)) for scale in (4.0, 400.0))
    assert one.item() != other.item()
    # From near-pure noise the clean sample may be guessed far out: what is out there does not count.
    assert large.item() == larger.item()


def test_a_checkpoint_keeps_what_lies_ahead(moved: Client, tmp_path: Path) -> None:
    moved.call("Save", pb.SaveRequest(session_id="s", path=str(tmp_path / "c")))
    moved.call("Restore", pb.RestoreRequest(session_id="again", path=str(tmp_path / "c")))
    sessions = moved.handler.sessions
    for name in IDS:
        assert torch.equal(sessions["again"].trajectories[name].clean, sessions["s"].trajectories[name].clean)
    restored = Client(moved.handler, "again")
    restored.operation = moved.operation
    targets = {name: float(i) for i, name in enumerate(IDS)}
    assert list(restored.fit(targets).losses) == list(moved.fit(targets).losses)
    assert [step.loss for step in restored.improve(IDS).steps] == [step.loss for step in moved.improve(IDS).steps]


def test_without_the_absent_t5s_zeros_the_network_says_the_same(client: Client, tmp_path: Path) -> None:
    """Stable Diffusion 3 without T5 reads 256 tokens of zeros; for training one of them counts for all."""
    testing.CHECKPOINTS["tiny-sd3-clip"]().save_pretrained(tmp_path)
    client.open(tmp_path, sampler=pb.SamplerConfig(kind=pb.SamplerConfig.FLOW_SDE, steps=4, guidance=3.0, eta=0.7))
    model = client.handler.sessions["s"].model
    whole, short = model.encode(["cat", "cat"]), model.condition(["cat", "cat"])
    assert short["prompts"].shape[1] == whole["prompts"].shape[1] - 255
    x = torch.randn(2, *model.latent_shape, requires_grad=True)
    outputs = [model.predict(x, model.chain.timesteps[1], condition) for condition in (whole, short)]
    gradients = [torch.autograd.grad(output.square().sum(), x)[0] for output in outputs]
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", AHEAD)
def test_a_network_that_is_not_told_the_prompt_does_not_know_it(client: Client, tiny_sd: Path, kind: int) -> None:
    client.open(tiny_sd, value=pb.ValueConfig(kind=kind, without_prompt=True))
    client.sample(IDS)
    client.fit({name: float(i) for i, name in enumerate(IDS)}, steps=20)
    session = client.handler.sessions["s"]
    x, t = torch.randn(1, *session.model.latent_shape), session.model.chain.timesteps[:1]
    assert session.value.modulation.condition is None
    if kind == pb.ValueConfig.CONV:
        with torch.no_grad():
            one, other = (session.value(x, t, session.model.condition([prompt])) for prompt in ("cat", "dog"))
        assert one.item() == other.item() != 0
