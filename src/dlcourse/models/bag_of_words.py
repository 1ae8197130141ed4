"""Bag of words: the mean of the tokens' embeddings, then one affine layer.

B is the batch size, T the number of tokens, E the size of an embedding.
"""

from torch import Tensor, nn

from dlcourse.config.options import Count
from dlcourse.errors import ConfigError
from dlcourse.spec import DataSpec


class BagOfWords(nn.Module):
    """A class or a value from which tokens occur and how often, whatever their order.

    Tokens are put in order before they are added, so that not even rounding tells one order from another.
    """

    def __init__(self, spec: DataSpec, embedding: Count = 64) -> None:
        super().__init__()
        if not spec.is_tokens or spec.target not in ("class", "value", "preference"):
            what = "has no tokens" if not spec.is_tokens else "asks for tokens in their order"
            other = "model=mlp" if not spec.is_tokens else "model=lstm or model=transformer"
            raise ConfigError(
                f"model 'bag' turns tokens into one class or value, and data '{spec.name}' {what}; write {other}"
            )
        self.embedding = nn.Embedding(len(spec.vocabulary), embedding)
        self.head = nn.Linear(embedding, spec.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        embedded = self.embedding(inputs.sort(dim=1).values)  # (B, T) -> (B, T, E)
        return self.head(embedded.mean(dim=1))  # (B, outputs)
