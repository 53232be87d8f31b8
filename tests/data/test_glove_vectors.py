"""The published GloVe vectors: the neighbours that d2l's book prints."""

import torch

from d2lcompanion.data.glove_vectors import load_glove_6b_50d
from d2lcompanion.text.similarity import nearest


def test_the_published_neighbours_of_chip():
    found = load_glove_6b_50d()
    chip = torch.tensor([[found.words.index("chip")]])
    near = nearest(found.vectors[chip[0]], found.vectors, 3, exclude=chip)
    assert [found.words[i] for i in near.ids[0].tolist()] == ["chips", "intel", "electronics"]
    torch.testing.assert_close(
        near.cosines[0], torch.tensor([0.856, 0.749, 0.749]), atol=5e-4, rtol=0
    )


def test_its_size_is_the_published_one():
    found = load_glove_6b_50d()
    assert found.vectors.shape == (400_000, 50)
    assert len(set(found.words)) == 400_000
    assert found.words[:3] == ("the", ",", ".")
    assert found is load_glove_6b_50d()
