"""Principal components: the few directions in which the training inputs vary most.

N is a number of examples, D the number of raw features, P of components.
"""

import torch
from torch import Tensor

from dlcourse.config.options import Count
from dlcourse.errors import ConfigError
from dlcourse.models.feature_map import FeatureMap, require_flat
from dlcourse.spec import DataSpec


class PrincipalComponents(FeatureMap):
    """The flattened input, of any shape, in the coordinates of its first `count` principal components (Pearson 1901).

    After `fit`, `components` `(P, D)` are orthonormal, each with its largest entry positive, and
    `explained_variance_ratio` `(P,)` is the share of the training inputs' variance along each. `standardize` divides
    each coordinate by its standard deviation (whitening).
    """

    center: Tensor
    components: Tensor
    explained_variance_ratio: Tensor

    def __init__(self, spec: DataSpec, count: Count = 10, standardize: bool = False) -> None:
        require_flat(spec, "pca")
        if count > spec.num_features:
            raise ConfigError(
                f"features.count={count} is more than the {spec.num_features:,} numbers in an example of data "
                f"'{spec.name}'; write features.count={spec.num_features} or less"
            )
        super().__init__(tuple(f"pc{index + 1}" for index in range(count)), standardize)
        self.register_buffer("center", torch.zeros(spec.num_features))
        self.register_buffer("components", torch.zeros(count, spec.num_features))
        self.register_buffer("explained_variance_ratio", torch.zeros(count))

    def learn(self, inputs: Tensor) -> None:
        count = len(self.names)
        if count > len(inputs):
            raise ConfigError(
                f"features.count={count} is more than the {len(inputs):,} training examples, which vary in no more "
                f"directions; write features.count={len(inputs)} or less"
            )
        inputs = inputs.flatten(1)
        exact = inputs.double()
        center = exact.mean(0)
        variances, directions = _principal_axes(exact - center)
        components = directions[:count]
        signs = components.gather(1, components.abs().argmax(1, keepdim=True)).sign()
        self.center, self.components = center.to(inputs.dtype), (components * signs).float()
        self.explained_variance_ratio = (variances[:count] / variances.sum().clamp(min=1e-300)).float()

    def expand(self, inputs: Tensor) -> Tensor:
        inputs = inputs.flatten(1)  # (B, ...) -> (B, D)
        return (inputs - self.center) @ self.components.T.to(inputs.dtype)  # (B, D) -> (B, P)


def _principal_axes(centered: Tensor) -> tuple[Tensor, Tensor]:
    """Variances `(M,)`, largest first, and directions `(M, D)` of centered inputs `(N, D)`, in float64; M = min(N, D)."""
    count, width = centered.shape
    if count < width:
        _, singular, directions = torch.linalg.svd(centered, full_matrices=False)
        return singular.square() / count, directions
    variances, axes = torch.linalg.eigh(centered.T @ centered / count)  # rising
    return variances.flip(0).clamp(min=0), axes.T.flip(0)
