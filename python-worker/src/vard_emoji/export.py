"""The trained parts as a diffusers folder, and a sheet of its samples."""

import copy
import json
import shutil
from pathlib import Path

import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from PIL import Image, ImageDraw, ImageFont

COLUMNS, CELL, LABEL = 8, 96, 26


def save(pipeline: DiffusionPipeline, out: Path, halved: tuple[str, ...] = ("vae", "unet")) -> None:
    """Write the pipeline to `out`, the `halved` parts in fp16 under the ordinary names; what else lies there (a card) stays.

    The new folder is written beside the old one and takes its place at once, so that a reader never sees half of it.
    """
    new, old = out.with_name(out.name + ".new"), out.with_name(out.name + ".old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    # Text encoders in float32: transformers 5 loads a model in the type it was saved in, diffusers in float32, and a text
    # encoder in half precision before a network in single fails.
    parts = pipeline.components | {name: copy.deepcopy(getattr(pipeline, name)).half() for name in halved}
    if isinstance(pipeline, StableDiffusionPipeline):
        parts["requires_safety_checker"] = False
    type(pipeline)(**parts).save_pretrained(new)
    for file in new.glob("*/config.json"):
        without_origin(file)
    if out.exists():
        for path in out.iterdir():
            if not (new / path.name).exists():
                (shutil.copytree if path.is_dir() else shutil.copy2)(path, new / path.name)
        out.rename(old)
    new.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def without_origin(config: Path) -> None:
    """Takes out the folder that a part was loaded from, on the machine that trained: it says nothing elsewhere."""
    content = json.loads(config.read_text())
    if content.pop("_name_or_path", None) is not None:
        config.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def sample(pipeline: DiffusionPipeline, prompts: list[str], *, steps: int = 20, guidance: float = 3.0, seed: int = 0, **options: object) -> list[Image.Image]:
    """One picture a prompt."""
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(prompts, num_inference_steps=steps, guidance_scale=guidance, generator=torch.Generator().manual_seed(seed), **options).images


def prompts_of(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line and not line.startswith("#")]


def sheet(images: list[Image.Image], prompts: list[str]) -> Image.Image:
    """Pictures, three times as large, with their prompts below."""
    rows = -(-len(images) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * (CELL + 8), rows * (CELL + LABEL + 4)), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=9)
    for i, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
        x, y = i % COLUMNS * (CELL + 8) + 4, i // COLUMNS * (CELL + LABEL + 4) + 2
        page.paste(image.resize((CELL, CELL), Image.Resampling.NEAREST), (x, y))
        name = prompt.split(" , ")[0]
        draw.text((x, y + CELL), f"{name[:19]}\n{name[19:38]}", "black", font, spacing=1)
    return page
