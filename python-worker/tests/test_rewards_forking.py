"""Functions that fork, spawn, crash and hang, as they are served: real processes, which leave none behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from test_rewards_server import PATIENCE, SOURCES, Served, query, scores, serving
from vard.v1 import reward_pb2 as pb
from vard_rewards.child import CLOSED_PIPE
from vard_rewards.scorer import Scorer

ROUNDS = 20
MODULE = '''
import concurrent.futures, faulthandler, multiprocessing, os, pathlib, signal, subprocess, sys, time

here = pathlib.Path(__file__).parent


def red(image):
    return image.getpixel((0, 0))[0]


def pool(images, prompts, method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map(red, images)


def executor(images, prompts):
    with concurrent.futures.ProcessPoolExecutor(2) as executor:
        return list(executor.map(red, images))


def loader(images, prompts):
    import torch

    data = [torch.tensor(red(image)) for image in images]
    return [float(value) for part in torch.utils.data.DataLoader(data, batch_size=1, num_workers=2) for value in part]


def stubborn():
    """Ignores what it is asked to."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


class Kept:
    """A pool that lives as long as the reward, of workers that are hard to end, and a child of one of them."""

    def __init__(self):
        self.pool = multiprocessing.get_context("fork").Pool(2, stubborn)
        if os.fork() == 0:
            stubborn()
            time.sleep(600)

    def __call__(self, images, prompts):
        if prompts[0] == "sleep":
            (here / "asleep").touch()
            time.sleep(600)
        return self.pool.map(red, images)


def crash(images, prompts):
    if prompts == ["segfault"] or len(prompts) > 1 and "segfault" in prompts:
        print("about to crash")
        faulthandler._sigsegv()
    if prompts[0] == "exit":
        os._exit(3)
    if prompts[0] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return [os.getpid()] * len(images)


def daemon(images, prompts):
    """Dies, and leaves one that is in nobody's group and holds what it was given."""
    if os.fork() == 0:
        os.setsid()
        time.sleep(5)
        os._exit(0)
    time.sleep(0.1)
    os._exit(1)


def in_its_own_session(name, ready=lambda: None):
    """A daemon as programs make it: nobody's child, in a session of its own. It notes that it was asked to end."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, lambda *_: ((here / f"{name}-asked").touch(), os._exit(0)))
            ready()
            (here / f"{name}.pid").write_text(str(os.getpid()))
            while True:
                time.sleep(600)
        os._exit(0)
    os.wait()
    while not (here / f"{name}.pid").exists() or not (here / f"{name}.pid").read_text():
        time.sleep(0.01)


def sessions(images, prompts):
    if prompts[0] == "exit":
        os._exit(3)
    started = subprocess.Popen(["sleep", "7777"], start_new_session=True)
    (here / "popen.pid").write_text(str(started.pid))
    in_its_own_session("polite")
    in_its_own_session("stubborn", stubborn)
    return [0] * len(images)


class Interrupt(BaseException):
    pass


def interrupt():
    raise Interrupt("no more")


def pipes(images, prompts):
    if prompts[0] == "interrupt":
        return [1 + interrupt()] * len(images)
    print("about to close")
    os.closerange(3, 64)
    return [0] * len(images)


class CrashWithPool(Kept):
    def __call__(self, images, prompts):
        os.kill(os.getpid(), signal.SIGSEGV) if prompts[0] == "segfault" else None
        return super().__call__(images, prompts)


def spam(images, prompts):
    os.write(1, b"S" * 100_000)
    sys.stdout.write("plain" * 1000)
    return [len(sys.stdin.read())] * len(images)


def signals(images, prompts):
    signal.signal(signal.SIGALRM, lambda *_: None)
    return [len(sys.modules.keys() & {"grpc", "vard_rewards.server"})] * len(images)


def mean(images, prompts):
    return [sum(image.resize((1, 1)).getpixel((0, 0))) for image in images]
'''


@pytest.fixture
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    (tmp_path / "forking.py").write_text(MODULE)
    function, options = request.param if isinstance(request.param, tuple) else (request.param, {})
    with serving(tmp_path, f"forking:{function}", **options) as served:
        yield served


def sessions(server: int) -> set[int]:
    """Those that a server's children lead."""
    tasks = Path(f"/proc/{server}/task").glob("*/children")
    return {int(pid) for task in tasks for pid in task.read_text().split()}


def session(stat: Path) -> int:
    try:
        state, _, _, number = stat.read_text().rpartition(")")[2].split()[:4]
    except (FileNotFoundError, ProcessLookupError):
        return -1
    return -1 if state == "Z" else int(number)


