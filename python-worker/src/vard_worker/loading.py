"""From a checkpoint's folder or hub id to a model that a session can use."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, StableDiffusionPipeline
from huggingface_hub import hf_hub_download
from torch import nn

from vard.v1 import worker_pb2 as pb
from vard_worker import model_folder
from vard_worker.errors import WorkerError, invalid, is_out_of_memory
from vard_worker.model import DiffusionModel, TextToImageModel, UnconditionalModel
from vard_worker.roots import Roots

PIPELINES = {"StableDiffusionPipeline": StableDiffusionPipeline, "DDPMPipeline": DDPMPipeline}
UNREAD = {
    "StableDiffusionPipeline": {"safety_checker": None, "feature_extractor": None, "image_encoder": None, "requires_safety_checker": False},
    "DDPMPipeline": {},
}
"""Parts that do not take part in drawing an image, and are not loaded."""
DTYPES = {pb.FLOAT32: torch.float32, pb.BFLOAT16: torch.bfloat16}


def load(model: pb.ModelConfig, sampler: pb.SamplerConfig, seed: int, roots: Roots) -> DiffusionModel:
    """Loads a folder in diffusers format or a hub id, turns its scheduler into the sampler asked for, adds the adapter."""
    device = choose_device(model.device)
    dtype = DTYPES[model.dtype]
    folder = roots.model(model.checkpoint)
    if folder is None:
        folder = download(model)
    else:
        roots.check_links(folder)
    name = model_folder.check(folder, model.checkpoint)
    try:
        pipeline = PIPELINES[name].from_pretrained(folder, dtype=dtype, use_safetensors=True, **UNREAD[name])
    except Exception as error:  # from_pretrained raises what its dozens of loaders raise
        if is_out_of_memory(error):
            raise
        raise not_loadable(model, f"{type(error).__name__}: {error}") from error
    pipeline.set_progress_bar_config(disable=True)
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            part.eval().requires_grad_(False).to(device)

    config = pipeline.unet.config
    if name == "DDPMPipeline":
        if sampler.guidance != 1:
            raise invalid("sampler.guidance", f"{sampler.guidance:g}, but this model takes no prompt; give 1")
        if config.class_embed_type is not None or config.num_class_embeds is not None:
            raise not_loadable(model, "its UNet is conditioned on classes, which is not supported")
        if config.in_channels not in (1, 3):
            raise not_loadable(model, f"its UNet draws {config.in_channels} channels; 1 or 3 are supported")
    elif config.in_channels != pipeline.vae.config.latent_channels:
        raise not_loadable(model, f"its UNet takes {config.in_channels} channels but its VAE has {pipeline.vae.config.latent_channels}: an inpainting or editing model, which is not supported")

    kind = {pb.SamplerConfig.DDIM: DDIMScheduler, pb.SamplerConfig.DDPM: DDPMScheduler}[sampler.kind]
    # A scheduler's own clip_sample is meant for pixels. Latents are not bounded by 1, and configurations of other
    # schedulers, which lack the key, would get the default: true.
    clip = {"clip_sample": False} if name == "StableDiffusionPipeline" else {}
    pipeline.scheduler = kind.from_config(pipeline.scheduler.config, **clip)
    if not 1 <= sampler.steps <= pipeline.scheduler.config.num_train_timesteps:
        raise invalid("sampler.steps", f"{sampler.steps} is outside 1..{pipeline.scheduler.config.num_train_timesteps}")
    pipeline.scheduler.set_timesteps(sampler.steps)
    first, trained = int(pipeline.scheduler.timesteps.max()), pipeline.scheduler.config.num_train_timesteps
    if first >= trained:
        raise invalid("sampler.steps", f"{sampler.steps} from the scheduler's steps_offset on begin at timestep {first}, beyond the {trained} it was trained for; give fewer")

    def fresh_unet() -> nn.Module:
        unet = type(pipeline.unet).from_pretrained(folder, subfolder="unet", dtype=dtype, use_safetensors=True)
        return unet.eval().requires_grad_(False).to(device)

    make = TextToImageModel if name == "StableDiffusionPipeline" else UnconditionalModel
    try:
        diffusion_model = make(pipeline, sampler.guidance, dtype, sampler.eta, fresh_unet)
    except ValueError as error:
        raise not_loadable(model, str(error)) from error
    diffusion_model.add_adapter(model.adapter, seed)
    return diffusion_model


def not_loadable(model: pb.ModelConfig, why: str) -> WorkerError:
    return model_folder.not_loadable(model.checkpoint, why)


def choose_device(name: str) -> torch.device:
    if name in ("", "auto"):
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise invalid("model.device", f"{name!r} is no device; give auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise invalid("model.device", f"{name}: this worker has {torch.cuda.device_count()} CUDA devices; give auto or cpu")
    if device.type not in ("cpu", "cuda"):
        raise invalid("model.device", f"{name!r} is not supported; give auto, cpu, cuda or cuda:N")
    return device


def download(model: pb.ModelConfig) -> Path:
    """The folder of the hub's cache that a hub id's model is in, after fetching what is not there yet: configurations
    and safetensors, and no more than its index before that was looked at."""
    revision = model.revision or None
    try:
        index = hf_hub_download(model.checkpoint, model_folder.INDEX, revision=revision)
        name = model_folder.check_index(Path(index), model.checkpoint)
        return Path(PIPELINES[name].download(model.checkpoint, revision=revision, use_safetensors=True, **UNREAD[name]))
    except WorkerError:
        raise
    except Exception as error:
        raise not_loadable(model, f"neither a folder here nor a model that the hub gave: {error}") from error
