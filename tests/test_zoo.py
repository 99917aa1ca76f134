"""The zoo gives back what was saved, and says in one sentence why it cannot."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save, save_file

from rsc_snn import zoo as zoo_module
from rsc_snn.classifier import ModelConfig
from rsc_snn.cli import main
from rsc_snn.errors import ZooError
from rsc_snn.randomness import make_generator
from rsc_snn.zoo import ModelCard, Zoo, cards_markdown, check_name, to_shipped_precision
from tests.conftest import TINY_CONFIGS, lively_model, save_tiny_model, stated

NAME = "tiny-rsc"
OTHERS = sorted(set(TINY_CONFIGS) - {NAME})
TINY = ModelConfig(widths=(2,), depths=(1,), image_size=4)


@pytest.fixture
def folder(tiny_zoo: Path, tmp_path: Path) -> Path:
    """A copy of the tiny zoo to damage."""
    return Path(shutil.copytree(tiny_zoo, tmp_path / "models"))


def edit_card(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / f"{NAME}.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    change(card)
    path.write_text(json.dumps(card), encoding="utf-8")


def assert_only_this_one_fails(folder: Path, match: str) -> str:
    """Loading gives one sentence, `problems` tells it too, and the other models answer."""
    zoo = Zoo(folder)
    with pytest.raises(ZooError, match=match) as caught:
        zoo.load(NAME)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert zoo.problems() == {NAME: sentence}
    x = torch.rand(2, 3, 32, 32)
    for name in OTHERS:
        assert zoo.load(name)(x).shape == (2, 10)
    return sentence


def test_a_loaded_model_is_the_saved_one_in_half_precision(tmp_path: Path) -> None:
    config = ModelConfig(widths=(8, 12), depths=(1, 1))
    model = lively_model(config)
    save_tiny_model(tmp_path, NAME, "Tiny", config)
    rounded = lively_model(config)
    for name, tensor in rounded.state_dict().items():
        if tensor.is_floating_point() and "running" not in name:
            tensor.copy_(tensor.half())
    x = torch.rand(4, 3, 32, 32)
    expected = rounded.freeze()(x, generator=make_generator(1))
    loaded = Zoo(tmp_path).load(NAME)
    assert torch.equal(loaded(x, generator=make_generator(1)), expected)
    assert not torch.equal(model.freeze()(x, generator=make_generator(1)), expected)


def test_a_loaded_model_is_frozen(tiny_zoo: Path) -> None:
    model = Zoo(tiny_zoo).load(NAME)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_files_hold_float16_weights_and_float32_statistics(tiny_zoo: Path) -> None:
    tensors = load_file(tiny_zoo / f"{NAME}.safetensors")
    statistics = {name for name in tensors if name.rpartition(".")[2].startswith("running_")}
    assert statistics
    for name, tensor in tensors.items():
        expected = torch.float32 if name in statistics else torch.float16
        assert tensor.dtype == expected, name


def test_statistics_outside_the_range_of_float16_survive(tmp_path: Path) -> None:
    model = lively_model(TINY)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor[0], tensor[1] = 1e-9, 1e6
    shipped = to_shipped_precision(model)
    (variance,) = (value for name, value in shipped.items() if name.endswith("running_var"))
    assert variance.tolist() == pytest.approx([1e-9, 1e6])


def test_a_model_is_loaded_once_for_all_threads(
    tiny_zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds = []
    together = threading.Barrier(8)
    build = zoo_module._build_model

    def counted(card: ModelCard, data: bytes) -> Any:
        builds.append(card.name)
        return build(card, data)

    monkeypatch.setattr(zoo_module, "_build_model", counted)
    zoo = Zoo(tiny_zoo)

    def load(index: int) -> Any:
        together.wait()
        return zoo.load(sorted(TINY_CONFIGS)[index % 2])

    with ThreadPoolExecutor(8) as pool:
        models = list(pool.map(load, range(8)))
    assert len({id(model) for model in models[::2]}) == 1
    assert len({id(model) for model in models[1::2]}) == 1
    assert sorted(builds) == sorted(TINY_CONFIGS)[:2]


def test_nothing_is_loaded_before_it_is_asked_for(folder: Path) -> None:
    zoo = Zoo(folder)
    (folder / f"{NAME}.safetensors").unlink()
    assert NAME in zoo.names()
    with pytest.raises(ZooError, match="missing"):
        zoo.load(NAME)


@pytest.mark.parametrize("position", [0, 9, 1000, -1])
def test_one_wrong_byte_is_noticed(folder: Path, position: int) -> None:
    path = folder / f"{NAME}.safetensors"
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    assert_only_this_one_fails(folder, "damaged")


@pytest.mark.parametrize("keep", [0, 1, 0.5])
def test_a_truncated_file(folder: Path, keep: float) -> None:
    path = folder / f"{NAME}.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * (len(data) - 1))])
    assert_only_this_one_fails(folder, "incomplete")


def test_a_missing_file_and_its_return(folder: Path) -> None:
    path = folder / f"{NAME}.safetensors"
    data = path.read_bytes()
    path.unlink()
    zoo = Zoo(folder)
    assert list(zoo.problems()) == [NAME]
    assert_only_this_one_fails(folder, "missing")
    path.write_bytes(data)
    zoo.load(NAME)
    assert zoo.problems() == {}


def test_a_folder_in_place_of_the_file(folder: Path) -> None:
    (folder / f"{NAME}.safetensors").unlink()
    (folder / f"{NAME}.safetensors").mkdir()
    assert_only_this_one_fails(folder, r"missing|incomplete|cannot be read")


def test_weights_without_a_card(folder: Path) -> None:
    (folder / f"{NAME}.json").unlink()
    assert_only_this_one_fails(folder, "no card")


@pytest.mark.parametrize(
    "text", ["", "{", "\x00", '{"schema": ', "[" * 100_000, "not JSON"], ids=range(6)
)
def test_a_card_that_is_not_json(folder: Path, text: str) -> None:
    (folder / f"{NAME}.json").write_text(text, encoding="utf-8")
    assert_only_this_one_fails(folder, "not valid JSON")


def test_a_card_that_is_not_text(folder: Path) -> None:
    (folder / f"{NAME}.json").write_bytes(b"\xff\xfe\xff")
    assert_only_this_one_fails(folder, "not valid JSON")


@pytest.mark.parametrize("text", ["null", "[]", "3", '"text"', "{}", '{"schema": "1"}'])
def test_json_that_is_no_card(folder: Path, text: str) -> None:
    (folder / f"{NAME}.json").write_text(text, encoding="utf-8")
    assert_only_this_one_fails(folder, "no model card")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda card: card.update(schema=3), "later version"),
        (lambda card: card.pop("label"), "missing or unknown"),
        (lambda card: card.update(surprise=1), "missing or unknown"),
        (lambda card: card.update(classes=3), "missing or unknown"),
        (lambda card: card.update(classes=list(range(10))), "not all names"),
        (
            lambda card: card.update(classes=[*"abcdefghi", "a"]),
            "classes are called 'a'",
        ),
        (lambda card: card.update(classes=["a", "b"]), "2 classes, its network has 10"),
        (lambda card: card.update(sha256="0"), "sha256"),
        (lambda card: card.update(sha256=None), "'sha256'"),
        (lambda card: card.update(size_bytes="many"), "'size_bytes'"),
        (lambda card: card.update(size_bytes=True), "'size_bytes'"),
        (lambda card: card.update(training=[]), "missing or unknown"),
        (lambda card: card["training"].update(epochs="six"), "'epochs'"),
        (lambda card: card["clean_accuracy"].update(value=1.5), "between 0 and 1"),
        (lambda card: card["clean_accuracy"].update(value=float("nan")), "between 0 and 1"),
        (lambda card: card["clean_accuracy"].update(n=0), "at least one image"),
        (lambda card: card["clean_accuracy"].update(lower="low"), "'lower'"),
        (lambda card: card["config"].update(network="transformer"), "Unknown network"),
        (lambda card: card["training"].update(recipe={"sigma_range": 5}), "two numbers"),
        (lambda card: card["training"].update(recipe={"sigma_range": [0, 1, 2]}), "two numbers"),
        (lambda card: card["config"].update(mean=[float("nan")] * 3), "finite numbers"),
        (lambda card: card["config"].update(wings=2), "Unknown configuration fields: wings"),
        (lambda card: card.update(config=None), "table of named values"),
        (lambda card: card.update(name="../tiny-rsc"), "letters, digits"),
        (lambda card: card.update(name="tiny-ann"), "another model"),
    ],
)
def test_a_card_with_wrong_fields(
    folder: Path, change: Callable[[dict[str, Any]], object], match: str
) -> None:
    edit_card(folder, change)
    assert NAME in assert_only_this_one_fails(folder, match)


@pytest.mark.parametrize("widths", [[8, 13], [8, 12, 12], [8]])
def test_weights_of_another_shape(folder: Path, widths: list[int]) -> None:
    edit_card(folder, lambda card: card["config"].update(widths=widths, depths=[1] * len(widths)))
    assert_only_this_one_fails(folder, "do not fit")


def test_a_variance_below_0(folder: Path) -> None:
    """It would make every answer nan."""
    path = folder / f"{NAME}.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("running_var"))
    save_file({**tensors, name: -tensors[name]}, path)
    data = path.read_bytes()
    facts = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    edit_card(folder, lambda card: card.update(facts))
    assert_only_this_one_fails(folder, "variance below 0")


def test_a_file_that_is_no_safetensors_though_its_sha256_fits(folder: Path) -> None:
    data = b"cos\nsystem\n(S'exit 1'\ntR."  # a pickle is never run, whatever its card says
    (folder / f"{NAME}.safetensors").write_bytes(data)
    facts = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    edit_card(folder, lambda card: card.update(facts))
    assert_only_this_one_fails(folder, "do not fit")


def test_a_file_with_a_tensor_less(folder: Path) -> None:
    path = folder / f"{NAME}.safetensors"
    tensors = load_file(path)
    tensors.popitem()
    data = save(tensors)
    path.write_bytes(data)
    facts = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    edit_card(folder, lambda card: card.update(facts))
    assert_only_this_one_fails(folder, "do not fit")


@pytest.mark.parametrize("name", ["../tiny-rsc", "/etc/passwd", "tiny-rsc/../tiny-ann", "", "a\0b"])
def test_a_name_cannot_leave_the_folder(tiny_zoo: Path, name: str) -> None:
    with pytest.raises(ZooError, match="no model called"):
        Zoo(tiny_zoo).load(name)
    with pytest.raises(ZooError, match="letters, digits"):
        check_name(name)
    with pytest.raises(ZooError, match="letters, digits"):
        save_tiny_model(tiny_zoo, name, "Escaped", TINY)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="no folder of models"):
        Zoo(tmp_path / "nowhere")


def test_the_environment_names_the_folder(tiny_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSC_SNN_ASSETS", str(tiny_zoo.parent))
    assert Zoo().folder == tiny_zoo
    monkeypatch.delenv("RSC_SNN_ASSETS")
    assert zoo_module.models_folder() == Path(zoo_module.__file__).parents[1] / "assets" / "models"


def test_saving_refuses_weights_that_float16_cannot_hold(tmp_path: Path) -> None:
    model = lively_model(TINY)
    next(model.parameters()).data.mul_(1e6)
    with pytest.raises(ZooError, match="not finite"):
        save_again(model, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_saving_refuses_a_frozen_model(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="do not fit"):
        save_again(lively_model(TINY).freeze(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ZooError, match="No space left"):
        save_tiny_model(folder, NAME, "Again", TINY)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def save_again(model: Any, folder: Path) -> None:
    """Save `model` under a card whose other fields do not matter."""
    save_tiny_model(folder / "other", NAME, "Tiny", TINY)
    card = Zoo(folder / "other").card(NAME)
    shutil.rmtree(folder / "other")
    zoo_module.save_model(
        model,
        folder=folder,
        **{
            field: getattr(card, field)
            for field in ("name", "label", "dataset", "classes", "training", "clean_accuracy")
        },
        limits="",
    )


CONFIGS = st.builds(
    lambda widths, depths, rest: ModelConfig(
        widths=tuple(widths), depths=tuple(depths[: len(widths)]), image_size=8, **rest
    ),
    widths=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    depths=st.lists(st.integers(1, 2), min_size=3, max_size=3),
    rest=st.fixed_dictionaries(
        {
            "network": st.sampled_from(["vgg", "ms_resnet18"]),
            "neuron": st.sampled_from(["lif", "relu"]),
            "coding": st.sampled_from(["direct", "poisson", "rsc"]),
            "sigma": st.floats(0, 1),
            "time_steps": st.integers(1, 3),
        }
    ),
)


@given(config=CONFIGS, label=st.text(max_size=20))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, config: Any, label: str) -> None:
    folder = tmp_path_factory.mktemp("round")
    save_tiny_model(folder, "some-Name_1", label.encode("utf-8", "ignore").decode(), config)
    zoo = Zoo(folder)
    card = zoo.card("some-Name_1")
    assert card.config == config
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json()))) == card
    model = zoo.load("some-Name_1")
    x = torch.rand(2, 3, 8, 8)
    unfused = lively_model(config)
    unfused.load_state_dict(
        {**unfused.state_dict(), **load_file(folder / "some-Name_1.safetensors")}
    )
    expected = unfused.freeze()(x, generator=make_generator(2))
    assert torch.equal(model(x, generator=make_generator(2)), expected)


@given(damage=st.binary(max_size=60), at=st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_any_damage_to_a_card_is_a_sentence_or_harmless(
    tiny_zoo: Path, tmp_path_factory: pytest.TempPathFactory, damage: bytes, at: int
) -> None:
    text = (tiny_zoo / f"{NAME}.json").read_bytes()
    folder = tmp_path_factory.mktemp("damaged")
    (folder / f"{NAME}.json").write_bytes(text[:at] + damage + text[at + len(damage) :])
    zoo = Zoo(folder)
    assert set(zoo.problems()) == {NAME}  # if only because its weights are not there


@pytest.mark.parametrize(
    ("recipe", "expected"), [({}, (0.2, 0.2)), ({"sigma_range": [0.0, 0.4]}, (0.0, 0.4))]
)
def test_the_card_knows_the_noise_of_the_training(
    tiny_zoo: Path, recipe: dict[str, Any], expected: tuple[float, float]
) -> None:
    card = Zoo(tiny_zoo).card("tiny-rsc")
    assert card.training is not None
    assert replace(card, training=replace(card.training, recipe=recipe)).trained_sigmas == expected
    assert replace(card, training=None).trained_sigmas is None
    assert Zoo(tiny_zoo).card("tiny-poisson").trained_sigmas is None


def test_the_training_curve(folder: Path) -> None:
    zoo = Zoo(folder)
    assert zoo.curve(NAME) == []
    path = folder / f"{NAME}.csv"
    path.write_text("epoch,train_loss,validation_accuracy\n1,2.5,\n2,1.5,0.4\n", encoding="utf-8")
    assert zoo.curve(NAME) == [
        {"epoch": 1, "train_loss": 2.5},
        {"epoch": 2, "train_loss": 1.5, "validation_accuracy": 0.4},
    ]
    for damage in (b"epoch\none\n", b"epoch\n1,2,3\n", b"epoch\n\xff\n"):
        path.write_bytes(damage)
        with pytest.raises(ZooError, match="training curve"):
            zoo.curve(NAME)


def test_the_table_holds_what_the_cards_say(tiny_zoo: Path) -> None:
    zoo = Zoo(tiny_zoo)
    card = zoo.card(NAME)
    measured = stated(card.clean_accuracy)
    accuracy = replace(measured, value=0.7251, lower=0.7124, upper=0.7374, n=5000, draws=4)
    table = cards_markdown([replace(card, clean_accuracy=accuracy), zoo.card("tiny-ann")])
    head, rule, rsc, ann = table.splitlines()
    assert head.count("|") == rule.count("|") == rsc.count("|") == ann.count("|")
    assert "72.5% (71.2% to 73.7%)" in rsc
    assert "5,000 test images of cifar10, 4 noise draws each" in rsc
    assert "10 test images of cifar10 |" in ann
    assert "rsc, sigma 0.2" in rsc
    assert "vgg ANN | direct | 1" in ann


def test_command_verify(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "verify", "--folder", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{name}: ok" for name in sorted(TINY_CONFIGS)]
    path = folder / f"{NAME}.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["zoo", "verify", "--folder", str(folder)]) == 2
    output = capsys.readouterr()
    assert output.out.splitlines() == [f"{name}: ok" for name in OTHERS]
    assert output.err.startswith(f"{NAME}: The weights of {NAME} are incomplete")
    assert main(["zoo", "verify", "--folder", str(folder), *OTHERS]) == 0


def test_command_list_and_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "table", "--folder", str(folder)]) == 0
    zoo = Zoo(folder)
    assert capsys.readouterr().out == cards_markdown(zoo.card(name) for name in zoo.names())
    (folder / f"{NAME}.json").write_text("{", encoding="utf-8")
    assert main(["zoo", "list", "--folder", str(folder)]) == 0
    output = capsys.readouterr()
    assert [line.split()[0] for line in output.out.splitlines()] == OTHERS
    assert "10.0% clean (0.0% to 50.0%, n=10)  direct, T=1" in output.out.splitlines()[0]
    assert "not valid JSON" in output.err
    assert main(["zoo", "table", "--folder", str(folder)]) == 2


def test_commands_on_folders_without_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert main(["zoo", "verify", "--folder", str(folder)]) == 2
        assert capsys.readouterr().err.startswith("rsc-snn: error: There ")
