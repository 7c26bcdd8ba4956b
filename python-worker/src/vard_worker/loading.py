"""From a checkpoint's folder or hub id to a model that a session can use."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from huggingface_hub import hf_hub_download
from torch import nn

from vard_worker import chains, model_files, model_folder
from vard_worker.chains import Chain, noise_schedule
from vard_worker.checks import check_eta
from vard_worker.errors import WorkerError, invalid, is_out_of_memory
from vard_worker.families import FAMILIES, Family
from vard_worker.model import Model
from vard_worker.policies import Policies
from vard_worker.roots import Roots
from vard_worker.settings import DTYPES, ModelSettings, SamplerSettings


def load(model: ModelSettings, sampler: SamplerSettings, seed: int, roots: Roots) -> Model:
    """Loads a folder in diffusers format or a hub id, turns its scheduler into the chain asked for, adds the adapter."""
    device = choose_device(model.device)
    dtype = DTYPES[model.dtype]
    folder = roots.model(model.checkpoint)
    if folder is None:
        folder = download(model)
    else:
        roots.check_links(folder)
    contents = model_folder.check(folder, chain_of(sampler), model.checkpoint)
    kind = FAMILIES[contents.pipeline]
    if not kind.prompted and sampler.guidance != 1:
        raise invalid("sampler.guidance", f"{sampler.guidance:g}, but a {kind.pipeline_class.__name__} has no guidance; give 1")
    pipeline = load_pipeline(folder, contents, dtype, model)
    pipeline.set_progress_bar_config(disable=True)
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            part.eval().requires_grad_(False)
            if not model.offload or part is getattr(pipeline, kind.network):
                part.to(device)
    family = kind(pipeline, sampler.guidance, dtype, model.height or 0, model.width or 0)
    chain = make_chain(contents.chain, family, sampler, model.checkpoint)

    def fresh_net() -> nn.Module:
        variant = contents.variants.get(kind.network)
        net = type(family.net).from_pretrained(folder / kind.network, variant=variant, dtype=dtype, use_safetensors=True)
        return net.eval().requires_grad_(False).to(device)

    policies = Policies(family.net)
    policies.add_adapter(model.adapter.rank, model.adapter.alpha, model.adapter.targets or kind.targets, seed, family.without_effect())
    if model.gradient_checkpointing:
        policies.checkpoint_gradients()
    return Model(family, chain, policies, fresh_net, contents.configurations, model.offload)


def chain_of(sampler: SamplerSettings) -> type[Chain] | None:
    """The chain that is asked for; None for the family's own."""
    return None if sampler.kind is None else chains.CHAINS[sampler.kind]


def make_chain(kind: type[Chain], family: Family, sampler: SamplerSettings, checkpoint: str) -> Chain:
    """The chain of the family's scheduler, which becomes the pipeline's."""
    scheduler = kind.scheduler_of(family.pipeline.scheduler, checkpoint, **family.scheduler_changes)
    trained = scheduler.config.num_train_timesteps
    if not 1 <= sampler.steps <= trained:
        raise invalid("sampler.steps", f"{sampler.steps} is outside 1..{trained}")
    family.set_timesteps(scheduler, sampler.steps)
    first = float(scheduler.timesteps.max())
    if kind.process == "diffusion" and first >= trained:
        raise invalid(
            "sampler.steps",
            f"{sampler.steps} from the scheduler's steps_offset on begin at timestep {first:g}, beyond the {trained} it was trained for; give fewer",
        )
    eta = kind.default_eta if sampler.eta is None else sampler.eta
    check_eta(eta, kind)
    kind.check_eta(scheduler, eta)
    try:
        chain = kind(scheduler, eta, family.device)
    except ValueError as error:
        raise model_files.not_loadable(checkpoint, f"{noise_schedule.FILE}: {error}") from error
    family.pipeline.scheduler = scheduler
    return chain


def load_pipeline(folder: Path, contents: model_folder.Contents, dtype: torch.dtype, model: ModelSettings) -> DiffusionPipeline:
    """The folder's pipeline, all of its networks in ``dtype``, whatever their files are in."""
    options = {"dtype": dtype, "use_safetensors": True}
    family = FAMILIES[contents.pipeline]
    try:
        networks = {
            # A pipeline takes one variant for all its parts; here each part has the most precise that is there.
            name: whole(
                part.network,
                folder / name,
                model,
                variant=contents.variants.get(name),
                **options | {"dtype": family.dtype_of(name, config_of(folder / name, model), dtype)},
            )
            for name, part in family.parts.items()
            if part.network is not None and name not in contents.absent
        }
        return family.pipeline_class.from_pretrained(folder, **options, **networks, **dict.fromkeys(contents.absent), **family.unread)
    except WorkerError:
        raise
    except Exception as error:  # from_pretrained raises what its dozens of loaders raise
        if is_out_of_memory(error):
            raise
        raise not_loadable(model, f"{type(error).__name__}: {error}") from error


def config_of(part: Path, model: ModelSettings) -> dict[str, object]:
    return model_files.read_json(part / "config.json", model.checkpoint)


def whole(kind: type[nn.Module], folder: Path, model: ModelSettings, **options: object) -> nn.Module:
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


def not_loadable(model: ModelSettings, why: str) -> WorkerError:
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


def download(model: ModelSettings) -> Path:
    """The folder of the hub's cache that a hub id's model is in, after fetching what is not there yet: configurations
    and safetensors, and no more than its index before that was looked at."""
    revision = model.revision or None
    try:
        index = hf_hub_download(model.checkpoint, model_folder.INDEX, revision=revision)
        name = model_folder.check_index(Path(index), model.checkpoint)
        family = FAMILIES[name]
        options = {"revision": revision, "use_safetensors": True, **family.unread}
        return Path(downloaded(family.pipeline_class, model.checkpoint, options))
    except WorkerError:
        raise
    except Exception as error:
        raise not_loadable(model, f"neither a folder here nor a model that the hub gave: {error}") from error


def downloaded(pipeline: type[DiffusionPipeline], checkpoint: str, options: dict[str, object]) -> str:
    try:
        return pipeline.download(checkpoint, **options)
    except OSError as error:
        # A model may have its safetensors as fp16 alone, beside pickles.
        try:
            return pipeline.download(checkpoint, variant="fp16", **options)
        except Exception:  # what was wrong with the plain ones says more
            raise error from None
