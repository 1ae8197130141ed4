"""The games there are: a table from the name in `DataSpec.environment` to pure functions on tensors.

Neither data nor tasks: a data set draws starts of games, a task plays them, and both find the rules here.
"""

from dlcourse.environments.cartpole import CartPole
from dlcourse.environments.environment import Environment
from dlcourse.environments.grid import Cliff, GridWorld
from dlcourse.environments.tic_tac_toe import TicTacToe

ENVIRONMENTS: dict[str, Environment] = {
    "cartpole": CartPole(),
    "cliff": Cliff(),
    "grid_world": GridWorld(),
    "tic_tac_toe": TicTacToe(),
}

__all__ = ["ENVIRONMENTS", "Environment"]
