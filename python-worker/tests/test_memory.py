"""What makes large models fit: the same gradients from fewer activations, states kept smaller, parts that live elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from conftest import STEPS, Client, open_request
from test_checkpoint import restore, save
from vard.v1 import worker_pb2 as pb
from vard_worker import model, testing
from vard_worker.encodings import Encodings, size
from vard_worker.objectives import ClippedRatio
from vard_worker.residence import Residence
from vard_worker.trainer import Descent

IDS = ["a", "b", "c", "d"]
TARGETS = {"a": 1.0, "b": -1.0, "c": 0.2, "d": 0.0}
DDPM = pb.SamplerConfig(kind=pb.SamplerConfig.DDPM, guidance=1.0)


@pytest.fixture(scope="session")
def tiny_sd3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny-sd3"
    testing.CHECKPOINTS["tiny-sd3-clip"]().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_sana(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny-sana"
    testing.CHECKPOINTS["tiny-sana"]().save_pretrained(folder)
    return folder


TRANSFORMERS = ("tiny_sd3", "tiny_sana")


# ------------------------------------------------------------------------------------------------ gradient checkpointing


@pytest.mark.parametrize("value", ["CONV", "ENCODER"])
@pytest.mark.parametrize("family", ["tiny_sd", "tiny_ddpm", *TRANSFORMERS])
def test_gradients_computed_again_are_the_same(client: Client, request: pytest.FixtureRequest, family: str, value: str) -> None:
    """With a value on features of the pretrained network too: computed again, they are not to be the adapter's."""
    checkpoint, ends = request.getfixturevalue(family), []
    for again in (False, True):
        opening = open_request(checkpoint, f"{again}", value=pb.ValueConfig(kind=pb.ValueConfig.Kind.Value(value), width=16))
        opening.model.gradient_checkpointing = again
        if family == "tiny_ddpm":
            opening.sampler.CopyFrom(pb.SamplerConfig(kind=pb.SamplerConfig.DDPM, guidance=1.0, steps=STEPS))
        if family in TRANSFORMERS:
            opening.sampler.CopyFrom(pb.SamplerConfig(steps=STEPS, guidance=3.0))
            del opening.model.adapter.targets[:]
        client.call("Open", opening)
        trainee = Client(client.handler, f"{again}")
        trainee.sample(IDS, prompts=("",) if family == "tiny_ddpm" else ("cat", "dog"))
        trainee.fit(TARGETS, steps=5)
        told = trainee.improve(IDS, steps=4, kl_weight=0.001)
        session = client.handler.sessions[f"{again}"]
        assert any(getattr(module, "gradient_checkpointing", False) for module in session.model.net.modules()) == again
        ends.append((list(told.steps), [weight.detach().clone() for weight in session.model.policies.parameters()]))
    (plain, weights), (recomputed, others) = ends
    assert [step.gradient_norm for step in recomputed] == pytest.approx([step.gradient_norm for step in plain], rel=1e-5)
    assert [step.loss for step in recomputed] == pytest.approx([step.loss for step in plain], rel=1e-5, abs=1e-7)
    assert all(torch.allclose(one, other, rtol=1e-4, atol=1e-6) for one, other in zip(weights, others, strict=True))


def test_fewer_activations_are_kept(client: Client, tiny_sd: Path) -> None:
    kept = []
    for again in (False, True):
        client.open(tiny_sd, model=pb.ModelConfig(gradient_checkpointing=again))
        client.sample(["a"])
        session, held = client.handler.sessions["s"], []
        x = session.trajectories["a"].states[:1]
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor, held=held: held.append(tensor.nbytes) or tensor, lambda tensor: tensor):
            session.model.predict(x, session.model.chain.timesteps[:1], session.model.condition(["cat"]))
        kept.append(sum(held))
        client.call("Close", pb.CloseRequest(session_id="s"))
        client.operation = 0
    assert kept[1] < 0.5 * kept[0]


# ------------------------------------------------------------------------------------------------ trajectories


def test_states_are_kept_as_asked_and_are_the_chain_that_was_drawn(client: Client, tiny_sd: Path, tmp_path: Path) -> None:
    request = open_request(tiny_sd)
    request.trajectories.CopyFrom(pb.TrajectoryConfig(dtype=pb.BFLOAT16, device="cpu"))
    client.call("Open", request)
    drawn = client.sample(IDS)
    session = client.handler.sessions["s"]
    trajectory = session.trajectories["a"]
    assert trajectory.states.dtype == torch.bfloat16 and trajectory.log_probs.dtype == torch.float32
    # A repeated request's images are made of what was kept.
    client.operation -= 1
    assert (client.sample(IDS) == drawn).all()
    # The ratio of the first step is 1: its log-probabilities are those of the states that were kept.
    ratio = ClippedRatio(advantage=(2.0,) * 4, clip=1e-3)
    step = session.improve_policy(IDS, ratio, 0.0, Descent(1, 8, 1e-3, seed=1), lambda: False).steps[0]
    assert step.metrics["objective"] == pytest.approx(-2.0, abs=1e-4)
    assert step.metrics["clipped"] == 0.0
    restored = restore(client, save(client, tmp_path / "c"), "restored")
    assert client.handler.sessions["restored"].trajectories["a"].states.dtype == torch.bfloat16
    restored.fit(TARGETS)


def test_what_is_not_kept_is_not_rounded(client: Client, tiny_sd: Path) -> None:
    ends = []
    for session_id, kept in (("full", pb.FLOAT32), ("half", pb.BFLOAT16)):
        request = open_request(tiny_sd, session_id)
        request.trajectories.dtype = kept
        client.call("Open", request)
        ends.append(Client(client.handler, session_id).sample(IDS, retain=False))
    assert (ends[0] == ends[1]).all()


