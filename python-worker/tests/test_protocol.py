"""Bad requests get a typed error that names the field, and leave the session as it was."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from google.protobuf.message import Message

from conftest import VARD, Client, open_request, ratios, refused
from vard.v1 import worker_pb2 as pb
from vard_worker.checks import MAX_SESSIONS
from vard_worker.errors import WorkerError
from vard_worker.handler import METHODS

IDS = ["a", "b", "c"]


def weights(client: Client) -> list[torch.Tensor]:
    session = client.handler.sessions[client.session_id]
    return [p.detach().clone() for p in [*session.model.policies.parameters(), *session.value.parameters()]]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_every_rpc_of_the_contract_is_answered() -> None:
    assert set(METHODS) == {method.name for method in pb.DESCRIPTOR.services_by_name["WorkerService"].methods}


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"Describe", "Open", "Plan", "Restore"}))
def test_unknown_session(client: Client, method: str) -> None:
    request = METHODS[method].request(session_id="nobody")
    with refused(pb.UNKNOWN_SESSION):
        client.call(method, request)


def test_unknown_method_and_garbage(client: Client) -> None:
    with refused(pb.INVALID_ARGUMENT):
        list(client.handler.call("Nonsense", b"", lambda: False))
    with refused(pb.INVALID_ARGUMENT):
        list(client.handler.call("Open", b"\xff\xff\xff", lambda: False))


def set_field(path: str, value: object) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        *parents, name = path.split(".")
        for parent in parents:
            message = getattr(message, parent)
        setattr(message, name, value)

    return change


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("session_id", "../up"),
        ("session_id", ""),
        ("model.checkpoint", ""),
        ("model.dtype", pb.UINT8),
        ("model.device", "abacus"),
        ("model.device", "cuda:99"),
        ("model.adapter.rank", 0),
        ("model.adapter.rank", 10**9),
        ("model.dtype", 99),
        ("model.adapter.alpha", math.nan),
        ("sampler.kind", 99),
        ("sampler.steps", 0),
        ("sampler.steps", 1000),  # which begin at timestep 1000, of 0 to 999, by the model's steps_offset of 1
        ("sampler.steps", 1001),
        ("sampler.steps", 10**9),
        ("sampler.guidance", 0.5),
        ("sampler.guidance", math.inf),
        ("sampler.eta", 1.5),
        ("sampler.eta", math.nan),
        ("value.kind", 0),
        ("value.width", 13),
        ("value.width", 8 * 10**8),
    ],
)
def test_open_names_the_bad_field(client: Client, tiny_sd: Path, field: str, value: object) -> None:
    request = open_request(tiny_sd)
    set_field(field, value)(request)
    with refused(pb.INVALID_ARGUMENT) as caught:
        client.call("Open", request)
    assert caught.value.field == field
    assert field in caught.value.message
    assert not client.handler.sessions


def test_open_names_adapter_targets_that_fit_no_module(client: Client, tiny_sd: Path) -> None:
    request = open_request(tiny_sd)
    request.model.adapter.targets[:] = ["to_nowhere"]
    with refused(pb.INVALID_ARGUMENT) as caught:
        client.call("Open", request)
    assert caught.value.field == "model.adapter.targets"


def test_open_refuses_a_value_network_that_would_see_nothing(client: Client, tiny_sd: Path) -> None:
    request = open_request(tiny_sd)
    request.model.height = request.model.width = 4  # a latent of one point
    request.value.width = 8
    with refused(pb.INVALID_ARGUMENT) as caught:
        client.call("Open", request)
    assert caught.value.field == "value.width"


@pytest.mark.parametrize("targets", [[""], ["to_q"] * 1000, ["x" * 10**6]])
def test_open_names_bad_adapter_targets(client: Client, tiny_sd: Path, targets: list[str]) -> None:
    request = open_request(tiny_sd)
    request.model.adapter.targets[:] = targets
    with refused(pb.INVALID_ARGUMENT) as caught:
        client.call("Open", request)
    assert caught.value.field == "model.adapter.targets"
    assert len(caught.value.message) < 3000


def test_open_bounds_the_sessions(client: Client, tiny_sd: Path) -> None:
    client.open(tiny_sd)
    session = client.handler.sessions["s"]
    client.handler.sessions.update({f"s{i}": session for i in range(1, MAX_SESSIONS)})
    with refused(pb.INVALID_ARGUMENT) as caught:
        Client(client.handler, "one-too-many").open(tiny_sd)
    assert caught.value.field == "session_id"


def test_open_refuses_a_second_session_of_the_same_name(opened: Client, tiny_sd: Path) -> None:
    with refused(pb.SESSION_EXISTS):
        opened.open(tiny_sd)


def test_open_refuses_guidance_without_prompts(client: Client, tiny_ddpm: Path) -> None:
    with refused(pb.INVALID_ARGUMENT):
        client.open(tiny_ddpm)


def test_missing_model(client: Client, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with refused(pb.MODEL_NOT_LOADABLE):
        client.open(tmp_path / "empty")


def test_model_of_another_kind(client: Client, tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "KolorsPipeline"}')
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(tmp_path)
    assert "KolorsPipeline" in caught.value.message and "StableDiffusionPipeline" in caught.value.message


def test_model_with_a_part_missing(client: Client, tiny_sd: Path, tmp_path: Path) -> None:
    broken = copy_of(tiny_sd, tmp_path)
    next((broken / "unet").glob("*.safetensors")).unlink()
    with refused(pb.MODEL_NOT_LOADABLE):
        client.open(broken)


def test_model_of_pickle_files(client: Client, tiny_sd: Path, tmp_path: Path) -> None:
    pickled = copy_of(tiny_sd, tmp_path)
    next((pickled / "unet").glob("*.safetensors")).rename(pickled / "unet" / "diffusion_pytorch_model.bin")
    with refused(pb.UNSAFE_CHECKPOINT) as caught:
        client.open(pickled)
    assert "diffusion_pytorch_model.bin" in caught.value.message


def copy_of(folder: Path, where: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, where / "copy"))


BAD_CHANGES: list[tuple[str, str, Message, int]] = [
    ("empty", "Sample", pb.SampleRequest(batch=2, retain=True), pb.INVALID_ARGUMENT),
    ("no batch", "Sample", pb.SampleRequest(trajectories=[pb.TrajectorySpec(id="x")], retain=True), pb.INVALID_ARGUMENT),
    ("no id", "Sample", pb.SampleRequest(trajectories=[pb.TrajectorySpec()], batch=1, retain=True), pb.INVALID_ARGUMENT),
    ("id twice", "Sample", pb.SampleRequest(trajectories=[pb.TrajectorySpec(id="x")] * 2, batch=1, retain=True), pb.INVALID_ARGUMENT),
    ("id held", "Sample", pb.SampleRequest(trajectories=[pb.TrajectorySpec(id="a")], batch=1, retain=True), pb.TRAJECTORY_EXISTS),
    ("NaN reward", "FitValue", pb.FitValueRequest(targets=[pb.Target(trajectory_id="a", value=math.nan)], steps=1, batch=1, learning_rate=1), pb.INVALID_ARGUMENT),
    ("infinite reward", "FitValue", pb.FitValueRequest(targets=[pb.Target(trajectory_id="a", value=math.inf)], steps=1, batch=1, learning_rate=1), pb.INVALID_ARGUMENT),
    ("no target", "FitValue", pb.FitValueRequest(steps=1, batch=1, learning_rate=1), pb.INVALID_ARGUMENT),
    ("target twice", "FitValue", pb.FitValueRequest(targets=[pb.Target(trajectory_id="a")] * 2, steps=1, batch=1, learning_rate=1), pb.INVALID_ARGUMENT),
    ("unknown target", "FitValue", pb.FitValueRequest(targets=[pb.Target(trajectory_id="z")], steps=1, batch=1, learning_rate=1), pb.UNKNOWN_TRAJECTORY),
    ("no steps", "FitValue", pb.FitValueRequest(targets=[pb.Target(trajectory_id="a")], batch=1, learning_rate=1), pb.INVALID_ARGUMENT),
    ("no rate", "FitValue", pb.FitValueRequest(targets=[pb.Target(trajectory_id="a")], steps=1, batch=1), pb.INVALID_ARGUMENT),
    ("no objective", "ImprovePolicy", pb.ImprovePolicyRequest(trajectory_ids=IDS, steps=1, batch=1, learning_rate=1), pb.INVALID_ARGUMENT),
    ("negative weight", "ImprovePolicy", pb.ImprovePolicyRequest(trajectory_ids=IDS, steps=1, batch=1, learning_rate=1, kl_weight=-1, named=VARD), pb.INVALID_ARGUMENT),
    ("advantages short", "ImprovePolicy", pb.ImprovePolicyRequest(trajectory_ids=IDS, steps=1, batch=1, learning_rate=1, named=ratios([1], clip=0.1)), pb.INVALID_ARGUMENT),
    ("unknown trajectory", "ImprovePolicy", pb.ImprovePolicyRequest(trajectory_ids=["z"], steps=1, batch=1, learning_rate=1, named=VARD), pb.UNKNOWN_TRAJECTORY),
    ("unknown release", "Release", pb.ReleaseRequest(trajectory_ids=["a", "z"]), pb.UNKNOWN_TRAJECTORY),
    ("10^9 steps", "FitValue", pb.FitValueRequest(targets=[pb.Target(trajectory_id="a")], steps=10**9, batch=1, learning_rate=1), pb.INVALID_ARGUMENT),
    ("batch of 10^9", "FitValue", pb.FitValueRequest(targets=[pb.Target(trajectory_id="a")], steps=1, batch=10**9, learning_rate=1), pb.INVALID_ARGUMENT),
    ("too many pairs", "ImprovePolicy", pb.ImprovePolicyRequest(trajectory_ids=IDS, steps=10**6, batch=4096, learning_rate=1, named=VARD), pb.INVALID_ARGUMENT),
    ("sampling batch of 10^9", "Sample", pb.SampleRequest(trajectories=[pb.TrajectorySpec(id="x")], batch=10**9, retain=True), pb.INVALID_ARGUMENT),
    ("10^5 trajectories", "Sample", pb.SampleRequest(trajectories=[pb.TrajectorySpec(id=str(i)) for i in range(10**5)], batch=1, retain=True), pb.INVALID_ARGUMENT),
    ("prompt of a megabyte", "Sample", pb.SampleRequest(trajectories=[pb.TrajectorySpec(id="x", prompt="x" * 10**6)], batch=1, retain=True), pb.INVALID_ARGUMENT),
    ("id of a megabyte", "Sample", pb.SampleRequest(trajectories=[pb.TrajectorySpec(id="x" * 10**6)], batch=1, retain=True), pb.INVALID_ARGUMENT),
    ("huge rate", "FitValue", pb.FitValueRequest(targets=[pb.Target(trajectory_id="a", value=1)], steps=1, batch=1, learning_rate=1e30), pb.INVALID_ARGUMENT),
    ("huge target", "FitValue", pb.FitValueRequest(targets=[pb.Target(trajectory_id="a", value=1e300)], steps=1, batch=1, learning_rate=1), pb.NOT_FINITE),
    ("infinite from the second step on", "ImprovePolicy", pb.ImprovePolicyRequest(trajectory_ids=IDS, steps=4, batch=2, learning_rate=1, kl_weight=1e38, named=ratios([1, -1, 2], clip=1)), pb.NOT_FINITE),
]  # fmt: skip


@pytest.mark.parametrize(("method", "request_", "code"), [row[1:] for row in BAD_CHANGES], ids=[row[0] for row in BAD_CHANGES])
def test_a_refused_change_changes_nothing_and_the_session_goes_on(opened: Client, method: str, request_: Message, code: int) -> None:
    opened.sample(IDS)
    before = weights(opened)
    with refused(code):
        opened.change(method, type(request_).FromString(request_.SerializeToString()))
    session = opened.handler.sessions["s"]
    assert same(weights(opened), before)
    assert (session.operation, list(session.trajectories)) == (1, IDS)
    opened.fit({"a": 1.0, "b": 2.0, "c": 3.0})
    assert not same(weights(opened), before)


@pytest.mark.parametrize("number", [0, 3, 99])
def test_a_gap_in_the_operation_numbers_is_refused(opened: Client, number: int) -> None:
    opened.sample(IDS)
    request = pb.ReleaseRequest(session_id="s", operation=number, trajectory_ids=["a"])
    with refused(pb.OUT_OF_ORDER):
        opened.call("Release", request)


def test_a_repeated_change_is_answered_and_not_done_again(opened: Client) -> None:
    opened.sample(IDS)
    first = opened.fit({"a": 1.0, "b": 2.0, "c": 3.0})
    trained = weights(opened)
    opened.operation -= 1
    assert opened.fit({"a": 1.0, "b": 2.0, "c": 3.0}) == first
    assert same(weights(opened), trained)


def test_a_repeated_sample_streams_the_same_images(opened: Client) -> None:
    first = opened.sample(IDS, measure_kl=True)
    opened.operation -= 1
    assert (opened.sample(IDS, measure_kl=True) == first).all()
    assert opened.kl == [0.0] * 3


def test_another_request_under_a_used_number_is_refused(opened: Client) -> None:
    opened.sample(IDS)
    opened.fit({"a": 1.0})
    opened.operation -= 1
    with refused(pb.OUT_OF_ORDER):
        opened.fit({"a": 2.0})


@pytest.mark.parametrize("polls", [0, 2])
def test_a_cancelled_change_is_undone(opened: Client, polls: int) -> None:
    opened.sample(IDS)
    opened.fit({"a": 1.0, "b": -1.0, "c": 0.0})
    before, asked = weights(opened), iter(range(1000))
    opened.cancelled = lambda: next(asked) >= polls
    for change in (lambda: opened.sample(["x"]), lambda: opened.fit({"a": 9.0}, steps=9), lambda: opened.improve(IDS, steps=9)):
        asked = iter(range(1000))
        with refused(pb.CANCELLED):
            change()
    opened.cancelled = lambda: False
    assert same(weights(opened), before)
    opened.improve(IDS)
    assert not same(weights(opened), before)


def test_an_undone_change_repeats_to_the_same_bits(client: Client, tiny_sd: Path) -> None:
    """Also the optimiser's moments go back: they would show in the next step."""
    ends = []
    for session_id in ("interrupted", "smooth"):
        trainee = Client(client.handler, session_id)
        trainee.open(tiny_sd)
        trainee.sample(IDS)
        trainee.fit({"a": 1.0, "b": -1.0, "c": 0.0})
        if session_id == "interrupted":
            asked = iter(range(1000))
            trainee.cancelled = lambda asked=asked: next(asked) >= 3
            with refused(pb.CANCELLED):
                trainee.fit({"a": 1.0, "b": 0.5, "c": 0.0}, steps=5)
            trainee.cancelled = lambda: False
        trainee.fit({"a": 1.0, "b": 0.5, "c": 0.0}, steps=5)
        ends.append(weights(trainee))
    assert same(*ends)


