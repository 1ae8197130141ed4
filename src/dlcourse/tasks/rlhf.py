"""Learning from a reward model: PPO on texts, with a penalty for leaving the model that it started from.

B is a batch size, P the length of a prompt, L that of what is written behind it, V the size of the vocabulary.
"""

import copy
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from dlcourse.config.options import Count, NonNegative, Positive
from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.metrics.report import Report
from dlcourse.metrics.taste import liking
from dlcourse.optim.step import MakeOptimizer
from dlcourse.spec import Batch, Data, DataSpec, Split
from dlcourse.state_dict import State, load_tensors
from dlcourse.tasks.frozen_reward import FrozenReward
from dlcourse.tasks.language import Language, generate
from dlcourse.tasks.task import Scalars

_MEASURED = 250  # prompts of a split
_SHOWN = 8


class _Written(NamedTuple):
    """Texts `(B, P + L)`, and of what was written: log-probabilities and KL terms `(B, L)`, rewards `(B,)`."""

    texts: Tensor
    log_probabilities: Tensor
    kl: Tensor
    rewards: Tensor


class RLHF(Language):
    """PPO (Schulman 2017) on what a language model writes, as InstructGPT was trained (Ouyang 2022, equation 2).

    The model continues the first `prompt` tokens of each window by `length` more. The reward model of the run `reward_from`
    gives a reward for these at the end, and each of them costs `kl_weight` times log p - log p_start: together that is the
    KL divergence to the model at the start of the run, which stays frozen. The batch's mean at each place is the baseline.
    `passes` updates are made from one batch, with ratios of probabilities clipped to 1 - `clip` and 1 + `clip`.

    `objective` is reward - `kl_weight` KL, and `liking` how often the symbol that the labeller likes occurs in what was
    written, which the reward only stands for: where the reward grows and the text is spoilt, the reward is hacked.
    """

    name = "rlhf"
    main_metric = "objective"
    monitor = "objective"
    mode: Literal["max", "min"] = "max"
    recordable: ClassVar[tuple[str, ...]] = ()
    keeps_frozen: ClassVar[bool] = True
    loss_tells: ClassVar[bool] = False

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        device: Device,
        reward_from: str | None = None,
        kl_weight: NonNegative = 0.1,
        clip: Positive = 0.2,
        passes: Count = 4,
        prompt: Count = 8,
        length: Count = 24,
    ) -> None:
        super().__init__(model, spec, device)
        if prompt + length > spec.num_features:
            raise ConfigError(
                f"task.prompt={prompt} and task.length={length} are more than data.context={spec.num_features}; write "
                f"data.context={prompt + length}"
            )
        self.updates_per_batch = passes
        self._reward_from = reward_from
        self._kl_weight = kl_weight
        self._clip = clip
        self._prompt = prompt
        self._length = length
        self._frozen = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        self._reward: FrozenReward | None = None

    def start(self, make_optimizer: MakeOptimizer) -> None:
        self._optimizer = make_optimizer(self.model, times=self.updates_per_batch)

    def read_frozen(self) -> list[str]:
        if self._reward_from is None:
            raise ConfigError(
                "task 'rlhf' needs a reward model; write task.reward_from=RUN, a run of dlcourse train data=preferences"
            )
        self._use(FrozenReward.read(self._reward_from, "task.reward_from", self.device))
        assert self._reward is not None
        return [f"from {self._reward.run}, weights sha256 {self._reward.sha256}"]

    def frozen_state(self) -> State:
        reward = None if self._reward is None else self._reward.state_dict()
        return {"start": dict(self._frozen.state_dict()), "reward": reward}

    def load_frozen_state(self, state: State) -> None:
        start = load_tensors(self._frozen.state_dict(), state["start"], "the frozen start")
        self._frozen.load_state_dict(start)
        if state["reward"] is not None:
            self._use(FrozenReward.from_state(state["reward"], self.device))

    def prepare(self, data: Data) -> list[str]:
        return []

    def train_step(self, batch: Batch) -> Scalars:
        self.model.eval()  # without dropout, or ratios do not begin at 1
        with torch.no_grad():
            written = self._play(batch.inputs)
        advantages = self._advantages(written)  # (B, L)
        loss = written.rewards.new_zeros(())
        for _ in range(self.updates_per_batch):
            with self.device.autocast():
                now = self._log_probabilities(self.model, written.texts)
            loss = self._clipped_loss((now - written.log_probabilities).exp(), advantages)
            self._optimizer.step(loss)
        return {"loss": loss.detach(), **self._means(written)}

    def state_dict(self) -> State:
        return super().state_dict() | {"frozen": self.frozen_state()}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.load_frozen_state(state["frozen"])

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        """Texts behind the first prompts of the split; a full report has the frozen start's beside them."""
        prompts = next(iter(split.batches(_MEASURED))).inputs
        written = self._play(prompts)
        scalars = {name: float(value) for name, value in self._means(written).items()}
        objective = scalars["reward"] - self._kl_weight * scalars["kl"]
        report = Report({"loss": -objective, "objective": objective, **scalars})
        report.texts["samples"] = self._told(written.texts)
        if full:
            before = self._play(prompts, self._frozen)
            at_start = {name: float(value) for name, value in self._means(before).items() if name != "kl"}
            report.details["start"] = at_start
            report.details["reward_from"] = None if self._reward is None else self._reward.run
            report.details["reward_sha256"] = None if self._reward is None else self._reward.sha256
            report.texts["samples_of_the_start"] = self._told(before.texts)
            report.headline = "   ".join(
                f"{name} {value:.2f}" + (f" (start {at_start[name]:.2f})" if name in at_start else " nats")
                for name, value in scalars.items()
            )
            report.lines += ["what it writes:", *report.texts["samples"].splitlines()]
            report.lines += ["", "what the start writes:", *report.texts["samples_of_the_start"].splitlines()]
        return report

    def _use(self, reward: FrozenReward) -> None:
        """Take this reward model; raises ConfigError if it reads other texts than this task writes."""
        if reward.spec.vocabulary != self.spec.vocabulary:
            raise ConfigError(
                f"task.reward_from={reward.run} reads another vocabulary than data '{self.spec.name}'; use a reward model "
                "of the same text"
            )
        if reward.length != self._length:
            raise ConfigError(
                f"task.length={self._length}, and task.reward_from={reward.run} judges texts of {reward.length} tokens; "
                f"write task.length={reward.length}"
            )
        self._reward = reward

    def _play(self, windows: Tensor, writer: nn.Module | None = None) -> _Written:
        """What the model, or another writer, writes behind the first tokens of windows `(B, T)`."""
        writer = writer or self.model
        with self.device.autocast():
            texts = generate(writer, windows[:, : self._prompt], self._length, self.spec.num_features)
            now = self._log_probabilities(writer, texts)
            kl = now - self._log_probabilities(self._frozen, texts)
            rewards = (
                kl.new_zeros(len(texts)) if self._reward is None else self._reward.rewards(texts[:, self._prompt :])
            )
        return _Written(texts, now, kl, rewards)

    def _log_probabilities(self, model: nn.Module, texts: Tensor) -> Tensor:
        """Of the tokens behind the prompt of texts `(B, P + L)`: `(B, L)`."""
        logits = model(texts[:, :-1])[:, self._prompt - 1 :].float()  # (B, L, V)
        return logits.log_softmax(-1).gather(2, texts[:, self._prompt :, None]).squeeze(2)

    def _advantages(self, written: _Written) -> Tensor:
        """What is still to come at each place, less the batch's mean there, in units of its deviation: `(B, L)`."""
        rewards = -self._kl_weight * written.kl
        rewards[:, -1] += written.rewards
        to_come = rewards.flip(1).cumsum(1).flip(1)
        advantages = to_come - to_come.mean(0)
        return advantages / (advantages.std(unbiased=False) + 1e-8)

    def _clipped_loss(self, ratios: Tensor, advantages: Tensor) -> Tensor:
        """The negative of PPO's objective (Schulman 2017, equation 7)."""
        clipped = ratios.clamp(1 - self._clip, 1 + self._clip)
        return -torch.minimum(ratios * advantages, clipped * advantages).mean()

    def _means(self, written: _Written) -> Scalars:
        scalars = {"reward": written.rewards.mean(), "kl": written.kl.sum(1).mean()}
        if self._reward is not None and self._reward.spec.taste:
            scalars["liking"] = liking(written.texts[:, self._prompt :], self._reward.spec).mean()
        return scalars

    def _told(self, texts: Tensor) -> str:
        """The first texts, a line each, with a bar between the prompt and what was written, and / for line feeds."""
        rows = texts[:_SHOWN].tolist()
        decode = self._tokenizer.decode
        return "\n".join(
            f"{decode(row[: self._prompt])}|{decode(row[self._prompt :])}".replace("\n", "/") for row in rows
        )
