"""`trainer.compile=true`: the model's passes forward and backward by torch's compiler, made before anything is timed."""

import copy
import logging
import time
import warnings

import torch

from dlcourse.config.run_config import TrainerConfig
from dlcourse.errors import ConfigError, first_line, is_out_of_memory
from dlcourse.spec import Data
from dlcourse.tasks.task import LossTask, Task
from dlcourse.training.evaluate import batch_size, steps_per_epoch


def compile_passes(task: Task, data: Data, config: TrainerConfig) -> str:
    """Compile the model of a task for batches of all sizes that will come; says how long it took, or why it was left.

    The code is torch's own and made in memory; the state of the task and all random numbers stay as they are.
    Raises ConfigError for a task whose step is more than one pass through one model.
    """
    if not isinstance(task, LossTask):
        raise ConfigError("trainer.compile=true needs a task with one loss; write trainer.compile=false")
    started = time.perf_counter()
    model: torch.nn.Module = task.model
    model.forward = torch.compile(model.forward)
    weights, state = copy.deepcopy(model.state_dict()), task.state_dict()
    logging.getLogger("torch").setLevel(logging.ERROR)
    try:
        with task.device.forked_random_state(), warnings.catch_warnings(action="ignore"):
            _run_all_sizes(task, data, config)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        del model.forward
        return f"trainer.compile=true has no effect: {first_line(error)}"
    finally:
        model.load_state_dict(weights)
        task.load_state_dict(state)
        model.zero_grad()
    return f"compiled in {time.perf_counter() - started:.0f} s"


def _run_all_sizes(task: LossTask, data: Data, config: TrainerConfig) -> None:
    """The first and the last batch of training and of evaluation: the last may be shorter."""
    size = batch_size(config, data)
    task.model.train()
    for step in dict.fromkeys((0, steps_per_epoch(config, data) - 1)):
        batch = next(iter(data.train.batches(size, epoch=1, start=step)))
        with task.device.autocast():
            losses = task.losses(batch)
        torch.autograd.backward(losses.get("objective", losses["loss"]))
    task.model.eval()
    evaluations = -(-len(data.val) // config.eval_batch_size)
    for step in dict.fromkeys((0, evaluations - 1)):
        batch = next(iter(data.val.batches(config.eval_batch_size, start=step)))
        with torch.no_grad(), task.device.autocast():
            task.losses(batch)
    task.model.train()
