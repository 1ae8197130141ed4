"""`dlcourse count`: the parameters of language models, by formula and by building them without memory."""

from dlcourse.config.options import suggestion
from dlcourse.errors import ConfigError
from dlcourse.gpt_sizes import SIZES, Size
from dlcourse.terminal import fitted, print_help
from dlcourse.text_table import aligned

HELP = """\
dlcourse count               the sizes of GPT-1, GPT-2 and smaller ones: layers, heads, width, ..., parameters
dlcourse count gpt2-xl       one of them, part by part
"""

_HEADER = ("", "layers", "heads", "width", "vocabulary", "context", "by formula", "built")


def main(words: list[str]) -> int:
    """Print what the words behind `count` ask for; raises ConfigError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    for word in words:
        if word.startswith("-"):
            raise ConfigError(f"unknown flag '{word}'{suggestion(word, ['--help'])}")
        if word not in SIZES:
            raise ConfigError(f"unknown size '{word}'{suggestion(word, SIZES)}")
    lines = _overview() if not words else [line for word in words for line in [*_in_full(word, SIZES[word]), ""]]
    print("\n".join(piece for line in lines for piece in fitted(line)).rstrip("\n"))
    return 0


def count_built(size: Size) -> int:
    """The parameters of our own transformer of this size, on torch's meta device, which has shapes and no memory."""
    import torch

    from dlcourse.models.transformer import transformer
    from dlcourse.spec import DataSpec

    symbols = tuple(map(str, range(size.vocabulary)))
    spec = DataSpec("text", (size.context,), size.vocabulary, "next", vocabulary=symbols)
    with torch.device("meta"):
        model = transformer(spec, width=size.width, layers=size.layers, heads=size.heads, norm=size.norm)
    return sum(parameter.numel() for parameter in model.parameters())


def _overview() -> list[str]:
    rows = [_HEADER, *((name, *_facts(size)) for name, size in SIZES.items())]
    return [
        *aligned(rows),
        "",
        *(f"{name:<11}  {size.note}" for name, size in SIZES.items()),
        "",
        "By formula: V D + T D + L (12 D^2 + 13 D), and 2 D for a last norm, with V the vocabulary, T the context, L the",
        "layers, D the width. Built: our model=transformer on torch's meta device, which takes no memory. The output layer",
        "is the token embedding again and counts once. dlcourse count gpt2-xl: one of them, part by part.",
    ]


def _facts(size: Size) -> tuple[str, ...]:
    sizes = (size.layers, size.heads, size.width, size.vocabulary, size.context, size.parameters, count_built(size))
    return tuple(f"{number:,}" for number in sizes)


def _in_full(name: str, size: Size) -> list[str]:
    meanings = {
        "token embedding": f"{size.vocabulary:,} x {size.width:,}, tied: the output layer has these weights too",
        "positions": f"{size.context:,} x {size.width:,}, learned",
        "attention": f"{size.layers} x (4 x {size.width:,}^2 + 4 x {size.width:,}): queries, keys, values, output",
        "feed-forward": f"{size.layers} x (8 x {size.width:,}^2 + 5 x {size.width:,}): up to {4 * size.width:,} and back",
        "norms": f"{2 * size.layers} x 2 x {size.width:,}, gains and biases"
        + (", and the last norm" if size.norm == "pre" else "; there is no last norm"),
    }
    total = size.parameters
    rows = [(part, f"{count:,}", f"{count / total:.1%}".replace("%", " %")) for part, count in size.parts().items()]
    built = count_built(size)
    rows += [("together", f"{total:,}", "100.0 %"), ("built", f"{built:,}", "")]
    table = aligned(rows)
    lines = [f"{line}  {meanings[part]}" for line, part in zip(table, meanings, strict=False)]
    own_output = f"Left out: an output layer of its own (model.tie=false) would add {size.vocabulary * size.width:,}."
    return [
        f"{name}   {size.note}",
        f"{size.layers} layers, {size.heads} heads, width {size.width:,}, vocabulary {size.vocabulary:,}, "
        f"context {size.context:,}",
        "",
        *lines,
        table[-2],
        f"{table[-1]}  model=transformer on torch's meta device, which takes no memory",
        "",
        own_output,
        f"In float32 the weights take {_in_bytes(4 * total)}; with gradients and Adam's averages {_in_bytes(16 * total)}.",
    ]


def _in_bytes(size: int) -> str:
    return f"{size / 2**30:,.2f} GiB" if size >= 2**30 / 10 else f"{size / 2**20:,.1f} MiB"
