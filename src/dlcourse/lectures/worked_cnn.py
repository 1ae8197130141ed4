"""C1 and C2: the layers of the lectures' worked network with their parameters, and what its training came to."""

from collections.abc import Sequence

from torch import nn

from dlcourse.errors import ConfigError
from dlcourse.lectures.by_epoch import by_epoch
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.several import required
from dlcourse.metrics.report import Report
from dlcourse.models.cnn import CNN
from dlcourse.models.summary import summarize
from dlcourse.plots import Collage, LineChart, LineCharts, NetworkDiagram, Picture, Stage
from dlcourse.training.evaluate import evaluate

_NAMES = {nn.Conv2d: "conv", nn.Linear: "fc"}


def lecture_cnn48(runs: Sequence[Finished]) -> Report:
    """The network from layer to layer, loss and accuracy of each epoch, and the confusion matrix of the test set.

    The run is a cnn. Its layers with parameters are `conv1`, `conv2`, ..., `fc1`, ...: numbers of these names are their
    parameters. The classification report and the confusion matrix are also there as tables.
    """
    (run,) = required(runs, 1)
    opened, data = run.open(), run.data()
    if not isinstance(opened.task.model, CNN) or data.spec.target != "class":
        raise ConfigError(f"lecture.runs: the figure needs a run of model=cnn with classes, got {run.folder}")
    found = evaluate(opened.task, data.test, opened.config.trainer.eval_batch_size, full=True)
    stages = _stages(opened.task.model, data.spec.input_shape)
    scalars = run.numbers() | {f"test/{name}": value for name, value in found.scalars.items()}
    scalars |= {stage.kind: float(stage.parameters) for stage in stages if stage.parameters}
    scalars |= {"epochs": float(run.config.trainer.epochs), "training examples": float(len(data.train))}
    rows: list[list[Picture]] = [
        [NetworkDiagram(stages, "What passes through, and where the parameters are")],
        [Collage([[_course(run, "loss")], [_course(run, "accuracy")]], margin=0), found.pictures["confusion_matrix"]],
    ]
    tables = {"confusion_matrix": found.tables["confusion_matrix"]}
    texts = {"classification_report": "\n".join(found.lines)}
    return Report(scalars, pictures={"network": Collage(rows)}, tables=tables, texts=texts)


def _stages(model: CNN, shape: tuple[int, ...]) -> list[Stage]:
    """The input and the layers that have parameters or pool, named by their kind and number."""
    example = next(model.parameters()).new_zeros(1, *shape)
    stages, seen = [Stage("input", shape)], dict.fromkeys(_NAMES.values(), 0)
    kinds = {kind.__name__: name for kind, name in _NAMES.items()}
    for layer in summarize(model, example):
        if layer.kind in kinds:
            name = kinds[layer.kind]
            seen[name] += 1
            stages.append(Stage(f"{name}{seen[name]}", layer.shape, layer.parameters))
        elif "Pool" in layer.kind:
            stages.append(Stage("pool", layer.shape))
        elif layer.parameters:
            stages.append(Stage("norm", layer.shape, layer.parameters))
    return stages


def _course(run: Finished, name: str) -> Picture:
    lines = {"training": by_epoch(run, f"train/{name}"), "validation": by_epoch(run, f"val/{name}")}
    return LineCharts([LineChart(lines, "epoch", name, name.capitalize(), share=name == "accuracy")])
