"""The script that the documentation names draws a run's last evaluation again, pixel for pixel, whatever the run was."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from conftest import Client, open_request
from vard.v1 import worker_pb2 as pb
from vard_worker import testing

SCRIPT = Path(__file__).parents[2] / "examples/use_lora.py"
IDS = ["a", "b", "c", "d"]


def checkpoint(kind: str, folder: Path) -> Path:
    match kind:
        case "sd":
            testing.tiny_sd().save_pretrained(folder)
        case "v prediction":
            testing.tiny_sd("v_prediction").save_pretrained(folder)
        case "fp16 files":
            testing.tiny_sd().to(torch.float16).save_pretrained(folder)
        case "fp16 variant":
            testing.tiny_sd().to(torch.float16).save_pretrained(folder, variant="fp16")
        case "unet as fp16 alone":
            testing.tiny_sd().save_pretrained(folder)
            shutil.rmtree(folder / "unet")
            testing.tiny_sd().unet.to(torch.float16).save_pretrained(folder / "unet", variant="fp16")
        case "pixels":
            testing.tiny_ddpm().save_pretrained(folder)
        case tiny:
            testing.CHECKPOINTS[tiny]().save_pretrained(folder)
    return folder


def finished_run(client: Client, kind: str, sampler: dict[str, object], dtype: str, tmp_path: Path, size: tuple[int, int] = (0, 0)) -> Path:
    """A run's folder as the orchestrator leaves it; what it holds comes from a real session."""
    folder, model = tmp_path / "run", checkpoint(kind, tmp_path / "model")
    request = open_request(model)
    request.model.dtype = pb.DType.Value(dtype.upper())
    request.sampler.kind = pb.SamplerConfig.Kind.Value(str(sampler["kind"]).upper().replace("-", "_"))
    if kind.startswith("tiny-"):
        del request.model.adapter.targets[:]
    request.model.height, request.model.width = size
    request.sampler.steps, request.sampler.guidance, request.sampler.eta = sampler["steps"], sampler["guidance"], sampler["eta"]
    conditional = client.call("Open", request)[0].session.conditional
    prompts = ("0", "3") if kind == "tiny-ddpm-classes" else ("a cat", "two dogs") if conditional else ("",)
    client.sample(IDS, prompts=prompts)
    client.fit({name: float(i) for i, name in enumerate(IDS)}, steps=20)
    client.improve(IDS, steps=10, kl_weight=0.0)
    client.export(folder / "export")

    items = [{"prompt": prompts[i % len(prompts)], "seed": 40 + i} for i in range(5)]
    specs = [pb.TrajectorySpec(id=str(i), **item) for i, item in enumerate(items)]
    parts = client.call("Sample", pb.SampleRequest(session_id="s", trajectories=specs, batch=3))
    pictures = b"".join(part.images.data for part in parts[:-1])
    height, width, _ = parts[0].images.shape[1:]
    for iteration in ("0000", "0002"):
        (folder / "samples" / iteration).mkdir(parents=True)
    for i in range(5):
        data = pictures[i * height * width * 3 : (i + 1) * height * width * 3]
        Image.frombytes("RGB", (width, height), data).save(folder / "samples/0002" / f"{i:04}.png")
    (folder / "samples/evaluation.json").write_text(json.dumps(items))
    spec = {
        "model": {"checkpoint": str(model), "device": "cpu", "dtype": dtype} | ({"height": size[0], "width": size[1]} if any(size) else {}),
        "sampler": sampler | {"batch": 3},
        "threads": 1,
    }
    (folder / "spec.resolved.yaml").write_text(yaml.safe_dump(spec))
    return folder


def use_lora(run: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(run), "--check"],
        capture_output=True, text=True, timeout=300, check=False, env={"PATH": "", "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip


DDIM = {"kind": "ddim", "steps": 4, "guidance": 3.0, "eta": 1.0}
DDPM = {"kind": "ddpm", "steps": 4, "guidance": 3.0, "eta": 1.0}
SDE = {"kind": "flow-sde", "steps": 4, "guidance": 3.0, "eta": 0.7}
CPS = SDE | {"kind": "flow-cps"}
RUNS = {
    "ddim": ("sd", DDIM, "float32"),
    "ddim without noise or guidance": ("sd", DDIM | {"eta": 0.0, "guidance": 1.0}, "float32"),
    "ddpm": ("sd", DDPM, "float32"),
    "v prediction, some noise": ("v prediction", DDIM | {"eta": 0.3}, "float32"),
    "bfloat16": ("sd", DDIM, "bfloat16"),
    "fp16 files": ("fp16 files", DDIM, "float32"),
    "fp16 files, bfloat16": ("fp16 files", DDPM, "bfloat16"),
    "fp16 variant": ("fp16 variant", DDPM, "float32"),
    "unet as fp16 alone": ("unet as fp16 alone", DDIM, "float32"),
    "pixels, ddpm": ("pixels", DDPM | {"guidance": 1.0}, "float32"),
    "pixels, ddim": ("pixels", DDIM | {"guidance": 1.0, "eta": 0.5}, "float32"),
    "pixels, bfloat16": ("pixels", DDPM | {"guidance": 1.0}, "bfloat16"),
    "gray pixels": ("tiny-ddpm-gray", DDPM | {"guidance": 1.0}, "float32"),
    "classes": ("tiny-ddpm-classes", DDIM | {"guidance": 1.0}, "float32"),
    "SDXL": ("tiny-sdxl", DDIM, "float32"),
    "SDXL, bfloat16, another size": ("tiny-sdxl", DDIM, "bfloat16", (64, 96)),
    "SDXL without a middle block, ddpm": ("tiny-sdxl-pruned", DDPM, "float32"),
    "SD 3, sde": ("tiny-sd3", SDE, "float32"),
    "SD 3, bfloat16, another size": ("tiny-sd3", SDE, "bfloat16", (96, 64)),
    "SD 3 without T5, cps": ("tiny-sd3-clip", CPS, "float32"),
    "SD 3.5, no noise": ("tiny-sd3-dual", SDE | {"eta": 0.0, "guidance": 1.0}, "float32"),
    "Flux dev, sde": ("tiny-flux", SDE, "float32", (32, 48)),
    "Flux dev, bfloat16": ("tiny-flux", CPS, "bfloat16", (32, 32)),
    "Sana, sde": ("tiny-sana", SDE, "float32"),
    "Sana, bfloat16, another size": ("tiny-sana", CPS, "bfloat16", (64, 32)),
    "Flux schnell, cps": ("tiny-flux-schnell", CPS | {"guidance": 1.0}, "float32", (32, 32)),
}


@pytest.mark.parametrize("what", RUNS)
def test_the_script_draws_the_last_evaluation_again(client: Client, tmp_path: Path, what: str) -> None:
    kind, sampler, dtype, *size = RUNS[what]
    run = finished_run(client, kind, sampler, dtype, tmp_path, *size)
    done = use_lora(run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same, pixel for pixel" in done.stdout
    assert len(list((run / "drawn").iterdir())) == 5


def test_another_picture_fails_the_check(client: Client, tmp_path: Path) -> None:
    run = finished_run(client, "sd", DDIM, "float32", tmp_path)
    picture = run / "samples/0002/0003.png"
    with Image.open(picture) as image:
        image.putpixel((0, 0), tuple(255 - level for level in image.getpixel((0, 0))))
        image.save(picture)
    done = use_lora(run)
    assert done.returncode == 1
    assert "1 of 5 images differ" in done.stderr and "0003.png first" in done.stderr