# ------------------------------------------------------------------------------------------------ parts that live elsewhere


class Movable(nn.Module):
    """Notes where it is moved to."""

    def __init__(self, name: str, moves: list[str]) -> None:
        super().__init__()
        self.name, self.moves = name, moves

    def to(self, device: torch.device) -> Movable:
        self.moves.append(f"{self.name} → {device}")
        return self


def test_parts_are_on_the_device_while_they_are_in_use() -> None:
    moves: list[str] = []
    parts = {name: Movable(name, moves) for name in ("text_encoder", "text_encoder_2", "vae")}
    residence = Residence(parts, torch.device("cuda"), offload=True)
    with residence.encoding():
        assert moves == ["text_encoder → cuda", "text_encoder_2 → cuda"]
        with residence.encoding():
            pass
        assert len(moves) == 2
    assert moves[2:] == ["text_encoder → cpu", "text_encoder_2 → cpu"]
    moves.clear()
    with residence.everything(), residence.decoding():
        pass
    assert moves == [f"{name} → {device}" for device in ("cuda", "cpu") for name in parts]
    moves.clear()
    with pytest.raises(ValueError, match="x"), residence.decoding():
        raise ValueError("x")
    assert moves == ["vae → cuda", "vae → cpu"]


def test_without_offload_nothing_is_moved() -> None:
    moves: list[str] = []
    residence = Residence({"vae": Movable("vae", moves)}, torch.device("cuda"), offload=False)
    with residence.encoding(), residence.decoding(), residence.everything():
        pass
    assert not moves


def test_a_session_moves_its_encoders_once_for_new_prompts_and_its_vae_for_images(client: Client, tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client.open(tiny_sd, model=pb.ModelConfig(offload=True))
    session = client.handler.sessions["s"]
    moves: list[str] = []
    for name in ("text_encoder", "vae"):
        plain = type(getattr(session.model.family.pipeline, name)).to
        part = getattr(session.model.family.pipeline, name)
        monkeypatch.setattr(part, "to", lambda device, name=name, part=part, plain=plain: moves.append(name) or plain(part, device))
    client.sample(IDS)
    assert moves == ["text_encoder"] * 2 + ["vae"] * 2
    moves.clear()
    client.fit(TARGETS)
    # Each on its own now, but the encoder came once for both.
    assert moves == ["text_encoder"] * 2
    moves.clear()
    client.fit(TARGETS)
    client.sample(["e", "f", "g", "h"])
    assert moves == ["vae"] * 2


def test_offloading_changes_no_bit(client: Client, tiny_sd: Path, tmp_path: Path) -> None:
    ends = []
    for offload in (False, True):
        trainee = Client(client.handler, f"{offload}")
        trainee.open(tiny_sd, model=pb.ModelConfig(offload=offload))
        trainee.sample(IDS)
        trainee.fit(TARGETS)
        trainee.improve(IDS)
        ends.append(trainee.export(tmp_path / f"{offload}").sha256)
    assert ends[0] == ends[1]


# ------------------------------------------------------------------------------------------------ encodings, decoding


def test_a_prompt_is_encoded_once_and_the_longest_unused_goes_first() -> None:
    asked: list[list[str]] = []

    def encode(prompts: list[str]) -> dict[str, torch.Tensor]:
        asked.append(prompts)
        return {"prompts": torch.tensor([[float(len(prompt))] for prompt in prompts])}

    held = Encodings(encode, most_bytes=3 * size(encode(["x"])))
    asked.clear()
    assert held.apart(["a", "bb", "a"])["prompts"].flatten().tolist() == [1.0, 2.0, 1.0]
    assert asked == [["a"], ["bb"]]
    held.apart(["ccc", "a"])
    held.apart(["dddd"])
    assert asked[2:] == [["ccc"], ["dddd"]]
    # "bb" was the longest unused.
    assert ["bb"] not in held and ["a"] in held and ["ccc"] in held
    held.together(["a", "bb", "ccc", "dddd"])
    assert held.together(["a", "bb", "ccc", "dddd"])["prompts"].shape == (4, 1)
    assert asked[-1] == ["a", "bb", "ccc", "dddd"] and len(asked) == 5


def test_as_many_images_are_decoded_together_as_memory_is_meant_for(opened: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = opened.sample(IDS, batch=4, retain=False)
    family = opened.handler.sessions["s"].model.family
    plain, rows = family.decode, []
    monkeypatch.setattr(family, "decode", lambda x: rows.append(len(x)) or plain(x))
    monkeypatch.setattr(model, "DECODED_PIXELS", 3 * 32 * 32 + 5)
    sliced = opened.sample(IDS, batch=4, retain=False)
    assert rows == [3, 1]
    assert np.abs(sliced.astype(int) - whole.astype(int)).max() <= 1


# ------------------------------------------------------------------------------------------------ snapshots


def test_snapshots_of_policies_survive_a_checkpoint(opened: Client, tmp_path: Path) -> None:
    opened.sample(IDS)
    opened.fit(TARGETS)
    opened.improve(IDS)
    policies = opened.handler.sessions["s"].model.policies
    policies.snapshot("old")
    opened.improve(IDS)
    restore(opened, save(opened, tmp_path / "c"), "restored")
    held = opened.handler.sessions["restored"].model.policies.snapshots
    assert set(held) == {"old"}
    for name, weight in policies.snapshots["old"].items():
        assert torch.equal(held["old"][name], weight)
    assert not torch.equal(held["old"][name], policies.weights()[name])
