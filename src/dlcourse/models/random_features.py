"""Random features: a hidden layer that is drawn once and never trained, in front of a linear model.

D is the number of raw features, P of random ones.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from dlcourse.config.options import Count, NonNegativeInt, Positive
from dlcourse.models.feature_map import FeatureMap, require_flat
from dlcourse.spec import DataSpec


class RandomFeatures(FeatureMap):
    """Random features of the flattened input, of any shape (Rahimi and Recht 2007).

    `relu`: relu(w x + b) / sqrt(P), w and b normal with standard deviation `scale` / sqrt(D).
    `fourier`: cos(w x + b) sqrt(2 / P), w Cauchy with `scale`, b uniform over a period. The frequencies' heavy tail
    makes the limit of many features the Laplace kernel exp(-scale |x - x'|_1), whose interpolant is straight between
    the points instead of swinging between them. Both are drawn from `seed` alone, so that no file has to hold them.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        spec: DataSpec,
        kind: Literal["relu", "fourier"] = "relu",
        count: Count = 1000,
        scale: Positive = 1.0,
        seed: NonNegativeInt = 0,
    ) -> None:
        require_flat(spec, "random")
        super().__init__(tuple(f"z{index + 1}" for index in range(count)), standardize=False)
        self.kind = kind
        self.factor = math.sqrt((1 if kind == "relu" else 2) / count)
        generator = torch.Generator().manual_seed(seed)
        weight = torch.empty(count, spec.num_features, device="cpu")
        bias = torch.empty(count, device="cpu")
        if kind == "relu":
            for drawn in (weight, bias):
                drawn.normal_(0, scale / math.sqrt(spec.num_features), generator=generator)
        else:
            weight.cauchy_(0, scale, generator=generator)
            bias.uniform_(0, 2 * math.pi, generator=generator)
        device = self.mean.device  # torch's meta device where only shapes are asked for
        self.register_buffer("weight", weight.to(device), persistent=False)
        self.register_buffer("bias", bias.to(device), persistent=False)

    def expand(self, inputs: Tensor) -> Tensor:
        inputs = inputs.flatten(1)  # (B, ...) -> (B, D)
        product = inputs @ self.weight.T.to(inputs.dtype) + self.bias  # (B, D) -> (B, P)
        return self.factor * (product.relu() if self.kind == "relu" else product.cos())
