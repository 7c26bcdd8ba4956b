"""The program as people start it: the launcher itself, real workers, real terminals. Run by ``LauncherTest``; by hand:
``./vard python -m pytest orchestrator/src/test/shell``."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]
PATIENCE = 120.0
"""Seconds for what takes a few, on a machine that has much else to do."""


class Vard:
    """A checkout, and how to start it."""

    def __init__(self, home: Path, python: Path, jar: Path) -> None:
        self.home = home
        self.launcher = home / "vard"
        self._settings = {"VARD_PYTHON": str(python), "VARD_JAR": str(jar)}

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        own = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME", "TMPDIR", "OMP_NUM_THREADS") if name in os.environ}
        return own | self._settings | dict(variables)

    def __call__(self, *arguments: str | Path, launcher: str | Path | None = None, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [launcher or self.launcher, *arguments], cwd=cwd, env=self.environment(variables), stdin=subprocess.DEVNULL,
            capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False,
        )  # fmt: skip

    def in_terminal(self, *arguments: str | Path, cwd: Path, **variables: str) -> Terminal:
        return Terminal([str(self.launcher), *map(str, arguments)], cwd, self.environment({"TERM": "xterm"} | variables))


def in_the_foreground() -> None:
    """Of the terminal that is standard input. Who starts the tests in the background has them ignore Ctrl-C, which is inherited."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Terminal:
    """A program in a pseudo-terminal of its own, in the foreground of its session."""

    def __init__(self, command: list[str], cwd: Path, environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self._slave = slave
        # Wide enough for all of the progress bar's line.
        termios.tcsetwinsize(slave, (24, 200))
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=in_the_foreground,  # noqa: PLW1509 - no thread here
        )  # fmt: skip
        os.set_blocking(self._master, False)
        self.text = ""

    def _read(self) -> None:
        try:
            self.text += os.read(self._master, 1 << 16).decode(errors="replace")
        except BlockingIOError:
            time.sleep(0.02)

    def wait_for(self, pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.text)):
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.text}"
            assert time.monotonic() < deadline, f"{pattern} did not come:\n{self.text}"
            self._read()
        return found

    def press_ctrl_c(self) -> None:
        os.write(self._master, b"\x03")

    def exit_code(self, seconds: float = PATIENCE) -> int:
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it did not end within {seconds} s:\n{self.text}"
            self._read()
        while True:
            length = len(self.text)
            self._read()
            if len(self.text) == length:
                return self.process.returncode

    def is_sane(self) -> bool:
        """Whether its settings are those from before the program."""
        return termios.tcgetattr(self._slave) == self.before

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    """Terminals to close afterwards."""
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


@pytest.fixture(scope="session")
def vard(tmp_path_factory: pytest.TempPathFactory) -> Vard:
    """A checkout in a folder whose name has spaces and letters beyond ASCII; its environment is this interpreter's."""
    home = tmp_path_factory.mktemp("home") / "mein Häuschen 猫"
    shutil.copytree(REPOSITORY / "python-worker" / "src", home / "python-worker" / "src")
    shutil.copytree(REPOSITORY / "proto" / "src", home / "proto" / "src")
    for file in (REPOSITORY / "python-worker").glob("requirements*"):
        shutil.copy(file, home / "python-worker")
    (home / "benchmarks").mkdir()
    for file in ("vard", "benchmarks/api.py", "benchmarks/harness.py"):
        shutil.copy(REPOSITORY / file, home / file)
    (home / "python-worker" / ".venv").symlink_to(sys.prefix)
    (home / ".vard").mkdir()
    jar = home / ".vard" / "vard.jar"
    jar.symlink_to(os.environ.get("VARD_JAR", REPOSITORY / ".vard" / "vard.jar"))
    return Vard(home, home / "python-worker" / ".venv" / "bin" / "python", jar)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stable Diffusion pipeline with random weights."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    subprocess.run(
        [sys.executable, "-m", "vard_worker.testing", "tiny-sd", folder],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "python-worker" / "src")},
        check=True,
    )
    return folder


@pytest.fixture
def specification(tiny: Path) -> str:
    """YAML of a run that takes seconds."""
    return f"""
name: tiny
seed: 7
model: {{checkpoint: {tiny}}}
prompts: {{list: [a cat, a dog]}}
sampler: {{steps: 4}}
reward: {{kind: jpeg-compressibility}}
algorithm:
  kind: vard
  iterations: 2
  samples: 4
  value: {{warmup: 1, steps: 2, batch: 4, replay: 2}}
  policy: {{steps: 1, batch: 4}}
  kl: {{weight: 0.1}}
evaluate: {{every: 1, images: 2}}
threads: 1
"""
