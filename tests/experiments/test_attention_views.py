"""Where heads look, against transformers and slow loops."""

import pytest
import torch

from d2lcompanion.data.minilm import load_minilm
from d2lcompanion.experiments import attention_views as look
from d2lcompanion.experiments.word_senses import pretrained, rows_of


@pytest.fixture(scope="module")
def views():
    return look.attention_views()


def test_the_weights_are_those_of_transformers(views):
    transformers = pytest.importorskip("transformers")
    found = load_minilm()
    config = transformers.BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    )
    theirs = transformers.BertModel._from_config(config, attn_implementation="eager").eval()
    theirs.load_state_dict(found.state, strict=False)
    part = pretrained()
    for sentence, view in zip(look.SENTENCES, views, strict=True):
        ids = rows_of([sentence], part).ids
        with torch.no_grad():
            seen = theirs(ids, output_attentions=True).attentions
        torch.testing.assert_close(torch.stack(seen)[:, 0], view.weights, rtol=0, atol=1e-5)


def test_each_sentence_stands_without_padding(views):
    for view in views:
        assert "[PAD]" not in view.pieces
        assert view.pieces[0] == "[CLS]"
        assert view.pieces[-1] == "[SEP]"
        assert view.weights.shape == (6, 12, len(view.pieces), len(view.pieces))
        torch.testing.assert_close(view.weights.sum(3), torch.ones(6, 12, len(view.pieces)))


def small() -> look.AttentionView:
    weights = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    return look.AttentionView(("[CLS]", "a", "b", ".", "[SEP]"), weights / weights.sum(3, True))


def test_shares_are_those_of_a_slow_loop():
    view = small()
    shares = look.share_on(view)
    before, itself = (look.neighbour_share(view, offset) for offset in (-1, 0))
    for layer in range(2):
        for head in range(3):
            w = view.weights[layer, head]
            on = sum(float(w[i, j]) for i in range(5) for j in (0, 3, 4)) / 5
            assert float(shares[layer, head]) == pytest.approx(on, rel=1e-5)
            behind = sum(float(w[i, i - 1]) for i in range(1, 5)) / 4
            assert float(before[layer, head]) == pytest.approx(behind, rel=1e-5)
            own = sum(float(w[i, i]) for i in range(5)) / 5
            assert float(itself[layer, head]) == pytest.approx(own, rel=1e-5)


def test_a_head_that_looks_everywhere_alike_gives_each_its_share():
    view = small()._replace(weights=torch.full((1, 1, 5, 5), 0.2))
    assert float(look.share_on(view)) == pytest.approx(0.6)
    assert float(look.neighbour_share(view, 2)) == pytest.approx(0.2)


def test_a_place_out_of_the_sentence_is_refused():
    with pytest.raises(ValueError, match="within 4 of 0 for 5 pieces, got -5"):
        look.neighbour_share(small(), -5)


def test_no_sentence_is_refused():
    with pytest.raises(ValueError, match="got none"):
        look.attention_views(())
