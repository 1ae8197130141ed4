"""Word vectors: each word twice, as the one in the middle and as one around it, and products of the two.

B is the batch size, T the number of tokens, V the size of the vocabulary, E that of a vector.
"""

from torch import Tensor, nn

from dlcourse.config.options import Count
from dlcourse.errors import ConfigError
from dlcourse.spec import DataSpec


class WordVectors(nn.Module):
    """Two vectors for each token (Mikolov 2013): `vectors`, which are kept, and `contexts`, for learning only.

    As word2vec's own, the first are small at random and the second zero, so that training starts at chance.
    """

    def __init__(self, spec: DataSpec, size: Count = 32) -> None:
        super().__init__()
        if spec.target != "next":
            raise ConfigError(
                f"model 'embedding' learns from running text, and data '{spec.name}' has {spec.target_kind.words}; "
                f"write model={'bag' if spec.is_tokens and spec.target != 'sequence' else 'transformer'}"
            )
        self.vectors = nn.Embedding(len(spec.vocabulary), size)
        self.contexts = nn.Linear(size, len(spec.vocabulary), bias=False)
        nn.init.uniform_(self.vectors.weight, -0.5 / size, 0.5 / size)
        nn.init.zeros_(self.contexts.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """How well each token goes with those `(B, T)`: `(B, T, V)`."""
        return self.contexts(self.vectors(tokens))
