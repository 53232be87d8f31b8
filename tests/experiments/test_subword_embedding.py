"""The measurements against direct counting, and a small run of both programs."""

import json
from collections import Counter

import pytest
import torch

from d2lcompanion.data.everyday import load_everyday
from d2lcompanion.experiments import subword_embedding as experiment
from d2lcompanion.experiments.subword_embedding import (
    found_again,
    misspell,
    misspelt_words,
    neighbours,
    scores,
    shared_buckets,
    unseen_agreement,
)
from d2lcompanion.experiments.subword_lengths import (
    Cuts,
    Fertility,
    fertility,
    halves,
    three_cuts,
    tokens_by_merges,
    train_on_two,
)
from d2lcompanion.text.bpe import BPE, train_bpe
from d2lcompanion.text.fasttext import FastText, NGrams, expected_shared
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.text.wordpiece import WordPiece


@pytest.fixture(scope="module")
def wikipedia_words():
    return experiment.load_words(5)[1].tokens


def test_lengths_are_those_of_segmenting_again():
    words = " ".join(pair.en for pair in load_everyday().sentences).split()
    counts = Counter(words)
    bpe = train_bpe(counts, 300)
    lengths = tokens_by_merges(bpe, counts)
    assert lengths[0] == sum(map(len, words))
    for merges in (1, 57, 300):
        shorter = bpe.first(merges)
        assert lengths[merges] == sum(len(shorter.segment(w)) * n for w, n in counts.items())


def test_three_cuts_by_hand():
    """abc: the merge bc came first, the longest beginning is ab, and a|bc is most probable."""
    bpe = BPE(("a", "b", "c"), (("b", "c"), ("a", "b")))
    pieces = WordPiece(["[UNK]", "a", "b", "c", "ab", "##b", "##c", "##bc"])
    log_p = {"a": -1.0, "b": -3.0, "c": -3.0, "ab": -2.0, "bc": -1.5}
    found = three_cuts("abc", bpe, pieces, log_p)
    assert found == Cuts(["a", "bc"], ["ab", "c"], ["a", "bc"])
    log_p["ab"] = 0.0
    log_p["c"] = -1.0
    assert three_cuts("abc", bpe, pieces, log_p).most_probable == ["ab", "c"]


def test_fertility_by_hand():
    found = fertility(list, ["天好", "雨"], ["fine day", "rain"])
    assert found == Fertility((1.0, 1.0), (1.5, 6.0), 4.0)
    assert found.premium == 0.25


def test_the_halves_share_no_topic():
    everyday = load_everyday()
    train, test = halves(everyday)
    assert sorted(train + test) == list(range(len(everyday.sentences)))
    assert not {everyday.topics[n] for n in train} & {everyday.topics[n] for n in test}


def test_a_share_of_chinese_buys_it_shorter_texts():
    everyday = load_everyday()
    train, test = halves(everyday)
    en = [pair.en for pair in everyday.sentences]
    zh = [pair.zh for pair in everyday.sentences]
    premiums = [
        fertility(
            train_on_two(en, [zh[n] for n in train], 400, share).encode,
            [zh[n] for n in test],
            [en[n] for n in test],
        ).premium
        for share in (0.0, 0.3, 0.6)
    ]
    assert premiums[0] > premiums[1] > premiums[2]


def test_collisions_are_as_frequent_as_chance_says(wikipedia_words):
    sizes = (20_000, 200_000)
    number, shares = shared_buckets(wikipedia_words, sizes)
    for buckets, share in zip(sizes, shares, strict=True):
        assert share == pytest.approx(expected_shared(number, buckets), abs=0.02)
    assert shared_buckets(["her"], [1, 10**9]) == (6, [1.0, 0.0])


def test_misspelling():
    assert misspell("government") == "governmnt"
    vocab = Vocab(["government", "century", "short"], [3, 2, 1])
    assert misspelt_words(vocab, 5) == [("government", "governmnt"), ("century", "centry")]
    with pytest.raises(ValueError, match="4 letters or more, got 'the'"):
        misspell("the")


def test_random_rows_find_words_by_their_spelling():
    words = ["government", "century", "mathematics", "philosophy", "language", "musician"]
    table = torch.randn(6 + 3000, 64, generator=torch.Generator().manual_seed(0))
    model = FastText(Vocab(words, [1] * 6), table, NGrams(3, 6, 3000))
    assert found_again(model, [(word, misspell(word)) for word in words]) == 1.0
    assert neighbours(model, "governmental", 1) == ["government"]
    assert "century" not in neighbours(model, "century", 5)
    rho, known = unseen_agreement(model)
    assert known > 300
    assert -1 <= rho <= 1


def test_the_peer_s_table_is_read_as_ours():
    preset = experiment.Preset(16, 1, 3, 2000, 5, 30)
    paragraphs, _ = experiment.load_words(5)
    peer = experiment.train_gensim(paragraphs[:400], preset, 1)
    assert len(peer.table) == len(peer.vocab) + 2000
    found = scores(peer, misspelt_words(peer.vocab, 20))
    assert json.dumps(found)
    assert set(found) >= {"wordsim", "simlex", "misspelt", "wordsim_unseen"}
    assert found["wordsim_known"] + found["unseen_pairs"] == 353
