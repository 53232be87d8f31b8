"""fastText's classifier: against autograd, torch.nn, slow loops, a closed form and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.text.bag_of_words import count_matrix, frequent_terms
from d2lcompanion.text.document_rows import document_rows, hashed_ngrams
from d2lcompanion.text.fasttext import Rows
from d2lcompanion.text.fasttext_classifier import (
    Classifier,
    Plan,
    classifier_gradients,
    classifier_loss,
    hidden,
    initial_classifier,
    log_probabilities,
    train_classifier,
)
from d2lcompanion.text.hierarchical_softmax import huffman_codes
from d2lcompanion.text.vocab import Vocab


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows_of(*documents: list[int]) -> Rows:
    lengths = torch.tensor([len(d) for d in documents])
    flat = torch.tensor([row for d in documents for row in d], dtype=torch.int64)
    return Rows(flat, lengths.cumsum(0) - lengths, lengths)


def model_of(kind: str) -> Classifier:
    """Seven rows, three numbers each, four classes."""
    tree = huffman_codes(torch.tensor([4.0, 3.0, 2.0, 1.0])) if kind == "tree" else None
    start = initial_classifier(7, 3, 4, generator(), tree=tree)
    output = torch.randn(start.output.shape, generator=generator(1), dtype=torch.float64)
    return Classifier(start.table.double() * 3, output, tree)


DOCUMENTS = rows_of([0, 1, 1, 5], [6], [], [2, 3, 4, 4, 4, 0])
LABELS = torch.tensor([2, 0, 3, 1])
KINDS = pytest.mark.parametrize("kind", ["plain", "tree"])


def dense(model, documents, labels):
    """The two gradients as full tables."""
    rows, change = classifier_gradients(model, documents, labels)
    return torch.zeros_like(model.table).index_add_(0, documents.rows, rows), change


@KINDS
def test_gradients_are_those_of_autograd(kind):
    model = model_of(kind)
    table, output = (t.clone().requires_grad_() for t in model[:2])
    loss = classifier_loss(Classifier(table, output, model.tree), DOCUMENTS, LABELS)
    expected = torch.autograd.grad(loss, (table, output))
    for ours, theirs in zip(dense(model, DOCUMENTS, LABELS), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)
    assert all(bool(part.abs().max() > 0.01) for part in expected)


@KINDS
def test_the_loss_is_a_slow_loop_s(kind):
    model = model_of(kind)
    total = 0.0
    for rows, label in zip(([0, 1, 1, 5], [6], [], [2, 3, 4, 4, 4, 0]), (2, 0, 3, 1), strict=True):
        h = [sum(float(model.table[r, k]) for r in rows) / max(len(rows), 1) for k in range(3)]
        scores = [sum(u * x for u, x in zip(row, h, strict=True)) for row in model.output.tolist()]
        if kind == "plain":
            total += math.log(sum(map(math.exp, scores))) - scores[label]
            continue
        tree = model.tree
        for node, right, used in zip(
            tree.nodes[label], tree.codes[label], tree.mask[label], strict=True
        ):
            sign = 1 if bool(right) else -1
            total += math.log1p(math.exp(sign * scores[int(node)])) if bool(used) else 0
    assert float(classifier_loss(model, DOCUMENTS, LABELS)) == pytest.approx(total, rel=1e-12)


@KINDS
def test_probabilities_sum_to_one_and_give_the_loss(kind):
    model = model_of(kind)
    log_p = log_probabilities(model, DOCUMENTS)
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(4, dtype=torch.float64))
    chosen = -log_p[torch.arange(4), LABELS].sum()
    torch.testing.assert_close(chosen, classifier_loss(model, DOCUMENTS, LABELS))


def test_a_step_of_training_is_torch_s_embedding_bag_and_sgd():
    model = model_of("plain")
    bag = torch.nn.EmbeddingBag(7, 3, mode="mean", dtype=torch.float64)
    linear = torch.nn.Linear(3, 4, bias=False, dtype=torch.float64)
    with torch.no_grad():
        bag.weight.copy_(model.table)
        linear.weight.copy_(model.output)
    optimizer = torch.optim.SGD([bag.weight, linear.weight], lr=0.3)
    for epoch in range(2):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - epoch / 2)
        optimizer.zero_grad()
        scores = linear(bag(DOCUMENTS.rows, DOCUMENTS.starts))
        torch.nn.functional.cross_entropy(scores, LABELS, reduction="sum").backward()
        optimizer.step()
    plan = Plan(3, epochs=2, rate=0.3, batch_size=4)
    losses = list(train_classifier(model, DOCUMENTS, LABELS, plan, generator()))
    torch.testing.assert_close(model.table, bag.weight.detach())
    torch.testing.assert_close(model.output, linear.weight.detach())
    assert losses[1] < losses[0]


@KINDS
def test_the_first_loss_and_gradient_are_known(kind):
    """With U = 0 all classes are alike: ln C for four classes, and the table does not move yet."""
    tree = huffman_codes(torch.ones(4)) if kind == "tree" else None
    model = initial_classifier(7, 3, 4, generator(), tree=tree)
    assert float(model.table.abs().max()) <= 1 / 3
    loss = classifier_loss(model, DOCUMENTS, LABELS)
    assert float(loss) == pytest.approx(4 * math.log(4), rel=1e-6)
    rows, change = classifier_gradients(model, DOCUMENTS, LABELS)
    assert not rows.any()
    if kind == "plain":
        expected = (0.25 - torch.eye(4)[LABELS]).T @ hidden(model, DOCUMENTS)
        torch.testing.assert_close(change, expected)


def test_by_hand():
    """a = (1, 0), b = (0, 2); the document 'a b b' has h = (1/3, 4/3); U = ((0, 0), (0, 0.75))."""
    table = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    model = Classifier(table, torch.tensor([[0.0, 0.0], [0.0, 0.75]]))
    document = rows_of([0, 1, 1])
    torch.testing.assert_close(hidden(model, document), torch.tensor([[1 / 3, 4 / 3]]))
    p = 1 / (1 + math.e)  # scores 0 and 1
    assert float(log_probabilities(model, document)[0, 0].exp()) == pytest.approx(p)
    ours = dense(model, document, torch.tensor([0]))
    q = 1 - p
    torch.testing.assert_close(ours[1], torch.tensor([[-q / 3, -4 * q / 3], [q / 3, 4 * q / 3]]))
    torch.testing.assert_close(ours[0], torch.tensor([[0, q / 4], [0, q / 2]]))


def task(each: int = 25):
    """Three articles of the extract, words that are in two paragraphs and more."""
    data = load_wikipedia()
    names = ("Alabama", "Amphibian", "Apollo 11")
    ids = [data.titles.index(name) for name in names]
    chosen = [n for a in ids for n in (data.article == a).nonzero()[:each, 0].tolist()]
    documents = [data.paragraphs[n] for n in chosen]
    labels = torch.tensor([ids.index(int(data.article[n])) for n in chosen])
    terms = frequent_terms(documents, min_documents=2)
    return documents, labels, terms


def test_with_one_hot_rows_it_is_scikit_learn_s_logistic_regression():
    """A = I and fixed: only U learns, on shares of words. The optimum is the closed problem's."""
    documents, labels, terms = task()
    counts = count_matrix(documents, terms).toarray().astype(float)
    shares = counts / counts.sum(1, keepdims=True)
    theirs = LogisticRegression(C=10.0, fit_intercept=False, tol=1e-10, max_iter=5000)
    theirs.fit(shares, labels)
    rows = document_rows(documents, Vocab(terms, [1] * len(terms)))
    model = Classifier(torch.eye(len(terms), dtype=torch.float64), torch.from_numpy(theirs.coef_))
    np.testing.assert_allclose(hidden(model, rows).numpy(), shares, atol=1e-15)
    np.testing.assert_allclose(
        log_probabilities(model, rows).exp().numpy(), theirs.predict_proba(shares), atol=1e-12
    )
    _, change = classifier_gradients(model, rows, labels)
    penalized = change + model.output / 10.0  # the gradient of ½‖U‖²/C
    assert float(penalized.abs().max()) < 1e-5 < 0.05 < float(change.abs().max())