def test_out_of_memory_is_told_as_such(opened: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    opened.sample(IDS)

    def explode(*_: object) -> None:
        raise MemoryError("16 GiB")

    monkeypatch.setattr(opened.handler.sessions["s"].model, "predict", explode)
    with refused(pb.OUT_OF_MEMORY) as caught:
        opened.improve(IDS)
    assert "smaller batches" in caught.value.message


def test_pytorchs_allocator_on_cpus_is_out_of_memory_too(opened: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    opened.sample(IDS)
    monkeypatch.setattr(opened.handler.sessions["s"].model, "predict", lambda *_: torch.empty(1 << 50))
    with refused(pb.OUT_OF_MEMORY):
        opened.improve(IDS)


def test_images_that_are_not_finite_are_not_sent(client: Client, tiny_sd: Path) -> None:
    with refused(pb.NOT_FINITE):
        client.open(tiny_sd, sampler=pb.SamplerConfig(guidance=1e308))
    client.open(tiny_sd)
    client.handler.sessions["s"].model.family.guidance = 1e308
    with refused(pb.NOT_FINITE):
        client.sample(IDS)
    assert not client.handler.sessions["s"].trajectories


def test_a_message_that_quotes_a_large_request_stays_short(client: Client) -> None:
    with refused(pb.UNKNOWN_SESSION) as caught:
        client.call("Close", pb.CloseRequest(session_id="x" * 10**6))
    assert len(caught.value.message) < 3000


def test_a_session_without_value_says_so(client: Client, tiny_sd: Path) -> None:
    request = open_request(tiny_sd)
    request.ClearField("value")
    client.call("Open", request)
    client.sample(IDS)
    with pytest.raises(WorkerError, match="without a value network"):
        client.fit({"a": 1.0})
    with pytest.raises(WorkerError, match="without a value network"):
        client.improve(IDS)
    client.improve(IDS, named=ratios([1, 0, -1], clip=0.1))


def test_close_forgets_the_session(opened: Client, tiny_sd: Path) -> None:
    opened.call("Close", pb.CloseRequest(session_id="s"))
    with refused(pb.UNKNOWN_SESSION):
        opened.sample(IDS)
    opened.open(tiny_sd)


def test_describe_lists_the_sessions(opened: Client) -> None:
    opened.sample(IDS)
    answer = opened.call("Describe", pb.DescribeRequest())[0]
    assert answer.devices[0] == "cpu"
    assert [(s.session_id, s.operation, list(s.trajectory_ids)) for s in answer.sessions] == [("s", 1, IDS)]
    assert answer.peak_memory_bytes > 50 << 20
