"""The feature maps there are, and the two of tables: standardization and polynomial terms.

P is a number of polynomial terms.
"""

from itertools import chain, combinations, combinations_with_replacement, islice
from typing import Annotated

import torch
from torch import Tensor

from dlcourse.config.options import Range
from dlcourse.config.registry import Registry
from dlcourse.errors import ConfigError
from dlcourse.models.feature_map import FeatureMap, require_table
from dlcourse.models.principal_components import PrincipalComponents
from dlcourse.models.random_features import RandomFeatures
from dlcourse.spec import DataSpec

MAX_TERMS = 10_000


class Standardize(FeatureMap):
    """Each feature less its mean, divided by its standard deviation on the training set."""

    def __init__(self, spec: DataSpec) -> None:
        require_table(spec, "standard")
        super().__init__(spec.feature_labels, standardize=True)

    def expand(self, inputs: Tensor) -> Tensor:
        return inputs


class Polynomial(FeatureMap):
    """All products of the features up to `degree`, without the constant (a model's bias is that), standardized.

    `interaction_only` leaves out powers: x1 x2 stays, x1^2 goes.
    """

    def __init__(
        self,
        spec: DataSpec,
        degree: Annotated[int, Range(ge=1, le=20)] = 3,
        interaction_only: bool = False,
        standardize: bool = True,
    ) -> None:
        require_table(spec, "polynomial")
        terms = _terms(spec.num_features, degree, interaction_only)
        if len(terms) > MAX_TERMS:
            raise ConfigError(
                f"features.degree={degree} of {spec.num_features} features gives more than {MAX_TERMS:,} terms; "
                "use a lower degree"
            )
        names = spec.feature_labels
        super().__init__(tuple(_term_name(term, names) for term in terms), standardize)
        place = {term: index for index, term in enumerate(terms)}
        for order in range(2, degree + 1):
            of_order = [term for term in terms if len(term) == order]
            first = next((index for index, term in enumerate(terms) if len(term) == order - 1), 0)
            parents = torch.tensor([place[term[:-1]] - first for term in of_order], dtype=torch.long)
            lasts = torch.tensor([term[-1] for term in of_order], dtype=torch.long)
            self.register_buffer(f"_parents{order}", parents, persistent=False)
            self.register_buffer(f"_lasts{order}", lasts, persistent=False)
        self._degree = degree

    def expand(self, inputs: Tensor) -> Tensor:
        """Each term of an order is a term of the order below times one more feature."""
        orders = [inputs]
        for parents, lasts in self.products():
            orders.append(orders[-1][:, parents] * inputs[:, lasts])  # (B, terms of this order)
        return torch.cat(orders, dim=1)  # (B, P)

    def products(self) -> list[tuple[Tensor, Tensor]]:
        """For each order from 2 on: of each of its terms the place of the term below, and the feature that it adds."""
        orders = range(2, self._degree + 1)
        return [(self.get_buffer(f"_parents{order}"), self.get_buffer(f"_lasts{order}")) for order in orders]


def _terms(num_features: int, degree: int, interaction_only: bool) -> list[tuple[int, ...]]:
    """The features that each term multiplies, by rising order; a little more than MAX_TERMS if there are too many."""
    choose = combinations if interaction_only else combinations_with_replacement
    orders = (choose(range(num_features), order) for order in range(1, degree + 1))
    return list(islice(chain.from_iterable(orders), MAX_TERMS + 1))


def no_features(spec: DataSpec) -> None:
    """The inputs as they are."""


FEATURES: Registry[FeatureMap | None] = Registry(
    "features",
    {
        "none": no_features,
        "standard": Standardize,
        "polynomial": Polynomial,
        "random": RandomFeatures,
        "pca": PrincipalComponents,
    },
    run_time=("spec",),
)


def _term_name(term: tuple[int, ...], names: tuple[str, ...]) -> str:
    powers = {index: term.count(index) for index in term}
    return " ".join(names[index] + (f"^{power}" if power > 1 else "") for index, power in powers.items())
