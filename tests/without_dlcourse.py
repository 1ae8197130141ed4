"""Exported files in a process of their own, in which there is no dlcourse: the script that it runs, and how.

The script reads each folder's files with the format's own library, gives it the raw examples in `examples.npz` in batches
of 1 and 7, and prints for each file how far its answers are from those of the run.
"""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np

from dlcourse.export.checking import Examples

_SCRIPT = """
import importlib.util, json, sys, warnings
sys.path.append(sys.argv[1])
spec = importlib.util.find_spec("dlcourse")
assert spec is None or spec.origin is None, spec  # an editable install leaves a folder with config files, and no code
warnings.simplefilter("ignore")
from pathlib import Path
import numpy as np

def of_torch(path):
    import torch
    model = torch.export.load(path).module()
    return lambda *inputs: model(*map(torch.from_numpy, inputs)).detach().numpy()

def of_onnx(path):
    import onnxruntime
    session = onnxruntime.InferenceSession(path)
    names = [each["name"] for each in json.loads(path.with_name(path.name + ".labels.json").read_text())["inputs"]]
    return lambda *inputs: session.run(None, dict(zip(names, inputs, strict=True)))[0]

found = {}
for folder in map(Path, sys.argv[2:]):
    examples = np.load(folder / "examples.npz")
    raw, expected = [examples[key] for key in examples.files[:-1]], examples["expected"]
    for path in sorted(folder.glob("*.*")):
        read = {".pt2": of_torch, ".onnx": of_onnx}.get(path.suffix)
        if read:
            answer = read(path)
            answers = [answer(*(each[part] for each in raw)) for part in (slice(0, 1), slice(1, 8))]
            labels = json.loads(path.with_name(path.name + ".labels.json").read_text())
            assert list(expected.shape[1:]) == labels["output"]["shape"][1:], labels
            assert [str(each.dtype) for each in raw] == [each["dtype"] for each in labels["inputs"]], labels
            scale = max(1, abs(expected).max())
            found[f"{folder.name}/{path.name}"] = float(abs(np.concatenate(answers) - expected).max() / scale)
assert "dlcourse" not in sys.modules
print(json.dumps(found))
"""


def save_examples(examples: Examples, folder: Path) -> None:
    """Keep raw inputs and the run's own answers, as plain arrays."""
    arrays = {f"raw{number}": each.numpy() for number, each in enumerate(examples.raw)}
    np.savez(folder / "examples.npz", **arrays, expected=examples.expected.numpy())


def differences(*folders: Path) -> dict[str, float]:
    """How far the answers of each file are from the run's, by `folder/file`."""
    libraries = sysconfig.get_paths()["purelib"]
    command = [sys.executable, "-I", "-S", "-c", _SCRIPT, libraries, *map(str, folders)]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
