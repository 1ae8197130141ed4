"""Weights for the networks of torchvision: found or downloaded, checked before they are read, and put into the model.

Nothing in a file of weights is ever executed: a `.pth` is read with `weights_only=True`, which makes tensors and plain
containers and refuses every other name (https://docs.pytorch.org/docs/stable/notes/serialization.html).
"""

import re
import shlex
import textwrap
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from dlcourse.config.paths import default_root, path_to_read
from dlcourse.data.download import Advice, check_file, fetch, lies_there
from dlcourse.errors import ConfigError, DataError
from dlcourse.models.torchvision_model import PUBLISHED, Torchvision, published

_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # classifiers of GoogLeNet and Inception v3 that help in training alone
_OLD_DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")  # the names in its published files
_MOST_LETTERS = 200
_OTHER_FILE = "write model.weights=FILE for another file"
_SAVE = "save weights with torch.save(model.state_dict(), FILE)"


def start_pretrained(model: Torchvision) -> str:
    """Put the weights that the model was built for into all but its head; returns what was done, in words.

    Raises ConfigError if the tensors are those of another architecture, DataError if they cannot be read.
    """
    path = _published_file(model.arch) if model.weights == PUBLISHED else _own_file(model.weights)
    tensors = _for_backbone(model, _read(path))
    try:
        model.backbone.load_state_dict(tensors)
    except (RuntimeError, ValueError) as error:
        # torch says in the first line that tensors do not fit, and which from the second on.
        reason = _shortened(" ".join(str(error).splitlines()[1:]) or str(error))
        raise ConfigError(
            f"{path} does not fit model.arch={model.arch}: {reason}; choose the model.arch it was saved from, or "
            "init_from=RUN for the weights of a run"
        ) from None
    return f"{len(tensors)} tensors from {path}; the head ({model.head_name} there) starts at random"


def _published_file(arch: str) -> Path:
    """The default weights of an architecture, downloaded unless they are here; their sha256 begins as their name says."""
    url: str = published(arch, PUBLISHED).url
    name = url.rpartition("/")[2]
    checksum = f"sha256:{Path(name).stem.rpartition('-')[2]}"
    ours = default_root() / "weights" / name
    theirs = Path(torch.hub.get_dir()) / "checkpoints" / name  # if torchvision itself keeps them
    for path in (ours, theirs):
        if lies_there(path):
            check_file(path, checksum, advice=_advice(path))
            return path
    fetch([url], ours, checksum, advice=_advice(ours))
    return ours


def _own_file(given: str) -> Path:
    path = path_to_read(given, "model.weights")
    if not lies_there(path):
        raise ConfigError(
            f"model.weights={given}: no such file; give a .pth or .safetensors file, or write default or none"
        )
    check_file(path, advice=_advice(path))
    return path


def _advice(path: Path) -> Advice:
    return Advice(
        elsewhere=_OTHER_FILE,
        repacked=f"delete it to download it again, or {_OTHER_FILE}",
        offline=f"put the file at {shlex.quote(str(path))}, or write model.weights=FILE or model.weights=none",
    )


def _read(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a file by name; raises DataError."""
    content: Any
    try:
        if path.suffix == ".safetensors":
            content = safetensors.torch.load_file(path)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's remarks about unusual files, which it may then refuse
                content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; {_OTHER_FILE}") from None
    except Exception as error:  # a damaged file may raise anything, as the documentation of pickle says
        raise DataError(f"cannot read weights from {path}: {_reason(error)}; {_SAVE}") from None
    if not isinstance(content, Mapping) or not all(isinstance(item, Tensor) for item in content.values()):
        found = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
        raise DataError(f"{path} holds {_shortened(found)}, not tensors by name; {_SAVE}")
    return content


def _reason(error: Exception) -> str:
    """Why a file was not read, without torch's advice to read it in an unsafe way."""
    text = str(error)
    if asked := re.search(r"GLOBAL (\S+)", text):
        return f"it asks for {asked[1]}, and a file of weights may hold tensors only"
    if text.startswith("Weights only load failed"):
        return "it holds more than tensors"
    return f"damaged, or no file of weights ({_shortened(text) or type(error).__name__})"


def _for_backbone(model: Torchvision, tensors: Mapping[str, Tensor]) -> "OrderedDict[str, Tensor]":
    """The tensors of all but the head and auxiliary classifiers, by the names that the backbone has for them."""
    others = (f"{model.head_name}.", *_AUXILIARY)
    kept = OrderedDict(
        (_OLD_DENSENET.sub(r"\1\2", name), tensor) for name, tensor in tensors.items() if not name.startswith(others)
    )
    # Some networks read the files of their older versions, and tell them by a number that safetensors do not keep. Batch
    # norms of no number need not have counted their batches.
    current: Any = model.backbone.state_dict()
    metadata = getattr(tensors, "_metadata", None) or {"": current._metadata[""]}
    kept._metadata = metadata  # type: ignore[attr-defined]
    return kept


def _shortened(text: str) -> str:
    return textwrap.shorten(text, _MOST_LETTERS, placeholder=" ...")
