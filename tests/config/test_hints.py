"""What is proposed for a name that is not known can be typed as it stands; a wrong proposal is worse than a list."""

import re

import pytest
from omegaconf import open_dict

from dlcourse.cli import hydra_guard, main, sample
from dlcourse.cli.config_files import all_options, entries, leaves
from dlcourse.cli.hydra_overrides import parse
from dlcourse.config.hints import HINTS, hints, plain
from dlcourse.config.options import hint, schema
from dlcourse.config.paths import conf_dir
from dlcourse.config.run_config import GROUPS, RunConfig
from dlcourse.training.build import check_entries

NAMES = {group: list(entries(group, [conf_dir()])) for group in GROUPS} | {"command": list(main.VERBS)}
SENTENCES = sorted({hint for table in HINTS.values() for hint in table if " " in hint})


@pytest.fixture
def refusal(tmp_path, monkeypatch, capsys):
    """What the command says to a line that it refuses, behind `dlcourse: error: `."""
    monkeypatch.chdir(tmp_path)

    def refuse(line: str) -> str:
        assert main.main(line.split()) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("dlcourse: error: ") and err.count("\n") == 1
        return err.removeprefix("dlcourse: error: ").rstrip("\n")

    return refuse


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train device=gpu", "; device=auto takes a GPU if there is one; device=cuda and device=mps insist on one"),
        ("train device=cuda:1", "; write device=cuda device.index=1"),
        ("train device=tpu", "; TPUs are not supported; device=auto takes the best device there is"),
        ("train optimizer.learning_rate=1", "; did you mean 'optimizer.lr'?"),
        ("train learning_rate=1", "; did you mean 'optimizer.lr'?"),
        ("train --learning-rate 0.1", "unknown flag '--learning-rate'; write optimizer.lr=0.1"),
        ("train --dataset mnist", "unknown flag '--dataset'; write data=mnist"),
        ("train optimizer=Adam", "; did you mean 'adam'?"),
        ("train optimizer=nadam", "; did you mean 'adam'?"),
        ("train optimizer.momentum=0.5", "; write optimizer=momentum, or optimizer=sgd optimizer.momentum=0.9"),
        ("train data.separator=tab", "; it is an option of data=csv"),
        ("train model.layers=2", "; it is an option of model=gru, model=lstm, model=rnn"),
        (
            "train data=copy task.loss=mse",
            "; for numbers write task=regression task.loss=mse (mae, huber, nll), for classes ",
        ),
        ("train momentum=0.5", "; write optimizer=momentum, or optimizer=sgd optimizer.momentum=0.9"),
        ("train scheduler=none", "; did you mean 'constant'?"),
        ("train scheduler=ReduceLROnPlateau", "; no schedule here watches the validation loss; the nearest are "),
        ("train trainer.early_stopping=3", "; did you mean 'trainer.patience'?"),
        ("train early_stopping=true", "; did you mean 'trainer.patience'?"),
        ("train max_epochs=3", "; did you mean 'trainer.epochs'?"),
        ("train num_epochs=3", "; did you mean 'trainer.epochs'?"),
        ("train epohcs=3", "; did you mean 'trainer.epochs'?"),
        ("train trainer.patiance=3", "; did you mean 'trainer.patience'?"),
        ("train bs=32", "; did you mean 'trainer.batch_size'?"),
        (
            "train data=copy loss=mse",
            "; for numbers write task=regression task.loss=mse (mae, huber, nll), for classes ",
        ),
        ("train loss=mse", "; did you mean 'task.loss'?"),
        ("train net=cnn", "; did you mean 'model'?"),
        ("train hidden_size=8", "; did you mean 'model.hidden'?"),
        ("train model=transformer hidden_size=8", "; did you mean 'model.width'?"),
        ("train num_layers=3", "; did you mean 'model.hidden'?"),
        ("train model=lstm num_layers=3", "; did you mean 'model.layers'?"),
        ("train model=cnn num_layers=3", "; did you mean 'model.channels'?"),
        ("train name=first", "; did you mean 'run.name'?"),
        ("train model=knn", "; it is not trained by gradient descent, so it is not here; scikit-learn has it"),
        ("train -m model=mlp,knn", "; it is not trained by gradient descent"),
        ("train model=lenet", "; the nearest is model=cnn model.channels=[6,16] "),
        ("train model=CNN", "; did you mean 'cnn'?"),
        ("train model=gpt", "; write experiment=gpt_cpu, or "),
        ("train model=resnet56", "; write model=resnet model.depth=56"),
        ("train model=resnet18", "; write model=torchvision model.arch=resnet18"),
        ("train model=MobileNetV2", "; write model=torchvision model.arch=mobilenet_v2"),
        ("train model=torchvision pretrained=true", "; did you mean 'model.weights'?"),
        ("train pretrained=true", "; did you mean 'init_from'?"),
        ("train data=images data.randaugment=true", "; did you mean 'data.augment.policy'?"),
        ("train randaugment=true", "; write data=images data.augment.policy=randaugment "),
        ("train model=mnist", "; write data=mnist"),
        ("train data=MNIST", "; did you mean 'mnist'?"),
        ("train data=fashion", "; did you mean 'fashion_mnist'?"),
        ("train data=Fashion-MNIST", "; did you mean 'fashion_mnist'?"),
        ("train data=titanic.csv", "; write data=csv data.file=titanic.csv data.target=COLUMN"),
        ("train data=../photos/", "; write data=images data.folder=../photos/ for pictures"),
        ("train experiment=cfg/gpt_cpu.yaml", "; did you mean 'gpt_cpu'?"),
        ("train experiment=gan", "; did you mean 'gan_mnist' or 'gan_ring'?"),
        ("train config.yaml", "; a config file is chosen by its name: --config-dir DIR experiment=config takes "),
        ("train titanic.csv", "; write data=csv data.file=titanic.csv data.target=COLUMN"),
        ("train cnn", "; write model=cnn"),
        ("infer", "; did you mean 'predict'?"),
        ("inference", "; did you mean 'predict'?"),
        ("classify", "; did you mean 'predict'?"),
        ("fit", "; did you mean 'train'?"),
        ("ls", "; did you mean 'runs'?"),
        ("history", "; did you mean 'runs'?"),
        ("run", "; did you mean 'train'?"),
        ("tb", "; did you mean 'tensorboard'?"),
        ("plot", "; did you mean 'tensorboard'?"),
        ("tensorbord", "; did you mean 'tensorboard'?"),
        ("mlp", "; write dlcourse train model=mlp ..."),
        ("list MNIST", "; did you mean 'mnist'?"),
        ("list knn", "; it is not trained by gradient descent"),
    ],
)
def test_other_words_lead_to_what_is_meant(refusal, line, message):
    assert message in refusal(line)


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("model", "knn"),
        ("model", "lenet"),
        ("device", "gpu"),
        ("device", "tpu"),
        ("scheduler", "none"),
        ("model", "svm"),
    ],
)
def test_letters_alone_do_not_lead_from_one_word_to_another(group, name):
    assert hint(name, NAMES[group]) == ""


