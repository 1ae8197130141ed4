"""What a data set announces before it is built: the specs of its default options, by which `dlcourse list fits` asks.

Of everything that a spec says, they have what decides whether a model takes the data: shapes, targets and sizes.
"""

from dlcourse.environments import ENVIRONMENTS
from dlcourse.spec import DataSpec, Target


def numbers(*shape: int, classes: int = 0, values: int = 1) -> DataSpec:
    """Tables `(features,)` and sequences `(T, features)` with so many classes or, without classes, values for targets."""
    names = _names(classes)
    return DataSpec("", shape, classes or values, "class" if names else "value", class_names=names)


def images(channels: int, side: int, *, classes: int = 0) -> DataSpec:
    """Square images with so many classes, or with one value each."""
    names = _names(classes)
    return DataSpec(
        name="",
        input_shape=(channels, side, side),
        num_outputs=classes or 1,
        target="class" if names else "value",
        class_names=names,
        pixel_mean=(0.5,) * channels,
        pixel_std=(0.25,) * channels,
    )


def sentences(length: int, vocabulary: int, *, classes: int) -> DataSpec:
    """Sequences of tokens, each of one class."""
    names = _names(classes)
    return DataSpec("", (length,), classes, class_names=names, vocabulary=_names(vocabulary), tokenizer="words")


def rewritten(length: int, vocabulary: int) -> DataSpec:
    """Sequences of tokens with others, one token longer for END, for targets."""
    return DataSpec(
        name="",
        input_shape=(length,),
        num_outputs=vocabulary,
        target="sequence",
        vocabulary=_names(vocabulary),
        tokenizer="words",
        output_length=length + 1,
    )


def preferences(length: int, vocabulary: int) -> DataSpec:
    """Pairs of texts of so many tokens, of which one is preferred."""
    names = _names(vocabulary)
    return DataSpec("", (2 * length,), 1, "preference", vocabulary=names, tokenizer="characters", taste=names[0])


def text(context: int, vocabulary: int = 100) -> DataSpec:
    """Text to continue; how many symbols it has shows only when it is read."""
    return DataSpec("", (context,), vocabulary, "next", vocabulary=_names(vocabulary), tokenizer="characters")


def prompts(length: int, vocabulary: int) -> DataSpec:
    """Prompts of so many symbols, each of which is to be predicted."""
    return DataSpec("", (length,), vocabulary, "next", vocabulary=_names(vocabulary), tokenizer="words")


def starts(environment: str, target: Target = "game") -> DataSpec:
    """Starts of a game of dlcourse.environments."""
    world = ENVIRONMENTS[environment]
    return DataSpec(
        name="",
        input_shape=(len(world.features),),
        num_outputs=len(world.actions),
        target=target,
        feature_names=world.features,
        environment=environment,
    )


def _names(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))
