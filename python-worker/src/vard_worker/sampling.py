"""Denoising a batch of trajectories, each with a generator of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from vard_worker.chains.gaussian import kl, log_prob
from vard_worker.errors import Cancellation, stop_if
from vard_worker.finite import demand_finite
from vard_worker.model import Model
from vard_worker.settings import DTYPES, TrajectorySettings
from vard_worker.trajectories import Sampling, Trajectory, TrajectorySpec


@torch.no_grad()
def denoise(
    model: Model,
    specs: Sequence[TrajectorySpec],
    sampling: Sampling,
    kept: TrajectorySettings,
    cancelled: Cancellation,
    looks_ahead: bool = False,
) -> tuple[list[Trajectory], Tensor]:
    """A batch's trajectories, and their finished latents (B, C, H, W). Without ``retain`` a trajectory is its x_0 alone; with it and
    ``looks_ahead`` it has what lies ahead of each state too, by the pass of the pretrained network that its KL asks for.

    Trajectories that are kept in bfloat16 are rounded as they are drawn: each step begins at the state that is kept, so that
    what is fitted and improved on, and its log-probabilities, are those of the very chain that was drawn. What is not kept,
    such as evaluations, is drawn in float32.
    """
    chain = model.chain
    generators = [torch.Generator("cpu").manual_seed(spec.seed) for spec in specs]
    prompts = [spec.prompt for spec in specs]
    # What is not drawn needs no pipeline's bits.
    condition = model.encode(prompts) if sampling.drawn else model.condition(prompts)
    dtype = DTYPES[kept.dtype] if sampling.retain else torch.float32
    place = torch.device("cpu") if kept.device == "cpu" else model.device
    x = randn_tensor((len(specs), *model.latent_shape), generators, model.device, torch.float32)
    x = rounded(x * chain.init_noise_sigma, dtype)
    states, log_probs, cleans, kl_B = [], [], [], torch.zeros(len(specs), device=model.device)
    looks_ahead = looks_ahead and sampling.retain
    ahead = model.condition(prompts) if looks_ahead and not sampling.measure_kl else condition
    for k, t in enumerate(chain.timesteps):
        stop_if(cancelled)
        if sampling.retain:
            states.append(x.to(place, dtype))
        output = model.predict(x, t, condition)
        x_prev = rounded(chain.step(output, k, x, generators), dtype)
        step_B = torch.full((len(specs),), k, device=model.device)
        if sampling.retain or sampling.measure_kl:
            mean, sigma_B = chain.mean(output, x, step_B), chain.sigma_at(step_B)
        if sampling.retain:
            log_probs.append(log_prob(x_prev, mean, sigma_B))
        if sampling.measure_kl or looks_ahead:
            with model.reference():
                reference = model.predict(x, t, ahead)
        if sampling.measure_kl:
            kl_B += kl(mean, chain.mean(reference, x, step_B), sigma_B)
        if looks_ahead:
            cleans.append(chain.clean(reference, x, step_B).to(place, dtype))
        x = x_prev
    recorded = {"a latent": x, "a KL": kl_B} | ({"a log-probability": torch.stack(log_probs)} if log_probs else {})
    demand_finite("sampling", recorded.items(), "lower sampler.guidance, use float32, or go back to an earlier checkpoint")
    kls = kl_B.tolist() if sampling.measure_kl else [None] * len(specs)
    if sampling.retain:
        last = x.to(place, dtype)
        states_BT, log_probs_BT = torch.stack([*states, last], dim=1), torch.stack(log_probs, dim=1)
        cleans_BT = torch.stack([*cleans, last], dim=1) if looks_ahead else [None] * len(specs)
    else:
        states_BT, log_probs_BT, cleans_BT = x[:, None], x.new_empty(len(specs), 0), [None] * len(specs)
    drawn = [
        # Clones: a row of the batch would keep the whole batch alive.
        Trajectory(spec.prompt, states_BT[i].clone(), log_probs_BT[i].clone(), kls[i], None if clean is None else clean.clone())
        for i, (spec, clean) in enumerate(zip(specs, cleans_BT, strict=True))
    ]
    return drawn, x


def rounded(x: Tensor, dtype: torch.dtype) -> Tensor:
    """To what ``dtype`` holds, in x's own dtype."""
    return x if dtype == x.dtype else x.to(dtype).to(x.dtype)
