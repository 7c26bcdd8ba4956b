"""A Python reward as it is served: a real process, a real connection."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from vard.v1 import reward_pb2 as pb
from vard.v1 import reward_pb2_grpc

TOKEN = "a-token-of-some-length"
PATIENCE = 60.0
SOURCES = Path(__file__).parents[1] / "src"
MODULE = '''
import math, os, sys, threading, time

closed = os.environ.get("CLOSED")


def red(images, prompts):
    return [image.getpixel((0, 0))[0] / 255 + len(prompt) for image, prompt in zip(images, prompts)]


def scaled(images, prompts, factor=1.0):
    return [factor * score for score in red(images, prompts)]


def answers(images, prompts, what):
    return eval(what)


def raises(images, prompts, what):
    if len(images) > 1 or not prompts[0]:
        raise eval(what)
    return red(images, prompts)


def gated(images, prompts):
    print("computing", flush=True)
    while not os.path.exists("gate"):
        time.sleep(0.01)
    return red(images, prompts)


class Scorer:
    range = (0, 8)
    batch = 3

    def __init__(self, factor, device):
        self.factor, self.device, self.thread = factor, device, threading.get_ident()

    def __call__(self, images, prompts):
        assert threading.get_ident() == self.thread
        return [self.factor * score for score in red(images, prompts)]

    def close(self):
        open(closed, "w").write(self.device)


def factory(factor=1.0):
    return lambda images, prompts: scaled(images, prompts, factor)


class Awkward(Exception):
    """Nothing can be had of it."""

    def item(self):
        raise RuntimeError("no item")

    tolist = lambda self: self.nowhere
    __repr__ = __str__ = lambda self: 1 / 0


class Late:
    """A tensor whose computation fails when it is asked for its values."""

    def tolist(self):
        raise ValueError("no kernel")


def broken():
    raise ValueError("the model\\nis not there")


def unwritable():
    raise ValueError("no file " + chr(0xDC80))


def nothing():
    return 5


class Twisted:
    range = (1, 1)

    def __call__(self, images, prompts):
        return []


number = 3
'''


@dataclass
class Served:
    process: subprocess.Popen[bytes]
    port: int
    log: Path
    token: str = TOKEN
    channel: grpc.Channel = field(init=False)

    def __post_init__(self) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        self.stub = reward_pb2_grpc.RewardServiceStub(self.channel)
        self.metadata = [("authorization", f"Bearer {self.token}")]

    def describe(self) -> pb.DescribeRewardResponse:
        return self.stub.DescribeReward(pb.DescribeRewardRequest(), metadata=self.metadata, timeout=PATIENCE)

    def score(self, *prompts: str, timeout: float = PATIENCE) -> list[pb.RewardOutcome]:
        request = pb.ScoreRequest(queries=[query(prompt, i) for i, prompt in enumerate(prompts)])
        return list(self.stub.Score(request, metadata=self.metadata, timeout=timeout).outcomes)


def query(prompt: str, red: int) -> pb.RewardQuery:
    image = np.zeros((2, 3, 3), np.uint8)
    image[0, 0, 0] = red
    return pb.RewardQuery(rgb=image.tobytes(), height=2, width=3, prompt=prompt, seed=red)


def start(
    folder: Path, function: str, options: dict[str, object], device: str = "cpu", environment: dict[str, str] | None = None
) -> tuple[subprocess.Popen[bytes], Path]:
    (folder / "mine.py").write_text(MODULE)
    (folder / "token").write_text(TOKEN)
    command = [sys.executable, "-m", "vard_rewards", "serve", "--function", function, "--options", json.dumps(options), "--device", device]
    command += ["--port", "0", "--ready-file", "ready.json", "--token-file", "token", "--exit-with-stdin"]
    environment = os.environ | {"PYTHONPATH": str(SOURCES), "CLOSED": str(folder / "closed")} | (environment or {})
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log), folder / "log"


@contextmanager
def serving(folder: Path, function: str, device: str = "cpu", environment: dict[str, str] | None = None, **options: object) -> Iterator[Served]:
    process, log = start(folder, function, options, device, environment)
    try:
        ready = folder / "ready.json"
        end = time.monotonic() + PATIENCE
        while not ready.exists():
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.01)
        served = Served(process, json.loads(ready.read_text())["port"], log)
        yield served
        served.channel.close()
    finally:
        process.kill()
        process.wait()
        process.stdin.close()


def scores(outcomes: list[pb.RewardOutcome]) -> list[float]:
    assert all(outcome.HasField("score") for outcome in outcomes), outcomes
    return [outcome.score for outcome in outcomes]


def test_a_function_scores_images_in_their_order(tmp_path: Path) -> None:
    with serving(tmp_path, "mine:red") as served:
        assert scores(served.score("", "ab", "c")) == [0, 1 / 255 + 2, 2 / 255 + 1]
        described = served.describe()
        assert (described.name, described.batch, described.HasField("least")) == ("mine:red", 0, False)


@pytest.mark.parametrize("function", ["mine:scaled", "mine:factory"])
def test_options_are_keyword_arguments(tmp_path: Path, function: str) -> None:
    with serving(tmp_path, function, factor=2.5) as served:
        assert scores(served.score("ab")) == [5]


def test_a_class_is_made_once_on_the_thread_that_scores_and_closed_at_the_end(tmp_path: Path) -> None:
    with serving(tmp_path, "mine:Scorer", device="cuda:7", factor=2) as served:
        described = served.describe()
        assert (described.least, described.most, described.batch) == (0, 8, 3)
        assert scores(served.score("ab", "c")) == [4, 2 + 2 / 255]
        served.process.stdin.close()
        assert served.process.wait(PATIENCE) == 0
        assert (tmp_path / "closed").read_text() == "cuda:7"


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        ("(1, 2.5)", [1, 2.5]),
        ("([1, 2.5], {'source': 'ddpo'})", [1, 2.5]),
        ("(__import__('torch').tensor([1, 2.5]), None)", [1, 2.5]),
        ("__import__('numpy').array([1, 2.5], 'f')", [1, 2.5]),
        ("[__import__('numpy').float32(1), 2]", [1, 2]),
    ],
)
def test_any_numbers_will_do(tmp_path: Path, answer: str, values: list[float]) -> None:
    with serving(tmp_path, "mine:answers", what=answer) as served:
        assert scores(served.score("", "")) == values


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        ("[1]", "WRONG_COUNT", "mine:answers gave 1 scores for 2 images"),
        ("None", "NOT_A_LIST", "mine:answers gave NoneType, not a list of numbers"),
        ("'12'", "NOT_A_LIST", "gave str"),
        ("{'avg': [1, 2], 'clip': [1, 2]}", "NOT_A_LIST", "gave dict, not a list of numbers; give one of its lists: avg, clip"),
        ("([1], {})", "WRONG_COUNT", "mine:answers gave 1 scores for 2 images"),
        ("([1, 2], [3, 4])", "NOT_A_NUMBER", "gave [1, 2]"),
        ("[{}, None]", "NOT_A_NUMBER", "gave {}"),
        ("['1', '2']", "NOT_A_NUMBER", "gave '1', which is not a number"),
        ("[True, None]", "NOT_A_NUMBER", "gave True"),
        ("[[1, 2], [3, 4]]", "NOT_A_NUMBER", "gave [1, 2]"),
        ("[math.nan] * 2", "NOT_FINITE", "gave nan"),
        ("[-math.inf] * 2", "NOT_FINITE", "gave -inf"),
        ("[10**400] * len(prompts)", "NOT_FINITE", "gave a whole number beyond ±1.8e+308"),
        ("[-(10**5000)] * len(prompts)", "NOT_FINITE", "gave a whole number beyond ±1.8e+308"),
        ("[[10**5000]] * len(prompts)", "NOT_A_NUMBER", "gave an object of list, which is not a number"),
        ("[Awkward()] * len(prompts)", "NOT_A_NUMBER", "gave an object of Awkward, which is not a number"),
        ("Awkward()", "THREW", "raised AttributeError: 'Awkward' object has no attribute 'nowhere' ("),
        ("Late()", "THREW", "raised ValueError: no kernel ("),
    ],
)
def test_what_is_no_score_is_refused_by_name(tmp_path: Path, answer: str, code: str, message: str) -> None:
    with serving(tmp_path, "mine:answers", what=answer) as served:
        outcomes = served.score("", "")
        assert [(outcome.failure.code, outcome.failure.retryable) for outcome in outcomes] == [(code, False)] * 2
        assert message in outcomes[0].failure.message
        assert "is started anew" not in served.log.read_text()


def test_the_info_beside_scores_is_told_of_once(tmp_path: Path) -> None:
    with serving(tmp_path, "mine:answers", what="([1], {})") as served:
        assert scores(served.score("a")) + scores(served.score("b")) == [1, 1]
        assert served.log.read_text().count("gives (scores, info)") == 1


def test_a_bad_score_costs_no_other(tmp_path: Path) -> None:
    with serving(tmp_path, "mine:answers", what="[1, math.nan]") as served:
        good, bad = served.score("", "")
        assert (good.score, bad.failure.code) == (1, "NOT_FINITE")


@pytest.mark.parametrize(
    ("error", "code", "retryable", "message"),
    [
        ("ValueError('too dark')", "THREW", False, "raised ValueError: too dark ("),
        ("SystemExit('no key')", "THREW", False, "raised SystemExit: no key"),
        ("ConnectionError('refused')", "UNAVAILABLE", True, "raised ConnectionError: refused"),
        ("ValueError('no file ' + chr(0xDC80))", "THREW", False, "raised ValueError: no file ? ("),
        ("Awkward()", "THREW", False, "raised Awkward: (its text could not be had)"),
        ("MemoryError()", "OUT_OF_MEMORY", True, "MemoryError; lower the batch"),
        ("__import__('torch').OutOfMemoryError('CUDA out of memory')", "OUT_OF_MEMORY", True, "OutOfMemoryError: CUDA out of memory; lower"),
    ],
)
def test_an_exception_is_a_failure_with_its_type(tmp_path: Path, error: str, code: str, retryable: bool, message: str) -> None:
    with serving(tmp_path, "mine:raises", what=error) as served:
        (outcome,) = served.score("")
        assert (outcome.failure.code, outcome.failure.retryable) == (code, retryable)
        assert message in outcome.failure.message
        assert "mine.py" in served.log.read_text()


def test_one_bad_image_costs_no_other_its_score(tmp_path: Path) -> None:
    with serving(tmp_path, "mine:raises", what="ValueError('too dark')") as served:
        first, bad, last = served.score("a", "", "b")
        assert (first.score, bad.failure.code, last.score) == (1, "THREW", 1 + 2 / 255)


def test_bytes_that_are_no_image_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path, "mine:red") as served:
        for wrong in ({"height": 3}, {"rgb": b""}, {"height": -2, "width": -3}, {"height": 1 << 30, "width": 1 << 30}):
            bad = query("", 1)
            for name, value in wrong.items():
                setattr(bad, name, value)
            with pytest.raises(grpc.RpcError) as refused:
                served.stub.Score(pb.ScoreRequest(queries=[query("", 1), bad]), metadata=served.metadata, timeout=PATIENCE)
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert "queries[1]" in refused.value.details()
        assert served.score() == []


def test_callers_need_the_token_but_not_for_health(tmp_path: Path) -> None:
    with serving(tmp_path, "mine:red") as served:
        with pytest.raises(grpc.RpcError) as refused:
            served.stub.DescribeReward(pb.DescribeRewardRequest(), timeout=PATIENCE)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        health = health_pb2_grpc.HealthStub(served.channel)
        for service in ("", "vard.v1.RewardService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


def under_way(served: Served) -> grpc.Future:
    """A call that computes, and does not end before there is a gate."""
    call = served.stub.Score.future(pb.ScoreRequest(queries=[query("", 1)]), metadata=served.metadata)
    while "computing" not in served.log.read_text():
        time.sleep(0.01)
    return call


def test_what_nobody_waits_for_is_not_computed(tmp_path: Path) -> None:
    with serving(tmp_path, "mine:gated") as served:
        first = under_way(served)
        with pytest.raises(grpc.RpcError) as late:
            served.score("", timeout=0.2)
        assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        served.describe()
        (tmp_path / "gate").touch()
        assert first.result()
        assert scores(served.score("a")) == [1]
        assert served.log.read_text().count("computing") == 2


@pytest.mark.parametrize("how", ["stdin", "SIGTERM"])
def test_it_ends_when_told_even_if_the_function_does_not(tmp_path: Path, how: str) -> None:
    with serving(tmp_path, "mine:gated") as served:
        call = under_way(served)
        served.process.stdin.close() if how == "stdin" else served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(PATIENCE) == 0
        with pytest.raises(grpc.RpcError):
            call.result()


def test_it_ends_with_its_starter_while_it_loads(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("import time\nopen('loading', 'w')\ntime.sleep(600)\n")
    process, log = start(tmp_path, "endless:red", {})
    while not (tmp_path / "loading").exists():
        assert process.poll() is None, log.read_text()
        time.sleep(0.01)
    process.stdin.close()
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        ("nowhere:red", {}, "there is no module nowhere: modules are looked for in the working directory"),
        ("mine.deeper:red", {}, "there is no module mine.deeper"),
        ("needy:red", {}, "needy needs the module of_somebody_else, which is not installed"),
        ("faulty:red", {}, "faulty could not be imported: ZeroDivisionError: division by zero"),
        ("mine:blue", {}, "has no blue"),
        ("mine:number", {}, "mine:number is int, not a function or a class"),
        ("mine:red", {"factor": 1}, "mine:red takes (images, prompts), and the options are {'factor': 1}: got an unexpected keyword argument 'factor'"),
        ("mine:Scorer", {}, "missing a required argument: 'factor'; a function that scores has images as its first parameter"),
        ("mine:broken", {}, "mine:broken could not be made: ValueError: the model is not there"),
        ("mine:unwritable", {}, "mine:unwritable could not be made: ValueError: no file ?"),
        ("mine:nothing", {}, "mine:nothing gave int, which cannot be called with images and prompts"),
        ("mine:Twisted", {}, "mine:Twisted: range is (1, 1), whose least is not below its most"),
    ],
)
def test_what_cannot_be_loaded_is_told_in_the_last_line(tmp_path: Path, function: str, options: dict[str, object], message: str) -> None:
    (tmp_path / "needy.py").write_text("import of_somebody_else\n")
    (tmp_path / "faulty.py").write_text("1 / 0\n")
    process, log = start(tmp_path, function, options)
    assert process.wait(PATIENCE) == 1
    process.stdin.close()
    assert message in log.read_text().splitlines()[-1]
    assert not (tmp_path / "ready.json").exists()


def test_what_lies_in_the_working_directory_takes_nothings_place(tmp_path: Path) -> None:
    for hijacker in ("diffusers", "google", "grpc", "json", "logging", "numpy", "PIL", "struct", "torch"):
        (tmp_path / f"{hijacker}.py").write_text("raise SystemExit('hijacked')\n")
    (tmp_path / "user.py").write_text("import json, numpy, torch\nfrom mine import red\n")
    # As the launcher has it.
    with serving(tmp_path, "user:red", environment={"PYTHONSAFEPATH": "1"}) as served:
        assert scores(served.score("ab")) == [2]


@pytest.mark.parametrize(
    ("module", "file"), [("statistics", "statistics.py"), ("numpy", "numpy/__init__.py"), ("xml.score", "xml/score.py"), ("vard_rewards", "vard_rewards.py")]
)
def test_a_module_with_an_installed_ones_name_is_refused_by_its_file(tmp_path: Path, module: str, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("def score(images, prompts): return [1.0] * len(images)\n")
    process, log = start(tmp_path, f"{module}:score", {}, environment={"PYTHONSAFEPATH": "1"})
    assert process.wait(PATIENCE) == 1
    process.stdin.close()
    last = log.read_text().splitlines()[-1]
    assert f"{tmp_path / file} has the name of a module that Python finds first, " in last and "rename yours" in last


def test_a_module_of_a_folder_without_init_is_found(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "deeper.py").write_text("def score(images, prompts): return [1.0] * len(images)\n")
    with serving(tmp_path, "own.deeper:score") as served:
        assert scores(served.score("")) == [1]
