"""A Python reward as a gRPC server: ``vard.v1.RewardService``.

One thread makes what scores, and calls it: models need not bear several threads, and a GPU gains nothing from two. gRPC's
own threads wait for it, so that images arrive while it computes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from PIL import Image

from vard.v1 import reward_pb2 as pb
from vard.v1 import reward_pb2_grpc
from vard_rewards.function import Function, load
from vard_rewards.scoring import outcomes
from vard_serving.process import KEEPALIVE, announce, listen, told_to_stop
from vard_serving.security import Security

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["RewardService"]
CALLS = 32
"""Calls at a time, with a thread each; more wait for one."""
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


class RewardServer(reward_pb2_grpc.RewardServiceServicer):
    """Answers for one reward; whatever name it is asked for by, it is the only one."""

    def __init__(self, function: Function, computing: ThreadPoolExecutor) -> None:
        """``computing`` has the one thread, which has made ``function``."""
        self._function = function
        self._computing = computing

    def DescribeReward(self, request: pb.DescribeRewardRequest, context: grpc.ServicerContext) -> pb.DescribeRewardResponse:
        described = pb.DescribeRewardResponse(name=self._function.name, batch=self._function.batch)
        if self._function.range:
            described.least, described.most = self._function.range
        return described

    def Score(self, request: pb.ScoreRequest, context: grpc.ServicerContext) -> pb.ScoreResponse:
        images = [picture(query, i, context) for i, query in enumerate(request.queries)]
        prompts = [query.prompt for query in request.queries]
        answer: Future[list[pb.RewardOutcome]] = self._computing.submit(self._score, context.is_active, images, prompts)
        return pb.ScoreResponse(outcomes=answer.result())

    def _score(self, wanted: Callable[[], bool], images: list[Image.Image], prompts: list[str]) -> list[pb.RewardOutcome]:
        # Who has waited in vain asks again: what nobody waits for is not computed.
        return outcomes(self._function, images, prompts) if images and wanted() else []

    def close(self) -> bool:
        """Closes what scores. Gives whether it has come to an end."""
        closing = self._computing.submit(self._function.close)
        self._computing.shutdown(wait=False)
        try:
            closing.result(FAREWELL)
            return True
        except Late:
            log.warning("%s has not come to an end, and is ended", self._function.name)
            return False
        except Exception:
            log.exception("%s failed to close", self._function.name)
            return True


def picture(query: pb.RewardQuery, index: int, context: grpc.ServicerContext) -> Image.Image:
    if not (0 < query.height and 0 < query.width and query.height * query.width <= MOST_PIXELS and len(query.rgb) == 3 * query.height * query.width):
        context.abort(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"queries[{index}]: {len(query.rgb)} bytes are no RGB image of {query.height} x {query.width}; give height x width x 3",
        )
    return Image.frombytes("RGB", (query.width, query.height), query.rgb)


def serve(settings: Settings) -> None:
    """Serves until SIGTERM, SIGINT or, if asked for, the end of standard input. Raises LoadError."""
    settings.security.check_host(settings.host)
    stop = told_to_stop(settings.exit_with_stdin)
    computing = ThreadPoolExecutor(1, "computing")
    loading = computing.submit(load, settings.function, settings.options, settings.device)
    while not loading.done():
        if stop.wait(0.1):
            # A model may load for minutes, or be downloaded for hours: for nobody.
            os._exit(0)
    reward = RewardServer(loading.result(), computing)
    server, port = start(reward, settings)
    if settings.ready_file:
        announce(settings.ready_file, port)
    stop.wait()
    server.stop(grace=0.5).wait()
    if not reward.close():
        # Python would wait for its thread.
        os._exit(0)


def start(reward: RewardServer, settings: Settings) -> tuple[grpc.Server, int]:
    """A server that answers, and its port."""
    server = grpc.server(
        ThreadPoolExecutor(max_workers=CALLS, thread_name_prefix="grpc"),
        interceptors=settings.security.interceptors(),
        # Images are as large as they are.
        options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0), *KEEPALIVE],
    )
    reward_pb2_grpc.add_RewardServiceServicer_to_server(reward, server)
    healthy = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    for name in ("", SERVICE.full_name):
        healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
    port = listen(server, settings.host, settings.port, settings.security)
    server.start()
    log.info("serving %s on %s:%d", settings.function, settings.host, port)
    return server, port
