"""`python -m vard_emoji --out checkpoints/emoji-sd`: train the small Stable Diffusion checkpoint on a CPU."""

import argparse
from dataclasses import fields
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

from vard_emoji import data, export
from vard_emoji.train import Recipe, train

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "emoji"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m vard_emoji", description=__doc__.partition(": ")[2])
    parser.add_argument("--out", type=Path, required=True, help="folder of the pipeline; rewritten as training goes on")
    parser.add_argument("--cache", type=Path, default=CACHE, help="pictures and training state, git-ignored")
    parser.add_argument("--prompts", type=Path, help="draw a sheet of these prompts into OUT/samples.png")
    parser.add_argument("--export-every", type=int, default=1000, metavar="STEPS")
    for field in fields(Recipe):
        kind = {"action": argparse.BooleanOptionalAction} if field.type is bool else {"type": field.type}
        parser.add_argument("--" + field.name.replace("_", "-"), default=field.default, help="%(default)s", **kind)
    arguments = parser.parse_args()
    recipe = Recipe(**{field.name: getattr(arguments, field.name) for field in fields(Recipe)})
    torch.set_num_threads(1)  # an operation; a batch has two threads

    def on_save(pipeline: StableDiffusionPipeline, step: int) -> None:
        if step % arguments.export_every and step != recipe.unet_steps:
            return
        export.save(pipeline, arguments.out)
        if arguments.prompts:
            prompts = export.prompts_of(arguments.prompts)
            # From the folder, so that the sheet shows what its users get; with eta 1, as reinforcement learning samples.
            images = export.sample(StableDiffusionPipeline.from_pretrained(arguments.out), prompts, eta=1.0)
            export.sheet(images, prompts).save(arguments.out / "samples.png", optimize=True)

    train(recipe, data.load(arguments.cache), arguments.cache / "run", on_save)


if __name__ == "__main__":
    main()
