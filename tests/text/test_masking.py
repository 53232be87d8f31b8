"""Masking against closed forms: exact numbers, expected shares, uniform words, whole words."""

import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.text.masking import (
    IGNORE,
    choose_tokens,
    choose_words,
    corrupt,
    mask_tokens,
    maskable_positions,
    number_to_choose,
    ordinary_ids,
)

PAD, UNK, CLS, SEP, MASK = range(5)
SPECIAL = (PAD, CLS, SEP, MASK)
SIZE = 25
WORDS = ordinary_ids(SIZE, (PAD, UNK, CLS, SEP, MASK))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(rows=4000, length=40, seed=1):
    """[CLS] words … [SEP] [PAD] …, of random lengths."""
    ids = torch.randint(5, SIZE, (rows, length), generator=seeded(seed))
    lengths = torch.randint(3, length + 1, (rows, 1), generator=seeded(seed + 1))
    place = torch.arange(length)
    ids[:, 0] = CLS
    ids[place == lengths - 1] = SEP
    ids[place >= lengths] = PAD
    return ids, lengths[:, 0] - 2


def masked(ids, **changes):
    arguments = {"mask_id": MASK, "random_ids": WORDS, "generator": seeded()} | changes
    return mask_tokens(ids, maskable_positions(ids, SPECIAL), **arguments)


def test_the_number_is_exact_and_specials_are_never_chosen():
    ids, n = batch()
    result = masked(ids)
    chosen = result.targets != IGNORE
    expected = torch.tensor([max(1, math.floor(0.15 * k + 0.5)) for k in n.tolist()])
    assert torch.equal(chosen.sum(1), expected)
    assert not torch.isin(ids[chosen], torch.tensor(SPECIAL)).any()
    assert torch.equal(result.targets[chosen], ids[chosen])
    assert torch.equal(result.ids[~chosen], ids[~chosen])


def test_the_number_rounds_half_up_at_every_length():
    for n in range(513):
        maskable = torch.arange(512)[None] < n
        k = math.floor((15 * n + 50) / 100)  # in whole numbers
        assert int(number_to_choose(maskable)) == min(n, max(1, k))
    assert int(number_to_choose(maskable, 0.0)) == 0
    assert int(number_to_choose(maskable, 1.0)) == 512


def test_eighty_ten_ten_within_four_standard_errors():
    """A chosen token stays itself with .1 + .1/20: one of twenty random words is itself."""
    ids, _ = batch()
    result = masked(ids)
    chosen = result.targets != IGNORE
    total = int(chosen.sum())
    seen, was = result.ids[chosen], ids[chosen]
    for share, p in (
        ((seen == MASK).double().mean(), 0.8),
        ((seen == was).double().mean(), 0.1 + 0.1 / 20),
        (((seen != was) & (seen != MASK)).double().mean(), 0.1 * 19 / 20),
    ):
        assert abs(float(share) - p) < 4 * math.sqrt(p * (1 - p) / total)


def test_random_words_are_uniform_and_never_special():
    """χ² of 20 words: mean 19, sd √38."""
    ids, _ = batch()
    result = masked(ids, replace=(0.0, 1.0))
    drawn = result.ids[result.targets != IGNORE]
    counts = torch.bincount(drawn, minlength=SIZE).double()
    assert counts[:5].sum() == 0
    expected = counts.sum() / 20
    assert float(((counts[5:] - expected) ** 2 / expected).sum()) < 19 + 4 * math.sqrt(38)


def test_erratum_e18_in_d2l_a_random_word_can_be_a_special_token():
    """Five of ten entries of its vocabulary are special: half of its random words."""
    from d2l import torch as d2l

    special = ["<pad>", "<mask>", "<cls>", "<sep>"]
    vocab = d2l.Vocab([["a", "b", "c", "d", "e"]], reserved_tokens=special)
    assert len(vocab.idx_to_token) == 10
    random.seed(0)
    drawn = []
    for _ in range(4000):
        tokens, _ = d2l._replace_mlm_tokens(["a"], [0], 1, vocab)
        drawn += [token for token in tokens if token not in ("a", "<mask>")]
    share = sum(token in (*special, "<unk>") for token in drawn) / len(drawn)
    # of ten words "a" and "<mask>" cannot be told from the other two ways: 4 of 8 are left
    assert abs(share - 4 / 8) < 4 * math.sqrt(0.25 / len(drawn))


def test_every_place_is_chosen_as_often():
    """Each of 20 places with k/20 = 3/20."""
    maskable = torch.ones(20_000, 20, dtype=torch.bool)
    share = choose_tokens(maskable, seeded()).mark(maskable.shape[1]).double().mean(0)
    assert float((share - 0.15).abs().max()) < 4 * math.sqrt(0.15 * 0.85 / 20_000)