@KINDS
def test_it_learns_which_article_a_paragraph_is_from(kind):
    documents, labels, terms = task()
    train = torch.arange(len(labels)) % 5 != 0
    vocab = Vocab(terms, [1] * len(terms))
    rows = document_rows(documents, vocab, longest=2, buckets=1000)
    tree = huffman_codes(torch.ones(3)) if kind == "tree" else None
    model = initial_classifier(len(terms) + 1000, 10, 3, generator(), tree=tree)
    fit, test = (rows.of(mask.nonzero()[:, 0]) for mask in (train, ~train))
    losses = list(train_classifier(model, fit, labels[train], Plan(10, 40, 1.0), generator()))
    assert losses[0] == pytest.approx(math.log(3), abs=0.3) if kind == "plain" else losses[0] < 2
    assert losses[-1] < 0.1
    found = log_probabilities(model, test).argmax(1)
    assert float((found == labels[~train]).double().mean()) > 0.85


def test_a_word_without_bucket_is_skipped_and_bigrams_see_it():
    vocab = Vocab(["moon", "on"], [2, 1])
    rows = document_rows([["on", "the", "moon"], ["the"], []], vocab, longest=2, buckets=50)
    assert rows.lengths.tolist() == [4, 0, 0]
    assert rows.rows[:2].tolist() == [vocab.id_of("on"), vocab.id_of("moon")]
    size = len(vocab.tokens)
    expected = [size + b for b in hashed_ngrams(["on", "the", "moon"], 2, 50)]
    assert rows.rows[2:].tolist() == expected
    torch.testing.assert_close(
        hidden(Classifier(torch.ones(size + 50, 2), torch.zeros(2, 2)), rows)[1:], torch.zeros(2, 2)
    )


