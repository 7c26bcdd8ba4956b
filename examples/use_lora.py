"""Draws with a fine-tuned model, in plain diffusers: nothing of vard is imported.

    ./vard python examples/use_lora.py runs/RUN               # draws the run's evaluation prompts again, into runs/RUN/drawn
    ./vard python examples/use_lora.py runs/RUN --check       # and compares them with the run's last evaluation, pixel by pixel

For every model, sampler and dtype that vard fine-tunes. Any Python with diffusers, peft and PyYAML does as well as
`./vard python`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import yaml
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, DiffusionPipeline, StableDiffusionPipeline
from diffusers.utils.torch_utils import randn_tensor
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("run", type=Path, help="a run's folder")
parser.add_argument("--check", action="store_true", help="fail unless the images are those of the run's last evaluation")
arguments = parser.parse_args()

spec = yaml.safe_load((arguments.run / "spec.resolved.yaml").read_text(encoding="utf-8"))
evaluation = json.loads((arguments.run / "samples" / "evaluation.json").read_text(encoding="utf-8"))
export = arguments.run / "export"
model, sampler = spec["model"], spec["sampler"]
dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[model["dtype"]]
device = torch.device(model["device"] if model["device"] != "auto" else "cuda" if torch.cuda.is_available() else "cpu")


# ------------------------------------------------------------------------------------------------------ loading


def load() -> StableDiffusionPipeline | DDPMPipeline:
    """The checkpoint with the LoRA."""
    source = {"revision": model.get("revision")}
    name = DiffusionPipeline.load_config(model["checkpoint"], **source)["_class_name"]
    options = {"dtype": dtype, "use_safetensors": True, **source}
    if name == "StableDiffusionPipeline":
        kind, options = StableDiffusionPipeline, options | {"safety_checker": None, "requires_safety_checker": False}
    else:
        kind = DDPMPipeline
    # Some checkpoints have the weights of some parts as a variant alone, most often fp16.
    for variant in (None, "fp32", "bf16", "fp16"):
        try:
            pipe = kind.from_pretrained(model["checkpoint"], variant=variant, **options)
            break
        except (OSError, ValueError) as error:
            if variant == "fp16":
                raise error
    if kind is StableDiffusionPipeline:
        pipe.load_lora_weights(export)
    else:
        load_lora_into(pipe.unet, export / "pytorch_lora_weights.safetensors")
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def load_lora_into(unet: torch.nn.Module, file: Path) -> None:
    """What `load_lora_weights` does, for a pipeline that has none. The file's metadata holds rank and alpha."""
    with safe_open(file, "pt") as opened:
        config = json.loads(opened.metadata()["lora_adapter_metadata"])
    inject_adapter_in_model(LoraConfig(**{key.removeprefix("unet."): value for key, value in config.items()}), unet)
    set_peft_model_state_dict(unet, {name.removeprefix("unet."): tensor for name, tensor in load_file(file).items()})


def in_float32(unet: torch.nn.Module) -> None:
    """vard keeps latents, guidance and the scheduler's steps in float32 and runs the network alone in bfloat16. A pipeline
    that is all bfloat16 draws much the same pictures, but not the same pixels."""
    forward = unet.forward

    def mixed(*arguments: object, **named: object) -> tuple[torch.Tensor]:
        with torch.autocast(device.type, dtype=dtype):
            return (forward(*arguments, **named)[0].float(),)

    unet.forward = mixed


# ------------------------------------------------------------------------------------------------------ drawing


def draw_text_to_image(prompts: list[str], generators: list[torch.Generator]) -> list[Image.Image]:
    size = pipe.unet.config.sample_size
    shape = (len(prompts), pipe.unet.config.in_channels, *((size, size) if isinstance(size, int) else size))
    latents = pipe(
        prompts,
        num_inference_steps=sampler["steps"],
        guidance_scale=sampler["guidance"],
        eta=sampler["eta"],
        generator=generators,
        latents=randn_tensor(shape, generators, device, torch.float32),
        output_type="latent",
    ).images
    images = pipe.vae.decode(latents.to(pipe.vae.dtype) / pipe.vae.config.scaling_factor, return_dict=False)[0]
    return pipe.image_processor.postprocess(images, output_type="pil")


def draw_pixels(generators: list[torch.Generator]) -> list[Image.Image]:
    """`DDPMPipeline` passes no eta on, and draws its noise in the network's dtype: so its loop is here."""
    size = pipe.unet.config.sample_size
    shape = (len(generators), pipe.unet.config.in_channels, *((size, size) if isinstance(size, int) else size))
    x = randn_tensor(shape, generators, device, torch.float32)
    pipe.scheduler.set_timesteps(sampler["steps"])
    eta = {"eta": sampler["eta"]} if isinstance(pipe.scheduler, DDIMScheduler) else {}
    for t in pipe.scheduler.timesteps:
        output = pipe.unet(x, t.to(device), return_dict=False)[0]
        x = pipe.scheduler.step(output, t, x, generator=generators, return_dict=False, **eta)[0]
    images = (x / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
    return [image.convert("RGB") for image in pipe.numpy_to_pil(images)]


pipe = load()
text_to_image = isinstance(pipe, StableDiffusionPipeline)
if dtype != torch.float32:
    in_float32(pipe.unet)
# The sampler that the model was fine-tuned with. Others work too: it is an ordinary LoRA.
kind = {"ddim": DDIMScheduler, "ddpm": DDPMScheduler}[sampler["kind"]]
pipe.scheduler = kind.from_config(pipe.scheduler.config, **({"clip_sample": False} if text_to_image else {}))
# Sums are taken in another order with other batches and other numbers of threads: a pixel may then differ by one.
batch = sampler["batch"]
if "threads" in spec:
    torch.set_num_threads(spec["threads"])

drawn: list[np.ndarray] = []
with torch.no_grad():
    for start in range(0, len(evaluation), batch):
        part = evaluation[start : start + batch]
        generators = [torch.Generator("cpu").manual_seed(item["seed"]) for item in part]
        images = draw_text_to_image([item["prompt"] for item in part], generators) if text_to_image else draw_pixels(generators)
        drawn += [np.asarray(image) for image in images]

folder = arguments.run / "drawn"
folder.mkdir(exist_ok=True)
for i, image in enumerate(drawn):
    Image.fromarray(image).save(folder / f"{i:04}.png")
print(f"{len(drawn)} images in {folder}")

if arguments.check:
    last = max(path for path in (arguments.run / "samples").iterdir() if path.is_dir())
    differences = {
        i: levels
        for i, image in enumerate(drawn)
        if (levels := np.abs(image.astype(int) - np.asarray(Image.open(last / f"{i:04}.png").convert("RGB")).astype(int)).max())
    }
    if differences:
        first, most = next(iter(differences)), max(differences.values())
        raise SystemExit(f"{len(differences)} of {len(drawn)} images differ from {last}, {first:04}.png first, by up to {most} of 255 levels")
    print(f"the same, pixel for pixel, as {last}")
