"""A policy and a value function: two networks on the same state, for actor-critic learning.

B is the batch size, S the numbers in a state, A the number of moves to choose from.
"""

from dataclasses import replace

from torch import Tensor, nn

from dlcourse.config.options import Count
from dlcourse.errors import MisfitError
from dlcourse.models.layers import Activation
from dlcourse.models.mlp import MLP
from dlcourse.spec import DataSpec


class PolicyAndValue(nn.Module):
    """Two multilayer perceptrons of the same shape, which share nothing: logits of the moves, and what a state is worth.

    Called as a model it is the policy: a value is asked for where it is needed.
    """

    def __init__(self, spec: DataSpec, hidden: tuple[Count, ...] = (64, 64), activation: Activation = "tanh") -> None:
        super().__init__()
        if spec.target != "game":
            raise MisfitError(
                f"model 'policy_and_value' needs starts of a game, and data '{spec.name}' has {spec.target_kind.words}",
                needs="games",
                otherwise="model=mlp",
            )
        self.policy = MLP(spec, hidden, activation)
        self.critic = MLP(replace(spec, num_outputs=1), hidden, activation)

    def forward(self, states: Tensor) -> Tensor:
        """The logits of the moves, `(B, S) -> (B, A)`."""
        logits: Tensor = self.policy(states)
        return logits

    def value(self, states: Tensor) -> Tensor:
        """What the states are worth, `(B, S) -> (B,)`."""
        values: Tensor = self.critic(states)[:, 0]
        return values
