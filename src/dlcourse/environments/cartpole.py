"""The pole on a cart: physics in steps of 20 ms, as in gymnasium's CartPole-v1.

B is the number of games side by side.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor

from dlcourse.environments.environment import Environment, Step

_GRAVITY = 9.8  # m/s^2
_CART, _POLE = 1.0, 0.1  # kg
_TOTAL = _CART + _POLE
_HALF_LENGTH = 0.5  # of the pole, in m
_FORCE = 10.0  # N
_SECONDS = 0.02
_FARTHEST = 2.4  # m from the middle
_STEEPEST = 12 * 2 * math.pi / 360


class CartPole(Environment):
    """Keep a pole upright by pushing its cart to the left or to the right (Barto, Sutton and Anderson 1983).

    A state is `(B, 4)`: position in m, velocity in m/s, angle in rad and angular velocity in rad/s. Each move earns 1, also
    the one that lets the pole fall over or the cart leave its track; so a game earns 500 at most, and 475 counts as solved.
    """

    actions: ClassVar[tuple[str, ...]] = ("left", "right")
    features: ClassVar[tuple[str, ...]] = ("position", "velocity", "angle", "angular_velocity")
    limit: ClassVar[int] = 500

    def starts(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.empty(count, 4).uniform_(-0.05, 0.05, generator=generator)

    def step(self, states: Tensor, actions: Tensor) -> Step:
        position, velocity, angle, turning = states.unbind(1)
        sine, cosine = angle.sin(), angle.cos()
        force = _FORCE * (2 * actions.to(states.dtype) - 1)
        push = (force + _POLE * _HALF_LENGTH * turning.square() * sine) / _TOTAL
        spin = (_GRAVITY * sine - cosine * push) / (_HALF_LENGTH * (4.0 / 3.0 - _POLE * cosine.square() / _TOTAL))
        thrust = push - _POLE * _HALF_LENGTH * spin * cosine / _TOTAL
        after = states + _SECONDS * torch.stack([velocity, thrust, turning, spin], dim=1)  # Euler's method
        ended = (after[:, 0].abs() > _FARTHEST) | (after[:, 2].abs() > _STEEPEST)
        return Step(after, torch.ones_like(position), ended)
