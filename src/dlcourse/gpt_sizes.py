"""How large language models are: the sizes of GPT-1, GPT-2 and GPT-3, and of some for a notebook, counted by formula.

D is the width, V the size of the vocabulary, T the context, L the number of layers.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Size:
    """A causal decoder with learned positions and a tied output layer: its layers, heads and width."""

    layers: int
    heads: int
    width: int
    vocabulary: int
    context: int
    note: str
    norm: Literal["pre", "post"] = "pre"

    def parts(self) -> dict[str, int]:
        """The parameters of each part: weights, biases and norm gains."""
        width, layers = self.width, self.layers
        norms = 2 * layers + (self.norm == "pre")
        return {
            "token embedding": self.vocabulary * width,
            "positions": self.context * width,
            "attention": layers * (4 * width**2 + 4 * width),
            "feed-forward": layers * (8 * width**2 + 5 * width),
            "norms": norms * 2 * width,
        }

    @property
    def parameters(self) -> int:
        """V D + T D + L (12 D^2 + 13 D), and 2 D if there is a last norm."""
        return sum(self.parts().values())


SIZES: dict[str, Size] = {
    "nano": Size(
        4, 4, 128, 65, 64, "minutes on a notebook: the characters of Shakespeare (nanoGPT's settings for a CPU)"
    ),
    "tiny": Size(6, 6, 384, 65, 256, "minutes on a GPU: the characters of Shakespeare (nanoGPT's baby GPT)"),
    "gpt": Size(12, 12, 768, 40_478, 512, "GPT-1 (Radford 2018): norms after each part, and no last norm", "post"),
    "gpt2": Size(12, 12, 768, 50_257, 1024, "GPT-2 small (Radford 2019)"),
    "gpt2-medium": Size(24, 16, 1024, 50_257, 1024, "GPT-2 medium"),
    "gpt2-large": Size(36, 20, 1280, 50_257, 1024, "GPT-2 large"),
    "gpt2-xl": Size(48, 25, 1600, 50_257, 1024, "GPT-2 XL"),
    "gpt3": Size(96, 96, 12_288, 50_257, 2048, "GPT-3 (Brown 2020), with dense attention in every layer"),
}
"""By name; `nano` and `tiny` follow nanoGPT, with GPT-2's biases."""
