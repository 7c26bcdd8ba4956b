"""What users are to take as a pattern works: the example function, and the example server as its README makes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from vard.v1 import reward_pb2 as pb
from vard.v1 import reward_pb2_grpc
from vard_rewards.function import load

HOME = Path(__file__).parents[2]
TOKEN = [("authorization", "Bearer secret")]
PATIENCE = 60.0


def test_warmth_is_red_less_blue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HOME)
    monkeypatch.syspath_prepend(HOME)
    score = load("examples.rewards.warmth:score", {}, "cpu").score
    images = [Image.new("RGB", (3, 2), colour) for colour in ("red", "blue", "white", (51, 0, 0))]
    assert score(images, [""] * 4) == pytest.approx([1, -1, 0, 0.2])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    """Away from the project, with stubs of its own."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "vard/v1").mkdir(parents=True)
    (folder / "vard/v1/reward.proto").write_bytes((HOME / "proto/src/main/protobuf/vard/v1/reward.proto").read_bytes())
    (folder / "score_server.py").write_bytes((HOME / "examples/reward-servers/python/score_server.py").read_bytes())
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"REWARD_TOKEN": "secret"}
    protoc = [sys.executable, "-m", "grpc_tools.protoc", "-I", ".", "--python_out=.", "--grpc_python_out=.", "vard/v1/reward.proto"]
    subprocess.run(protoc, cwd=folder, env=environment, check=True)
    with subprocess.Popen([sys.executable, "score_server.py", "--port", "0"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().split()[-1]}") as channel:
                yield channel
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def test_the_example_server_scores(server: grpc.Channel) -> None:
    stub = reward_pb2_grpc.RewardServiceStub(server)
    random = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    red_green, yellow_blue = random @ [1, -1, 0], random @ [0.5, 0.5, -1]
    expected = np.hypot(red_green.std(), yellow_blue.std()) + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean())
    queries = [
        pb.RewardQuery(rgb=bytes(3 * 20), height=4, width=5),
        pb.RewardQuery(rgb=random.tobytes(), height=5, width=4, prompt="a cat"),
        pb.RewardQuery(rgb=b"no image", height=5, width=4),
    ]
    grey, colourful, broken = stub.Score(pb.ScoreRequest(queries=queries), metadata=TOKEN, timeout=PATIENCE).outcomes
    assert grey.HasField("score") and grey.score == 0
    assert colourful.score == pytest.approx(expected)
    assert broken.failure.code == "NOT_AN_IMAGE"


def test_the_example_server_tells_what_it_is_and_asks_who_calls(server: grpc.Channel) -> None:
    stub = reward_pb2_grpc.RewardServiceStub(server)
    described = stub.DescribeReward(pb.DescribeRewardRequest(), metadata=TOKEN, timeout=PATIENCE)
    assert (described.name, described.least, described.HasField("most")) == ("colourfulness", 0, False)
    for metadata, reward, code in [([], "", grpc.StatusCode.UNAUTHENTICATED), (TOKEN, "beauty", grpc.StatusCode.NOT_FOUND)]:
        with pytest.raises(grpc.RpcError) as refused:
            stub.Score(pb.ScoreRequest(reward=reward), metadata=metadata, timeout=PATIENCE)
        assert refused.value.code() == code
    answer = health_pb2_grpc.HealthStub(server).Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
