"""Tiny checkpoints made once, and a client that speaks to the handler as both roads do."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.message import Message

from vard.v1 import worker_pb2 as pb
from vard_worker import testing
from vard_worker.errors import WorkerError
from vard_worker.handler import WorkerHandler

STEPS = 5
VARD = pb.Objective(kind="vard")


def ratios(advantages: Iterable[float], clip: float) -> pb.Objective:
    """DDPO's, with one advantage for each of the request's trajectories."""
    return pb.Objective(kind="clipped-ratio", numbers={"clip": clip}, series={"advantage": pb.Objective.Series(values=advantages)})


@pytest.fixture(scope="session")
def tiny_sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny-sd"
    testing.tiny_sd().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_ddpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny-ddpm"
    testing.tiny_ddpm().save_pretrained(folder)
    return folder


@pytest.fixture
def model(tiny_sd: Path, tmp_path: Path) -> Path:
    """A copy of the tiny Stable Diffusion, to be spoilt."""
    return Path(shutil.copytree(tiny_sd, tmp_path / "model"))


@pytest.fixture
def pixels(tiny_ddpm: Path, tmp_path: Path) -> Path:
    """A copy of the tiny unconditional model."""
    return Path(shutil.copytree(tiny_ddpm, tmp_path / "pixels"))


def in_config(file: str, **changes: object) -> Callable[[Path], None]:
    """Changes keys of a configuration; an Ellipsis takes the key away."""

    def change(model: Path) -> None:
        config = json.loads((model / file).read_text()) | changes
        (model / file).write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))

    return change


def in_index(**changes: object) -> Callable[[Path], None]:
    return in_config("model_index.json", **changes)


def open_request(checkpoint: Path, session_id: str = "s", **changes: Message | float) -> pb.OpenRequest:
    request = pb.OpenRequest(
        session_id=session_id,
        model=pb.ModelConfig(
            checkpoint=str(checkpoint),
            dtype=pb.FLOAT32,
            device="cpu",
            adapter=pb.AdapterConfig(rank=4, alpha=8, targets=["to_q", "to_k", "to_v", "to_out.0"]),
        ),
        sampler=pb.SamplerConfig(kind=pb.SamplerConfig.DDIM, steps=STEPS, guidance=3.0, eta=1.0),
        value=pb.ValueConfig(kind=pb.ValueConfig.CONV, width=16),
        seed=7,
    )
    for name, change in changes.items():
        getattr(request, name).MergeFrom(change) if isinstance(change, Message) else setattr(request, name, change)
    return request


@dataclass
class Client:
    """Speaks serialised messages to a handler, for one session, and counts its operations."""

    handler: WorkerHandler
    session_id: str = "s"
    operation: int = 0
    cancelled: Callable[[], bool] = field(default=lambda: False)

    def call(self, method: str, request: Message) -> list[Message]:
        return list(self.handler.call(method, request.SerializeToString(), self.cancelled))

    def open(self, checkpoint: Path, **changes: Message | float) -> pb.SessionDescription:
        return self.call("Open", open_request(checkpoint, self.session_id, **changes))[0].session

    def sample(self, ids: list[str], batch: int = 8, retain: bool = True, measure_kl: bool = False, prompts: tuple[str, ...] = ("cat", "dog")) -> np.ndarray:
        """Images (N, H, W, 3); each trajectory's seed follows from its id alone."""
        specs = [pb.TrajectorySpec(id=name, prompt=prompt, seed=sum(name.encode()) * 7919) for name, prompt in zip(ids, itertools.cycle(prompts))]
        parts = self.change("Sample", pb.SampleRequest(trajectories=specs, batch=batch, retain=retain, measure_kl=measure_kl), retain)
        self.kl = [kl for part in parts[:-1] for kl in part.images.kl]
        return images(parts)

    def fit(self, targets: dict[str, float], steps: int = 3, seed: int = 1) -> pb.FitValueResponse:
        targets = [pb.Target(trajectory_id=name, value=value) for name, value in targets.items()]
        return self.change("FitValue", pb.FitValueRequest(targets=targets, steps=steps, batch=8, learning_rate=1e-3, seed=seed))[0]

    def improve(self, ids: list[str], steps: int = 2, kl_weight: float = 0.02, named: pb.Objective = VARD) -> pb.ImprovePolicyResponse:
        request = pb.ImprovePolicyRequest(
            trajectory_ids=ids, steps=steps, batch=4, learning_rate=1e-3, max_gradient_norm=1.0, seed=2, kl_weight=kl_weight,
            named=named,
        )  # fmt: skip
        return self.change("ImprovePolicy", request)[0]

    def change(self, method: str, request: Message, changes: bool = True) -> list[Message]:
        request.session_id = self.session_id
        if changes:
            request.operation = self.operation + 1
        answer = self.call(method, request)
        self.operation += changes
        return answer

    def export(self, folder: Path) -> pb.ExportResponse:
        return self.call("Export", pb.ExportRequest(session_id=self.session_id, path=str(folder)))[0]


def images(parts: list[pb.SampleResponse]) -> np.ndarray:
    chunks = [part.images for part in parts[:-1]]
    return np.concatenate([np.frombuffer(chunk.data, np.uint8).reshape(chunk.shape) for chunk in chunks])


@pytest.fixture(scope="session")
def handler() -> WorkerHandler:
    # On networks this small a second thread only waits for the first.
    return WorkerHandler(threads=1)


@pytest.fixture
def client(handler: WorkerHandler) -> Iterator[Client]:
    """A client without a session; whatever it opens is closed at the end."""
    yield Client(handler)
    handler.sessions.clear()


@pytest.fixture
def opened(client: Client, tiny_sd: Path) -> Client:
    client.open(tiny_sd)
    return client


def refused(code: int) -> pytest.RaisesExc:
    """Expects a WorkerError of this code."""
    return pytest.raises(WorkerError, check=lambda error: error.code == code)
