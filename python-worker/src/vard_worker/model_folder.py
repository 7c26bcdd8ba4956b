"""What a model's folder may hold: weights as safetensors, and configurations that name nothing but diffusers' and
transformers' own classes.

Loading such a folder runs no code of its author and reads no file outside it. All that the libraries have beside that,
pickles, custom classes, kernels and adapters fetched from elsewhere, is refused by name, before they see the folder: an
update of theirs that loads more by default loads no more here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import diffusers

from vard.v1 import worker_pb2 as pb
from vard_worker.errors import WorkerError

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
"""Endings of files that are read by unpickling, which runs code of their author."""
CODE_KEYS = ("auto_map", "custom_pipelines", "transformers_weights")
"""Keys of a configuration that name a class, or a file of weights, of the author's choice."""
IMPLEMENTATION_KEYS = ("attn_implementation", "_attn_implementation", "experts_implementation", "_experts_implementation")
"""Keys whose value may be a hub id, of compiled code."""
OWN_IMPLEMENTATIONS = (None, "eager", "sdpa")


@dataclass(frozen=True)
class Part:
    """A component of a pipeline, and the classes that it may have."""

    library: str
    classes: tuple[str, ...]


SCHEDULERS = Part("diffusers", tuple(name for name in dir(diffusers) if name.endswith("Scheduler")))

PARTS: dict[str, dict[str, Part]] = {
    "StableDiffusionPipeline": {
        "vae": Part("diffusers", ("AutoencoderKL",)),
        "text_encoder": Part("transformers", ("CLIPTextModel",)),
        "tokenizer": Part("transformers", ("CLIPTokenizer", "CLIPTokenizerFast")),
        "unet": Part("diffusers", ("UNet2DConditionModel",)),
        "scheduler": SCHEDULERS,
    },
    "DDPMPipeline": {"unet": Part("diffusers", ("UNet2DModel",)), "scheduler": SCHEDULERS},
}
"""The parts that are loaded, of each pipeline that is supported; what else its folder has stays unread."""


INDEX = "model_index.json"


def check(folder: Path, checkpoint: str) -> str:
    """The name of the folder's pipeline. Raises MODEL_NOT_LOADABLE or UNSAFE_CHECKPOINT, naming the file and
    ``checkpoint``, which is what the caller calls the folder."""
    if not (folder / INDEX).is_file():
        raise not_loadable(checkpoint, f"no {INDEX} in the folder; give the root of a model in diffusers format")
    name = check_index(folder / INDEX, checkpoint)
    for part in PARTS[name]:
        check_part(folder / part, checkpoint)
    return name


def check_index(file: Path, checkpoint: str) -> str:
    """The pipeline that ``model_index.json`` names, after checking the classes of its parts."""
    index = read(file, checkpoint)
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
    pickles = [file for file in sorted(folder.iterdir()) if file.suffix in PICKLED]
    if pickles and not any(folder.glob("*.safetensors")):
        raise unsafe(
            checkpoint, f"{folder.name}/{pickles[0].name} can only be read by unpickling, which runs code; save the model with safe_serialization=True"
        )
    for file in sorted(folder.glob("*.py")):
        raise unsafe(checkpoint, f"{folder.name}/{file.name} is code; only weights and configurations are loaded")
    if (folder / "adapter_config.json").exists():
        raise unsafe(checkpoint, f"{folder.name}/adapter_config.json names weights that lie elsewhere; merge the adapter into the model and save that")
    for file in sorted(folder.glob("*.json")):
        if file.name.endswith(".safetensors.index.json"):
            check_shards(file, checkpoint)
        elif file.name == "config.json" or file.name.endswith("_config.json"):
            check_config(file, read(file, checkpoint), checkpoint)


def check_shards(file: Path, checkpoint: str) -> None:
    """A sharded part's list of files; the libraries would unpickle one that does not end in .safetensors."""
    shards = read(file, checkpoint).get("weight_map")
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


def read(file: Path, checkpoint: str) -> dict[str, object]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise not_loadable(checkpoint, f"{file.name} is not readable: {error}") from error
    if not isinstance(content, dict):
        raise not_loadable(checkpoint, f"{file.name} is no JSON object")
    return content


def not_loadable(checkpoint: str, why: str) -> WorkerError:
    return WorkerError(pb.MODEL_NOT_LOADABLE, f"model.checkpoint: {checkpoint}: {why}", "model.checkpoint")


def unsafe(checkpoint: str, why: str) -> WorkerError:
    return WorkerError(pb.UNSAFE_CHECKPOINT, f"model.checkpoint: {checkpoint}: {why}", "model.checkpoint")
