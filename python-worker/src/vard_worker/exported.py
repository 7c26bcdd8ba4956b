"""What was exported is what was trained: the file, loaded as its user will load it, draws the training policy's pictures."""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from vard_worker.canaries import SEEDS, canary, difference_of, never, no_randomness, sampled, short
from vard_worker.errors import Code, WorkerError, is_out_of_memory
from vard_worker.model import Model
from vard_worker.policies import ADAPTER
from vard_worker.session import Session

log = logging.getLogger(__name__)

METADATA = "lora_adapter_metadata"


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
            log.warning(
                "There is no memory for a second network: the exported file was compared with the adapter number by number, but drew nothing (%s)", error
            )
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
    fresh, family = trial.model.fresh_net(), trial.model.family
    with quiet("diffusers.loaders.lora_base"):
        family.load_lora(fresh, file)
    why = difference_of(policy, trial.model.draw(fresh, family.trial_prompts, SEEDS))
    return None if why is None else f"loaded into a fresh {type(family.pipeline).__name__} it draws other pictures: {why}"


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


def difference_in_numbers(model: Model, file: Path) -> str | None:
    """What of the file is not the adapter's, by name; None if all is."""
    held = unprefixed(file, model)
    own = {name: tensor.detach().cpu() for name, tensor in get_peft_model_state_dict(model.net).items()}
    if held.keys() != own.keys():
        return f"its names differ from the adapter's, {sorted(held.keys() ^ own.keys())[0]} first"
    other = [name for name, tensor in own.items() if not torch.equal(held[name], tensor)]
    if other:
        return f"{len(other)} of its {len(own)} tensors are not the adapter's, {other[0]} first"
    prefix, told, config = prefix_of(model), metadata_of(file), model.net.peft_config[ADAPTER]
    wrong = [key for key in ("r", "lora_alpha") if told.get(prefix + key) != getattr(config, key)]
    return f"its metadata says {wrong[0]} {told.get(prefix + wrong[0])}, not {getattr(config, wrong[0])}" if wrong else None


def metadata_of(file: Path) -> dict[str, object]:
    with safe_open(file, "pt") as opened:
        return json.loads((opened.metadata() or {}).get(METADATA, "{}"))


def unprefixed(file: Path, model: Model) -> dict[str, Tensor]:
    return {name.removeprefix(prefix_of(model)): tensor for name, tensor in load_file(file).items()}


def prefix_of(model: Model) -> str:
    """Of the network's names in an exported file."""
    return f"{model.family.network}."
