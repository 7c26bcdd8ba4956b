"""Every name in model.adapter.targets trains something, or is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Client, open_request, refused
from vard.v1 import worker_pb2 as pb

REFUSED: dict[str, tuple[list[str], list[str]]] = {
    "one that is misspelt": (["to_q", "to_kk"], ["to_kk matches no module", "did you mean to_k"]),
    "another family's": (["to_q", "q_proj"], ["q_proj matches no module"]),
    "all that are wrong": (["to_q", "to_kk", "q_proj"], ["to_kk", "q_proj"]),
    "none that matches": (["linear"], ["linear matches no module"]),
    "nothing like it": (["zzzzzzzz"], ["it has, among others, to_q, to_k, to_v, to_out.0"]),
    "a half of a name": (["o_q"], ["o_q matches no module"]),
    "a list of layers": (["to_out"], ["a ModuleList", "did you mean to_out.0"]),
    "a normalisation": (["to_q", "norm1"], ["norm1 matches", "a LayerNorm"]),
    "one twice": (["to_q", "to_q"], ["to_q is named twice"]),
    "one within another": (["to_q", "attn1.to_q"], ["attn1.to_q names no module that to_q does not name already"]),
}


def open_with(client: Client, checkpoint: Path, targets: list[str]) -> pb.SessionDescription:
    request = open_request(checkpoint)
    request.model.adapter.targets[:] = targets
    return client.call("Open", request)[0].session


@pytest.mark.parametrize(("targets", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_a_name_that_does_nothing_is_refused(client: Client, tiny_sd: Path, targets: list[str], told: list[str]) -> None:
    with refused(pb.INVALID_ARGUMENT) as caught:
        open_with(client, tiny_sd, targets)
    assert caught.value.field == "model.adapter.targets"
    assert all(part in caught.value.message for part in told), caught.value.message
    assert caught.value.message.count("model.adapter.targets") == 1


@pytest.mark.parametrize("targets", [["to_q"], ["attn1.to_q", "attn2.to_k"], ["conv_in", "to_out.0"], ["mid_block.attentions.0.proj_in", "to_v"], ["linear_1"]])
def test_names_that_each_train_something_are_taken(client: Client, tiny_sd: Path, targets: list[str]) -> None:
    open_with(client, tiny_sd, targets)
    trained = {name for name, parameter in client.handler.sessions["s"].model.net.named_parameters() if parameter.requires_grad}
    for target in targets:
        assert any(f".{target}.lora_" in f".{name}" for name in trained), target
