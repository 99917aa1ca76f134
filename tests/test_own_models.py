"""Models of one's own: minimal cards, several folders, and what is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from rsc_snn import zoo as zoo_module
from rsc_snn.classifier import ModelConfig
from rsc_snn.cli import main
from rsc_snn.errors import ZooError
from rsc_snn.randomness import make_generator
from rsc_snn.robustness.report import set_up
from rsc_snn.zoo import OwnCard, Zoo, cards_markdown, named_zoo, own_folders, zoo_folders
from tests.conftest import CIFAR10, TINY_CONFIGS, lively_model

CONFIG = ModelConfig(widths=(6, 8), depths=(1, 1), sigma=0.1)
GUIDE = Path(__file__).parents[1] / "docs" / "own-models.md"


def write_model(folder: Path, name: str = "mine", **fields: Any) -> Path:
    """A float32 model with a minimal card; a field that is None is left out."""
    folder.mkdir(exist_ok=True)
    weights = {key: value.contiguous() for key, value in lively_model(CONFIG).state_dict().items()}
    save_file(weights, folder / f"{name}.safetensors")
    card = {"dataset": "cifar10", "classes": list(CIFAR10), "config": CONFIG.to_json()} | fields
    text = json.dumps({key: value for key, value in card.items() if value is not None})
    (folder / f"{name}.json").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RSC_SNN_ZOO", raising=False)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return write_model(tmp_path / "own")


def refusal(tiny_zoo: Path, folder: Path, name: str = "mine") -> str:
    """The sentence with which `name` is refused, while the shipped models go on working."""
    zoo = Zoo(tiny_zoo, [folder])
    with pytest.raises(ZooError) as caught:
        zoo.load(name)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    assert sentence in zoo.problems().values()
    assert zoo.load("tiny-ann")(torch.rand(1, 3, 32, 32)).shape == (1, 10)
    return sentence


@pytest.mark.parametrize("command", ["list", "verify", "table"])
def test_a_folder_that_is_named_may_hold_minimal_cards(
    own: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main(["zoo", command, "--folder", str(own)]) == 0
    output = capsys.readouterr()
    assert "mine" in output.out and not output.err


def test_a_minimal_card_states_what_it_says_and_nothing_more(tiny_zoo: Path, own: Path) -> None:
    zoo = Zoo(tiny_zoo, [own])
    assert zoo.names() == (*sorted(TINY_CONFIGS), "mine")
    assert zoo.problems() == {}
    card = zoo.card("mine")
    assert (card.label, card.dataset, card.classes) == ("mine", "cifar10", CIFAR10)
    assert card.config == CONFIG
    assert (card.clean_accuracy, card.training, card.float32_accuracy) == (None, None, None)
    assert (card.limits, card.adversarial, card.recipe, card.class_accuracy) == ("", "", {}, ())
    assert card.size_bytes == (own / "mine.safetensors").stat().st_size
    assert zoo.curve("mine") == []
    assert OwnCard.from_json(json.loads(json.dumps(card.to_json()))) == card
    assert set_up(card) == "vgg 6-8, RSC, sigma 0.1, T = 4, training not stated"


def test_its_weights_keep_their_precision(tiny_zoo: Path, own: Path) -> None:
    x = torch.rand(3, 3, 32, 32)
    expected = lively_model(CONFIG).freeze()(x, generator=make_generator(1))
    found = Zoo(tiny_zoo, [own]).load("mine")(x, generator=make_generator(1))
    assert torch.equal(found, expected)


def test_folders_and_their_origins(tiny_zoo: Path, own: Path, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other", "yours", label="Yours")
    zoo = Zoo(tiny_zoo, [own, other])
    assert zoo.origin("tiny-ann") == tiny_zoo and not zoo.is_own("tiny-ann")
    assert zoo.origin("mine") == own and zoo.is_own("mine")
    assert zoo.origin("yours") == other and zoo.is_own("yours")
    assert zoo.card("yours").label == "Yours"
    assert not zoo.is_own("nobody")
    with pytest.raises(ZooError, match="no model called"):
        zoo.origin("nobody")
    assert Zoo(tiny_zoo, [tiny_zoo]).problems() == {}


def test_a_full_card_works_too(tiny_zoo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    shutil.copy(tiny_zoo / "tiny-rsc.safetensors", folder / "again.safetensors")
    card = json.loads((tiny_zoo / "tiny-rsc.json").read_text(encoding="utf-8"))
    (folder / "again.json").write_text(json.dumps(card | {"name": "again"}), encoding="utf-8")
    (folder / "again.csv").write_text("epoch\n1\n", encoding="utf-8")
    zoo = Zoo(tiny_zoo, [folder])
    assert zoo.card("again").clean_accuracy == zoo.card("tiny-rsc").clean_accuracy
    assert zoo.curve("again") == [{"epoch": 1.0}]
    zoo.load("again")


def test_a_name_that_is_taken(tiny_zoo: Path, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "own", "tiny-rsc")
    zoo = Zoo(tiny_zoo, [folder])
    (sentence,) = zoo.problems().values()
    assert "tiny-rsc" in sentence and str(folder) in sentence and "left out" in sentence
    assert "tiny-rsc" not in zoo.problems(), "the shipped one has no problem"
    assert zoo.load("tiny-rsc").config == zoo.card("tiny-rsc").config != CONFIG
    assert zoo.origin("tiny-rsc") == tiny_zoo


def test_shipped_models_need_a_full_card(own: Path) -> None:
    assert "no model card" in Zoo(own).problems()["mine"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dataset": None}, "does not state 'dataset'"),
        ({"classes": None}, "does not state 'classes'"),
        ({"config": None}, "does not state 'config'"),
        ({"accuracy": 0.99}, "a field 'accuracy'"),
        ({"classes": "ten"}, "no list of names"),
        ({"classes": [1] * 10}, "no list of names"),
        ({"classes": ["cat"]}, "names 1 classes, its network has 10"),
        ({"label": 3}, "'label'"),
        ({"dataset": 3}, "'dataset'"),
        ({"sha256": "abc"}, "64 hexadecimal"),
        ({"config": {"network": "transformer"}}, "Unknown network"),
        ({"config": {"wings": 2}}, "wings"),
        ({"config": 3}, "table of named values"),
        ({"schema": 1}, "missing or unknown"),
        ({"limits": "x" * 2**20}, "larger than"),
    ],
)
def test_cards_that_cannot_be_used(
    tiny_zoo: Path, tmp_path: Path, fields: dict[str, Any], words: str
) -> None:
    assert words in refusal(tiny_zoo, write_model(tmp_path / "own", **fields))


def test_a_name_that_is_no_plain_one(tiny_zoo: Path, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "own", "my model")
    assert "letters, digits" in refusal(tiny_zoo, folder, "my model")


def test_a_stated_sha256_must_be_that_of_the_weights(tiny_zoo: Path, own: Path) -> None:
    stated = Zoo(tiny_zoo, [own]).card("mine").sha256
    write_model(own, sha256=stated)
    Zoo(tiny_zoo, [own]).load("mine")
    write_model(own, sha256="0" * 64)
    assert "damaged" in refusal(tiny_zoo, own)


def test_weights_that_change_after_the_folder_was_read(tiny_zoo: Path, own: Path) -> None:
    zoo = Zoo(tiny_zoo, [own])
    path = own / "mine.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ZooError, match="damaged"):
        zoo.load("mine")
    Zoo(tiny_zoo, [own]).load("mine")


def test_results_belong_to_the_weights_and_the_network_of_the_card(
    tiny_zoo: Path, own: Path
) -> None:
    def identity(**fields: Any) -> str:
        write_model(own, **fields)
        return Zoo(tiny_zoo, [own]).card("mine").identity

    def network(**changes: Any) -> dict[str, Any]:
        return CONFIG.to_json() | changes

    first = identity()
    others = {
        identity(config=network(lif={**network()["lif"], "threshold": 2.0})),
        identity(config=network(mean=[0.4, 0.5, 0.5])),
        identity(config=network(time_steps=8)),
    }
    assert len(others | {first}) == 4
    assert identity(label="Another name", limits="None.") == first
    change_tensors(own, lambda tensors: tensors["backbone.readout.linear.bias"].add_(1))
    assert Zoo(tiny_zoo, [own]).card("mine").identity not in {first, *others}


def test_of_a_model_that_ships_the_weights_alone_count(tiny_zoo: Path) -> None:
    zoo, person = Zoo(tiny_zoo), named_zoo(tiny_zoo)
    assert zoo.card("tiny-rsc").identity == zoo.card("tiny-rsc").sha256
    assert person.card("tiny-rsc").identity != zoo.card("tiny-rsc").sha256
    assert person.is_own("tiny-rsc") and not zoo.is_own("tiny-rsc")
    assert not person.is_own("nobody")


def test_a_full_card_of_an_own_folder_counts_whole(
    tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSC_SNN_ASSETS", str(tmp_path))
    shutil.copytree(tiny_zoo, tmp_path / "models")
    assert not named_zoo(tmp_path / "models").is_own("tiny-rsc")
    folder = tmp_path / "own"
    shutil.copytree(tiny_zoo, folder)
    before = named_zoo(folder).card("tiny-rsc").identity
    set_threshold(folder / "tiny-rsc.json", 2.0)
    assert named_zoo(folder).card("tiny-rsc").identity != before


def set_threshold(path: Path, threshold: float) -> None:
    """Edit a card: the same weights in a network of another threshold."""
    card = json.loads(path.read_text(encoding="utf-8"))
    card["config"]["lif"]["threshold"] = threshold
    path.write_text(json.dumps(card), encoding="utf-8")


def test_missing_and_lonely_files(tiny_zoo: Path, own: Path) -> None:
    (own / "mine.safetensors").rename(own / "lonely.safetensors")
    assert "missing" in refusal(tiny_zoo, own)
    assert "no card" in refusal(tiny_zoo, own, "lonely")


def test_weights_that_are_too_large(
    tiny_zoo: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (own / "mine.safetensors").stat().st_size
    limit = max(path.stat().st_size for path in tiny_zoo.iterdir())
    assert limit < size - 1
    monkeypatch.setattr(zoo_module, "MAX_WEIGHTS_BYTES", size - 1)
    assert "larger than" in refusal(tiny_zoo, own)


def change_tensors(folder: Path, change: Any) -> None:
    tensors = load_file(folder / "mine.safetensors")
    change(tensors)
    save_file(tensors, folder / "mine.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(tiny_zoo: Path, own: Path, value: float) -> None:
    change_tensors(own, lambda tensors: tensors["backbone.readout.linear.bias"].fill_(value))
    assert "not finite: backbone.readout.linear.bias" in refusal(tiny_zoo, own)


def test_tensors_of_another_network(tiny_zoo: Path, own: Path) -> None:
    bias = "backbone.readout.linear.bias"
    change_tensors(own, lambda tensors: tensors.pop(bias))
    assert f"{bias} is missing" in refusal(tiny_zoo, own)
    change_tensors(own, lambda tensors: tensors.update({bias: torch.zeros(11)}))
    assert f"{bias} has shape [11], not [10]" in refusal(tiny_zoo, own)
    change_tensors(own, lambda tensors: tensors.update({bias: torch.zeros(10), "x": torch.ones(1)}))
    assert "x is not part of it" in refusal(tiny_zoo, own)


@pytest.mark.parametrize("sizes", [{"widths": [10**7, 10**7]}, {"depths": [10**7, 10**7]}])
def test_a_card_that_asks_for_a_huge_network(
    tiny_zoo: Path, tmp_path: Path, sizes: dict[str, Any]
) -> None:
    folder = write_model(tmp_path / "own", config=CONFIG.to_json() | sizes)
    assert "do not fit" in refusal(tiny_zoo, folder)


def test_a_card_that_asks_for_a_huge_picture(tiny_zoo: Path, tmp_path: Path) -> None:
    for size in (100_000, 10**30):
        folder = write_model(
            tmp_path / f"{len(str(size))}", config=CONFIG.to_json() | {"image_size": size}
        )
        assert "image_size must hold whole numbers up to 1,024" in refusal(tiny_zoo, folder)
    folder = write_model(tmp_path / "wide", config=CONFIG.to_json() | {"widths": [10**30, 8]})
    assert "widths must hold whole numbers up to" in refusal(tiny_zoo, folder)


def test_half_a_character_is_no_text(tiny_zoo: Path, tmp_path: Path) -> None:
    """JSON can hold it, and no browser or terminal can be sent it."""
    folder = write_model(tmp_path / "own", label="\ud800")
    assert "Its field 'label' is not valid" in refusal(tiny_zoo, folder)
    two = write_model(tmp_path / "two", label="naïve 神経")
    assert Zoo(tiny_zoo, [two]).card("mine").label == "naïve 神経"


def test_a_folder_that_cannot_be_read_is_no_empty_one(
    tiny_zoo: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Path.iterdir

    def refuse(path: Path) -> Any:
        if path == own:
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ZooError, match=r"own cannot be read\.$"):
        Zoo(tiny_zoo, [own])


def test_a_pickle_is_never_run(tiny_zoo: Path, own: Path, tmp_path: Path) -> None:
    witness = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> Any:
            return witness.touch, ()

    torch.save({"weights": Bomb()}, own / "mine.safetensors")
    assert "do not fit" in refusal(tiny_zoo, own)
    assert not witness.exists()


class TestFolders:
    def test_variable_first_then_options_each_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a, b, c = (tmp_path / name for name in "abc")
        for folder in (a, b, c, tmp_path / "x"):
            folder.mkdir()
        assert zoo_folders([]) == own_folders() == ()
        monkeypatch.setenv("RSC_SNN_ZOO", os.pathsep.join([str(a), "", str(b)]))
        assert own_folders() == (a, b)
        assert own_folders([c, tmp_path / "x" / ".." / "a"]) == (a, b, c)
        assert zoo_folders(["--zoo", str(c), "--other", f"--zoo={b}", "word"]) == (a, b, c)

    def test_mistakes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ZooError, match="no folder of own models at nowhere"):
            zoo_folders(["--zoo", "nowhere"])
        with pytest.raises(ZooError, match="--zoo needs a folder"):
            zoo_folders(["--zoo"])
        monkeypatch.setenv("RSC_SNN_ZOO", str(tmp_path / "gone"))
        with pytest.raises(ZooError, match="no folder of own models"):
            own_folders()


def test_tables_say_what_is_not_stated(
    tiny_zoo: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, _, row = cards_markdown([Zoo(tiny_zoo, [own]).card("mine")]).splitlines()
    assert row.count("|") == head.count("|")
    assert row.count("not stated") == 3
    arguments = ["--folder", str(tiny_zoo), "--zoo", str(own)]
    assert main(["zoo", "list", *arguments]) == 0
    assert "clean accuracy not stated  rsc sigma 0.1, T=4" in capsys.readouterr().out
    assert main(["zoo", "verify", *arguments]) == 0
    assert "mine: ok" in capsys.readouterr().out


def test_the_guide_works_as_it_is_written(
    tiny_zoo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    text = GUIDE.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, GUIDE.name, "exec"), {})
    (block,) = re.findall(r"```\n(python -m rsc_snn.*?)```", text, re.DOTALL)
    commands = re.findall(r"python -m rsc_snn (.*)", block)
    assert len(commands) == 2
    for command in commands:
        assert main([*command.split(), *(["--json"] if "attack" in command else [])]) == 0
    verified, attacked = capsys.readouterr().out.splitlines()
    assert verified == "my-snn: ok"
    assert json.loads(attacked)["model"] == "my-snn"
    assert main(["evaluate", "--zoo", "my-models", "--model", "nobody", "--data", "x"]) == 2
    assert "no model called 'nobody'" in capsys.readouterr().err
    assert zoo_folders(["--zoo", "my-models"]) == (Path("my-models"),)
