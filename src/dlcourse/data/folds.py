"""Cross-validation: which training examples a fold holds out, as scikit-learn's own splitters divide them."""

from typing import Annotated

import torch
from torch import Tensor

from dlcourse.config.options import Range
from dlcourse.errors import ConfigError

FoldCount = Annotated[int, Range(ge=2)]


def held_out(targets: Tensor, k_fold: int, fold: int | None, seed: int, class_names: tuple[str, ...] = ()) -> Tensor:
    """Whether each of the examples `(N,)` is in this fold of `k_fold`: every example is in exactly one of them.

    With `class_names`, targets are classes and every fold has its share of each (StratifiedKFold); without, KFold. Both
    shuffle with this seed. Raises ConfigError.
    """
    if fold is None:
        raise ConfigError(
            f"data.k_fold={k_fold} makes {k_fold} runs, and this is one; write data.fold=0 for the first of them, or add -m "
            "to dlcourse train"
        )
    if fold >= k_fold:
        raise ConfigError(f"data.fold={fold}: the folds of data.k_fold={k_fold} are 0 to {k_fold - 1}")
    _check_counts(targets, k_fold, class_names)

    from sklearn.model_selection import KFold, StratifiedKFold  # two seconds, which no other run is to wait for

    kind = StratifiedKFold if class_names else KFold
    parts = kind(k_fold, shuffle=True, random_state=seed).split(targets, targets if class_names else None)
    _, chosen = list(parts)[fold]
    is_held_out = torch.zeros(len(targets), dtype=torch.bool)
    is_held_out[torch.from_numpy(chosen)] = True
    return is_held_out


def _check_counts(targets: Tensor, k_fold: int, class_names: tuple[str, ...]) -> None:
    if k_fold > len(targets):
        raise ConfigError(f"data.k_fold={k_fold} is more than the {len(targets):,} training examples")
    if not class_names:
        return
    counts = torch.bincount(targets, minlength=len(class_names)).tolist()
    fewest, name = min((count, name) for count, name in zip(counts, class_names, strict=True) if count)
    if k_fold > fewest:
        more = f"data.k_fold={fewest} or " if fewest > 1 else ""
        raise ConfigError(
            f"data.k_fold={k_fold}: class '{name}' has {fewest} training examples, too few for one in each fold; write "
            f"{more}data.stratify=false"
        )