def test_pairs_of_places_are_chosen_as_subsets_of_fixed_size_are():
    """P(both) = k(k − 1)/(n(n − 1)) without replacement, not (k/n)²."""
    maskable = torch.ones(40_000, 10, dtype=torch.bool)
    chosen = choose_tokens(maskable, seeded(), share=0.3).mark(maskable.shape[1])
    both = float((chosen[:, 0] & chosen[:, 7]).double().mean())
    exact = 3 * 2 / 90
    assert abs(both - exact) < 4 * math.sqrt(exact / 40_000) < abs(0.09 - exact)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=12),
    st.integers(0, 2**31),
    st.floats(0.05, 1.0),
)
def test_whole_words_are_whole_and_just_enough(lengths, seed, share):
    words = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))[None]
    maskable = torch.ones_like(words, dtype=torch.bool)
    maskable[0, words[0] == 0] = len(lengths) == 1  # the first word stands for [CLS]
    chosen = choose_words(maskable, words, seeded(seed), share=share).mark(words.shape[1])
    taken = {int(w) for w in words[chosen]}
    assert torch.equal(chosen[0], torch.isin(words[0], torch.tensor(sorted(taken))))
    k = int(number_to_choose(maskable, share))
    longest = max(lengths)
    assert k <= int(chosen.sum()) < k + longest
    assert not bool((chosen & ~maskable).any())


def test_words_of_one_token_are_tokens():
    """Then exactly k are chosen, each as often."""
    words = torch.arange(20).expand(20_000, 20)
    maskable = torch.ones(20_000, 20, dtype=torch.bool)
    chosen = choose_words(maskable, words, seeded()).mark(words.shape[1])
    assert bool((chosen.sum(1) == 3).all())
    share = chosen.double().mean(0)
    assert float((share - 0.15).abs().max()) < 4 * math.sqrt(0.15 * 0.85 / 20_000)


def test_a_whole_word_is_hidden_more_often_together_than_by_tokens():
    ids = torch.randint(5, SIZE, (1000, 20), generator=seeded())
    words = torch.arange(10).repeat_interleave(2).expand(1000, 20)
    both = {}
    for name, option in (("whole", words), ("tokens", None)):
        hidden = masked(ids, words=option).targets != IGNORE
        pairs = hidden.view(1000, 10, 2)
        both[name] = float(pairs.all(2).sum() / pairs.any(2).sum())
    assert both["whole"] == 1.0
    assert both["tokens"] < 0.15


def test_masks_are_drawn_anew_and_repeat_with_the_seed():
    ids, _ = batch(rows=50)
    generator = seeded()
    first, second = (masked(ids, generator=generator).targets for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first, masked(ids).targets)


def test_nothing_to_mask():
    ids = torch.full((2, 6), PAD)
    result = masked(ids)
    assert torch.equal(result.ids, ids)
    assert bool((result.targets == IGNORE).all())
    words, _ = batch(rows=3)
    assert bool((masked(words, share=0.0).targets == IGNORE).all())


def test_by_hand_all_become_mask_or_stay():
    ids = torch.tensor([[CLS, 7, 8, 9, SEP]])
    chosen = torch.tensor([[False, True, False, True, False]])
    gone = corrupt(ids, chosen, MASK, WORDS, seeded(), replace=(1.0, 0.0))
    assert gone.tolist() == [[CLS, MASK, 8, MASK, SEP]]
    same = corrupt(ids, chosen, MASK, WORDS, seeded(), replace=(0.0, 0.0))
    assert torch.equal(same, ids)


IDS = torch.tensor([[CLS, 7, 8, SEP]])
BAD = {
    "shape": (lambda: mask_tokens(IDS, torch.ones(1, 3, dtype=torch.bool), mask_id=MASK, random_ids=WORDS, generator=seeded()), r"maskable must have shape \[1, 4\], got \[1, 3\]"),
    "share": (lambda: masked(IDS, share=1.5), r"share must be in \[0, 1\], got 1.5"),
    "nan": (lambda: masked(IDS, share=math.nan), "share must be .* got nan"),
    "replace": (lambda: masked(IDS, replace=(0.9, 0.2)), r"replace must be two shares, together ≤ 1, got \(0.9, 0.2\)"),
    "none": (lambda: masked(IDS, random_ids=torch.tensor([], dtype=torch.long)), r"random_ids must be \[W\] with W ≥ 1"),
    "mask": (lambda: masked(IDS, random_ids=torch.tensor([4, 7])), r"random_ids must not hold \[MASK\], got id 4"),
    "words": (lambda: masked(IDS, words=torch.tensor([[1, 0, 2, 3]])), "words must not fall within a row"),
    "special": (lambda: ordinary_ids(4, (7,)), r"special must be ids in \[0, 4\), got 7"),
    "all": (lambda: ordinary_ids(2, (0, 1)), r"special must leave a word of 2, got \[0, 1\]"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