def alive_in(leaders: set[int]) -> list[str]:
    return [stat.parent.joinpath("cmdline").read_text() for stat in Path("/proc").glob("[0-9]*/stat") if session(stat) in leaders]


def none_left(leaders: set[int], seconds: float = 10.0) -> None:
    assert leaders
    end = time.monotonic() + seconds
    while left := alive_in(leaders):
        assert time.monotonic() < end, left
        time.sleep(0.02)


@pytest.mark.parametrize(
    "served",
    [("pool", {"method": "fork"}), ("pool", {"method": "spawn"}), ("pool", {"method": "forkserver"}), "executor", "loader"],
    indirect=True,
    ids=["fork", "spawn", "forkserver", "executor", "loader"],
)
def test_a_function_may_start_processes_in_every_call(served: Served) -> None:
    for _ in range(ROUNDS):
        assert scores(served.score("", "", "")) == [0, 1, 2]
    leaders = sessions(served.process.pid)
    served.process.stdin.close()
    assert served.process.wait(PATIENCE) == 0
    none_left(leaders, 0)


ENDS: dict[str, Callable[[Served], object]] = {
    "stdin": lambda served: served.process.stdin.close(),
    "SIGTERM": lambda served: served.process.send_signal(signal.SIGTERM),
    "SIGKILL": lambda served: served.process.kill(),
}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
@pytest.mark.parametrize("served", ["Kept"], indirect=True)
def test_all_that_it_has_started_ends_with_the_server(served: Served, tmp_path: Path, how: str, busy: bool) -> None:
    assert scores(served.score("", "")) == [0, 1]
    leaders = sessions(served.process.pid)
    assert len(alive_in(leaders)) >= 5
    if busy:
        call = served.stub.Score.future(pb.ScoreRequest(queries=[query("sleep", 1)]), metadata=served.metadata)
        while not (tmp_path / "asleep").exists():
            assert not call.done()
            time.sleep(0.01)
    ENDS[how](served)
    served.process.wait(PATIENCE)
    none_left(leaders)


@pytest.mark.parametrize("served", ["crash"], indirect=True)
@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("segfault", "its process died (killed by SIGSEGV): Fatal Python error: Segmentation fault"),
        ("exit", "its process died (exit code 3)"),
        ("kill", "its process died (killed by SIGKILL)"),
    ],
)
def test_a_crash_is_told_and_the_next_call_is_answered_by_a_new_process(served: Served, prompt: str, message: str) -> None:
    (before,) = scores(served.score("a"))
    for retryable in (True, True, False):
        (outcome,) = served.score(prompt)
        assert (outcome.failure.code, outcome.failure.retryable) == ("CRASHED", retryable)
        assert message in outcome.failure.message
        assert prompt != "segfault" or "forking.py" in outcome.failure.message
    (after,) = scores(served.score("a"))
    assert after != before
    assert served.score(prompt)[0].failure.retryable


@pytest.mark.parametrize("served", ["crash"], indirect=True)
def test_one_image_that_crashes_costs_no_other_its_score(served: Served) -> None:
    first, bad, last = served.score("a", "segfault", "b")
    assert first.score and last.score and bad.failure.code == "CRASHED"


@pytest.mark.parametrize("served", ["CrashWithPool"], indirect=True)
def test_a_crash_is_noticed_though_a_pool_outlives_it(served: Served) -> None:
    leaders = sessions(served.process.pid)
    (outcome,) = served.score("segfault", timeout=20)
    assert "killed by SIGSEGV" in outcome.failure.message
    none_left(leaders, 0)
    assert scores(served.score("")) == [0]


@pytest.mark.parametrize("served", ["daemon"], indirect=True)
def test_a_crash_is_noticed_though_a_daemon_outlives_it(served: Served) -> None:
    (outcome,) = served.score("", timeout=4)
    assert "its process died (exit code 1)" in outcome.failure.message


def alive(pid: int) -> bool:
    return session(Path(f"/proc/{pid}/stat")) != -1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
@pytest.mark.parametrize("how", [*ENDS, "crash"])
@pytest.mark.parametrize("served", ["sessions"], indirect=True)
def test_what_has_left_for_a_session_of_its_own_ends_with_it_too(served: Served, tmp_path: Path, how: str) -> None:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as bystander:
        try:
            assert scores(served.score("")) == [0]
            pids = {path.stem: int(path.read_text()) for path in tmp_path.glob("*.pid")}
            assert pids.keys() == {"popen", "polite", "stubborn"} and all(map(alive, pids.values()))
            if how == "crash":
                assert "exit code 3" in served.score("exit")[0].failure.message
            else:
                ENDS[how](served)
                served.process.wait(PATIENCE)
            # The guard outlives a server that is killed, for the grace.
            end = time.monotonic() + (10 if how == "SIGKILL" else 0)
            while left := [name for name, pid in pids.items() if alive(pid)]:
                assert time.monotonic() < end, left
                time.sleep(0.02)
            assert (tmp_path / "polite-asked").exists()
            assert bystander.poll() is None
        finally:
            bystander.kill()