def test_training_repeats_and_depends_on_the_seed():
    documents, labels, terms = task(10)
    rows = document_rows(documents, Vocab(terms, [1] * len(terms)))

    def once(seed):
        model = initial_classifier(len(terms), 5, 3, generator(seed))
        list(train_classifier(model, rows, labels, Plan(5, 2), generator(seed)))
        return model.table

    assert torch.equal(once(0), once(0))
    assert not torch.equal(once(0), once(1))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="classes must be a whole number ≥ 2, got 1"):
        initial_classifier(3, 2, 1, generator())
    with pytest.raises(ValueError, match="the tree must have 4 words, got 3"):
        initial_classifier(3, 2, 4, generator(), tree=huffman_codes(torch.ones(3)))
    model = model_of("plain")
    with pytest.raises(ValueError, match=r"labels must be ids in \[0, 4\), got 4"):
        classifier_loss(model, DOCUMENTS, torch.tensor([0, 1, 2, 4]))
    with pytest.raises(ValueError, match=r"labels must be ids in \[0, 4\), got 4"):
        classifier_gradients(model, DOCUMENTS, torch.tensor([0, 1, 2, 4]))
    with pytest.raises(ValueError, match=r"labels must have shape \[4\], got \[3\]"):
        classifier_loss(model, DOCUMENTS, torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match=r"documents must be ids in \[0, 7\), got 7"):
        hidden(model, rows_of([7]))
    with pytest.raises(ValueError, match="rate must be > 0 and finite, got inf"):
        Plan(rate=math.inf)
    with pytest.raises(ValueError, match="epochs must be a whole number ≥ 1, got 0"):
        Plan(epochs=0)
    nothing = train_classifier(model, rows_of(), torch.tensor([]).long(), Plan(3), generator())
    with pytest.raises(ValueError, match="number of documents must be a whole number ≥ 1, got 0"):
        next(nothing)
    wild = train_classifier(model_of("plain"), DOCUMENTS, LABELS, Plan(3, 50, 1e200), generator())
    with pytest.raises(FloatingPointError, match=r"diverged: the loss of epoch \d+ is .* 1e\+200"):
        list(wild)
