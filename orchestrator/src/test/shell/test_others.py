"""A run in an environment that is set against it, on a machine with other users: one run, seen from all sides."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from conftest import PATIENCE, REPOSITORY, Vard
from test_terminal import picture

PROMPTS = ["ein Häuschen", "猫 🐈"]
REWARD = """
import json, os, pathlib
import helper  # of PYTHONPATH
def score(images, prompts):
    with open("asked.jsonl", "a", encoding="utf-8") as file:
        print(json.dumps({"prompts": prompts, "environment": dict(os.environ)}), file=file)
    return [float(i) for i in range(len(images))]
"""
SETTINGS = {
    "LC_ALL": "C",
    "PYTHONHOME": "/nonexistent",
    "CDPATH": ".",
    "VARD_REWARD_TOKEN": "secret",
    "VARD_REWARD_KEY": "named",
    "OTHERS_PASSWORD": "secret",
    "SITE_SETTING": "named",
    "VARD_PASS_ENV": "SITE_SETTING, VARD_REWARD_KEY",
    "HF_HUB_OFFLINE": "1",
}


@dataclass(frozen=True)
class Run:
    folder: Path
    """The working directory."""
    worker: dict[str, str]
    """Its process's environment."""

    def asked(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.folder / "asked.jsonl").read_text(encoding="utf-8").splitlines()]

    def reward(self) -> dict[str, str]:
        return self.asked()[0]["environment"]


