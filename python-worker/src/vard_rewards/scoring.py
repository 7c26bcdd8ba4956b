"""One call of what scores, told as outcomes: a finite number for each image, or a failure with a name. Never a 0 instead."""

from __future__ import annotations

import functools
import logging
import math
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence

from PIL import Image

from vard.v1 import reward_pb2 as pb
from vard_rewards.function import Function, told

log = logging.getLogger(__name__)


def pictures(queries: Iterable[pb.RewardQuery]) -> list[Image.Image]:
    """Of queries whose sizes go with their bytes."""
    return [Image.frombytes("RGB", (query.width, query.height), query.rgb) for query in queries]


def outcomes(function: Function, images: list[Image.Image], prompts: list[str]) -> list[pb.RewardOutcome]:
    """As many as there are images, in their order."""
    try:
        # The answer's own methods are the function's, too: a lazy tensor may fail as late as that.
        return checked(function, function.score(images, prompts), len(images))
    # SystemExit too: a script's way to say that something is missing.
    except (Exception, SystemExit) as error:
        log.exception("%s failed on %d images", function.name, len(images))
        outcome = failure_of(error)
    if len(images) > 1 and outcome.failure.code != UNAVAILABLE:
        # One bad image is not to cost the others their score, nor one image too many the memory of all.
        return [outcome for image, prompt in zip(images, prompts, strict=True) for outcome in outcomes(function, [image], [prompt])]
    return [outcome] * len(images)


UNAVAILABLE = "UNAVAILABLE"


def failure_of(error: BaseException) -> pb.RewardOutcome:
    if out_of_memory(error):
        return failed("OUT_OF_MEMORY", f"{told(error)}; lower the batch, or take another device", retryable=True)
    # A connection or a file: what it asks may be there again.
    passes = isinstance(error, OSError)
    return failed(UNAVAILABLE if passes else "THREW", raised(error), retryable=passes)


def out_of_memory(error: BaseException) -> bool:
    torch = sys.modules.get("torch")
    if torch and isinstance(error, torch.OutOfMemoryError):
        # What the failed call has cached is in the way of the next.
        torch.cuda.empty_cache()
        return True
    return isinstance(error, MemoryError)


def raised(error: BaseException) -> str:
    """What was raised, and where."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    return f"raised {told(error)}" + "".join(f" ({frame.filename}:{frame.lineno})" for frame in last)


def checked(function: Function, answer: object, count: int) -> list[pb.RewardOutcome]:
    answer = without_info(function.name, answer)
    # numpy's arrays and torch's tensors give plain numbers.
    values = answer.tolist() if hasattr(answer, "tolist") else answer
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        cure = f"; give one of its lists: {', '.join(map(str, values))}" if isinstance(values, Mapping) else ""
        return wrong("NOT_A_LIST", f"{function.name} gave {type(answer).__name__}, not a list of numbers{cure:.200}", count)
    if len(values) != count:
        return wrong("WRONG_COUNT", f"{function.name} gave {len(values)} scores for {count} images", count)
    return [outcome for value in values for outcome in number(function, value)]


def without_info(name: str, answer: object) -> object:
    """Of ``(scores, info)``, as rewards of ddpo-pytorch and flow_grpo give it, the scores. A dict or None is nobody's score, so
    that the scores of two images are not taken for it."""
    match answer:
        case (scores, None | Mapping()) if isinstance(answer, tuple):
            tell_of_info(name)
            return scores
    return answer


@functools.cache
def tell_of_info(name: str) -> None:
    """Once."""
    log.info("%s gives (scores, info): the scores are taken, and the info is left", name)


def number(function: Function, value: object) -> list[pb.RewardOutcome]:
    try:
        plain = value.item() if hasattr(value, "item") else value
    except (ValueError, RuntimeError):  # an array of several
        plain = None
    if isinstance(plain, bool) or not isinstance(plain, int | float):
        return wrong("NOT_A_NUMBER", f"{function.name} gave {shown(value)}, which is not a number")
    try:
        score = float(plain)
    except OverflowError:
        return wrong("NOT_FINITE", f"{function.name} gave a whole number beyond ±{sys.float_info.max:.1e}, the largest of 64-bit floating point")
    if not math.isfinite(score):
        return wrong("NOT_FINITE", f"{function.name} gave {score}, not a finite number")
    return [pb.RewardOutcome(score=score)]


def shown(value: object) -> str:
    try:
        return f"{value!r:.80}"
    except Exception:  # Its class is the user's; or it holds a number of more digits than Python writes.
        return f"an object of {type(value).__name__}"


def wrong(code: str, message: str, count: int = 1) -> list[pb.RewardOutcome]:
    return [failed(code, message)] * count


def failed(code: str, message: str, retryable: bool = False) -> pb.RewardOutcome:
    # A file's name that is not UTF-8 stands in a str as what no message can hold.
    text = message.encode(errors="replace").decode()
    return pb.RewardOutcome(failure=pb.RewardFailure(code=code, message=text, retryable=retryable))
