"""The launcher finds its home, and means the same, however it is started."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from conftest import PATIENCE, Vard

Start = Callable[[Vard, Path], subprocess.CompletedProcess[str]]


def through_links(vard: Vard, folder: Path) -> subprocess.CompletedProcess[str]:
    """A link, relative, to a link in another folder, absolute."""
    (folder / "bin").mkdir()
    (folder / "bin" / "vard link").symlink_to(vard.launcher)
    (folder / "v").symlink_to(Path("bin") / "vard link")
    return vard("bench", launcher=folder / "v", cwd=folder)


def through_a_linked_folder(vard: Vard, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "home").symlink_to(vard.home)
    return vard("bench", launcher="home/vard", cwd=folder)


def through_a_relative_path_entry(vard: Vard, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "bin").mkdir()
    (folder / "bin" / "vard").symlink_to(vard.launcher)
    return vard("-c", "vard bench", launcher="/bin/sh", cwd=folder, PATH=f"bin:{os.environ['PATH']}")


def with_cdpath(vard: Vard, folder: Path) -> subprocess.CompletedProcess[str]:
    return vard("bench", launcher=f"{vard.home.name}/vard", cwd=vard.home.parent, CDPATH=f"{folder}:.:{vard.home.parent}")


def with_functions_and_startup_file(vard: Vard, folder: Path) -> subprocess.CompletedProcess[str]:
    startup = folder / "startup"
    startup.write_text("dirname() { echo /; }\nshopt -s extglob nocasematch\nalias cd=false\n")
    functions = {f"BASH_FUNC_{name}%%": "() { echo hijacked; exit 7; }" for name in ("cd", "dirname", "sed")}
    return vard("bench", cwd=folder, BASH_ENV=str(startup), GREP_OPTIONS="--color=always -v", POSIXLY_CORRECT="1", **functions)


def without_any_variable(vard: Vard, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["env", "-i", vard.launcher, "bench"], cwd=folder, capture_output=True, encoding="utf-8", check=False)


def under_a_umask_that_forbids_all(vard: Vard, folder: Path) -> subprocess.CompletedProcess[str]:
    return vard("-c", f"umask 777; exec '{vard.launcher}' bench", launcher="/bin/sh", cwd=folder)


@pytest.mark.parametrize(
    "start",
    [
        through_links,
        through_a_linked_folder,
        through_a_relative_path_entry,
        with_cdpath,
        with_functions_and_startup_file,
        without_any_variable,
        under_a_umask_that_forbids_all,
    ],
)
def test_finds_its_home(vard: Vard, tmp_path: Path, start: Start) -> None:
    done = start(vard, tmp_path)

    # It lists what lies in its home.
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "vard: bench: name one of: api harness\n")


def test_starts_its_own_python_whatever_the_caller_has_set(vard: Vard, tmp_path: Path) -> None:
    (tmp_path / "diffusers.py").write_text("raise SystemExit('hijacked')")
    (tmp_path / "vard").symlink_to(vard.launcher)

    done = vard(
        "python", "-c", "import sys, vard_worker, diffusers; print(vard_worker.__file__, '' in sys.path, sys.flags.utf8_mode)",
        launcher="./vard", cwd=tmp_path, PYTHONHOME="/nonexistent", PYTHONPATH=":", CDPATH=".", LC_ALL="C",
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n")[0] == f"{vard.home}/python-worker/src/vard_worker/__init__.py False 1"


def test_a_script_finds_the_modules_beside_it(vard: Vard, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "beside.py").write_text("")
    (tmp_path / "scripts" / "script.py").write_text("import beside; print(beside.__name__)")

    assert vard("python", "scripts/script.py", cwd=tmp_path).stdout == "beside\n"


def test_the_program_alone_starts_its_own_python_too(vard: Vard, tmp_path: Path) -> None:
    """Without the launcher, as from a container or another Java program."""
    for name in ("diffusers.py", "grpc.py", "torch.py"):
        (tmp_path / name).write_text("raise SystemExit('hijacked')")
    environment = vard.environment({"PYTHONHOME": "/nonexistent", "PYTHONPATH": f":{tmp_path}", "VARD_HOME": str(vard.home), "LC_ALL": "C.UTF-8"})
    java = Path(environment["JAVA_HOME"]) / "bin" / "java"

    done = subprocess.run(
        [java, "--enable-native-access=ALL-UNNAMED", "-jar", environment["VARD_JAR"], "doctor"],
        cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False,
    )  # fmt: skip

    assert "worker: local answers" in done.stdout, done.stdout
    assert "worker: embedded answers" in done.stdout, done.stdout


def test_runs_on_macos_bash(vard: Vard) -> None:
    """macOS has bash 3.2: its syntax, and none of GNU's options to readlink."""
    script = "\n".join(line for line in vard.launcher.read_text().splitlines() if not line.lstrip().startswith("#"))

    for later in ("readlink -f", "declare -A", "mapfile", "readarray", "${1@", ",,}", "^^}", "|&", "&>>", "local -n", "printf '%("):
        assert later not in script


@pytest.mark.parametrize("command", ["setup", "nonsense"])
def test_makes_nothing_in_the_working_directory(vard: Vard, tmp_path: Path, command: str) -> None:
    vard(command, cwd=tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_helps_with_a_command(vard: Vard, tmp_path: Path) -> None:
    assert vard("help", "run", cwd=tmp_path).stdout.startswith("Usage: vard run ")
    assert vard("help", "bench", cwd=tmp_path).stdout == vard("help", cwd=tmp_path).stdout


def test_messages_call_it_as_the_user_did(vard: Vard, tmp_path: Path) -> None:
    (tmp_path / "vard").symlink_to(vard.launcher)

    done = vard("run", "test.yaml", "stray", launcher="./vard", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (2, "vard: Unmatched argument at index 2: 'stray'\nvard: see ./vard run --help\n")


def test_a_run_that_never_started_speaks_of_no_report(vard: Vard, specification: str, tmp_path: Path) -> None:
    (tmp_path / "test.yaml").write_text(specification)

    done = vard("run", "test.yaml", "--worker=127.0.0.1:1", "--out=out", cwd=tmp_path)

    assert done.returncode == 1
    assert "vard: while opening the model: " in done.stderr
    assert "report" not in done.stderr


def test_a_rewards_log_is_kept_where_a_message_points_to_it(vard: Vard, specification: str, tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("images", "temporary")}
    for folder in folders.values():
        folder.mkdir()
    Image.new("RGB", (8, 8)).save(folders["images"] / "black.png")
    (tmp_path / "loud.py").write_text(
        "def score(images, prompts):\n    print('loud', flush=True)\n    return [0.5] * len(images)\n\n"
        "def fail(images, prompts):\n    print('loud', flush=True)\n    raise ValueError('no score')\n"
    )

    def logs_after(function: str, code: int) -> tuple[list[Path], str]:
        (tmp_path / "test.yaml").write_text(specification.replace("jpeg-compressibility", f"python, function: 'loud:{function}'"))
        done = vard(
            "reward", "test.yaml", "--images=images", cwd=tmp_path, PYTHONPATH=str(tmp_path),
            JDK_JAVA_OPTIONS=f"-Djava.io.tmpdir={folders['temporary']}",
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return list(folders["temporary"].glob("vard-reward-*")), done.stderr

    assert logs_after("score", 0)[0] == []
    [log], said = logs_after("fail", 1)
    assert f"what the reward's process wrote is in {log}" in said
