"""``module:name``: what scores, found and made.

- A function whose first parameter is ``images`` scores: ``score(images: list[PIL.Image.Image], prompts: list[str])`` gives a
  number for each image, larger is better. Options are further keyword arguments.
- A class, or any other function, is called with the options and gives what scores in the same way. It may have ``range``,
  what scores lie in as (least, most); ``batch``, the most images it wants in one call; and ``close()``.

Either gets ``device`` as well, if it has a parameter of that name.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import operator
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL.Image import Image

IMAGES = PROMPTS = object()
Score = Callable[[list[Image], list[str]], Sequence[float]]


class LoadError(Exception):
    """There is nothing to score with. The message is for whoever wrote the specification."""

    exit_code = 1
    """Of a process that ends with it."""


@dataclass(frozen=True)
class Function:
    """What scores, with what it says of itself."""

    name: str
    score: Score
    range: tuple[float, float] | None = None
    """Least and most, both included."""
    batch: int = 0
    """Most images in one call; 0 for any number."""
    close: Callable[[], object] = lambda: None


def load(reference: str, options: dict[str, Any], device: str) -> Function:
    found = find(reference)
    if not callable(found):
        raise LoadError(f"{reference} is {type(found).__name__}, not a function or a class")
    if scores(found):
        if not options and not accepts(found, "device"):
            return Function(reference, found)
        return Function(reference, functools.partial(found, **arguments(reference, found, options, device, IMAGES, PROMPTS)))
    made = make(reference, found, options, device)
    if not callable(made):
        raise LoadError(f"{reference} gave {type(made).__name__}, which cannot be called with images and prompts: give it __call__(self, images, prompts)")
    return Function(reference, made, range_of(reference, made), batch_of(reference, made), getattr(made, "close", Function.close))


def find(reference: str) -> object:
    module_name, _, name = reference.partition(":")
    here = os.getcwd()
    # Last, and once: a diffusers.py that lies there takes nothing's place.
    sys.path[:] = [entry for entry in sys.path if entry not in ("", here)] + [here]
    refuse_shadowed(module_name, Path(here))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            raise LoadError(
                f"there is no module {error.name}: modules are looked for in the working directory, {here}, in PYTHONPATH and in the worker's environment"
            ) from None
        raise LoadError(f"{module_name} needs the module {error.name}, which is not installed in {sys.executable}'s environment") from error
    except Exception as error:
        raise LoadError(f"{module_name} could not be imported: {told(error)}") from error
    try:
        return operator.attrgetter(name)(module)
    except AttributeError:
        raise LoadError(f"the module {module_name}, {getattr(module, '__file__', None) or 'a folder'}, has no {name}") from None


def refuse_shadowed(module_name: str, here: Path) -> None:
    """What is installed comes before a module of the same name in the working directory: whoever wrote that one has to know."""
    top, *_ = parts = module_name.split(".")
    own = next(filter(Path.is_file, [here.joinpath(*parts).with_suffix(".py"), here.joinpath(*parts, "__init__.py")]), None)
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # A module that is not from a file.
        return
    if own is None or spec is None:
        return
    found = spec.submodule_search_locations or [spec.origin or ""]
    if not any(own.is_relative_to(Path(place).resolve()) for place in found):
        raise LoadError(f"{own} has the name of a module that Python finds first, {spec.origin or found[0]}: rename yours, or the folder that it is in")


def make(reference: str, found: Callable[..., object], options: dict[str, Any], device: str) -> object:
    given = arguments(reference, found, options, device)
    try:
        return found(**given)
    except Exception as error:
        raise LoadError(f"{reference} could not be made: {told(error)}") from error


def arguments(reference: str, found: Callable[..., object], options: dict[str, Any], device: str, *later: object) -> dict[str, Any]:
    """The options, with the device if it is wanted. ``later`` stands for what each call gives."""
    given = dict(options)
    if "device" not in given and accepts(found, "device"):
        given["device"] = device
    if (signature := signature_of(found)) is not None:
        try:
            signature.bind(*later, **given)
        except TypeError as error:
            hint = "" if later else "; a function that scores has images as its first parameter"
            raise LoadError(f"{reference} takes {signature}, and the options are {options}: {error}{hint}") from None
    return given


def scores(found: object) -> bool:
    """Whether it is the function itself, not what makes it."""
    if inspect.isclass(found) or (signature := signature_of(found)) is None:
        return False
    return next(iter(signature.parameters), None) == "images"


def accepts(found: object, parameter: str) -> bool:
    signature = signature_of(found)
    return signature is not None and parameter in signature.parameters


def signature_of(found: object) -> inspect.Signature | None:
    """None where Python does not know it."""
    try:
        return inspect.signature(found)
    except ValueError:
        return None


def range_of(reference: str, made: object) -> tuple[float, float] | None:
    given = getattr(made, "range", None)
    if given is None:
        return None
    try:
        least, most = map(float, given)
    except (TypeError, ValueError):
        raise LoadError(f"{reference}: range is {given!r}, not (least, most)") from None
    if not least < most:
        raise LoadError(f"{reference}: range is {given!r}, whose least is not below its most")
    return least, most


def batch_of(reference: str, made: object) -> int:
    given = getattr(made, "batch", 0)
    if not isinstance(given, int) or given < 0:
        raise LoadError(f"{reference}: batch is {given!r}, not a number of images")
    return given


def told(error: BaseException) -> str:
    """An exception in a line."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # Its class is the user's.
        text = "(its text could not be had)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
