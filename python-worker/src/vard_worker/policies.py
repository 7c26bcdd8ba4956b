"""Policies: named sets of adapter weights on one network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vard_worker.adapter_targets import check_adapter_targets, names

ADAPTER = "default"
TRAINED, PRETRAINED = "trained", "pretrained"


class Policies:
    """The policies of one network.

    ``trained`` is what the optimiser moves, ``pretrained`` the network without its adapter. Others are snapshots: copies of the
    trained adapter's weights, by name.
    """

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.snapshots: dict[str, dict[str, Tensor]] = {}
        self._current = TRAINED

    def add_adapter(self, rank: int, alpha: float, targets: Iterable[str], seed: int, without_effect: Iterable[str] = ()) -> None:
        """Puts a LoRA on the network. It starts as no change at all: B is zero. Modules ``without_effect`` get none."""
        targets = list(targets)
        check_adapter_targets(self.net, targets)
        excluded = sorted(module for module in without_effect if any(names(target, module) for target in targets)) or None
        lora = LoraConfig(r=rank, lora_alpha=alpha, target_modules=sorted(targets), exclude_modules=excluded)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            inject_adapter_in_model(lora, self.net, ADAPTER)
        if not hasattr(self.net, "peft_config"):
            self.net.peft_config = {ADAPTER: lora}
        for name, parameter in self.net.named_parameters():
            trained = "lora_" in name
            parameter.requires_grad_(trained)
            if trained:
                # An optimiser's small steps would vanish in bfloat16.
                parameter.data = parameter.data.float()

    # ------------------------------------------------------------------------------------ the trained adapter

    def layers(self) -> dict[str, BaseTunerLayer]:
        """The modules that the adapter changes, by their names in the network."""
        return {name: module for name, module in self.net.named_modules() if isinstance(module, BaseTunerLayer)}

    def weights(self) -> dict[str, nn.Parameter]:
        """The trained weights, by name."""
        return {name: parameter for name, parameter in self.net.named_parameters() if parameter.requires_grad}

    def parameters(self) -> list[nn.Parameter]:
        return list(self.weights().values())

    def at_start(self) -> bool:
        """Whether every B is still zero, and the trained policy the pretrained one."""
        moved = [layer.lora_B[ADAPTER].weight.any() for layer in self.layers().values()]
        return bool(moved) and not torch.stack(moved).any()

    def scale(self, factor: float) -> None:
        """Makes the trained adapter's change of every weight ``factor`` times as large."""
        with torch.no_grad():
            for layer in self.layers().values():
                layer.lora_B[ADAPTER].weight.mul_(factor)

    def exported(self) -> tuple[dict[str, Tensor], dict[str, object]]:
        """Weights and metadata, as pipelines save them."""
        metadata = self.net.peft_config[ADAPTER].to_dict()
        # Without the metadata alpha is lost; and the order of a set would differ from process to process.
        metadata = {key: sorted(value) if isinstance(value, set) else value for key, value in metadata.items()}
        return get_peft_model_state_dict(self.net), metadata

    # ------------------------------------------------------------------------------------ others

    @contextmanager
    def use(self, name: str) -> Iterator[None]:
        """The network is this policy for as long as the block lasts. Raises KeyError for a name that is not held."""
        before, self._current = self._current, name
        try:
            if name == TRAINED:
                yield
            elif name == PRETRAINED:
                with self._switched_off():
                    yield
            else:
                with self._replaced(self.snapshots[name]):
                    yield
        finally:
            self._current = before

    def checkpoint_gradients(self) -> None:
        """Keep of each block's activations the input alone, and compute the rest again backwards. The gradients are the same."""
        self.net.enable_gradient_checkpointing(self._recomputed)

    def _recomputed(self, block: nn.Module, *arguments: object) -> object:
        if block._forward_hooks:
            # A hook may end the forward pass here, as those who look for features do.
            return block(*arguments)
        # Backwards, the network has another policy on than it had here.
        policy = self._current
        return checkpoint(
            block,
            *arguments,
            use_reentrant=False,
            # Nothing in a network that is evaluated draws random numbers.
            preserve_rng_state=False,
            context_fn=lambda: (nullcontext(), self.use(policy)),
        )

    def snapshot(self, name: str) -> None:
        """Keeps a copy of the trained weights, in the place of an older one of that name."""
        if name in (TRAINED, PRETRAINED):
            raise ValueError(f"{name!r} is no name for a snapshot")
        self.snapshots[name] = {key: weight.detach().clone() for key, weight in self.weights().items()}

    def blend(self, name: str, decay: float) -> None:
        """snapshot ← decay · snapshot + (1 − decay) · trained."""
        held = self.snapshots[name]
        with torch.no_grad():
            for key, weight in self.weights().items():
                held[key].lerp_(weight, 1 - decay)

    def drop(self, name: str) -> None:
        del self.snapshots[name]

    @contextmanager
    def _switched_off(self) -> Iterator[None]:
        layers = self.layers().values()
        for layer in layers:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in layers:
                layer.enable_adapters(True)

    @contextmanager
    def _replaced(self, others: dict[str, Tensor]) -> Iterator[None]:
        weights = self.weights()
        own = {key: weight.data for key, weight in weights.items()}
        for key, weight in weights.items():
            weight.data = others[key]
        try:
            yield
        finally:
            for key, weight in weights.items():
                weight.data = own[key]
