"""What a model's folder may hold: weights as safetensors, and configurations that name nothing but diffusers' and
transformers' own classes.

Loading such a folder runs no code of its author and reads no file outside it. All that the libraries have beside that,
pickles, custom classes, kernels and adapters fetched from elsewhere, is refused by name, before they see the folder: an
update of theirs that loads more by default loads no more here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vard_worker import chains
from vard_worker.chains import CHAINS, Chain, noise_schedule
from vard_worker.errors import invalid
from vard_worker.families import FAMILIES, Family, Part
from vard_worker.families.configs import check_finite
from vard_worker.model_files import PICKLED, check_files, digests, files, not_loadable, read_json, unsafe, variant

CODE_KEYS = ("auto_map", "custom_pipelines", "transformers_weights")
"""Keys of a configuration that name a class, or a file of weights, of the author's choice."""
IMPLEMENTATION_KEYS = ("attn_implementation", "_attn_implementation", "experts_implementation", "_experts_implementation")
"""Keys whose value may be a hub id, of compiled code."""
OWN_IMPLEMENTATIONS = (None, "eager", "sdpa")
SINGLE_FILES = (".safetensors", *PICKLED)
ADAPTERS = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors", "pytorch_lora_weights.bin", "adapter_model.bin")


INDEX = "model_index.json"


@dataclass(frozen=True)
class Contents:
    """What a folder that was checked holds."""

    pipeline: str
    chain: type[Chain]
    """The one that it is to be sampled by."""
    absent: frozenset[str] = frozenset()
    """Parts that the family can do without, and that are not there."""
    variants: dict[str, str] = field(default_factory=dict)
    """Of the parts whose weights are there only as a variant, as ``fp16``: its name."""
    configurations: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file that says what the weights mean, by its path in the folder."""


def check(folder: Path, chain: type[Chain] | None, checkpoint: str, weights: bool = True) -> Contents:
    """Looks at all that is known before weights are read; ``chain`` is the one asked for, None for the family's own. Without ``weights`` none need be there. Raises
    MODEL_NOT_LOADABLE or UNSAFE_CHECKPOINT, naming the file and ``checkpoint``, which is what the caller calls the folder."""
    check_is_folder(folder, checkpoint)
    name = check_index(folder / INDEX, checkpoint)
    family, index = FAMILIES[name], read_json(folder / INDEX, checkpoint)
    chain = chain_for(family, chain)
    absent = frozenset(part for part, of in family.parts.items() if of.optional and is_null(index.get(part)))
    present = {part: of for part, of in family.parts.items() if part not in absent}
    for part in present:
        check_part(folder / part, checkpoint)
    found = {part: variant(folder / part, of.weights, checkpoint) for part, of in present.items() if of.weights and weights}
    family.check(folder, checkpoint)
    chain.check_saved(index["scheduler"][1], read_json(folder / noise_schedule.FILE, checkpoint), checkpoint)
    return Contents(name, chain, absent, {part: name for part, name in found.items() if name}, digests(folder, present))


def chain_for(family: type[Family], asked: type[Chain] | None) -> type[Chain]:
    """The chain, if it can read the family's network. Raises INVALID_ARGUMENT where it cannot."""
    if asked is None:
        return chains.default_of(family.process)
    if asked.process != family.process:
        able = " or ".join(chain.kind for chain in CHAINS.values() if chain.process == family.process)
        what = {"flow": "flow matching", "diffusion": "denoising diffusion"}[family.process]
        raise invalid("sampler.kind", f"{asked.kind}, but a {family.pipeline_class.__name__} is trained by {what}; give {able}, or leave it away")
    return asked


def is_null(entry: object) -> bool:
    return entry is None or (isinstance(entry, list) and entry[:1] == [None])


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
        f'{file.name} is a checkpoint of one file; convert it{trust}: ./vard python -c "from diffusers import StableDiffusionPipeline as P;'
        f' P.from_single_file({str(file)!r}).save_pretrained({converted!r})", and give model.checkpoint: {converted}',
    )


def check_index(file: Path, checkpoint: str) -> str:
    """The pipeline that ``model_index.json`` names, after checking the classes of its parts."""
    index = read_json(file, checkpoint)
    name = index.get("_class_name")
    if isinstance(name, list):
        raise unsafe(checkpoint, f"{INDEX} names a pipeline of its own code, {name}")
    if not isinstance(name, str) or name not in FAMILIES:
        *others, last = FAMILIES
        raise not_loadable(checkpoint, f"it is a {name}; supported are {', '.join(others)} and {last}")
    for part, supported in FAMILIES[name].parts.items():
        check_class(part, supported, index.get(part), checkpoint)
    return name


def check_class(name: str, supported: Part, entry: object, checkpoint: str) -> None:
    match entry:
        case [supported.library, str() as named] if named in supported.classes:
            return
        case None | [None, *_] if supported.optional:
            return
        case ["diffusers", str() as named] if name == "scheduler":
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
