"""Every function of `text` on a fake GPU: a tensor made on the wrong device raises."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

import d2lcompanion.text
from d2lcompanion.text import (
    attention,
    bert,
    bert_config,
    bert_data,
    bert_documents,
    bert_heads,
    bert_loss,
    bert_tasks,
    block_layout,
    bpe,
    byte_level,
    cbow,
    checks,
    cross_entropy,
    entropy,
    fasttext,
    fasttext_classifier,
    glove,
    glove_training,
    hidden_pieces,
    hierarchical_softmax,
    masking,
    negative_sampling,
    noise,
    noise_contrastive,
    pair_counts,
    row_gradients,
    sgns,
    sgns_blocks,
    sgns_objective,
    similarity,
    skip_gram_data,
    skip_gram_pairs,
    subword_skip_gram,
    token_stream,
    unigram,
    windows,
    word2vec,
    wordpiece,
    zipf,
)
from d2lcompanion.text.token_stream import TokenStream
from d2lcompanion.text.vocab import Vocab
from tests.fake_gpu import fake_gpu, gpu, public_functions, tensors


def ids(*shape: int) -> Tensor:
    return gpu(*shape, dtype=torch.long)


def yes(*shape: int) -> Tensor:
    return gpu(*shape, dtype=torch.bool)


def tables() -> tuple[Tensor, Tensor]:
    """Vectors of six words in both roles."""
    return gpu(6, 3), gpu(6, 3)


def on_windows(function: Callable[..., Any]) -> tuple[float, Callable[[], Any]]:
    """Four windows of up to two words, full and masked, summed and averaged."""
    return 1.0, lambda: [
        function(ids(4), ids(4, 2), *tables()),
        function(ids(4), ids(4, 2), *tables(), mask=yes(4, 2), reduction="mean"),
    ]


def on_pairs(function: Callable[..., Any]) -> tuple[float, Callable[[], Any]]:
    """Four pairs with five negatives each, all of them and masked, summed and averaged."""
    return 1.0, lambda: [
        function(ids(4), ids(4), ids(4, 5), *tables(), reduction="sum"),
        function(ids(4), ids(4), ids(4, 5), *tables(), mask=yes(4, 5)),
    ]


def on_questions() -> list[Tensor]:
    """Four centers, three questions each, masked and shifted; added up and applied."""
    v, u = tables()
    rows = row_gradients.logistic_row_gradients(
        ids(4), ids(4, 3), yes(4, 3), v, u, mask=yes(4, 3), shift=gpu(4, 3)
    )
    rows.descend(v, u, lr=0.1)
    return [rows.center_rows, rows.other_rows, *rows.dense(v, u), v, u]


def on_noise(function: Callable[..., Any]) -> tuple[float, Callable[[], Any]]:
    """Four pairs with five negatives each and the law they were drawn from."""
    return 1.0, lambda: function(ids(4), ids(4), ids(4, 5), *tables(), gpu(6))


def moved(rows: row_gradients.RowGradients) -> list[Tensor]:
    return [rows.center_rows, rows.other_rows]


def tree() -> hierarchical_softmax.HuffmanTree:
    """Of six words that occur equally often, as every question is answered 1."""
    return hierarchical_softmax.huffman_codes(gpu(6))


def on_tree() -> list[Tensor]:
    assert tree().codes.dtype == torch.bool
    return [*(part.float() for part in tree()), tree().expected_length(gpu(6))]


def draws() -> list[Tensor]:
    """A sampler's tables, what they draw from, and draws."""
    sampler = noise.AliasSampler(gpu(6))
    words = sampler.sample((4, 5), torch.Generator("cpu"))
    assert words.dtype == sampler.aliases.dtype == torch.int64
    return [sampler.thresholds, sampler.probabilities(), words.float(), sampler.aliases.float()]


def found(neighbors: similarity.Neighbors) -> list[Tensor]:
    return [neighbors.ids.float(), neighbors.cosines]


def step() -> list[Tensor]:
    """One step of fastText over two blocks of four tokens with windows of two."""
    table, context = gpu(4 + 20, 3), gpu(4, 3)
    rows = fasttext.Rows(ids(30), ids(4), ids(4))
    blocks = subword_skip_gram.Blocks(ids(2, 4), ids(2, 8), yes(2, 4, 8))
    subword_skip_gram.update(table, context, rows, blocks, ids(2, 6), negatives=5, lr=0.1)
    return [table, context]


