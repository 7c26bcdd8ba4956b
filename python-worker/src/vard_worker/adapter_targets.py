"""Which modules of the denoising network an adapter's targets name."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable

from torch import nn

from vard_worker.errors import invalid

FIELD = "model.adapter.targets"
ADAPTABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding)
"""Layers that a LoRA can be put on."""
MOST_SHOWN = 6


def check_adapter_targets(network: nn.Module, targets: Iterable[str]) -> None:
    """Refuses a target that would train nothing: PEFT passes over a name that matches no module while another one does.

    As PEFT has it, a target names every module whose dotted name is the target or ends with "." and the target.
    Raises INVALID_ARGUMENT with all that is wrong, and names that are near.
    """
    modules, times = dict(network.named_modules()), Counter(targets)
    problems = [f"{target} is named twice" for target, n in times.items() if n > 1]
    for target in times:
        matched = [name for name in modules if names(target, name)]
        containers = [name for name in matched if not isinstance(modules[name], ADAPTABLE)]
        wider = next((other for other in times if other != target and names(other, target)), None)
        if not matched:
            problems.append(f"{target} matches no module of the network ({suggestion(target, modules)})")
        elif containers:
            kind = type(modules[containers[0]]).__name__
            problems.append(f"{target} matches {containers[0]}, a {kind}, which takes no LoRA ({suggestion(target, modules)})")
        elif wider is not None:
            problems.append(f"{target} names no module that {wider} does not name already")
    if problems:
        raise invalid(FIELD, f"{'; '.join(problems)}; each name must add modules of its own: correct it, or leave it away")


def names(target: str, module: str) -> bool:
    return module == target or module.endswith(f".{target}")


def suggestion(target: str, modules: dict[str, nn.Module]) -> str:
    """Targets that would match, the nearest first."""
    ends = list(dict.fromkeys(shortest_end(name) for name, module in modules.items() if isinstance(module, ADAPTABLE)))
    near = difflib.get_close_matches(target, ends, n=3) or [end for end in ends if end.startswith(f"{target}.")]
    if near:
        return f"did you mean {' or '.join(near)}?"
    attention = [end for end in ends if end.startswith("to_")] or ends
    return f"it has, among others, {', '.join(attention[:MOST_SHOWN])}"


def shortest_end(name: str) -> str:
    """The end of a module's name that says what it is: ``to_q``; ``to_out.0``, for a number alone says nothing."""
    parts = name.split(".")
    return ".".join(parts[-2:]) if parts[-1].isdigit() and len(parts) > 1 else parts[-1]
