"""Draws with a fine-tuned model, in plain diffusers: nothing of vard is imported.

    ./vard python examples/use_lora.py runs/RUN               # draws the run's evaluation prompts again, into runs/RUN/drawn
    ./vard python examples/use_lora.py runs/RUN --check       # and compares them with the run's last evaluation, pixel by pixel

For every model, sampler and dtype that vard fine-tunes. Any Python with diffusers, peft and PyYAML does as well as
`./vard python`.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
import yaml
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    SanaPipeline,
    SchedulerMixin,
    StableDiffusionPipeline,
)
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


def load() -> DiffusionPipeline:
    """The checkpoint with the LoRA."""
    source = {"revision": model.get("revision")}
    index = DiffusionPipeline.load_config(model["checkpoint"], **source)
    # Diffusers wants to be told of parts that a checkpoint does without, as the T5 of some Stable Diffusion 3.
    absent = {part: None for part, entry in index.items() if isinstance(entry, list) and entry[0] is None}
    options = {"dtype": dtype, "use_safetensors": True, **source, **absent}
    if index["_class_name"] == "StableDiffusionPipeline":
        options |= {"safety_checker": None, "requires_safety_checker": False}
    # Some checkpoints have the weights of some parts as a variant alone, most often fp16.
    for variant in (None, "fp32", "bf16", "fp16"):
        try:
            pipe = DiffusionPipeline.from_pretrained(model["checkpoint"], variant=variant, **options)
            if index["_class_name"] == "StableDiffusionXLPipeline" and pipe.vae.config.force_upcast and dtype != torch.float32:
                pipe.vae = AutoencoderKL.from_pretrained(model["checkpoint"], subfolder="vae", variant=variant, use_safetensors=True, **source)
            break
        except (OSError, ValueError) as error:
            if variant == "fp16":
                raise error
    if hasattr(pipe, "load_lora_weights"):
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


def in_float32(network: torch.nn.Module) -> None:
    """vard keeps latents, guidance and the scheduler's steps in float32 and runs the network alone in bfloat16. A pipeline
    that is all bfloat16 draws much the same pictures, but not the same pixels."""
    forward = network.forward

    def mixed(*arguments: object, **named: object) -> tuple[torch.Tensor]:
        with torch.autocast(device.type, dtype=dtype):
            return (forward(*arguments, **named)[0].float(),)

    network.forward = mixed
    # Some pipelines ask a network what to bring its inputs to.
    network.__class__ = type(type(network).__name__, (type(network),), {"dtype": torch.float32})


# ------------------------------------------------------------------------------------------------------ sampling


class StochasticFlow(FlowMatchEulerDiscreteScheduler):
    """The sampler of a flow-matching model, which draws noise in its steps: flow-sde (Flow-GRPO, arXiv 2505.05470) or flow-cps
    (coefficient-preserving). An ordinary solver draws as good pictures with the LoRA, but not the same."""

    generators: list[torch.Generator]
    solver: SchedulerMixin | None = None

    def set_timesteps(self, num_inference_steps: int | None = None, device: object = None, sigmas: object = None, mu: float | None = None) -> None:
        """A saved DPM-Solver or the like says where the levels lie."""
        if self.solver is None or sigmas is not None:
            return super().set_timesteps(num_inference_steps, device, sigmas, mu)
        self.solver.set_timesteps(num_inference_steps, device, **({} if mu is None else {"mu": mu}))
        self.timesteps = self.solver.timesteps.to(device, torch.float32)
        self.sigmas = torch.cat([self.solver.sigmas[: len(self.timesteps)], torch.zeros(1)]).to(device, torch.float32)
        self.num_inference_steps, self._step_index, self._begin_index = len(self.timesteps), None, None

    def step(self, model_output: torch.Tensor, timestep: torch.Tensor, sample: torch.Tensor, return_dict: bool = True) -> tuple[torch.Tensor]:
        if eta == 0:
            return super().step(model_output, timestep, sample, return_dict=return_dict)
        if self.step_index is None:
            self._init_step_index(timestep)
        s, after = self.sigmas.double()[self.step_index : self.step_index + 2].tolist()
        if kind == "flow-sde":
            level = s if self.step_index > 0 else float(self.sigmas[1]) if len(self.sigmas) > 2 else 0.5
            g2 = eta**2 * s / (1 - level)
            a, b, sigma = 1 + g2 / (2 * s) * (after - s), (1 + g2 * (1 - s) / (2 * s)) * (after - s), math.sqrt(g2 * (s - after))
        else:
            kept, fresh = math.cos(eta * math.pi / 2), math.sin(eta * math.pi / 2)
            a, b, sigma = (1 - after) + after * kept, after * kept * (1 - s) - (1 - after) * s, after * fresh
        if sigma < 0.01 * eta:
            a, b, sigma = 1.0, after - s, 0.0  # next to no noise: the ODE's step
        a, b, sigma = torch.tensor([a, b, sigma], dtype=torch.float32).tolist()
        noise = packed(randn_tensor(latent_shape(len(sample)), self.generators, device, torch.float32))
        self._step_index += 1
        return (a * sample.float() + b * model_output.float() + sigma * noise,)


def chain() -> SchedulerMixin:
    """The sampler that the model was fine-tuned with. Others work too: it is an ordinary LoRA."""
    if flow:
        shift = {"shift": pipe.scheduler.config.flow_shift} if "flow_shift" in pipe.scheduler.config else {}
        scheduler = StochasticFlow.from_config(pipe.scheduler.config, stochastic_sampling=False, **shift)
        scheduler.solver = pipe.scheduler if pipe.scheduler.config.get("use_flow_sigmas") else None
        return scheduler
    made = {"ddim": DDIMScheduler, "ddpm": DDPMScheduler}[kind]
    return made.from_config(pipe.scheduler.config, **({"clip_sample": False} if text_to_image else {}))


# ------------------------------------------------------------------------------------------------------ drawing


def latent_shape(images: int) -> tuple[int, int, int, int]:
    network = pipe.unet if hasattr(pipe, "unet") else pipe.transformer
    own = network.config.get("sample_size") or pipe.default_sample_size
    own = (own, own) if isinstance(own, int) else own
    sides = [model[key] // factor if model.get(key) else side for key, side in zip(("height", "width"), own, strict=True)]
    return images, network.config.in_channels // (4 if packs else 1), *sides


def packed(latents: torch.Tensor) -> torch.Tensor:
    """Flux keeps its latents as tokens of 2x2."""
    return pipe._pack_latents(latents, *latents.shape) if packs else latents


def draw_text_to_image(prompts: list[str], generators: list[torch.Generator]) -> list[Image.Image]:
    shape = latent_shape(len(prompts))
    height, width = shape[2] * factor, shape[3] * factor
    if flow:
        pipe.scheduler.generators = generators
    # Encoded beforehand where the pipeline takes its latents in the type that its text encoders speak.
    told = {"prompt": prompts} if dtype == torch.float32 or not flow or sana else encoded(prompts)
    latents = pipe(
        **told,
        **({} if isinstance(pipe, StableDiffusionPipeline) else {"height": height, "width": width}),
        num_inference_steps=sampler["steps"],
        guidance_scale=sampler["guidance"],
        **({} if flow else {"eta": eta}),
        **({"use_resolution_binning": False} if sana else {}),
        generator=generators,
        latents=packed(randn_tensor(shape, generators, device, torch.float32)),
        output_type="latent",
    ).images
    if packs:
        latents = pipe._unpack_latents(latents, height, width, factor)
    vae = pipe.vae
    latents = latents.to(vae.dtype) / vae.config.scaling_factor + (vae.config.get("shift_factor") or 0.0)
    return pipe.image_processor.postprocess(vae.decode(latents, return_dict=False)[0], output_type="pil")


def encoded(prompts: list[str]) -> dict[str, torch.Tensor]:
    if packs:
        prompt, pooled, _ = pipe.encode_prompt(prompts, None, device=device)
        return {"prompt_embeds": prompt.float(), "pooled_prompt_embeds": pooled.float()}
    guided = sampler["guidance"] > 1
    prompt, empty, pooled, empty_pooled = pipe.encode_prompt(prompts, None, None, device=device, do_classifier_free_guidance=guided)
    told = {"prompt_embeds": prompt.float(), "pooled_prompt_embeds": pooled.float()}
    return told | ({"negative_prompt_embeds": empty.float(), "negative_pooled_prompt_embeds": empty_pooled.float()} if guided else {})


def draw_pixels(prompts: list[str], generators: list[torch.Generator]) -> list[Image.Image]:
    """`DDPMPipeline` passes no eta on, knows no classes, and draws its noise in the network's dtype: so its loop is here."""
    classes = {"class_labels": torch.tensor([int(prompt) for prompt in prompts], device=device)} if prompts[0] else {}
    x = randn_tensor(latent_shape(len(generators)), generators, device, torch.float32)
    pipe.scheduler.set_timesteps(sampler["steps"])
    noise = {"eta": eta} if isinstance(pipe.scheduler, DDIMScheduler) else {}
    for t in pipe.scheduler.timesteps:
        output = pipe.unet(x, t.to(device), return_dict=False, **classes)[0]
        x = pipe.scheduler.step(output, t, x, generator=generators, return_dict=False, **noise)[0]
    images = (x / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
    return [image.convert("RGB") for image in pipe.numpy_to_pil(images)]


pipe = load()
text_to_image, packs = not isinstance(pipe, DDPMPipeline), isinstance(pipe, FluxPipeline)
sana = isinstance(pipe, SanaPipeline)
factor = pipe.vae_scale_factor if text_to_image else 1
flow = isinstance(pipe.scheduler, FlowMatchEulerDiscreteScheduler) or bool(pipe.scheduler.config.get("use_flow_sigmas"))
kind = sampler.get("kind", "auto")
if kind == "auto":
    kind = "flow-sde" if flow else "ddim"
eta = sampler.get("eta", 0.7 if flow else 1.0)
if dtype != torch.float32:
    in_float32(pipe.unet if hasattr(pipe, "unet") else pipe.transformer)
pipe.scheduler = chain()
# Sums are taken in another order with other batches and other numbers of threads: a pixel may then differ by one.
batch = sampler["batch"]
if "threads" in spec:
    torch.set_num_threads(spec["threads"])

drawn: list[np.ndarray] = []
with torch.no_grad():
    for start in range(0, len(evaluation), batch):
        part = evaluation[start : start + batch]
        generators = [torch.Generator("cpu").manual_seed(item["seed"]) for item in part]
        images = (draw_text_to_image if text_to_image else draw_pixels)([item["prompt"] for item in part], generators)
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
