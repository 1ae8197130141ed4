"""The taste of an imagined labeller, by which texts are preferred and which no model sees."""

from torch import Tensor

from dlcourse.spec import DataSpec


def liking(tokens: Tensor, spec: DataSpec) -> Tensor:
    """How much the labeller likes texts `(N, T)`: how often the symbol of the taste occurs in each, `(N,)`."""
    return (tokens == spec.vocabulary.index(spec.taste)).float().sum(-1)
