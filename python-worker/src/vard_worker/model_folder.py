"""What a model's folder may hold: weights as safetensors, and configurations that name nothing but diffusers' and
transformers' own classes.

Loading such a folder runs no code of its author and reads no file outside it. All that the libraries have beside that,
pickles, custom classes, kernels and adapters fetched from elsewhere, is refused by name, before they see the folder: an
update of theirs that loads more by default loads no more here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vard_worker import noise_schedule
from vard_worker.model_config import CHECKS, check_finite
from vard_worker.model_files import PICKLED, check_files, digests, files, not_loadable, read_json, unsafe, variant

CODE_KEYS = ("auto_map", "custom_pipelines", "transformers_weights")
"""Keys of a configuration that name a class, or a file of weights, of the author's choice."""
IMPLEMENTATION_KEYS = ("attn_implementation", "_attn_implementation", "experts_implementation", "_experts_implementation")
"""Keys whose value may be a hub id, of compiled code."""
OWN_IMPLEMENTATIONS = (None, "eager", "sdpa")
SINGLE_FILES = (".safetensors", *PICKLED)
ADAPTERS = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors", "pytorch_lora_weights.bin", "adapter_model.bin")


@dataclass(frozen=True)
class Part:
    """A component of a pipeline, the classes that it may have, and its weights' name, if it has any."""

    library: str
    classes: tuple[str, ...]
    weights: str | None = None


DIFFUSERS_WEIGHTS, TRANSFORMERS_WEIGHTS = "diffusion_pytorch_model", "model"
SCHEDULER = Part("diffusers", noise_schedule.SUPPORTED)

PARTS: dict[str, dict[str, Part]] = {
    "StableDiffusionPipeline": {
        "vae": Part("diffusers", ("AutoencoderKL",), DIFFUSERS_WEIGHTS),
        "text_encoder": Part("transformers", ("CLIPTextModel",), TRANSFORMERS_WEIGHTS),
        "tokenizer": Part("transformers", ("CLIPTokenizer", "CLIPTokenizerFast")),
        "unet": Part("diffusers", ("UNet2DConditionModel",), DIFFUSERS_WEIGHTS),
        "scheduler": SCHEDULER,
    },
    "DDPMPipeline": {"unet": Part("diffusers", ("UNet2DModel",), DIFFUSERS_WEIGHTS), "scheduler": SCHEDULER},
}
"""The parts that are loaded, of each pipeline that is supported; what else its folder has stays unread."""


INDEX = "model_index.json"


