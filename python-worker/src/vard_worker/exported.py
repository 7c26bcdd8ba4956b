"""What was exported is what was trained: the file, loaded as its user will load it, draws the training policy's pictures."""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from vard_worker.canaries import canary, never, no_randomness, sampled, short
from vard_worker.errors import Code, WorkerError, is_out_of_memory
from vard_worker.model import ADAPTER, DiffusionModel, TextToImageModel
from vard_worker.plain import draw, pipeline_with
from vard_worker.session import Session

log = logging.getLogger(__name__)

METADATA = "lora_adapter_metadata"
PREFIX = "unet."


def check(session: Session, file: Path) -> None:
    """Raises INCONSISTENT unless a fresh pipeline with the file draws what the session draws: two pictures, to the bit.

    The denoising network is read from the checkpoint again; text encoder and VAE, which nobody trains, are the session's.
    Where the memory does not hold a second network, the file's numbers are compared with the adapter's, and the log says so.
    """
    with canary("the exported file draws the same"), no_randomness(session.model):
        try:
            difference = difference_in_pictures(session, file)
        except WorkerError:
            raise
        except Exception as error:
            if not is_out_of_memory(error):
                raise failed(f"cannot be loaded: {type(error).__name__}: {error}") from error
            log.warning("There is no memory for a second network: the exported file was compared with the adapter number by number, but drew nothing (%s)", error)
            difference = difference_in_numbers(session.model, file)
        finally:
            # A second network may be the largest thing on the device.
            gc.collect()
            if session.model.device.type == "cuda":
                torch.cuda.empty_cache()
    if difference is not None:
        raise failed(f"{difference}; {difference_in_numbers(session.model, file) or 'number by number it is the adapter'}")


def failed(why: str) -> WorkerError:
    return WorkerError(
        Code.INCONSISTENT,
        f"export: the exported file is not the policy that was trained: {why}. It was not kept. Likely causes: another version of diffusers or peft than requirements.lock "
        "names, or a checkpoint that changed since the run began; put that right and resume the run",
    )


def difference_in_pictures(session: Session, file: Path) -> str | None:
    trial = short(session)
    policy = sampled(trial, never)
    fresh = trial.model.fresh_unet()
    if isinstance(trial.model, TextToImageModel):
        with quiet("diffusers.loaders.lora_base"):
            pipeline_with(trial.model, fresh).load_lora_weights(file.parent, weight_name=file.name)
    else:
        load_into(fresh, file)
    why = policy.differs(draw(trial.model, fresh))
    return None if why is None else f"loaded into a fresh {type(trial.model.pipeline).__name__} it draws other pictures: {why}"


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """No warnings of this module: that nothing was exported for the text encoder is as it should be."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def load_into(unet: nn.Module, file: Path) -> None:
    """For pipelines without ``load_lora_weights``, as docs/own-checkpoint.md and examples/use_lora.py do it."""
    config = {key.removeprefix(PREFIX): value for key, value in metadata_of(file).items()}
    inject_adapter_in_model(LoraConfig(**config), unet)
    result = set_peft_model_state_dict(unet, unprefixed(file))
    if result.unexpected_keys:
        raise ValueError(f"keys of no module: {result.unexpected_keys[:3]}")


def difference_in_numbers(model: DiffusionModel, file: Path) -> str | None:
    """What of the file is not the adapter's, by name; None if all is."""
    held = unprefixed(file)
    own = {name: tensor.detach().cpu() for name, tensor in get_peft_model_state_dict(model.unet).items()}
    if held.keys() != own.keys():
        return f"its names differ from the adapter's, {sorted(held.keys() ^ own.keys())[0]} first"
    other = [name for name, tensor in own.items() if not torch.equal(held[name], tensor)]
    if other:
        return f"{len(other)} of its {len(own)} tensors are not the adapter's, {other[0]} first"
    told, config = metadata_of(file), model.unet.peft_config[ADAPTER]
    wrong = [key for key in ("r", "lora_alpha") if told.get(PREFIX + key) != getattr(config, key)]
    return f"its metadata says {wrong[0]} {told.get(PREFIX + wrong[0])}, not {getattr(config, wrong[0])}" if wrong else None


def metadata_of(file: Path) -> dict[str, object]:
    with safe_open(file, "pt") as opened:
        return json.loads((opened.metadata() or {}).get(METADATA, "{}"))


def unprefixed(file: Path) -> dict[str, Tensor]:
    return {name.removeprefix(PREFIX): tensor for name, tensor in load_file(file).items()}
