"""The two heads that BERT is pretrained with: hidden words, and the next sentence."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from d2lcompanion.text.bert import Bert, initialize
from d2lcompanion.text.bert_config import BertConfig


class Predictions(NamedTuple):
    """Logits of both tasks.

    Attributes:
        words: [N, V], of the N chosen tokens, or [B, T, V] of all.
        next: [B, 2]; 0: B follows A, 1: it does not, as published.
    """

    words: Tensor
    next: Tensor


class BertForPretraining(nn.Module):
    """The encoder with both heads.

    Words: LayerNorm(gelu(Wh + b)) against the embeddings themselves ("tied"), plus a
    bias for each word. Next sentence: a linear map of the pooled vector.
    """

    def __init__(
        self,
        config: BertConfig,
        generator: torch.Generator | None = None,
        *,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.bert = Bert(config, generator, causal=causal)
        self.transform = nn.Linear(config.width, config.width)
        self.transform_norm = nn.LayerNorm(config.width, eps=config.epsilon)
        self.word_bias = nn.Parameter(torch.zeros(config.vocabulary))
        self.next = nn.Linear(config.width, 2)
        for head in (self.transform, self.next):
            initialize(head, generator)

    def forward(
        self,
        ids: Tensor,
        segments: Tensor | None = None,
        valid: Tensor | None = None,
        chosen: Tensor | None = None,
    ) -> Predictions:
        """Logits; of words only where `chosen` ([B, T], bool) is true, in row order."""
        encoded = self.bert(ids, segments, valid, chosen)
        hidden = self.transform_norm(gelu(self.transform(encoded.hidden)))
        words = linear(hidden, self.bert.embeddings.word.weight, self.word_bias)
        return Predictions(words, self.next(encoded.pooled))
