"""A model made of configurations alone: every network has its shapes and types, and no numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import diffusers
import torch
from huggingface_hub import snapshot_download
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import BatchEncoding, PreTrainedModel

from vard_worker import model_folder
from vard_worker.chains import Chain
from vard_worker.errors import WorkerError, invalid
from vard_worker.families import FAMILIES, Family
from vard_worker.loading import chain_of, make_chain, not_loadable
from vard_worker.model import Model
from vard_worker.model_files import read_json
from vard_worker.policies import Policies
from vard_worker.roots import Roots
from vard_worker.settings import DTYPES, ModelSettings, OpenSettings
from vard_worker.value import ValueNetwork, value_network

CONFIGURATIONS = ("*.json", "*.txt")
"""What is fetched of a model of the hub: no weights."""


def model_of(settings: OpenSettings, fake: FakeTensorMode, roots: Roots) -> tuple[Model, ValueNetwork | None]:
    """What ``loading.load`` and ``value_network`` would make, with the same refusals, of ``fake`` tensors; the chain's numbers
    are real."""
    model, sampler = settings.model, settings.sampler
    folder = roots.model(model.checkpoint)
    if folder is None:
        folder = configurations(model)
    else:
        roots.check_links(folder)
    contents = model_folder.check(folder, chain_of(sampler), model.checkpoint, weights=False)
    kind = FAMILIES[contents.pipeline]
    if not kind.prompted and sampler.guidance != 1:
        raise invalid("sampler.guidance", f"{sampler.guidance:g}, but this model takes no prompt; give 1")
    family = kind(pipeline_of(folder, kind, contents, model), sampler.guidance, DTYPES[model.dtype], model.height or 0, model.width or 0)
    policies = Policies(family.net)
    with torch.device("meta"):
        policies.add_adapter(model.adapter.rank, model.adapter.alpha, model.adapter.targets or kind.targets, settings.seed, family.without_effect())
        # The chain is made once its timesteps have a place: no value network asks for it.
        made = Model(family, cast(Chain, None), policies, fresh_net=lambda: family.net)
        value = None if settings.value is None else value_network(settings.value, made, settings.seed)
    for network in (*family.networks().values(), *([] if value is None else [value])):
        pretend(network, fake)
    made.chain = make_chain(contents.chain, family, sampler, model.checkpoint)
    return made, value


def pretend(network: nn.Module, fake: FakeTensorMode) -> None:
    """Gives a network without numbers fake ones, which libraries take for those of a CPU."""
    # A weight that is in two places, as a T5's embedding, stays one.
    made: dict[int, nn.Parameter] = {}
    kept = list(network.parameters())
    with fake:
        for module in network.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    if id(parameter) not in made:
                        empty = torch.empty(parameter.shape, dtype=parameter.dtype)
                        made[id(parameter)] = nn.Parameter(empty, requires_grad=parameter.requires_grad)
                    module._parameters[name] = made[id(parameter)]
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    module._buffers[name] = torch.zeros(buffer.shape, dtype=buffer.dtype)
    del kept  # Until here, so that no two had one id.


def configurations(model: ModelSettings) -> Path:
    """The folder of the hub's cache with a hub id's configurations."""
    try:
        return Path(snapshot_download(model.checkpoint, revision=model.revision or None, allow_patterns=list(CONFIGURATIONS)))
    except Exception as error:
        raise not_loadable(model, f"neither a folder here nor a model that the hub gave: {error}") from error


def pipeline_of(folder: Path, kind: type[Family], contents: model_folder.Contents, model: ModelSettings) -> diffusers.DiffusionPipeline:
    index: dict[str, Any] = read_json(folder / model_folder.INDEX, model.checkpoint)
    parts: dict[str, Any] = dict(kind.unread)
    for name, part in kind.parts.items():
        if name in contents.absent:
            parts[name] = None
        elif name == "scheduler":
            config = read_json(folder / name / "scheduler_config.json", model.checkpoint)
            parts[name] = getattr(diffusers, index[name][1]).from_config(config)
        elif part.network is None:
            parts[name] = Blank(folder / name, model.checkpoint)
        else:
            with torch.device("meta"):
                parts[name] = network_of(part.network, folder / name, kind, model)
    try:
        pipeline = kind.pipeline_class(**parts)
    except WorkerError:
        raise
    except Exception as error:  # as in loading: each pipeline raises what it likes
        raise not_loadable(model, f"{type(error).__name__}: {error}") from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def network_of(network: Any, folder: Path, kind: type[Family], model: ModelSettings) -> nn.Module:
    config = read_json(folder / "config.json", model.checkpoint)
    with default_dtype(kind.dtype_of(folder.name, config, DTYPES[model.dtype])):
        if issubclass(network, PreTrainedModel):
            # A configuration's own dtype, which the file was saved in, has a say in how it is made.
            made = network(network.config_class.from_dict(config)).to(torch.get_default_dtype())
        else:
            made = network.from_config({key: value for key, value in config.items() if not key.startswith("_")})
    return made.eval().requires_grad_(False)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class Blank:
    """Says of every prompt as many tokens as a tokenizer would, and nothing with them."""

    added_tokens_encoder: dict[str, int] = {}

    def __init__(self, folder: Path, checkpoint: str) -> None:
        file = folder / "tokenizer_config.json"
        length = read_json(file, checkpoint).get("model_max_length") if file.is_file() else None
        # T5's is often endless: its pipelines say how many tokens they want.
        self.model_max_length = length if isinstance(length, int) and length < 1 << 16 else 512

    def __call__(self, prompts: str | list[str], *_: object, max_length: int | None = None, padding: object = None, **__: object) -> BatchEncoding:
        # "longest": how long a prompt is without padding, which pipelines ask to warn of what is cut off.
        length = 1 if padding == "longest" else max_length or self.model_max_length
        count = 1 if isinstance(prompts, str) else len(prompts)
        ids = torch.zeros(count, length, dtype=torch.long)
        return BatchEncoding({"input_ids": ids, "attention_mask": torch.ones_like(ids)})

    def encode(self, text: str, *_: object, **__: object) -> list[str]:
        return text.split()

    def tokenize(self, text: str, *_: object, **__: object) -> list[str]:
        return text.split()

    def batch_decode(self, ids: object, *_: object, **__: object) -> list[str]:
        return []