@pytest.fixture(scope="module")
def run(vard: Vard, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("work") / "Läufe hier"
    folder.mkdir()
    for name in ("diffusers.py", "safetensors.py", "torch.py", "grpc.py", "numpy.py"):
        (folder / name).write_text("raise SystemExit('hijacked')")
    modules = folder / "modules"
    modules.mkdir()
    (modules / "helper.py").write_text("")
    # Not even one that the user names takes an installed module's place.
    (modules / "PIL.py").write_text("raise SystemExit('hijacked')")
    (folder / "mine.py").write_text(REWARD)
    # As an editor on Windows leaves it.
    text = (
        f"\ufeffname: tiny\nseed: 7\nmodel: {{checkpoint: {tiny}}}\nprompts: {{list: [a cat]}}\nsampler: {{steps: 4}}\n"
        "reward: {kind: python, function: 'mine:score'}\n"
        "algorithm: {kind: vard, iterations: 2, samples: 4, value: {warmup: 1, steps: 2, batch: 4, replay: 2},"
        " policy: {steps: 1, batch: 4}, kl: {weight: 0.1}}\n"
        "checkpoint: {every: 1}\nevaluate: {every: 1, images: 2}\nthreads: 1\n"
    )
    (folder / "Versuch ä.yaml").write_bytes(text.replace("\n", "\r\n").encode())
    (folder / "bin").mkdir()
    (folder / "bin" / "vard").symlink_to(vard.launcher)
    command = 'umask 000; exec vard run "Versuch ä.yaml" --set "prompts.list=[ein Häuschen, 猫 🐈]" --out "Läufe/erster"'
    environment = vard.environment(SETTINGS | {"PATH": f"bin:{os.environ['PATH']}", "PYTHONPATH": f":{modules}"})
    with open(folder / "log", "w", encoding="utf-8") as log, subprocess.Popen(
        ["/bin/bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
    ) as process:  # fmt: skip
        worker: dict[str, str] = {}
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            worker = worker or environment_of_worker(process.pid)
            time.sleep(0.05)
        process.kill()
    assert process.returncode == 0, (folder / "log").read_text(encoding="utf-8")
    return Run(folder, worker)


def environment_of_worker(parent: int) -> dict[str, str]:
    for child in Path(f"/proc/{parent}/task").glob("*/children"):
        for pid in child.read_text().split():
            try:
                if b"vard_worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
                    return dict(entry.split("=", 1) for entry in entries if entry)
            except OSError:
                continue
    return {}


def test_prompts_keep_their_letters(run: Run) -> None:
    assert {prompt for asked in run.asked() for prompt in asked["prompts"]} <= set(PROMPTS)
    resolved = yaml.safe_load((run.folder / "Läufe/erster/spec.resolved.yaml").read_text(encoding="utf-8"))
    assert resolved["prompts"]["list"] == PROMPTS


def test_nobody_else_can_read_it(run: Run) -> None:
    made = [run.folder / "Läufe", *(run.folder / "Läufe").rglob("*")]

    names = {path.name for path in made}
    assert {"spec.yaml", "run.mv.db", "rewards.jsonl", "manifest.json", "worker.log", "reward.log", "0000.png", "report.html"} <= names
    assert "pytorch_lora_weights.safetensors" in names
    open_to_others = {str(path): oct(mode) for path in made if (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077}
    assert open_to_others == {}


def test_a_worker_gets_what_it_needs_and_no_secret(run: Run) -> None:
    assert run.worker["HF_HUB_OFFLINE"] == "1"
    assert run.worker["SITE_SETTING"] == "named"
    assert run.worker["PYTHONSAFEPATH"] == run.worker["PYTHONUTF8"] == "1"
    assert run.worker["PYTHONPATH"].endswith("/python-worker/src")
    for name in ("VARD_REWARD_TOKEN", "VARD_REWARD_KEY", "OTHERS_PASSWORD", "PYTHONHOME", "CDPATH"):
        assert name not in run.worker


def test_a_reward_gets_what_is_named_for_it(run: Run) -> None:
    assert run.reward()["VARD_REWARD_KEY"] == run.reward()["SITE_SETTING"] == "named"
    for name in ("VARD_REWARD_TOKEN", "OTHERS_PASSWORD", "PYTHONHOME"):
        assert name not in run.reward()


def test_a_servers_folder_is_its_users_alone(vard: Vard, specification: str, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(specification)
    command = f"umask 000; exec '{vard.launcher}' serve --grpc-port=0 --http-port=0 --model-root={tiny.parent} --runs=runs --ready-file=ready"
    with subprocess.Popen(["/bin/bash", "-c", command], cwd=tmp_path, env=vard.environment({}), stdin=subprocess.DEVNULL) as server:
        try:
            wait_for(tmp_path, "ready", server)
            port = json.loads((tmp_path / "ready").read_text())["grpc_port"]
            assert vard("submit", "spec.yaml", f"--server=127.0.0.1:{port}", cwd=tmp_path).returncode == 0
            wait_for(tmp_path, "runs/.workers/*/*.json", server)
            wait_for(tmp_path, "runs/*/samples/0000/*.png", server)
            made = [tmp_path / "runs", *(tmp_path / "runs").rglob("*")]
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made if path.exists()}
        finally:
            # Its worker ends with it.
            server.kill()

    assert "database.mv.db" in modes
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


def wait_for(folder: Path, files: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not list(folder.glob(files)):
        assert process.poll() is None and time.monotonic() < deadline, f"{files} did not come"
        time.sleep(0.05)


def test_prompts_of_a_windows_editor(vard: Vard, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("ä.png", "b.png"):
        picture(tmp_path / "images" / name)
    (tmp_path / "prompts ü.txt").write_bytes("\ufeffein Häuschen\r\n猫\r\n".encode())
    (tmp_path / "mine.py").write_text("def score(images, prompts):\n    print(ascii(prompts), file=open('asked', 'a'))\n    return [1.0, 2.0]\n")
    text = (REPOSITORY / "examples" / "emoji-compressibility.yaml").read_text(encoding="utf-8")
    text = text.replace("examples/emoji-prompts.txt", "prompts ü.txt").replace("checkpoints/emoji-sd", str(REPOSITORY / "checkpoints/emoji-sd"))
    (tmp_path / "spec.yaml").write_text(text.replace("{kind: jpeg-compressibility, quality: 95}", "{kind: python, function: 'mine:score'}"), encoding="utf-8")

    done = vard("reward", "spec.yaml", "--images", "images", "--prompts", "prompts ü.txt", "--json", cwd=tmp_path, LC_ALL="C")

    assert done.returncode == 0, done.stderr
    assert sorted(eval((tmp_path / "asked").read_text())) == sorted(["ein Häuschen", "猫"])
    assert "ä.png" in done.stdout


def test_an_argument_that_cannot_be_read_is_refused(vard: Vard, tmp_path: Path) -> None:
    done = vard("run", "x.yaml", "--set", os.fsdecode(b"name=\xff"), cwd=tmp_path)

    assert done.returncode == 2
    assert "is not UTF-8 text" in done.stderr
