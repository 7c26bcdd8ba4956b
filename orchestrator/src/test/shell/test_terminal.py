"""Ctrl-C in a terminal: what was done is saved, and said."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import PATIENCE, Terminal, Vard

LONG = ["--set", "algorithm.iterations=200", "--set", "checkpoint.every=1"]
BAR = r"\r\[=* *\] +\d+ %  [1-9]\d*/200"
"""Of a run that is in an iteration."""


def workers(terminal: Terminal) -> list[int]:
    """Processes of the program's worker."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == terminal.process.pid and b"vard_worker" in command:
            found.append(int(folder.name))
    return found


def test_run_saves_and_says_how_to_go_on(vard: Vard, specification: str, terminals: list[Terminal], tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(specification)
    first = vard.in_terminal("run", "spec.yaml", "--out", "out", *LONG, cwd=tmp_path)
    terminals.append(first)
    first.wait_for(BAR)

    first.press_ctrl_c()

    assert first.exit_code() == 130
    assert "vard: stopping, and saving what there is" in first.text
    assert f"'{vard.launcher}' run --resume out" in first.text
    assert first.is_sane()
    assert list((tmp_path / "out" / "checkpoints").iterdir())
    done = last_iteration(tmp_path)

    # It goes on from there; and who does not want to wait for the saving need not.
    second = vard.in_terminal("run", "--resume", "out", cwd=tmp_path)
    terminals.append(second)
    shown = second.wait_for(r"\r\[=* *\] +\d+ %  ([1-9]\d*)/200 \w+.*left")
    assert int(shown[1]) >= done
    (worker,) = workers(second)
    os.kill(worker, signal.SIGSTOP)
    second.press_ctrl_c()
    second.wait_for("once more to stop at once")
    time.sleep(1.2)
    second.press_ctrl_c()

    code = second.exit_code(10)
    os.kill(worker, signal.SIGKILL)
    assert code == 130
    assert second.is_sane()


def last_iteration(folder: Path) -> int:
    lines = (folder / "out" / "metrics.jsonl").read_text().splitlines()
    return max([event["iteration"] for event in map(json.loads, lines) if event["event"] == "iteration"], default=0)


def test_reward_ends_while_its_function_computes(vard: Vard, specification: str, terminals: list[Terminal], tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import pathlib, time\ndef score(images, prompts):\n    pathlib.Path('asked').touch()\n    time.sleep(3600)\n")
    (tmp_path / "spec.yaml").write_text(specification.replace("{kind: jpeg-compressibility}", "{kind: python, function: 'slow:score'}"))
    (tmp_path / "images").mkdir()
    picture(tmp_path / "images" / "a.png")
    terminal = vard.in_terminal("reward", "spec.yaml", "--images", "images", cwd=tmp_path)
    terminals.append(terminal)
    deadline = time.monotonic() + PATIENCE
    while not (tmp_path / "asked").exists():
        assert terminal.process.poll() is None and time.monotonic() < deadline, terminal.text
        time.sleep(0.05)

    terminal.press_ctrl_c()

    assert terminal.exit_code() == 130
    assert "vard: stopping" in terminal.text
    assert terminal.is_sane()


def picture(file: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(file)


@pytest.fixture
def server(vard: Vard, tiny: Path, tmp_path: Path) -> Iterator[Terminal]:
    """One whose worker is not there."""
    terminal = vard.in_terminal(
        "serve", "--grpc-port=0", "--http-port=0", "--worker=127.0.0.1:1", f"--model-root={tiny.parent}", "--ready-file=ready", cwd=tmp_path
    )
    deadline = time.monotonic() + PATIENCE
    while not (tmp_path / "ready").exists():
        assert terminal.process.poll() is None and time.monotonic() < deadline, terminal.text
        time.sleep(0.05)
    yield terminal
    terminal.close()


def test_serve_and_watch_end(vard: Vard, specification: str, server: Terminal, terminals: list[Terminal], tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(specification)
    address = f"--server=127.0.0.1:{json.loads((tmp_path / 'ready').read_text())['grpc_port']}"
    submitted = vard("submit", "spec.yaml", address, cwd=tmp_path)
    assert submitted.returncode == 0, submitted.stderr
    watch = vard.in_terminal("watch", submitted.stdout.split()[0], address, cwd=tmp_path)
    terminals.append(watch)
    watch.wait_for("(?i)waiting")

    watch.press_ctrl_c()
    assert watch.exit_code() == 130
    assert watch.is_sane()

    server.press_ctrl_c()
    assert server.exit_code() == 0
    assert server.is_sane()