@dataclass(frozen=True)
class Contents:
    """What a folder that was checked holds."""

    pipeline: str
    variants: dict[str, str] = field(default_factory=dict)
    """Of the parts whose weights are there only as a variant, as ``fp16``: its name."""
    configurations: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file that says what the weights mean, by its path in the folder."""


def check(folder: Path, kind: int, checkpoint: str) -> Contents:
    """Looks at all that is known before weights are read; ``kind`` is the chain's, of ``SamplerConfig``. Raises
    MODEL_NOT_LOADABLE or UNSAFE_CHECKPOINT, naming the file and ``checkpoint``, which is what the caller calls the folder."""
    check_is_folder(folder, checkpoint)
    name = check_index(folder / INDEX, checkpoint)
    for part in PARTS[name]:
        check_part(folder / part, checkpoint)
    found = {part: variant(folder / part, of.weights, checkpoint) for part, of in PARTS[name].items() if of.weights}
    CHECKS[name](folder, checkpoint)
    scheduler = read_json(folder / INDEX, checkpoint)["scheduler"][1]
    noise_schedule.check_scheduler(scheduler, read_json(folder / noise_schedule.FILE, checkpoint), kind, checkpoint)
    return Contents(name, {part: name for part, name in found.items() if name}, digests(folder, PARTS[name]))


def check_is_folder(folder: Path, checkpoint: str) -> None:
    """Tells those who give a checkpoint of one file, as other programs take, how it becomes a folder."""
    file = folder
    if folder.is_dir():
        if (folder / INDEX).is_file():
            return
        single = [file for file in files(folder) if file.suffix in SINGLE_FILES]
        if len(single) != 1 or (folder / "config.json").exists():
            raise not_loadable(checkpoint, f"no {INDEX} in the folder; give the root of a model in diffusers format")
        file = single[0]
    if file.name in ADAPTERS:
        raise not_loadable(checkpoint, f"{file.name} is an adapter, not a model; give the model that it was trained on")
    if not file.is_file() or file.suffix not in SINGLE_FILES:
        raise not_loadable(checkpoint, "it is no folder; give the folder of a model in diffusers format")
    converted = str(file.with_suffix(""))
    trust = "" if file.suffix == ".safetensors" else " (unpickling runs code: only if you trust its author)"
    raise not_loadable(
        checkpoint,
        f"{file.name} is a checkpoint of one file; convert it{trust}: ./vard python -c \"from diffusers import StableDiffusionPipeline as P;"
        f" P.from_single_file({str(file)!r}).save_pretrained({converted!r})\", and give model.checkpoint: {converted}",
    )


def check_index(file: Path, checkpoint: str) -> str:
    """The pipeline that ``model_index.json`` names, after checking the classes of its parts."""
    index = read_json(file, checkpoint)
    name = index.get("_class_name")
    if isinstance(name, list):
        raise unsafe(checkpoint, f"{INDEX} names a pipeline of its own code, {name}")
    if not isinstance(name, str) or name not in PARTS:
        raise not_loadable(checkpoint, f"it is a {name}; supported are {' and '.join(PARTS)}")
    for part, supported in PARTS[name].items():
        check_class(part, supported, index.get(part), checkpoint)
    return name


def check_class(name: str, supported: Part, entry: object, checkpoint: str) -> None:
    match entry:
        case [supported.library, str() as named] if named in supported.classes:
            return
        case ["diffusers", str() as named] if supported is SCHEDULER:
            raise not_loadable(checkpoint, f"{INDEX}: its scheduler is a {named}, {noise_schedule.reason(named)}")
        case [("diffusers" | "transformers"), str() as named]:
            raise not_loadable(checkpoint, f"its {name} is a {named}, which is not supported; {', '.join(supported.classes[:3])} would be")
        case None | [None, *_]:
            raise not_loadable(checkpoint, f"{INDEX} names no {name}")
        case _:
            raise unsafe(checkpoint, f"{INDEX} names {entry} as {name}: code from outside diffusers and transformers")


def check_part(folder: Path, checkpoint: str) -> None:
    # Where a part has no folder the libraries would look in the root.
    if not folder.is_dir():
        raise not_loadable(checkpoint, f"the folder {folder.name} is missing")
    check_files(folder, checkpoint)
    for file in files(folder):
        place = f"{folder.name}/{file.name}"
        if file.suffix == ".py":
            raise unsafe(checkpoint, f"{place} is code; only weights and configurations are loaded")
        if file.name == "adapter_config.json":
            raise unsafe(checkpoint, f"{place} names weights that lie elsewhere; merge the adapter into the model and save that")
        if ".safetensors.index." in file.name and file.suffix == ".json":
            check_shards(file, checkpoint)
        elif file.name == "config.json" or file.name.endswith("_config.json"):
            config = read_json(file, checkpoint)
            check_config(file, config, checkpoint)
            if not file.name.startswith("tokenizer"):
                check_finite(place, config, checkpoint)


def check_shards(file: Path, checkpoint: str) -> None:
    """A sharded part's list of files; the libraries would unpickle one that does not end in .safetensors."""
    shards = read_json(file, checkpoint).get("weight_map")
    if not isinstance(shards, dict):
        raise not_loadable(checkpoint, f"{file.parent.name}/{file.name} has no weight_map")
    for shard in shards.values():
        if not isinstance(shard, str) or "/" in shard or not shard.endswith(".safetensors"):
            raise unsafe(checkpoint, f"{file.parent.name}/{file.name} names {shard!r}; shards are safetensors beside it")


def check_config(file: Path, config: object, checkpoint: str) -> None:
    if isinstance(config, list):
        for entry in config:
            check_config(file, entry, checkpoint)
    if not isinstance(config, dict):
        return
    for key, value in config.items():
        if (key in CODE_KEYS and value is not None) or (key in IMPLEMENTATION_KEYS and value not in OWN_IMPLEMENTATIONS):
            raise unsafe(checkpoint, f"{file.parent.name}/{file.name} asks, by {key}, for code or weights of its own: {value}")
        if key == "quantization_config" and value is not None:
            raise not_loadable(checkpoint, f"{file.parent.name} is quantised, which is not supported")
        check_config(file, value, checkpoint)
