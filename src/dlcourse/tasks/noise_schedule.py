"""Gaussian diffusion: the noise schedule, the way from data to noise, and the way back by DDPM or DDIM.

B is a number of examples, T of the steps from data to noise; times are whole numbers from 0 (almost no noise) to T - 1.
The signal level `alpha_bar` is the share of the variance that is not noise, so that `x_t = sqrt(alpha_bar) x_0 +
sqrt(1 - alpha_bar) epsilon`.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dlcourse.errors import ConfigError

Schedule = Literal["cosine", "linear"]
Sampler = Literal["ddim", "ddpm"]
Predictor = Callable[[Tensor, Tensor], Tensor]
"""From noisy examples `(B, ...)` and times `(B,)` to the noise in them."""

_LARGEST_BETA = 0.999
_LEAST_SIGNAL = 1e-4


@dataclass(frozen=True)
class Noising:
    """What diffusion does to data in T steps, by the signal level `alpha_bar` `(T,)` after each of them."""

    alpha_bar: Tensor

    @classmethod
    def named(cls, schedule: Schedule, steps: int) -> "Noising":
        """The schedule of that name: `linear` (Ho 2020) or `cosine` (Nichol 2021)."""
        betas = _linear_betas(steps) if schedule == "linear" else _cosine_betas(steps)
        return cls(torch.cumprod(1 - betas, dim=0).float())

    def to(self, device: torch.device) -> "Noising":
        return Noising(self.alpha_bar.to(device))

    @property
    def steps(self) -> int:
        """T."""
        return len(self.alpha_bar)

    def add_noise(self, clean: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """`x_t` of clean examples `(B, ...)` at times `(B,)`, for standard normal noise `(B, ...)`."""
        level = self.alpha_bar[times].view(-1, *[1] * (clean.ndim - 1))  # (B,) -> (B, 1, ...)
        return level.sqrt() * clean + (1 - level).sqrt() * noise

    def times(self, count: int) -> list[int]:
        """`count` times evenly spread down to 0; raises ConfigError if there are not that many.

        They start where a hundredth of the data's scale is left: from less, an estimate of it is noise that is blown up.
        """
        if count > self.steps:
            raise ConfigError(
                f"{count} steps of sampling are more than the {self.steps} from data to noise; use {self.steps} or less"
            )
        first = max(int((self.alpha_bar >= _LEAST_SIGNAL).sum()), count) - 1
        return [round(first * (1 - index / max(1, count - 1))) for index in range(count)]

    def denoise(
        self, predict: Predictor, noise: Tensor, count: int, *, sampler: Sampler = "ddim", limit: float | None = None
    ) -> Iterator[Tensor]:
        """From noise `(B, ...)` to data in `count` steps: the examples after each of them, the last without noise.

        `ddpm` adds fresh noise at every step (Ho 2020; with the posterior variance), `ddim` none (Song 2021). Estimates
        of `x_0` are cut off at `limit`: at the first steps they are noise divided by a tiny number.
        """
        noisy = noise
        times = self.times(count)
        for time, next_time in zip(times, [*times[1:], None], strict=True):
            level = self.alpha_bar[time]
            next_level = torch.ones_like(level) if next_time is None else self.alpha_bar[next_time]
            epsilon = predict(noisy, torch.full((len(noisy),), time, device=noisy.device))
            clean = (noisy - (1 - level).sqrt() * epsilon) / level.sqrt()
            if limit is not None:
                clean = clean.clamp(-limit, limit)
                epsilon = (noisy - level.sqrt() * clean) / (1 - level).sqrt()
            variance = torch.zeros_like(level)
            if sampler == "ddpm":
                variance = (1 - next_level) / (1 - level) * (1 - level / next_level)
            noisy = next_level.sqrt() * clean + (1 - next_level - variance).clamp(min=0).sqrt() * epsilon
            if sampler == "ddpm":
                noisy = noisy + variance.sqrt() * torch.randn_like(noisy)
            yield noisy


def _linear_betas(steps: int) -> Tensor:
    """From 1e-4 to 0.02 in 1,000 steps (Ho 2020), and as much noise in all if there are fewer or more of them."""
    scale = 1000 / steps
    return torch.linspace(1e-4 * scale, 0.02 * scale, steps, dtype=torch.float64).clamp(max=_LARGEST_BETA)


def _cosine_betas(steps: int) -> Tensor:
    """Such that `alpha_bar` falls like the square of a cosine (Nichol 2021, equation 17)."""
    angles = (torch.arange(steps + 1, dtype=torch.float64) / steps + 0.008) / 1.008 * math.pi / 2
    levels = angles.cos() ** 2
    return (1 - levels[1:] / levels[:-1]).clamp(max=_LARGEST_BETA)
