"""BERT's encoder: every token looks at every other, in each layer.

As published: embeddings of pieces, learned positions and segments, added up; layers whose
normalization stands after the sum ("post-norm"); a pooler over [CLS]. The paper says GELU;
Google's own code computes its tanh form, and here it is the exact one, x Φ(x).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from d2lcompanion.text.attention import attention
from d2lcompanion.text.bert_config import BertConfig
from d2lcompanion.text.checks import (
    require_ids,
    require_mask,
    require_shape,
)

INITIAL_SD = 0.02  # of every weight, as published


class Encoded(NamedTuple):
    """What the encoder gives.

    Attributes:
        hidden: [B, T, d], a vector for each token in its context; [n, d] of those asked for.
        pooled: [B, d], tanh of a linear map of the vector of [CLS].
    """

    hidden: Tensor
    pooled: Tensor


class Embeddings(nn.Module):
    """x_t = LayerNorm(E[w_t] + P[t] + S[s_t])."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.word = nn.Embedding(config.vocabulary, config.width)
        self.position = nn.Embedding(config.positions, config.width)
        self.segment = nn.Embedding(config.segments, config.width)
        self.norm = nn.LayerNorm(config.width, eps=config.epsilon)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, ids: Tensor, segments: Tensor) -> Tensor:
        """[B, T] and [B, T] → [B, T, d]."""
        place = self.position.weight[: ids.shape[1]]
        x = self.norm(self.word(ids) + place + self.segment(segments))
        embedded: Tensor = self.dropout(x)
        return embedded


class Block(nn.Module):
    """One layer: attention, then a map of each token by itself; x ← LayerNorm(x + f(x))."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        d = config.width
        self.heads = config.heads
        self.qkv = nn.Linear(d, 3 * d)  # queries, keys and values in one product
        self.out = nn.Linear(d, d)
        self.attention_norm = nn.LayerNorm(d, eps=config.epsilon)
        self.inner = nn.Linear(d, config.inner)
        self.outer = nn.Linear(config.inner, d)
        self.output_norm = nn.LayerNorm(d, eps=config.epsilon)
        self.dropout = nn.Dropout(config.dropout)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of each head, [B, heads, T, d/heads] each."""
        batch, length, _ = x.shape
        parts = self.qkv(x).view(batch, length, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        return q, k, v

    def attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """What each token collects from the others, heads side by side: [B, T, d].

        mask: [B, 1, 1 or T, T], bool, what may be looked at.
        """
        drop = self.dropout.p if self.training else 0.0
        q, k, v = self.split(x)
        return attention(q, k, v, mask, drop).transpose(1, 2).flatten(2)

    def finish(self, x: Tensor, seen: Tensor) -> Tensor:
        """All that a layer does to each token by itself, [..., d] → [..., d]."""
        x = self.attention_norm(x + self.dropout(self.out(seen)))
        mapped = self.outer(gelu(self.inner(x)))
        result: Tensor = self.output_norm(x + self.dropout(mapped))
        return result

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """[B, T, d] → [B, T, d]."""
        return self.finish(x, self.attend(x, mask))


class Bert(nn.Module):
    """The encoder.

    Args:
        config: sizes.
        generator: of the first weights, N(0, 0.02²); biases are 0. None: torch's own.
        causal: a token sees only itself and those to its left, as in GPT.
    """

    def __init__(
        self,
        config: BertConfig,
        generator: torch.Generator | None = None,
        *,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.causal = causal
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.pooler = nn.Linear(config.width, config.width)
        initialize(self, generator)

    def forward(
        self,
        ids: Tensor,
        segments: Tensor | None = None,
        valid: Tensor | None = None,
        asked: Tensor | None = None,
    ) -> Encoded:
        """Vectors in context.

        Args:
            ids: [B, T], int64, T ≤ `positions`.
            segments: [B, T], int64, 0 for sentence A and 1 for B; None: all A.
            valid: [B, T], bool, false for padding, which no token looks at; None: there
                is none. Each row needs a token.
            asked: [B, T], bool, whose vectors are wanted; `hidden` is then [n, d], in row
                order. The last layer is finished for these and [CLS] only: the same
                numbers for less work. None: all.
        Raises:
            ValueError: if the sequence is too long, shapes differ, or an id that lies on
                the CPU is out of range (elsewhere the lookup itself fails).
        """
        x, mask = self._embed(ids, segments, valid)
        for layer in self.layers[:-1]:
            x = layer(x, mask)
        last = self.layers[-1]
        assert isinstance(last, Block)
        if asked is None:
            x = last(x, mask)
            return Encoded(x, torch.tanh(self.pooler(x[:, 0])))
        require_mask("asked", asked, ids.shape)
        first = torch.zeros_like(asked)
        first[:, 0] = True
        kept = asked | first
        x = last.finish(x[kept], last.attend(x, mask)[kept])
        return Encoded(x[asked[kept]], torch.tanh(self.pooler(x[first[kept]])))

    def attention_weights(
        self, ids: Tensor, segments: Tensor | None = None, valid: Tensor | None = None
    ) -> Tensor:
        """softmax(QKᵀ/√(d/heads)) of each layer and head: [L, B, heads, T, T], rows sum to 1."""
        x, mask = self._embed(ids, segments, valid)
        found = []
        for layer in self.layers:
            assert isinstance(layer, Block)
            q, k, _ = layer.split(x)
            scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
            if mask is not None:
                scores = scores.masked_fill(~mask, -torch.inf)
            found.append(scores.softmax(3))
            x = layer(x, mask)
        return torch.stack(found)

    def _embed(
        self, ids: Tensor, segments: Tensor | None, valid: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The first vectors, and what may be looked at."""
        _require_sequence(ids, segments, valid, self.config)
        if segments is None:
            segments = torch.zeros_like(ids)
        mask = None if valid is None else valid[:, None, None, :]
        if self.causal:
            length = ids.shape[1]
            past = torch.ones(
                length, length, dtype=torch.bool, device=ids.device
            ).tril()
            mask = past[None, None] if mask is None else mask & past
        embedded: Tensor = self.embeddings(ids, segments)
        return embedded, mask


def initialize(module: nn.Module, generator: torch.Generator | None) -> None:
    """Weights of linear maps and embeddings from N(0, 0.02²), biases 0, LayerNorm 1 and 0."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=INITIAL_SD, generator=generator)
        if isinstance(part, nn.Linear):
            nn.init.zeros_(part.bias)


def _require_sequence(
    ids: Tensor, segments: Tensor | None, valid: Tensor | None, config: BertConfig
) -> None:
    if ids.ndim != 2 or 0 in ids.shape:
        raise ValueError(f"ids must be [B, T], B and T ≥ 1, got {list(ids.shape)}")
    if ids.shape[1] > config.positions:
        raise ValueError(
            f"a sequence must have at most {config.positions} tokens, as many as there "
            f"are positions, got {ids.shape[1]}"
        )
    if valid is not None:
        require_mask("valid", valid, ids.shape)
    if segments is not None:
        require_shape("segments", segments, ids.shape)
    if ids.device.type == "cpu":  # elsewhere reading back would wait for the device
        require_ids("ids", ids, config.vocabulary)
        if segments is not None:
            require_ids("segments", segments, config.segments)
