"""Weights of BERT under their published names, put into our modules.

The names are those of the checkpoints that Hugging Face publishes. Queries, keys and
values are three tensors there and one here; `position_ids` are no weights.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from d2lcompanion.text.bert import Bert
from d2lcompanion.text.bert_config import BertConfig
from d2lcompanion.text.bert_heads import BertForPretraining

Names = dict[str, tuple[str, ...]]  # ours → theirs, joined along the first dimension

PREFIX = "bert."
NO_WEIGHTS = ("position_ids",)
EMBEDDINGS = {
    "embeddings.word.weight": "embeddings.word_embeddings.weight",
    "embeddings.position.weight": "embeddings.position_embeddings.weight",
    "embeddings.segment.weight": "embeddings.token_type_embeddings.weight",
    "embeddings.norm": "embeddings.LayerNorm",
    "pooler": "pooler.dense",
}
LAYER = {
    "out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "inner": "intermediate.dense",
    "outer": "output.dense",
    "output_norm": "output.LayerNorm",
}
HEADS = {
    "transform": "cls.predictions.transform.dense",
    "transform_norm": "cls.predictions.transform.LayerNorm",
    "word_bias": "cls.predictions.bias",
    "next": "cls.seq_relationship",
}
# The decoder's weight is that of the embeddings, its bias that of the predictions.
TIED = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")


def load_bert_state(
    state: Mapping[str, Tensor], *, heads: int, dropout: float = 0.0
) -> Bert:
    """The encoder with these weights, ready to be used; sizes come from their shapes.

    Args:
        state: name → tensor, with or without "bert." before the encoder's names. Heads
            for pretraining ("cls.…") are left out.
        heads: of attention; the shapes do not tell how many.
        dropout: for training on.
    Raises:
        ValueError: naming the tensor that is missing, not known, or of another shape.
    """
    plain = _without_prefix(state)
    config = infer_config(plain, heads=heads, dropout=dropout)
    model = Bert(config)
    encoder = {k: v for k, v in plain.items() if not k.startswith("cls.")}
    _fill(model, encoder, encoder_names(config.layers))
    return model.eval()


def load_pretraining_state(
    state: Mapping[str, Tensor], *, heads: int, dropout: float = 0.0
) -> BertForPretraining:
    """Encoder and heads with these weights, ready to be used.

    Raises:
        ValueError: as in `load_bert_state`; also if the heads are missing.
    """
    plain = {k: v for k, v in _without_prefix(state).items() if k not in TIED}
    config = infer_config(plain, heads=heads, dropout=dropout)
    model = BertForPretraining(config)
    names = {PREFIX + k: v for k, v in encoder_names(config.layers).items()}
    names |= _with_bias(HEADS)
    _fill(model, plain, names)
    return model.eval()


def infer_config(
    state: Mapping[str, Tensor], *, heads: int, dropout: float = 0.0
) -> BertConfig:
    """Sizes from the shapes of published tensors, names without "bert.".

    Raises:
        ValueError: if a tensor that tells a size is missing, or the sizes do not fit.
    """
    shapes = {}
    for part, theirs in EMBEDDINGS.items():
        if part.startswith("embeddings.") and part.endswith("weight"):
            shapes[part] = _matrix(state, theirs)
    layers = {
        int(name.split(".")[2]) for name in state if name.startswith("encoder.layer.")
    }
    inner = _matrix(state, "encoder.layer.0.intermediate.dense.weight")[0]
    vocabulary, width = shapes["embeddings.word.weight"]
    return BertConfig(
        vocabulary,
        width,
        max(layers) + 1,
        heads,
        inner,
        shapes["embeddings.position.weight"][0],
        shapes["embeddings.segment.weight"][0],
        dropout,
    )


def encoder_names(layers: int) -> Names:
    """Our name → the published ones, of an encoder with so many layers."""
    names = _with_bias(EMBEDDINGS)
    for number in range(layers):
        ours, theirs = f"layers.{number}.", f"encoder.layer.{number}."
        names |= _with_bias({ours + k: theirs + v for k, v in LAYER.items()})
        for kind in ("weight", "bias"):
            names[f"{ours}qkv.{kind}"] = tuple(
                f"{theirs}attention.self.{part}.{kind}"
                for part in ("query", "key", "value")
            )
    return names


def _with_bias(modules: Mapping[str, str]) -> Names:
    """Of a module the weight and the bias; of a tensor itself."""
    names: Names = {}
    for ours, theirs in modules.items():
        if theirs.endswith((".weight", ".bias")):
            names[ours] = (theirs,)
        else:
            for kind in ("weight", "bias"):
                names[f"{ours}.{kind}"] = (f"{theirs}.{kind}",)
    return names


def _fill(model: nn.Module, state: Mapping[str, Tensor], names: Names) -> None:
    """Copy every tensor to its place, and leave none over."""
    places = dict(model.named_parameters())
    used = {name for group in names.values() for name in group}
    extra = sorted(set(state) - used)
    if extra:
        raise ValueError(f"the state must hold BERT's tensors only, got {extra[0]} too")
    with torch.no_grad():
        for ours, theirs in names.items():
            place = places[ours]
            share = [place.shape[0] // len(theirs), *place.shape[1:]]
            for number, name in enumerate(theirs):
                tensor = _require(state, name)
                if list(tensor.shape) != share:
                    raise ValueError(
                        f"{name} must have shape {share}, got {list(tensor.shape)}"
                    )
                start = number * share[0]
                place[start : start + share[0]].copy_(tensor)


def _without_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(PREFIX): tensor
        for name, tensor in state.items()
        if not name.endswith(NO_WEIGHTS)
    }


def _require(state: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in state:
        raise ValueError(f"the state must hold {name}, got {len(state)} other tensors")
    return state[name]


def _matrix(state: Mapping[str, Tensor], name: str) -> tuple[int, int]:
    shape = _require(state, name).shape
    if len(shape) != 2:
        raise ValueError(f"{name} must be a matrix, got shape {list(shape)}")
    return shape[0], shape[1]
