"""The figures of what comes next in a text: ranked continuations, and of whole sequences where a decoder looks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dlcourse.config.options import Count
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.several import required
from dlcourse.metrics.ngrams import NGrams
from dlcourse.metrics.report import Report
from dlcourse.models.attention import CrossAttention, record_attention
from dlcourse.plots import BarChart
from dlcourse.spec import Data
from dlcourse.tasks.language import Language
from dlcourse.tasks.seq2seq import SequenceToSequence
from dlcourse.tokens import END, PAD, START, encode_prompt, tokenizer_of
from dlcourse.training.evaluate import evaluate
from dlcourse.training.predicting import predict_texts

_COUNTED_AT_ONCE = 1024  # windows
_LOOKED_AT = 500  # examples


def next_word(runs: Sequence[Finished], text: str = "the cat sat on the", word: str = "mat", top: Count = 7) -> Report:
    """The words that a language model of words expects behind a text, and what counting trigrams gives to one of them."""
    (run,) = required(runs, 1)
    opened = run.open()
    spec = opened.spec
    if not isinstance(opened.task, Language):
        raise ConfigError(
            f"lecture.runs: the figure needs a language model, got a run of task '{run.config.task.name}'"
        )
    if word not in spec.vocabulary:
        raise ConfigError(f"lecture.word: the training text has no '{word}'; write one of its words")
    (prediction,) = predict_texts(opened, [text], "lecture.text")
    ranked = prediction.answer.ranked
    names = [name for name, _ in ranked]
    counted = _by_trigrams(run.data(), encode_prompt(text, tokenizer_of(spec), "lecture.text"))
    scalars = run.numbers() | {
        "rank": names.index(word) + 1.0,
        "probability": dict(ranked)[word],
        "probability of the next best": next(share for name, share in ranked if name != word),
        "probability by trigrams": float(counted[spec.vocabulary.index(word)]),
    }
    shown = {name if name.strip() else "end of line": share for name, share in ranked[:top]}
    mark = {f"{word}, by counting trigrams": scalars["probability by trigrams"]}
    chart = BarChart(shown, "probability", f"{text} ...", share=True, at=mark)
    rows: list[list[object]] = [["word", "probability", "probability_by_trigrams"]]
    rows += [[name, share, float(counted[spec.vocabulary.index(name)])] for name, share in ranked if name.strip()]
    return Report(scalars, pictures={"next_word": chart}, tables={"continuations": rows})


def _by_trigrams(data: Data, tokens: Sequence[int]) -> Tensor:
    """The probability `(V,)` of each word behind the last two tokens, by counting the training text."""
    size = len(data.spec.vocabulary)
    ngrams = NGrams.fit(data.train.batches(_COUNTED_AT_ONCE), size)
    context = torch.tensor(list(tokens[-2:])).expand(size, -1)
    return ngrams.probabilities(context, torch.arange(size))


def reverse(runs: Sequence[Finished]) -> Report:
    """Where a decoder that turns sequences round looks, and the share of its attention on the anti-diagonal."""
    (run,) = required(runs, 1)
    opened = run.open()
    if not isinstance(opened.task, SequenceToSequence):
        raise ConfigError(
            f"lecture.runs: the figure needs a transformer on data=reverse, got a run of data '{run.config.data.name}'"
        )
    test = run.data().test
    found = evaluate(opened.task, test, run.config.trainer.eval_batch_size, full=True)
    batch = next(iter(test.batches(_LOOKED_AT)))
    scalars = {f"test/{name}": value for name, value in found.scalars.items()}
    share, strongest = anti_diagonal(opened.task, batch.inputs, batch.targets)
    scalars["share of attention on the anti-diagonal"] = share
    scalars["outputs that look there most"] = strongest
    scalars["share if it looked everywhere alike"] = float((1 / (batch.inputs != PAD).sum(1)).mean())
    pictures = {name: found.pictures[name] for name in ("attention", "accuracy_by_length")}
    return Report(scalars, pictures=pictures, tables=found.tables)


def anti_diagonal(task: SequenceToSequence, inputs: Tensor, targets: Tensor) -> tuple[float, float]:
    """The mean weight of the last layer, over its heads, from the t-th token written to the t-th before the input's end.

    And the share of the tokens written that look nowhere more. Inputs are `(B, S)`, targets `(B, T)` as the data have them.
    """
    layers = [name for name, layer in task.model.named_modules() if isinstance(layer, CrossAttention)]
    if not layers:
        raise ConfigError("lecture.runs: the figure needs a model with attention; write model=transformer")
    previous = torch.cat([torch.full_like(targets[:, :1], START), targets[:, :-1]], dim=1)
    with torch.no_grad(), record_attention(task.model) as maps:
        task.model(inputs, previous)
    weights = maps[layers[-1]].mean(1)  # (B, T, S)
    is_symbol = (targets != PAD) & (targets != END)  # (B, T)
    lengths = is_symbol.sum(1, keepdim=True)
    places = (lengths - 1 - torch.arange(targets.shape[1])).clamp(min=0)  # (B, T)
    looked = weights.gather(2, places[:, :, None]).squeeze(2)
    is_strongest = looked == weights.amax(2)
    return float(looked[is_symbol].mean()), float(is_strongest[is_symbol].float().mean())
