"""Predictions on standard output: a table for people, JSON or CSV for programs."""

import csv
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlcourse.terminal import escaped
from dlcourse.text_table import aligned

if TYPE_CHECKING:
    from dlcourse.training.predicting import Prediction

_BAR = 10


def show(found: Sequence["Prediction"], form: str, top: int) -> None:
    """Print the predictions as `people`, `json` or `csv`, of classes and tokens the `top` most probable ones."""
    if form == "json":
        print(json.dumps([_plain(each, top) for each in found], indent=2, ensure_ascii=False))
    elif form == "csv":
        _write_csv(found, top)
    else:
        print("\n".join(_table(found, top)))


def _plain(prediction: "Prediction", top: int) -> dict[str, Any]:
    """A prediction as values of JSON."""
    answer = prediction.answer
    subject = _subject(prediction)
    if answer.ranked:
        ranked = [{"class": name, "probability": probability} for name, probability in answer.ranked[:top]]
        return {**subject, **ranked[0], "top": ranked}
    return {**subject, **({"values": answer.values} if answer.values else {"output": answer.text})}


def _subject(prediction: "Prediction") -> dict[str, Any]:
    if prediction.is_text:
        return {"text": prediction.subject}
    return {"file": prediction.subject} | ({} if prediction.row is None else {"row": prediction.row})


def _write_csv(found: Sequence["Prediction"], top: int) -> None:
    """A header, and a row for each prediction."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*_subject(found[0]), *_flat(found[0], top)])
    writer.writerows([*_subject(each).values(), *_flat(each, top).values()] for each in found)


def _flat(prediction: "Prediction", top: int) -> dict[str, Any]:
    """The answer as cells by the names of their columns."""
    answer = prediction.answer
    flat: dict[str, Any] = {}
    for place, (name, probability) in enumerate(answer.ranked[:top], start=1):
        flat |= {f"class_{place}": name, f"probability_{place}": probability}
    return flat or answer.values or {"output": answer.text}


def _table(found: Sequence["Prediction"], top: int) -> list[str]:
    """An aligned line for each prediction."""
    rows = [[_named(each), *_cells(each, top)] for each in found]
    if found[0].answer.ranked:
        return aligned(rows, left={0, 1, 3, *range(4, len(rows[0]), 2)})  # all but probabilities
    return aligned(rows, left={0, *range(1, len(rows[0]), 2)})


def _named(prediction: "Prediction") -> str:
    row = "" if prediction.row is None else f", row {prediction.row}"
    return escaped(f"{prediction.subject}{row}", one_line=True)


def _cells(prediction: "Prediction", top: int) -> list[str]:
    """The top answer, its probability and a bar of that, and the next ones; or values, or the output."""
    answer = prediction.answer
    if not answer.ranked:
        values = [cell for name, value in answer.values.items() for cell in (_shown(name), f"{value:,.6g}")]
        return values or [f"-> {_shown(answer.text)}"]
    (name, probability), *others = answer.ranked[:top]
    bar = "#" * max(1, round(_BAR * probability))
    cells = [_shown(name), _percent(probability), bar.ljust(_BAR)]
    return cells + [cell for other, share in others for cell in (_shown(other), _percent(share))]


def _shown(name: str) -> str:
    """A name in one line; one that could not be seen stands in quotes."""
    return escaped(name, one_line=True) if name.strip() else repr(name)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
