"""A plug-in folder for tests: a small model of one's own."""

from pathlib import Path

CODE = '''"""A linear bottleneck."""

from torch import Tensor, nn

from dlcourse.config.options import Count
from dlcourse.spec import DataSpec


class Bottleneck(nn.Module):
    """Two affine layers with few units between them."""

    def __init__(self, spec: DataSpec, units: Count = 2) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(spec.num_features, units), nn.Linear(units, spec.num_outputs)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs)
'''
YAML = "# A linear bottleneck: few units between two layers.\nname: bottleneck\nunits: 2  # whole number >= 1: units\n"
LINE = 'model.bottleneck = "models/bottleneck.py:Bottleneck"\n'
SHORT = ("data=iris", "model=bottleneck", "trainer.epochs=1", "report=light", "device=cpu")
"""The words of a run of a moment with it."""


def bottleneck(folder: Path, code: str = CODE, line: str = LINE) -> Path:
    """Write the folder, with this code and this table, and return it."""
    for name, text in (
        ("models/bottleneck.py", code),
        ("conf/model/bottleneck.yaml", YAML),
        ("plugins.toml", line),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder
