"""All representations on one task: which article of the extract is a paragraph from?

Counts of words and of characters, averages of word vectors, a squeezed TF-IDF: each goes
through the same linear classifier whose penalty validation chooses; fastText's
classifier, which learns its vectors itself, may choose its rate.
"""

from d2lcompanion.experiments.fasttext_probe import measure_fasttext, study_pairs
from d2lcompanion.experiments.linear_probe import choose
from d2lcompanion.experiments.paragraph_task import guess_by_title, without_titles
from d2lcompanion.experiments.representation_measures import learning_curve, measure
from d2lcompanion.experiments.representation_study import (
    Preset,
    documents_of,
    labels_of,
    prepare,
)
from d2lcompanion.experiments.text_features import by_average, representations
from d2lcompanion.experiments.unlabelled_vectors import Documents, learn_sgns
from d2lcompanion.experiments.weighing import weighings
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text

EACH = (1, 2, 4, 8, 16, 32)
PRESETS = {
    "ci": Preset(60, (32, 8, 20), EACH, 3, 50, 10, 5, 6, 20),
    "laptop": Preset(60, (32, 8, 20), EACH, 3, 100, 20, 8, 8, 20),
    "gpu": Preset(60, (32, 8, 20), EACH, 2, 300, 60, 30, 25, 60),
}


LABELS = {
    "onehot": "words, present or not",
    "counts": "words, counts",
    "tfidf": "words, TF-IDF",
    "sublinear": "words, sublinear TF-IDF",
    "bigrams": "words and pairs, TF-IDF",
    "characters": "character n-grams, TF-IDF",
    "text_tfidf": "words, idf of all text",
    "lsa": "TF-IDF squeezed (LSA)",
    "sgns": "mean of word2vec",
    "sgns_sif": "SIF mean of word2vec",
    "subword": "mean of fastText",
    "subword_sif": "SIF mean of fastText",
    "glove": "mean of GloVe, this text",
    "glove_sif": "SIF mean of GloVe, this text",
    "published": "mean of GloVe 6B",
    "published_sif": "SIF mean of GloVe 6B",
    "fasttext": "fastText classifier",
    "fasttext2": "fastText classifier, pairs",
}
CURVES = ("counts", "sublinear", "text_tfidf", "lsa", "sgns", "published", "fasttext")


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """The study as numbers for `d2lc run`."""
    seed = context.settings.seed
    study = prepare(preset, seed)
    task, text = study.task, study.parts.text
    parts, labels = documents_of(study, seed), labels_of(study)
    every = representations(text, study.tables, preset.effort)
    results: dict[str, dict[str, object]] = {}
    names = list(every)
    for index in context.track(range(len(names)), "representations"):
        name = names[index]
        results[name] = measure(every[name], parts, labels, len(task.titles))
    for name, longest in (("fasttext", 1), ("fasttext2", 2)):
        results[name] = measure_fasttext(study, parts, preset, seed, longest)
    rate = results["fasttext2"]["setting"]
    assert isinstance(rate, float)
    weighed = {
        name: choose(represent(parts[:3]).features, labels[:3], len(task.titles))
        for name, represent in weighings().items()
    }
    masked: list[Documents] = [without_titles(task, part) for part in parts]
    for index in context.track(range(len(CURVES)), "learning curves"):
        name = CURVES[index]
        results[name]["curve"] = learning_curve(study, name, parts, preset, seed)
        results[name]["masked"] = learning_curve(study, name, masked, preset, seed)
    leaky = (*text, *study.parts.validation.documents, *study.parts.test.documents)
    seen = by_average(parts, learn_sgns(leaky, preset.effort, seed)).features
    said = guess_by_title(task, parts[2]).numpy()
    train_words = {word for words in parts[0] for word in words}
    tokens = [word in train_words for words in parts[2] for word in words]
    return {
        "classes": len(task.titles),
        "copies": task.copies,
        "title": float((said == labels[2]).mean()),
        "unknown": 1 - sum(tokens) / len(tokens),
        "sgns_that_read_the_test": choose(seen, labels, len(task.titles)).test[0],
        "pairs": study_pairs(study, parts, preset, seed, rate),
        "weighing": {name: {"accuracy": c.test[0]} for name, c in weighed.items()},
        "seconds": {name: table.seconds for name, table in study.tables.items()},
        **results,
    }


EXPERIMENT = Experiment(
    name="text-representations",
    title=Text(
        "Which article is the paragraph from? Test accuracy of one linear classifier on many "
        "representations",
        "这一段出自哪个条目？同一个线性分类器在各种表示上的测试精度",
    ),
    chapter="text/text-representations",
    presets=PRESETS,
    notes={
        "ci": "vectors of 50 dimensions, few epochs: two minutes on one CPU thread",
        "laptop": "vectors of 100 dimensions, more epochs: minutes on a CPU",
        "gpu": "the same task, vectors of 300 dimensions; it runs on the CPU in any case",
    },
    run=run,
    columns=tuple(
        Column(f"{name}.accuracy", Text(*header), ".3f")
        for name, header in {
            "counts": ("counts", "计数"),
            "sublinear": ("TF-IDF", "TF-IDF"),
            "characters": ("characters", "字符 n 元"),
            "lsa": ("LSA", "LSA"),
            "sgns": ("word2vec", "word2vec"),
            "subword": ("fastText vectors", "fastText 向量"),
            "published": ("GloVe 6B", "GloVe 6B"),
            "fasttext": ("fastText classifier", "fastText 分类器"),
        }.items()
    ),
)
