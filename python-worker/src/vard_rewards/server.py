"""A Python reward as a gRPC server: ``vard.v1.RewardService``.

What scores runs in another process, which forks and spawns as it likes (``vard_rewards.scorer``). One thread here asks it: models
need not bear several threads, and a GPU gains nothing from two. The front's thread waits for it, so that images arrive while it
computes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from vard.v1 import reward_pb2 as pb
from vard_rewards.scorer import Scorer
from vard_serving.front import Front
from vard_serving.process import announce, told_to_stop
from vard_serving.security import Security

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["RewardService"]
CALLS = 64
"""Calls at a time, health checks aside. More are turned away, and ask again."""
FAREWELL = 5.0
"""Seconds for the call under way, and for what scores to be closed."""
MOST_PIXELS = 1 << 28
"""Of an image: beyond, height and width are no sizes."""


@dataclass(frozen=True)
class Settings:
    """How a reward is started."""

    function: str
    """``module:name``."""
    options: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"
    host: str = "127.0.0.1"
    port: int = 0
    """0 for a free one."""
    ready_file: Path | None = None
    """Written when it serves."""
    exit_with_stdin: bool = False
    security: Security = Security()


class RewardServer:
    """Answers for one reward; whatever name it is asked for by, it is the only one."""

    def __init__(self, scorer: Scorer, computing: ThreadPoolExecutor) -> None:
        """``computing`` has the one thread, which has started ``scorer``."""
        self._scorer = scorer
        self._computing = computing

    async def describe(self, request: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        yield self._scorer.described.SerializeToString()

    async def score(self, request: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        """``request`` goes on as it is: to serialise images again takes ten times what the pipe does."""
        for index, query in enumerate(pb.ScoreRequest.FromString(request).queries):
            if not (query.height > 0 and query.width > 0 and query.height * query.width <= MOST_PIXELS and len(query.rgb) == 3 * query.height * query.width):
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"queries[{index}]: {len(query.rgb)} bytes are no RGB image of {query.height} x {query.width}; give height x width x 3",
                )
        left = threading.Event()
        try:
            outcomes = await asyncio.wrap_future(self._computing.submit(self._scorer.score, request, lambda: not left.is_set()))
        finally:
            left.set()
        yield pb.ScoreResponse(outcomes=outcomes).SerializeToString()

    def close(self) -> None:
        """Closes what scores, and ends it if it takes too long."""
        closing = self._computing.submit(self._scorer.close)
        try:
            closing.result(FAREWELL)
        except Late:
            log.warning("%s has not come to an end, and is ended", self._scorer.function)
            self._scorer.kill()
        self._computing.shutdown()


def serve(settings: Settings) -> None:
    """Serves until SIGTERM, SIGINT or, if asked for, the end of standard input. Raises LoadError."""
    settings.security.check_host(settings.host)
    stop = told_to_stop(settings.exit_with_stdin)
    computing = ThreadPoolExecutor(1, "computing")
    scorer = Scorer(settings.function, settings.options, settings.device)
    loading = computing.submit(scorer.start)
    while not loading.done():
        if stop.wait(0.1):
            # A model may load for minutes, or be downloaded for hours: for nobody.
            scorer.kill()
            loading.exception()
            return
    loading.result()
    reward = RewardServer(scorer, computing)
    front = start(reward, settings)
    if settings.ready_file:
        announce(settings.ready_file, front.port)
    stop.wait()
    front.stop(grace=0.5)
    reward.close()


def start(reward: RewardServer, settings: Settings) -> Front:
    """What answers, as long as it is not stopped."""
    answers = {"DescribeReward": reward.describe, "Score": reward.score}
    # Images are as large as they are.
    front = Front(settings.host, settings.port, settings.security, SERVICE.full_name, answers, CALLS, most_bytes=-1)
    log.info("serving %s on %s:%d", settings.function, settings.host, front.port)
    return front
