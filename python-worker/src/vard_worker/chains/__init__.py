"""The kinds of chains. Another is one file and one line here, or a call of ``register`` from outside."""

from __future__ import annotations

from vard_worker.chains.base import FINISHED, Chain
from vard_worker.chains.ddim import Ddim
from vard_worker.chains.ddpm import Ddpm
from vard_worker.chains.flow import FlowCps, FlowSde

__all__ = ["CHAINS", "FINISHED", "Chain", "default_of", "register"]

CHAINS: dict[str, type[Chain]] = {}
"""By kind. The first of a process is its default."""


def register(chain: type[Chain]) -> type[Chain]:
    if chain.kind in CHAINS:
        raise ValueError(f"a chain of the kind {chain.kind!r} is registered already")
    CHAINS[chain.kind] = chain
    return chain


def default_of(process: str) -> type[Chain]:
    return next(chain for chain in CHAINS.values() if chain.process == process)


for chain in (Ddim, Ddpm, FlowSde, FlowCps):
    register(chain)
