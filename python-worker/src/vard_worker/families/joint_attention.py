"""Attention of image and text together, where one token of text may stand for several equal ones."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn


class LastTokenCounts:
    """A processor of ``Attention``: the text's last token counts as if it stood there ``times`` times, log(times) being added to its score.
    Without ``times`` it is the ``plain`` one."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        times: int = 1,
    ) -> Any:
        """(B, image's tokens, D) and (B, text's, D') to the same; the text's may be None."""
        if times == 1 or encoder_hidden_states is None:
            return self._plain(attn, hidden_states, encoder_hidden_states, attention_mask)

        def heads(x: Tensor, norm: nn.Module | None) -> Tensor:
            x = x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            return x if norm is None else norm(x)

        image, text = hidden_states, encoder_hidden_states
        query = torch.cat([heads(attn.to_q(image), attn.norm_q), heads(attn.add_q_proj(text), attn.norm_added_q)], dim=2)
        key = torch.cat([heads(attn.to_k(image), attn.norm_k), heads(attn.add_k_proj(text), attn.norm_added_k)], dim=2)
        value = torch.cat([heads(attn.to_v(image), None), heads(attn.add_v_proj(text), None)], dim=2)
        score = query.new_zeros(1, key.shape[2])
        score[:, -1] = math.log(times)
        joint = F.scaled_dot_product_attention(query, key, value, attn_mask=score).transpose(1, 2).flatten(2).to(query.dtype)
        image, text = joint.split([image.shape[1], text.shape[1]], dim=1)
        for module in attn.to_out:
            image = module(image)
        return image, text if attn.context_pre_only else attn.to_add_out(text)