def stream() -> TokenStream:
    """Eight tokens; what is asked of them is answered by 1."""
    return TokenStream(ids(8), ids(8))


def pairs() -> skip_gram_pairs.Pairs:
    """Twelve pairs of four centers."""
    return skip_gram_pairs.Pairs(ids(12), ids(12), ids(12), ids(4))


def floats(*results: Any) -> list[Tensor]:
    """Whole numbers and booleans as floats, on their device."""
    return [result.float() for result in tensors(list(results))]


def words() -> sgns.WordVectors:
    """Vectors of six words in both roles, by name."""
    return sgns.WordVectors(*tables())


def blocks() -> list[sgns_blocks.Blocks]:
    """The steps of eight tokens, two a block."""
    sampler = noise.AliasSampler(gpu(6))
    layout = block_layout.Layout(2, 2, 3)
    generator = torch.Generator("cpu")
    return list(sgns_blocks.BlockSteps(stream(), sgns.Recipe(window=2), layout, sampler, generator))


def on_a_step(step: Callable[..., Any], *seen: Any) -> list[Tensor]:
    """The vectors after a step."""
    vectors = words()
    return tensors([step(vectors, *seen, 0.1), *vectors])


def global_vectors() -> glove.GloveVectors:
    """GloVe's, of six words."""
    return glove.GloveVectors(*tables(), gpu(6), gpu(6))


def masked(**options: Any) -> masking.Masked:
    """Four rows of nine tokens with holes."""
    generator = torch.Generator("cpu")
    return masking.mask_tokens(
        ids(4, 9), yes(4, 9), mask_id=4, random_ids=ids(6), generator=generator, **options
    )


def encoder(kind: Callable[..., Any] = bert_heads.BertForPretraining, **options: Any) -> Any:
    """A model of two layers there."""
    with torch.device("cuda"):
        return kind(bert_config.BertConfig(30, 8, 2, 2, 16, 12, 2), **options)


def task_heads() -> list[bert_tasks.Head]:
    """Of all four shapes."""
    classify, bert_of = bert_tasks.SequenceClassifier, lambda: encoder(bert.Bert)
    with torch.device("cuda"):
        return [
            classify(bert_of(), 3),
            classify(bert_of(), 3, pooling="mean"),
            bert_tasks.TokenClassifier(bert_of(), 3),
            bert_tasks.AnswerFinder(bert_of()),
        ]


def rows() -> bert_data.Batch:
    """Four rows of nine tokens."""
    return bert_data.Batch(ids(4, 9), ids(4, 9), yes(4, 9), ids(4, 9), ids(4))


def documents() -> bert_documents.Documents:
    """Eight pieces in three sentences."""
    return bert_documents.Documents(ids(8), ids(8), ids(4), ids(3), ids(3))


SPECIAL = bert_documents.SpecialIds(0, 1, 2, 3, 4)


def entries() -> glove.Entries:
    """Four entries of their co-occurrence matrix."""
    return glove.Entries(ids(4), ids(4), gpu(4))


def bags() -> fasttext.Rows:
    """Four documents of ten rows in all."""
    return fasttext.Rows(ids(10), ids(4), ids(4))


def classifiers() -> list[fasttext_classifier.Classifier]:
    """Of six rows and six classes, with a softmax and with a tree."""
    plain = fasttext_classifier.Classifier(gpu(6, 3), gpu(6, 3))
    return [plain, fasttext_classifier.Classifier(gpu(6, 3), gpu(5, 3), tree())]