@pytest.mark.parametrize(
    ("group", "name", "meant"),
    [
        ("model", "cnm", "cnn"),
        ("model", "transfomer", "transformer"),
        ("data", "nmist", "mnist"),
        ("data", "mnits", "mnist"),
        ("scheduler", "cosin", "cosine"),
        ("optimizer", "momentun", "momentum"),
        ("command", "trian", "train"),
    ],
)
def test_a_misspelling_leads_to_its_word(group, name, meant):
    assert hint(name, NAMES[group]) == f"; did you mean '{meant}'?"


def test_without_anything_alike_there_is_a_list(refusal):
    assert refusal("train trainer=zzz") == f"unknown trainer 'zzz'; there are: {', '.join(NAMES['trainer'])}"


# The table


@pytest.mark.parametrize("group", [*GROUPS, "command"])
def test_each_hint_is_an_entry_or_a_sentence_and_no_word_is_an_entry(group):
    assert {text for text in HINTS[group] if " " not in text} <= set(NAMES[group])
    words = [plain(word) for text in HINTS[group].values() for word in text.split()]
    assert sorted({word for word in words if words.count(word) > 1}) == []
    assert set(words) & {plain(name) for name in NAMES[group]} == set()


def test_each_hint_for_an_option_is_one_of_some_entry():
    keys = {*GROUPS, *schema(RunConfig), "run.root", "run.name", "run.tags"}
    for group in GROUPS[:-1]:
        for path in entries(group, [conf_dir()]).values():
            keys |= {f"{group}.{key}" for key in leaves(all_options(path))}
            keys |= {f"{group}.{key}" for key in all_options(path)}
    assert {text for text in HINTS["option"] if " " not in text} <= keys


@pytest.mark.slow
def test_what_a_sentence_says_can_be_typed():
    for sentence in SENTENCES:
        for part in re.split(r"[;:,] | or | and | \(", sentence):
            words = re.findall(r"(?<!\S)[a-z_.]+=[^\s)]+", part)
            composed = parse([word for word in words if not word.endswith("=")])
            if words and "train -m" not in part:
                values = hydra_guard.check(composed, [conf_dir()], sweep=False)
                check_entries(hydra_guard.run_config(_composed(values)))
        for verb in re.findall(r"dlcourse ([a-z]+)", sentence):
            assert verb in main.VERBS, sentence
        for flag in re.findall(r"--[a-z]+ (?=[0-9A-Z])", sentence):
            assert flag in sample.HELP or flag in "--config-dir ", sentence


def _composed(words):
    config = hydra_guard.compose(parse(words), [conf_dir()])
    with open_dict(config):
        del config["hydra"]
    return config


def test_a_word_of_every_kind_is_found_whatever_its_spelling():
    assert list(hints("scheduler", "Reduce-LR-on-Plateau")) == list(hints("scheduler", "reducelronplateau")) != []
