"""The bag of words: a mean of embeddings, in which order leaves no trace."""

import torch

from dlcourse.models.bag_of_words import BagOfWords
from dlcourse.spec import DataSpec

SENTENCES = DataSpec("sentences", (6,), 2, "class", ("a", "b"), vocabulary=tuple("uvwxyz"), tokenizer="characters")


def test_it_is_the_mean_of_embeddings_in_any_order() -> None:
    torch.manual_seed(0)
    model, tokens = BagOfWords(SENTENCES, embedding=5), torch.randint(0, 6, (50, 6))
    counts = torch.stack([row.bincount(minlength=6) for row in tokens]).float()  # (B, vocabulary)
    shares = counts / 6
    expected = shares @ (model.embedding.weight @ model.head.weight.T) + model.head.bias
    torch.testing.assert_close(model(tokens), expected)
    shuffled = torch.stack([row[torch.randperm(6)] for row in tokens])
    assert torch.equal(model(tokens), model(shuffled))
    assert not torch.allclose(model(tokens), model(tokens[:, :5]))