CASES: dict[str, tuple[float, Callable[[], Any]]] = {
    "checks.require_matrix": (1.0, lambda: checks.require_matrix("x", gpu(2, 3))),
    "checks.require_shape": (1.0, lambda: checks.require_shape("x", gpu(3), (3,))),
    "checks.require_vector_tables": (1.0, lambda: checks.require_vector_tables(*tables())),
    "checks.require_ids": (1.0, lambda: checks.require_ids("x", ids(3), 6)),
    "checks.require_mask": (1.0, lambda: checks.require_mask("x", yes(3), (3,))),
    "checks.require_weights": (1.0, lambda: checks.require_weights("x", gpu(3), zeros=True)),
    "word2vec.divisor": (1.0, lambda: word2vec.divisor("mean", gpu())),
    "word2vec.skip_gram_log_probabilities": (
        1.0,
        lambda: word2vec.skip_gram_log_probabilities(ids(4), *tables()),
    ),
    "word2vec.skip_gram_log_likelihood": on_windows(word2vec.skip_gram_log_likelihood),
    "word2vec.skip_gram_gradients": on_windows(word2vec.skip_gram_gradients),
    "word2vec.window_ids": (
        1.0,
        lambda: [x.float() for x in word2vec.window_ids(ids(4), ids(4, 2), yes(4, 2), 6)],
    ),
    "cbow.cbow_log_probabilities": (
        1.0,
        lambda: cbow.cbow_log_probabilities(ids(4, 2), *tables(), mask=yes(4, 2)),
    ),
    "cbow.cbow_log_likelihood": on_windows(cbow.cbow_log_likelihood),
    "cbow.cbow_gradients": on_windows(cbow.cbow_gradients),
    "windows.pair_counts": (
        1.0,
        lambda: windows.pair_counts(ids(4), ids(4, 2), 6, mask=yes(4, 2)).float(),
    ),
    "entropy.entropy": (1.0, lambda: entropy.entropy(gpu(6)).float()),
    "entropy.conditional_entropy": (1.0, lambda: entropy.conditional_entropy(gpu(6, 6)).float()),
    "entropy.unigram_loss": (1.0, lambda: entropy.unigram_loss(ids(6), ids(6)).float()),
    "similarity.unit": (1.0, lambda: similarity.unit(gpu(4, 3))),
    "similarity.cosine": (1.0, lambda: similarity.cosine(gpu(4, 3), gpu(6, 3))),
    "similarity.nearest": (
        1.0,
        lambda: found(similarity.nearest(gpu(4, 3), gpu(6, 3), 2, exclude=ids(4, 1))),
    ),
    "similarity.analogy": (
        1.0,
        lambda: found(similarity.analogy(ids(4), ids(4), ids(4), gpu(6, 3), 2)),
    ),
    "similarity.average_ranks": (1.0, lambda: similarity.average_ranks(gpu(5))),
    "similarity.spearman": (1.0, lambda: similarity.spearman(gpu(5), gpu(5))),
    "noise.noise_distribution": (
        1.0,
        lambda: [
            noise.noise_distribution(gpu(6)),
            noise.noise_distribution(ids(6), 0.5),
        ],
    ),
    "noise.AliasSampler": (1.0, draws),
    "negative_sampling.negative_sampling_loss": on_pairs(negative_sampling.negative_sampling_loss),
    "negative_sampling.negative_sampling_gradients": on_pairs(
        negative_sampling.negative_sampling_gradients
    ),
    "negative_sampling.negative_sampling_rows": on_pairs(
        lambda *a, **b: moved(negative_sampling.negative_sampling_rows(*a, **b))
    ),
    "row_gradients.logistic_row_gradients": (1.0, on_questions),
    "noise_contrastive.noise_contrastive_loss": on_noise(noise_contrastive.noise_contrastive_loss),
    "noise_contrastive.noise_contrastive_rows": on_noise(
        lambda *a: moved(noise_contrastive.noise_contrastive_rows(*a))
    ),
    "noise_contrastive.expected_logistic_loss": (
        1.0,
        lambda: noise_contrastive.expected_logistic_loss(gpu(1, 1), gpu(1, 1), gpu(1), 5),
    ),
    "noise_contrastive.corrected_log_probabilities": (
        1.0,
        lambda: noise_contrastive.corrected_log_probabilities(ids(4), *tables(), gpu(6)),
    ),
    "negative_sampling.optimal_score": (
        1.0,
        lambda: negative_sampling.optimal_score(gpu(6, 6), gpu(6, 1), gpu(6), 5),
    ),
    "fasttext.mean_vectors": (
        1.0,
        lambda: fasttext.mean_vectors(gpu(24, 3), fasttext.Rows(ids(30), ids(4), ids(4))),
    ),
    "subword_skip_gram.keep_probability": (
        1.0,
        lambda: subword_skip_gram.keep_probability(gpu(6), 1e-3).float(),
    ),
    "subword_skip_gram.cut": (
        1.0,
        lambda: [
            part.float()
            for part in subword_skip_gram.cut(
                ids(23), ids(23), subword_skip_gram.Plan(), torch.Generator()
            )
        ],
    ),
    "hierarchical_softmax.huffman_codes": (1.0, on_tree),
    "hierarchical_softmax.log_probability": (
        1.0,
        lambda: hierarchical_softmax.log_probability(gpu(4, 3), ids(4), gpu(5, 3), tree()),
    ),
    "hierarchical_softmax.hierarchical_softmax_rows": (
        1.0,
        lambda: moved(
            hierarchical_softmax.hierarchical_softmax_rows(
                ids(4), ids(4), gpu(6, 3), gpu(5, 3), tree()
            )
        ),
    ),
    "hierarchical_softmax.all_probabilities": (
        1.0,
        lambda: hierarchical_softmax.all_probabilities(gpu(4, 3), gpu(5, 3), tree()),
    ),
}
CASES |= {
    "token_stream.require_stream": (1.0, lambda: token_stream.require_stream(stream())),
    "token_stream.token_counts": (1.0, lambda: floats(token_stream.token_counts(stream(), 6))),
    "skip_gram_data.keep_probabilities": (
        1.0,
        lambda: floats(
            skip_gram_data.keep_probabilities(gpu(6), 0.1),
            skip_gram_data.keep_probabilities(ids(6), 0.1, "word2vec"),
        ),
    ),
    "skip_gram_pairs.window_reach": (
        1.0,
        lambda: floats(skip_gram_pairs.window_reach(stream(), ids(8))),
    ),
    "skip_gram_data.outside_window": (
        2.0,
        lambda: floats(skip_gram_data.outside_window(pairs(), ids(12, 5))),
    ),
    "skip_gram_data.batchify": (
        3.0,
        lambda: floats(
            skip_gram_data.batchify(ids(4), ids(12), ids(12, 5), ids(4)),
            skip_gram_data.batchify(ids(4), ids(12), ids(12, 5), ids(4), yes(12, 5)),
        ),
    ),
    "pair_counts.kept_moments": (1.0, lambda: pair_counts.kept_moments(ids(6), gpu(6))),
    "pair_counts.pair_count_moments": (1.0, lambda: pair_counts.pair_count_moments(stream(), 3)),
    "pair_counts.expected_pairs": (1.0, lambda: pair_counts.expected_pairs(ids(4), 3)),
    "zipf.fit_power_law": (1.0, lambda: zipf.fit_power_law(gpu(5), gpu(5))),
    "zipf.vocabulary_growth": (1.0, lambda: floats(zipf.vocabulary_growth(ids(8)))),
}
CASES |= {
    "sgns.initial_vectors": (
        1.0,
        lambda: sgns.initial_vectors(6, 3, torch.Generator("cpu"), device="cuda"),
    ),
    "sgns.expected_tokens": (1.0, lambda: sgns.expected_tokens(gpu(6), sgns.Recipe())),
    "sgns.require_trainable": (1.0, lambda: floats(sgns.require_trainable(words(), stream(), 6))),
    "sgns.require_converging": (1.0, lambda: sgns.require_converging(words(), 1, 0.1)),
    "block_layout.fitting_layout": (
        1.0,
        lambda: [block_layout.fitting_layout(gpu(6), sgns.Recipe()), ()][1],
    ),
    "sgns_blocks.BlockSteps": (1.0, lambda: [floats(*step[:3]) for step in blocks()]),
    "sgns_blocks.block_loss": (1.0, lambda: [sgns_blocks.block_loss(words(), b) for b in blocks()]),
    "sgns_blocks.step_on_blocks": (
        1.0,
        lambda: [on_a_step(sgns_blocks.step_on_blocks, step) for step in blocks()],
    ),
}
CASES |= {
    "sgns_objective.curvature_bounds": (
        1.0,
        lambda: [sgns_objective.curvature_bounds(words(), b) for b in blocks()],
    ),
}
CASES |= {
    "glove.weighting": (1.0, lambda: glove.weighting(gpu(6))),
    "glove.residuals": (1.0, lambda: glove.residuals(global_vectors(), entries())),
    "glove.glove_loss": (1.0, lambda: glove.glove_loss(global_vectors(), entries())),
    "glove.glove_gradients": (1.0, lambda: glove.glove_gradients(global_vectors(), entries())),
    "glove.require_entries": (1.0, lambda: glove.require_entries(global_vectors(), entries())),
    "glove_training.initial_glove_vectors": (
        1.0,
        lambda: glove_training.initial_glove_vectors(6, 3, torch.Generator("cpu"), device="cuda"),
    ),
}
CASES |= {
    "fasttext_classifier.initial_classifier": (
        1.0,
        lambda: list(
            fasttext_classifier.initial_classifier(6, 3, 4, torch.Generator("cpu"), device="cuda")[
                :2
            ]
        ),
    ),
    **{
        f"fasttext_classifier.{function.__name__}": (
            1.0,
            lambda function=function, rest=rest: [
                function(model, bags(), *(part() for part in rest)) for model in classifiers()
            ],
        )
        for function, rest in (
            (fasttext_classifier.hidden, ()),
            (fasttext_classifier.log_probabilities, ()),
            (fasttext_classifier.classifier_loss, (lambda: ids(4),)),
        )
    },
    "masking.mask_tokens": (
        0.0,
        lambda: [floats(*masked()), floats(*masked(words=ids(4, 9)))],
    ),
    "masking.number_to_choose": (1.0, lambda: floats(masking.number_to_choose(yes(4, 9)))),
    "masking.choose_tokens": (
        1.0,
        lambda: floats(masking.choose_tokens(yes(4, 9), torch.Generator("cpu")).mark(9)),
    ),
    "masking.choose_words": (
        0.0,
        lambda: floats(masking.choose_words(yes(4, 9), ids(4, 9), torch.Generator("cpu")).mark(9)),
    ),
    "masking.corrupt": (
        0.0,
        lambda: floats(masking.corrupt(ids(4, 9), yes(4, 9), 4, ids(6), torch.Generator("cpu"))),
    ),
    "masking.maskable_positions": (
        1.0,
        lambda: floats(masking.maskable_positions(ids(4, 9), (0, 2, 3, 4))),
    ),
}
CASES |= {
    "bert.Bert": (
        1.0,
        lambda: [
            *encoder(bert.Bert)(ids(4, 9)),
            *encoder(bert.Bert, causal=True)(ids(4, 9), ids(4, 9), yes(4, 9)),
            encoder(bert.Bert).attention_weights(ids(4, 9), None, yes(4, 9)),
            *encoder()(ids(4, 9), ids(4, 9)),
            *(head(ids(4, 9), ids(4, 9), yes(4, 9)) for head in task_heads()),
        ],
    ),
    "bert_data.assemble": (
        0.0,
        lambda: floats(
            *bert_data.assemble(
                documents(), bert_data.Pairs(ids(4, 2), ids(4, 2), ids(4)), 9, SPECIAL
            )
        ),
    ),
    "bert_loss.mask_batch": (
        0.0,
        lambda: floats(*bert_loss.mask_batch(rows(), SPECIAL, ids(6), torch.Generator("cpu"))),
    ),
    "bert_loss.pretraining_loss": (
        1.0,
        lambda: [
            bert_loss.pretraining_loss(
                bert_loss.LossSums(gpu(), gpu(), ids(), ids(), ids(), ids()),
                ids(),
                ids(),
                next_weight=weight,
            )
            for weight in (0.0, 1.0)
        ],
    ),
}
CASES |= {
    "bert_tasks.masked_mean": (1.0, lambda: bert_tasks.masked_mean(gpu(4, 9, 8), yes(4, 9))),
    "bert_tasks.class_loss": (1.0, lambda: bert_tasks.class_loss(gpu(4, 3), ids(4))),
    "bert_tasks.tag_loss": (1.0, lambda: bert_tasks.tag_loss(gpu(4, 9, 3), ids(4, 9))),
    "bert_tasks.span_loss": (
        1.0,
        lambda: bert_tasks.span_loss(gpu(4, 9, 2), ids(4), ids(4), yes(4, 9)),
    ),
    "attention.attention": (
        1.0,
        lambda: [
            attention.attention(*(gpu(4, 2, 9, 3) for _ in range(3)), mask, drop)
            for mask in (None, yes(4, 1, 1, 9))
            for drop in (0.0, 0.1)
        ],
    ),
    "cross_entropy.cross_entropy_sum": (
        1.0,
        lambda: [cross_entropy.cross_entropy_sum(gpu(4, 30), ids(4))],
    ),
    "bert_tasks.best_span": (
        1.0,
        lambda: floats(*bert_tasks.best_span(gpu(4, 9, 2), yes(4, 9), 3)),
    ),
    "hidden_pieces.best_guesses": (
        1.0,
        lambda: floats(*hidden_pieces.best_guesses(gpu(4, 30), ids(4))),
    ),
}
# The number of what comes out depends on values.
SIZED: dict[str, Callable[[], Any]] = {
    "bert_loss.loss_sums": lambda: [
        bert_loss.loss_sums(bert_heads.Predictions(gpu(4, 9, 30), gpu(4, 2)), ids(4, 9), ids(4))
    ],
    "hidden_pieces.hidden_one_by_one": lambda: [
        hidden_pieces.hidden_one_by_one(encoder(), ids(4), SPECIAL)
    ],
    "glove_training.with_unseen": lambda: glove_training.with_unseen(
        entries(), 4, gpu(6), torch.Generator("cpu")
    ),
    "glove_training.step_on_entries": lambda: [
        glove_training.step_on_entries(
            global_vectors(), global_vectors(), ids(4), ids(4), gpu(4), gpu(4), 0.1
        )
    ],
    "skip_gram_data.subsample": lambda: skip_gram_data.subsample(
        stream(), gpu(6), torch.Generator("cpu")
    ),
    "skip_gram_pairs.pairs_in_reach": lambda: [
        skip_gram_pairs.pairs_in_reach(ids(8), ids(3), ids(3), ids(3))
    ],
    "skip_gram_pairs.center_context_pairs": lambda: [
        skip_gram_pairs.center_context_pairs(stream(), ids(8)),
        skip_gram_pairs.center_context_pairs(stream(), ids(8), ids(3)),
    ],
    "zipf.rank_frequency": lambda: zipf.rank_frequency(gpu(6)),
    "zipf.expected_vocabulary": lambda: zipf.expected_vocabulary(ids(6), [1]),
}
# One answers in plain numbers, which it reads back; the others see no tensor.
NO_CASE = {
    # scipy's matrices, on the CPU
    *(f"cooccurrence.{name}" for name in ("cooccurrence", "distance_weights")),
    *(f"cooccurrence.{kind}_cooccurrence{end}" for kind, end in (("partial", "s"), ("slow", ""))),
    *(f"ppmi_svd.{name}" for name in ("ppmi", "svd_vectors", "require_counts")),
    "glove.entries_of",  # from such a matrix to the device that is asked for
    "glove.require_positive",
    "glove_training.train_glove",  # of the parts above
    "similarity.word_similarity",
    "sgns.rate_at",
    "sgns.step_on_pairs",  # the loss has a case; its backward pass needs a driver
    "sgns.train_on_pairs",  # of the parts above
    "sgns_blocks.train_in_blocks",
    "sgns_objective.weighted_pairs",  # asks whether there are any
    "sgns_objective.expected_loss",  # its sums end in numbers
    "sgns_objective.frequency_loss",
    "block_layout.pair_work",
    "block_layout.block_work",
    "rank_intervals.fisher_interval",
    "rank_intervals.bootstrap_spearman",  # of `spearman`, on rows drawn by the generator
    "rank_intervals.percentile_interval",
    "windows.windows",
    "checks.require_at_least",
    "checks.require_unit_interval",
    "checks.require_choice",
    "skip_gram_pairs.reduced_windows",  # where its generator is
    "skip_gram_pairs.slow_center_context_pairs",
    "skip_gram_data.minibatches",  # of the parts above, see below
    "masking.ordinary_ids",  # of plain numbers
    "neighbour_counts.adjacent_counts",  # counted once, on the CPU
    *(f"neighbour_counts.{what}" for what in ("conditional", "neighbour_losses")),
    "bert.initialize",  # where its generator is
    "bert_start.scale_to_width",
    *(f"bert_start.{what}" for what in ("sinusoids", "start_with_sinusoids")),  # from the CPU
    *(f"bert_state.load_{what}_state" for what in ("bert", "pretraining")),  # from files
    *(f"bert_state.{what}" for what in ("infer_config", "encoder_names")),
    "bert_documents.encode_documents",  # makes them on the CPU
    "bert_data.draw_pairs",  # torch.rand takes no length that is unknown
    "bert_loss.masked_step",  # of the model and `loss_sums`
    "hidden_pieces.guesses",  # of the other two
    *(f"task_rows.{what}" for what in ("join_rows", "encode_words", "tag_targets")),  # of lists
    *(f"wordpiece_training.{what}" for what in ("count_words", "train_wordpiece")),
    "token_stream.encode",
    "token_stream.encode_blocks",
    "token_stream.decode",
    "token_stream.shuffle_sentences",  # torch.randperm takes no length that is unknown
    "zipf.zipf_exponent",
    "zipf.coverage",
    *(f"text_files.read_{what}" for what in ("pieces", "lines")),
    *(f"corpus.read_{what}" for what in ("ptb", "text8", "wikitext")),
    "corpus.split_sentences",
    "fasttext.character_ngrams",
    "fasttext.fnv1a",
    "fasttext.ngram_buckets",
    "fasttext.expected_shared",
    "fasttext.word_rows",
    "subword_skip_gram.train",  # of text; its steps are `update`
    "subword_skip_gram.update",  # sizes depend on the data: its own test
    *(
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in (bpe, byte_level, unigram, wordpiece)  # strings only
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    ),
    # scipy's sparse matrices, on the CPU
    *(f"bag_of_words.{what}" for what in ("terms_of", "frequent_terms", "count_matrix", "one_hot")),
    "bag_of_words.character_terms",  # strings only
    *(f"averaging.{what}" for what in ("average_vectors", "sif_weights")),  # of scipy's, too
    *(f"averaging.{what}_direction" for what in ("common", "without")),
    "document_rows.hashed_ngrams",
    "document_rows.document_rows",
    "fasttext_classifier.classifier_gradients",  # sizes depend on the data: its own test
    "fasttext_classifier.train_classifier",  # of the parts above
    "tfidf.inverse_document_frequency",
    "tfidf.tfidf",
}