ADOPTS_NOBODY = """
import os, subprocess, sys
from vard_rewards.guard import guard

lifeline, server = os.pipe()
leads = "import signal, subprocess; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(subprocess.Popen(['sleep', '7777']).pid); raise SystemExit(3)"
child = subprocess.Popen([sys.executable, "-c", leads], process_group=0)
print(guard(child.pid, lifeline, adopts=False))
"""


def test_without_a_subreaper_the_group_is_ended() -> None:
    """As on macOS."""
    run = subprocess.run([sys.executable, "-c", ADOPTS_NOBODY], env=os.environ | {"PYTHONPATH": str(SOURCES)}, stdout=subprocess.PIPE, check=True, timeout=30)
    left, code = map(int, run.stdout.split())
    assert code == 3 and not alive(left)


@pytest.mark.parametrize("served", ["pipes"], indirect=True)
def test_a_crash_is_told_without_a_tracebacks_underlining(served: Served) -> None:
    message = served.score("interrupt")[0].failure.message
    assert message.endswith('raise Interrupt("no more") | forking.Interrupt: no more')
    assert "^" not in message and "~" not in message and "^^^" in served.log.read_text()


@pytest.mark.parametrize("served", ["pipes"], indirect=True)
def test_who_closes_what_is_not_its_own_is_told_so(served: Served) -> None:
    (outcome,) = served.score("close")
    assert outcome.failure.code == "CRASHED"
    assert outcome.failure.message == f"its process died (exit code 1): about to close | {CLOSED_PIPE}"


REAPS_NOBODY = """
import ctypes
from vard.v1 import reward_pb2 as pb
from vard_rewards.scorer import Scorer

PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
scorer = Scorer("forking:CrashWithPool", {}, "cpu")
scorer.start()
query = pb.RewardQuery(rgb=bytes(3), height=1, width=1, prompt="segfault")
(outcome,) = scorer.score(pb.ScoreRequest(queries=[query]).SerializeToString(), lambda: True)
assert outcome.failure.code == "CRASHED", outcome
scorer.close()
"""


def test_the_dead_that_nobody_reaps_hold_nothing_up(tmp_path: Path) -> None:
    """As in a container whose first process is the program."""
    (tmp_path / "forking.py").write_text(MODULE)
    environment = os.environ | {"PYTHONPATH": str(SOURCES)}
    subprocess.run([sys.executable, "-c", REAPS_NOBODY], cwd=tmp_path, env=environment, check=True, timeout=30)


@pytest.mark.parametrize("served", ["spam"], indirect=True)
def test_what_it_prints_is_in_the_log_and_not_in_its_answers(served: Served) -> None:
    assert scores(served.score("a", "b")) == [0, 0]
    assert "S" * 100_000 in served.log.read_text() and "plainplain" in served.log.read_text()


@pytest.mark.parametrize("served", ["signals"], indirect=True)
def test_it_runs_on_its_main_thread_without_grpc(served: Served) -> None:
    assert scores(served.score("a")) == [0]


def test_a_call_that_nobody_waits_for_and_does_not_return_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "forking.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    scorer = Scorer("forking:Kept", {}, "cpu", stuck=0.5)
    scorer.start()
    caller = iter([True])
    assert scorer.score(pb.ScoreRequest(queries=[query("sleep", 1)]).SerializeToString(), lambda: next(caller, False)) == []
    assert "forking.py" in capfd.readouterr().err
    assert scores(scorer.score(pb.ScoreRequest(queries=[query("", 9)]).SerializeToString(), lambda: True)) == [9]
    scorer.kill()
    scorer.close()


@pytest.mark.parametrize("served", ["mean"], indirect=True)
def test_large_images_arrive_whole(served: Served) -> None:
    side = 2048
    image = np.full((side, side, 3), 7, np.uint8)
    request = pb.ScoreRequest(queries=[pb.RewardQuery(rgb=image.tobytes(), height=side, width=side)] * 3)
    answer = served.stub.Score(request, metadata=served.metadata, timeout=PATIENCE)
    assert scores(list(answer.outcomes)) == [21] * 3
