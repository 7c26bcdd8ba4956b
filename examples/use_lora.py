"""Draws with a fine-tuned model, in plain diffusers: nothing of vard is imported.

    ./vard python examples/use_lora.py runs/RUN               # draws the run's evaluation prompts again, into runs/RUN/drawn
    ./vard python examples/use_lora.py runs/RUN --check       # and compares them with the run's last evaluation, pixel by pixel

Any Python with diffusers, peft and PyYAML does as well as `./vard python`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import yaml
from diffusers import DDIMScheduler, StableDiffusionPipeline
from PIL import Image

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("run", type=Path, help="a run's folder")
parser.add_argument("--check", action="store_true", help="fail unless the images are those of the run's last evaluation")
arguments = parser.parse_args()

spec = yaml.safe_load((arguments.run / "spec.resolved.yaml").read_text())
evaluation = json.loads((arguments.run / "samples" / "evaluation.json").read_text())

pipe = StableDiffusionPipeline.from_pretrained(spec["model"]["checkpoint"])
pipe.load_lora_weights(arguments.run / "export")

# The sampler that the model was fine-tuned with. Others work too: it is an ordinary LoRA.
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False)
pipe.set_progress_bar_config(disable=True)
sampler = spec["sampler"]
# Sums are taken in another order with other batches and other numbers of threads: a pixel may then differ by one.
batch = sampler["batch"]
torch.set_num_threads(spec["threads"])

drawn: list[np.ndarray] = []
for start in range(0, len(evaluation), batch):
    part = evaluation[start : start + batch]
    images = pipe(
        [item["prompt"] for item in part],
        num_inference_steps=sampler["steps"],
        guidance_scale=sampler["guidance"],
        eta=sampler["eta"],
        generator=[torch.Generator("cpu").manual_seed(item["seed"]) for item in part],
    ).images
    drawn += [np.asarray(image) for image in images]

folder = arguments.run / "drawn"
folder.mkdir(exist_ok=True)
for i, image in enumerate(drawn):
    Image.fromarray(image).save(folder / f"{i:04}.png")
print(f"{len(drawn)} images in {folder}")

if arguments.check:
    last = max(path for path in (arguments.run / "samples").iterdir() if path.is_dir())
    other = [i for i, image in enumerate(drawn) if (image != np.asarray(Image.open(last / f"{i:04}.png"))).any()]
    if other:
        raise SystemExit(f"{len(other)} of {len(drawn)} images differ from {last}, {other[0]:04}.png first")
    print(f"the same, pixel for pixel, as {last}")