@pytest.mark.parametrize("call", SIZED.values(), ids=list(SIZED))
def test_results_whose_size_depends_on_values_stay_on_the_gpu(call):
    with fake_gpu(1.0, sizes_from_data=True):
        results = tensors(call())
    assert results
    assert {result.device.type for result in results} == {"cuda"}


def test_a_step_of_fasttext_stays_on_the_gpu():
    with fake_gpu(1.0, sizes_from_data=True):
        results = step()
    assert {result.device.type for result in results} == {"cuda"}


def test_gradients_of_fasttext_s_classifier_stay_on_the_gpu():
    with fake_gpu(1.0, sizes_from_data=True):
        results = [
            part
            for model in classifiers()
            for part in fasttext_classifier.classifier_gradients(model, bags(), ids(4))
        ]
    assert {result.device.type for result in results} == {"cuda"}


def test_fasttext_on_the_gpu():
    """The rows of words follow the table there."""
    with fake_gpu(1):
        model = fasttext.FastText(
            Vocab(["a", "b"], [2, 1]), gpu(22, 3), fasttext.NGrams(buckets=20)
        )
        vectors = [model.vectors(), model.vector("her")]
    assert {vector.device.type for vector in vectors} == {"cuda"}


def test_words_of_vectors_on_the_gpu():
    """Ids that come from there are decoded, and cosines there are compared with ratings here."""
    vocab = Vocab(["a", "b"], [2, 1])
    with fake_gpu(1):
        assert vocab.decode(ids(2)) == ["b", "b"]
        pairs = [("a", "b"), ("b", "a")]
        agreement = similarity.word_similarity(pairs, [1.0, 2.0], vocab, gpu(2, 3))
    assert agreement.known == 2


def test_windows_on_the_gpu():
    """How many there are depends on the words."""
    with fake_gpu(1, sizes_from_data=True):
        found = windows.windows(ids(7), ids(7), 2)
        assert {part.device.type for part in found} == {"cuda"}
        batch = found.rows(ids(3))
    assert [part.dtype for part in batch] == [torch.int64, torch.int64, torch.bool]


@pytest.mark.parametrize(("number", "call"), CASES.values(), ids=list(CASES))
def test_results_stay_on_the_gpu(number, call):
    with fake_gpu(number):
        results = tensors(call())
    assert all(isinstance(result, FakeTensor) for result in results)
    assert {result.device.type for result in results} <= {"cuda"}
    assert {result.dtype for result in results} <= {torch.float32}


def test_every_public_function_of_the_topic_has_a_case():
    assert (
        public_functions(d2lcompanion.text)
        == (set(CASES) | set(SIZED)) - {"noise.AliasSampler", "sgns_blocks.BlockSteps", "bert.Bert"}
        | NO_CASE
    )
