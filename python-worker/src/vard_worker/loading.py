"""From a checkpoint's folder or hub id to a model that a session can use."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMPipeline, StableDiffusionPipeline, UNet2DConditionModel, UNet2DModel
from huggingface_hub import hf_hub_download
from torch import nn
from transformers import CLIPTextModel

from vard.v1 import worker_pb2 as pb
from vard_worker import model_files, model_folder, noise_schedule
from vard_worker.errors import WorkerError, invalid, is_out_of_memory
from vard_worker.model import DiffusionModel, TextToImageModel, UnconditionalModel
from vard_worker.roots import Roots

PIPELINES = {"StableDiffusionPipeline": StableDiffusionPipeline, "DDPMPipeline": DDPMPipeline}
UNREAD = {
    "StableDiffusionPipeline": {"safety_checker": None, "feature_extractor": None, "image_encoder": None, "requires_safety_checker": False},
    "DDPMPipeline": {},
}
"""Parts that do not take part in drawing an image, and are not loaded."""
NETWORKS = {
    "StableDiffusionPipeline": {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel},
    "DDPMPipeline": {"unet": UNet2DModel},
}
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
    contents = model_folder.check(folder, sampler.kind, model.checkpoint)
    unconditional = contents.pipeline == "DDPMPipeline"
    if unconditional and sampler.guidance != 1:
        raise invalid("sampler.guidance", f"{sampler.guidance:g}, but this model takes no prompt; give 1")
    pipeline = load_pipeline(folder, contents, dtype, model)
    pipeline.set_progress_bar_config(disable=True)
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            part.eval().requires_grad_(False).to(device)

    # A scheduler's own clip_sample is meant for pixels. Latents are not bounded by 1, and configurations of other
    # schedulers, which lack the key, would get the default: true.
    clip = {} if unconditional else {"clip_sample": False}
    pipeline.scheduler = noise_schedule.chain_scheduler(pipeline.scheduler, sampler.kind, model.checkpoint, **clip)
    trained = pipeline.scheduler.config.num_train_timesteps
    if not 1 <= sampler.steps <= trained:
        raise invalid("sampler.steps", f"{sampler.steps} is outside 1..{trained}")
    pipeline.scheduler.set_timesteps(sampler.steps)
    first = int(pipeline.scheduler.timesteps.max())
    if first >= trained:
        raise invalid("sampler.steps", f"{sampler.steps} from the scheduler's steps_offset on begin at timestep {first}, beyond the {trained} it was trained for; give fewer")
    noise_schedule.check_root(pipeline.scheduler, sampler.eta)

    def fresh_unet() -> nn.Module:
        variant = contents.variants.get("unet")
        unet = type(pipeline.unet).from_pretrained(folder / "unet", variant=variant, dtype=dtype, use_safetensors=True)
        return unet.eval().requires_grad_(False).to(device)

    make = UnconditionalModel if unconditional else TextToImageModel
    try:
        diffusion_model = make(pipeline, sampler.guidance, dtype, sampler.eta, fresh_unet)
    except ValueError as error:
        raise not_loadable(model, f"{noise_schedule.FILE}: {error}") from error
    diffusion_model.configurations = contents.configurations
    diffusion_model.add_adapter(model.adapter, seed)
    return diffusion_model


def load_pipeline(
    folder: Path, contents: model_folder.Contents, dtype: torch.dtype, model: pb.ModelConfig
) -> StableDiffusionPipeline | DDPMPipeline:
    """The folder's pipeline, all of its networks in ``dtype``, whatever their files are in."""
    options = {"dtype": dtype, "use_safetensors": True}
    make = PIPELINES[contents.pipeline]
    try:
        networks = {
            # A pipeline takes one variant for all its parts; here each part has the most precise that is there.
            part: whole(kind, folder / part, model, variant=contents.variants.get(part), **options)
            for part, kind in NETWORKS[contents.pipeline].items()
        }
        return make.from_pretrained(folder, **options, **networks, **UNREAD[contents.pipeline])
    except WorkerError:
        raise
    except Exception as error:  # from_pretrained raises what its dozens of loaders raise
        if is_out_of_memory(error):
            raise
        raise not_loadable(model, f"{type(error).__name__}: {error}") from error


def whole(kind: type[nn.Module], folder: Path, model: pb.ModelConfig, **options: object) -> nn.Module:
    """A network all of whose weights are its file's: the libraries fill what is missing with random numbers, or not at all."""
    network, told = kind.from_pretrained(folder, output_loading_info=True, **options)
    lacking = sorted(told["missing_keys"]) + sorted(str(key) for key in told["mismatched_keys"])
    if lacking:
        raise not_loadable(
            model,
            f"{folder.name}: its weights lack {len(lacking)} that its config.json asks for, {lacking[0]} first; "
            "download the model again, or put back the config.json that belongs to these weights",
        )
    return network


def not_loadable(model: pb.ModelConfig, why: str) -> WorkerError:
    return model_files.not_loadable(model.checkpoint, why)


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
        options = {"revision": revision, "use_safetensors": True, **UNREAD[name]}
        return Path(downloaded(PIPELINES[name], model.checkpoint, options))
    except WorkerError:
        raise
    except Exception as error:
        raise not_loadable(model, f"neither a folder here nor a model that the hub gave: {error}") from error


def downloaded(pipeline: type[StableDiffusionPipeline | DDPMPipeline], checkpoint: str, options: dict[str, object]) -> str:
    try:
        return pipeline.download(checkpoint, **options)
    except OSError as error:
        # A model may have its safetensors as fp16 alone, beside pickles.
        try:
            return pipeline.download(checkpoint, variant="fp16", **options)
        except Exception:  # what was wrong with the plain ones says more
            raise error from None
