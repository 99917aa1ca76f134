"""Scenes: what a file may hold, what it stands for, and that its replay gives the app's numbers."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rsc_snn.attacks import ATTACKS, ParameterSpec, run_attack
from rsc_snn.classifier import ModelConfig
from rsc_snn.data.gallery import gallery_image
from rsc_snn.data.uploads import decode_image
from rsc_snn.errors import Cancelled, SceneError
from rsc_snn.outcome import AttackRequest, ImageChoice, attack_image, judge
from rsc_snn.paint import encode_paint
from rsc_snn.randomness import derive_seed, make_generator
from rsc_snn.scene import (
    MAX_BYTES,
    Environment,
    ModelResult,
    Scene,
    SceneFile,
    conditions,
    cpu_threads,
    differences,
    embed_image,
    load_scene,
    model_result,
    read_scene,
    replay,
    requests,
    scene_of,
)
from rsc_snn.zoo import Zoo
from tests.app_assets import make_assets
from tests.conftest import save_tiny_model

ALL = ("tiny-rsc", "tiny-ann", "tiny-poisson")
CAT = "cifar10/cat-3"


@pytest.fixture(scope="module", autouse=True)
def zoo(tiny_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    """The tiny models, one of smaller images, and the gallery of drawn pictures."""
    folder = make_assets(tiny_zoo, tmp_path_factory.mktemp("scene") / "assets")
    config = ModelConfig(widths=(8, 12), depths=(1, 1), image_size=16, sigma=0.1)
    save_tiny_model(folder / "models", "tiny-small", "Tiny RSC-SNN of 16 pixels", config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RSC_SNN_ASSETS", str(folder))
        yield Zoo(folder / "models")


def scene(**changes: Any) -> Scene:
    values: dict[str, Any] = {
        "models": ("tiny-rsc",),
        "image": CAT,
        "attack": "pgd",
        "parameters": (("steps", 2),),
        "draws": 5,
        "seed": 11,
    }
    return Scene(**{**values, **changes})


def upload(size: int = 32) -> torch.Tensor:
    """A photograph that had to be cropped and resized, `[1, 3, size, size]`."""
    picture = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG")
    return decode_image(content.getvalue(), size).pixels


def stripes(size: int = 32) -> np.ndarray[Any, np.dtype[np.int8]]:
    """A painted pattern that lightens some columns and darkens others."""
    pattern = np.zeros((size, size), np.int8)
    pattern[:, 3:9], pattern[4:20, 12:20] = 1, -1
    return pattern


PAINT: dict[str, Any] = {"paint": encode_paint(stripes()), "paint_epsilon": 24.5}


def text_of(**changes: Any) -> bytes:
    """The file of `scene()` with fields changed; a field set to ... is left out."""
    values = {**scene().to_json(), **changes}
    return json.dumps({name: item for name, item in values.items() if item is not ...}).encode()


# --- Files ---------------------------------------------------------------------------------------


def value_of(spec: ParameterSpec) -> st.SearchStrategy[Any]:
    if spec.kind == "bool":
        return st.booleans()
    if spec.kind == "choice":
        return st.sampled_from(spec.choices)
    assert spec.minimum is not None and spec.maximum is not None
    if spec.kind == "int":
        return st.integers(int(spec.minimum), int(spec.maximum))
    return st.floats(spec.minimum, spec.maximum)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    spec = draw(st.sampled_from(list(ATTACKS.values())))
    given = draw(st.sets(st.sampled_from([item.name for item in spec.parameters])))
    own = draw(st.booleans())
    painted = draw(st.booleans())
    return Scene(
        models=tuple(draw(st.lists(st.sampled_from(ALL), min_size=1, max_size=3, unique=True))),
        attack=spec.name,
        image=None if own else CAT,
        image_png=embed_image(upload()) if own else None,
        true_class=draw(st.none() | st.text(min_size=1, max_size=20)),
        parameters=tuple(
            (item.name, draw(value_of(item))) for item in spec.parameters if item.name in given
        ),
        sigma=draw(st.none() | st.floats(0, 1)),
        time_steps=draw(st.none() | st.integers(1, 64)),
        draws=draw(st.integers(1, 1024)),
        seed=draw(st.integers(0, 2**63 - 1)),
        paint=draw(st.text(min_size=1, max_size=40)) if painted else None,
        paint_epsilon=draw(st.floats(0, 255)) if painted else None,
    )


@settings(max_examples=50, deadline=None)
@given(scenes())
def test_a_file_gives_the_scene_back(wanted: Scene) -> None:
    text = json.dumps(SceneFile(wanted).to_json())
    assert read_scene(text.encode()) == SceneFile(wanted)
    assert hash(wanted) == hash(read_scene(text.encode()).scene)


def test_a_scene_by_hand_needs_little() -> None:
    text = '{"schema": 1, "models": ["tiny-ann"], "image": "cifar10/0", "attack": "eot-pgd"}'
    found = read_scene(b"\xef\xbb\xbf" + text.encode()).scene
    assert found.attack == "eot_pgd"
    assert dict(found.parameters) == {
        item.name: item.default for item in ATTACKS["eot_pgd"].parameters
    }
    assert (found.sigma, found.time_steps, found.draws, found.seed) == (None, None, 8, 0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe\0", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "must be a table"),
        (b"{}", "lacks the schema number"),
        (b'{"schema": 1}', "lacks a field"),
        (b'{"schema": 1, "schema": 1}', "names a field twice"),
        (b'{"schema": NaN}', "cannot hold the number NaN"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "number of 5000 digits"),
        (b" " * (MAX_BYTES + 1), "at most 4 MB"),
        (text_of(schema=...), "lacks the schema number"),
        (text_of(schema="1"), "lacks the schema number"),
        (text_of(schema=True), "lacks the schema number"),
        (text_of(schema=2), "later version"),
        (text_of(colour="red"), "no field 'colour'"),
        (text_of(models="tiny-rsc"), "list of one to 3 models"),
        (text_of(models=[]), "list of one to 3 models"),
        (text_of(models=["a", "b", "c", "d"]), "list of one to 3 models"),
        (text_of(models=["a", "a"]), "twice"),
        (text_of(models=[3]), "'models' of a scene must be a text"),
        (text_of(models=["../secret"]), "may hold letters"),
        (text_of(attack="magic"), "Unknown attack 'magic'"),
        (text_of(attack=["pgd"]), "'attack' of a scene must be a text"),
        (text_of(attack="x" * 999), "1 to 200 characters"),
        (text_of(parameters=[1]), "table of named values"),
        (text_of(parameters={"speed": 3}), "PGD has no parameter 'speed'"),
        (text_of(parameters={"steps": 2.5}), "Steps must be a whole number"),
        (text_of(parameters={"epsilon": 900}), "Epsilon must be between 0 and 64/255"),
        (text_of(parameters={"epsilon": [8]}), "'epsilon' of a scene must be one value"),
        (text_of(parameters={"epsilon": "x" * 999}), "1 to 200 characters"),
        (text_of(image=None), "either a photograph"),
        (text_of(image_png="aaaa"), "either a photograph"),
        (text_of(image="cat"), "such as 'cifar10/cat-3'"),
        (text_of(image='a/b"""\nimport os'), "such as 'cifar10/cat-3'"),
        (text_of(image=None, image_png="a b"), "not valid base64"),
        (text_of(image=None, image_png="\u00e9"), "not valid base64"),
        (text_of(image=None, image_png=base64.b64encode(b"GIF89a").decode()), "no PNG"),
        (text_of(image=None, image_png=7), "'image_png' of a scene must be a text"),
        (text_of(true_class=3), "'true_class' of a scene must be a text"),
        (text_of(sigma=1.5), "'sigma' of a scene must be a number from 0 to 1"),
        (text_of(sigma=True), "'sigma' of a scene must be a number"),
        (text_of(time_steps=0), "'time_steps' of a scene must be a whole number from 1 to 64"),
        (text_of(time_steps=4.0), "'time_steps' of a scene must be a whole number"),
        (text_of(draws=1025), "'draws' of a scene must be a whole number from 1 to 1024"),
        (text_of(seed=-1), "'seed' of a scene must be a whole number from 0"),
        (text_of(seed=None), "'seed' of a scene must be a whole number"),
        (text_of(paint="abc"), "needs its paint_epsilon"),
        (text_of(paint="x" * 200_000, paint_epsilon=8), "'paint' of a scene must have"),
        (text_of(paint_epsilon=-1), "'paint_epsilon' of a scene must be a number from 0 to 255"),
        (text_of(results={}), "results of a scene are a list"),
        (text_of(results=[{}] * 4), "list of at most 3"),
        (text_of(results=[3]), "A result must be a table"),
        (text_of(results=[{}]), "A result lacks a field"),
        (text_of(environment="here"), "The environment must be a table"),
        (text_of(environment={"processor": "x"}), "The environment lacks a field"),
        (text_of(environment={"processor": "x", "versions": {"a": 1}}), "must be a text"),
    ],
)  # fmt: skip
def test_bad_files_are_one_sentence(text: bytes, sentence: str) -> None:
    with pytest.raises(SceneError) as caught:
        read_scene(text)
    message = str(caught.value)
    assert sentence in message
    assert message.endswith(".") and "\n" not in message and len(message) < 320


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
field_names = st.sampled_from([*(item.name for item in dataclasses.fields(Scene)), "schema",
                               "results", "environment"])  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(field_names, json_values, min_size=1, max_size=3))
def test_any_json_is_a_scene_or_a_sentence(changes: dict[str, Any]) -> None:
    try:
        found = read_scene(json.dumps({**scene().to_json(), **changes}).encode())
    except SceneError as error:
        assert "\n" not in str(error)
    else:
        assert read_scene(json.dumps(found.to_json()).encode()) == found


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(MAX_BYTES + 1))
    for path in (tmp_path / "missing", tmp_path, Path("a\0b")):
        with pytest.raises(SceneError, match="cannot be read"):
            load_scene(path)
    with pytest.raises(SceneError, match="at most 4 MB"):
        load_scene(tmp_path / "large")


# --- What a scene stands for ---------------------------------------------------------------------


def test_requests_are_what_the_scene_says(zoo: Zoo) -> None:
    wanted = scene(models=ALL, sigma=0.3, time_steps=3)
    found = requests(wanted, zoo)
    assert [item.model for item in found] == list(ALL)
    assert [item.sha256 for item in found] == [zoo.card(name).identity for name in ALL]
    assert [item.sigma for item in found] == [0.3, None, None], "only RSC has a sigma"
    assert [item.time_steps for item in found] == [3, None, 3], "an ANN has no time"
    for item in found:
        assert dict(item.parameters)["steps"] == 2
        assert (item.attack, item.draws, item.seed) == ("pgd", 5, 11)
        assert (item.image.digest, item.image.label) == (CAT, 3)
        assert torch.equal(item.image.pixels, gallery_image(CAT).pixels(32))


def test_each_model_gets_the_image_in_its_size(zoo: Zoo) -> None:
    for own in (False, True):
        image = {"image": None, "image_png": embed_image(upload())} if own else {}
        large, small = requests(scene(models=("tiny-rsc", "tiny-small"), **image), zoo)
        assert small.image.pixels.shape == (1, 3, 16, 16)
        assert large.image.digest == small.image.digest
        bytes_of = (large.image.pixels[0] * 255).byte().permute(1, 2, 0).numpy()
        resized = Image.fromarray(bytes_of).resize((16, 16), Image.Resampling.LANCZOS)
        expected = torch.from_numpy(np.array(resized)).permute(2, 0, 1) / 255
        assert torch.equal(small.image.pixels[0], expected)


@pytest.mark.parametrize("size", [16, 32, 45])
def test_an_upload_is_embedded_exactly(size: int, zoo: Zoo) -> None:
    pixels = upload(size)
    content = base64.b64decode(embed_image(pixels))
    assert torch.equal(decode_image(content, size).pixels, pixels)
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("PNG", (size, size))


def test_only_pixels_of_8_bits_can_be_embedded() -> None:
    for pixels in (upload() + 0.001, upload()[:, :1], upload()[0]):
        with pytest.raises(SceneError, match="8 bits"):
            embed_image(pixels)


def test_the_true_class(zoo: Zoo) -> None:
    photograph = {"image": None, "image_png": embed_image(upload())}
    assert requests(scene(true_class="frog"), zoo)[0].image.label == 6
    assert requests(scene(true_class="frog", **photograph), zoo)[0].image.label == 6
    assert requests(scene(**photograph), zoo)[0].image.label is None
    with pytest.raises(SceneError, match="has no class 'unicorn'; it has airplane"):
        requests(scene(true_class="unicorn"), zoo)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"models": ("huge",)}, "no model called 'huge'"),
        ({"image": "cifar10/cat-4"}, "no image 'cifar10/cat-4'"),
        ({"image": None, "image_png": "iVBORw0KGgo="}, "PNG image is damaged"),
        ({"paint": "AAAA", "paint_epsilon": 8}, "painted pattern is damaged"),
        ({"models": ("tiny-small",), **PAINT}, "does not fit a photograph of 16 × 16 pixels"),
    ],
)
def test_scenes_of_what_is_not_there(changes: dict[str, Any], sentence: str, zoo: Zoo) -> None:
    with pytest.raises(SceneError, match=sentence):
        requests(scene(**changes), zoo)


@pytest.mark.parametrize(
    "wanted",
    [
        scene(models=ALL, sigma=0.3, time_steps=3),
        scene(models=("tiny-ann",)),
        scene(models=("tiny-rsc", "tiny-small")),
        scene(image=None, image_png=embed_image(upload()), true_class="dog", attack="cw",
              parameters=()),
        scene(image=None, image_png=embed_image(upload())),
    ],
)  # fmt: skip
def test_the_scene_of_requests_is_the_scene(wanted: Scene, zoo: Zoo) -> None:
    found = scene_of(requests(wanted, zoo), zoo)
    assert replace(found, true_class=wanted.true_class) == wanted
    assert requests(found, zoo) == requests(wanted, zoo)


def test_a_painted_change_is_in_the_scene_of_requests(zoo: Zoo) -> None:
    wanted = scene(models=("tiny-rsc", "tiny-ann"), **PAINT)
    plain = requests(scene(models=("tiny-rsc", "tiny-ann")), zoo)
    assert requests(wanted, zoo) == plain, "the attack does not see it"
    found = scene_of(plain, zoo, **PAINT)
    assert replace(found, true_class=None) == wanted
    with pytest.raises(SceneError, match="does not fit a photograph of 16 × 16 pixels"):
        scene_of(requests(scene(models=("tiny-rsc", "tiny-small")), zoo), zoo, **PAINT)


def test_each_model_at_its_own_sigma(zoo: Zoo) -> None:
    first, second = requests(scene(models=("tiny-rsc", "tiny-small")), zoo)
    own = [replace(first, sigma=0.2), replace(second, sigma=0.1)]
    assert scene_of(own, zoo).sigma is None
    assert scene_of([replace(item, sigma=0.2) for item in own], zoo).sigma == 0.2
    with pytest.raises(SceneError, match="must share sigma, or each run at its own"):
        scene_of([replace(first, sigma=0.3), own[1]], zoo)
    with pytest.raises(SceneError, match="must share image, attack, draws and seed"):
        scene_of([first, replace(second, seed=3)], zoo)


def test_a_scene_must_have_the_pixels_of_its_requests(zoo: Zoo) -> None:
    first, second = requests(scene(models=("tiny-rsc", "tiny-small")), zoo)
    for pixels in (first.image.pixels, 1 - second.image.pixels):
        other = replace(second, image=replace(second.image, pixels=pixels))
        with pytest.raises(SceneError, match="image for tiny-small is not the scene's"):
            scene_of([first, other], zoo)


# --- Replay --------------------------------------------------------------------------------------


def test_replaying_gives_the_numbers_of_the_app(zoo: Zoo) -> None:
    found = replay(scene(models=ALL, sigma=0.3, time_steps=3), zoo)
    for name, result in zip(ALL, found, strict=True):
        card, model = zoo.card(name), zoo.load(name)
        dials: dict[str, Any] = {
            "sigma": 0.3 if card.config.coding == "rsc" else None,
            "time_steps": 3 if card.config.neuron == "lif" else None,
        }
        pixels, label = gallery_image(CAT).pixels(32), torch.tensor([3])
        direct = run_attack(model, pixels, label, "pgd", {"steps": 2}, draws=5, seed=11, **dials)
        for logits, counts, shares in (
            (direct.clean_logits, result.clean_counts, result.clean_probabilities),
            (
                direct.adversarial_logits,
                result.adversarial_counts,
                result.adversarial_probabilities,
            ),
        ):
            answers = logits[:, 0].argmax(dim=1).tolist()
            assert list(counts) == [answers.count(number) for number in range(10)]
            expected = logits[:, 0].double().softmax(dim=1).mean(dim=0)
            np.testing.assert_allclose(shares, expected, rtol=1e-12)
        assert result.linf == float(direct.perturbation.abs().max())
        assert (result.queries, result.gradients) == (direct.queries, direct.gradients)
        assert (result.model, result.sha256, result.label) == (name, card.sha256, 3)
        choice = ImageChoice(CAT, "cat", 3, pixels)
        of_the_app = AttackRequest(name, card.sha256, choice, "pgd", (("steps", 2),), draws=5,
                                   seed=11, **dials)  # fmt: skip
        assert model_result(of_the_app, attack_image(model, of_the_app)) == result


def test_replaying_a_file_is_the_same_to_the_digit(zoo: Zoo) -> None:
    wanted = scene(models=ALL, image=None, image_png=embed_image(upload()), attack="eot_pgd")
    shown = replay(wanted, zoo)
    file = SceneFile(wanted, shown, Environment.here())
    again = read_scene(json.dumps(file.to_json()).encode())
    assert again == file
    found = replay(again.scene, zoo)
    assert found == shown
    assert differences(again.results, found) == ()
    assert conditions(again, found, Environment.here()) == ()


def test_a_painted_change_is_scored_on_the_draws_of_the_attack(zoo: Zoo) -> None:
    wanted = scene(models=ALL, sigma=0.3, time_steps=3, **PAINT)
    found = replay(wanted, zoo)
    pixels = gallery_image(CAT).pixels(32)
    change = torch.from_numpy(stripes().astype(np.float32)) * (24.5 / 255)
    painted = (pixels + change).clamp(0, 1)
    plain = replay(replace(wanted, paint=None, paint_epsilon=None), zoo)
    for request, result, other in zip(requests(wanted, zoo), found, plain, strict=True):
        logits = zoo.load(request.model)(
            painted.repeat(5, 1, 1, 1),
            sigma=request.sigma,
            time_steps=request.time_steps,
            generator=make_generator(derive_seed(11, "score")),
        )
        counts = np.bincount(logits.argmax(dim=1), minlength=10)
        assert result.painted_counts == tuple(counts)
        expected = logits.double().softmax(dim=1).mean(dim=0)
        assert result.painted_probabilities == pytest.approx(expected.tolist(), rel=1e-4)
        assert result.painted_verdict == judge(np.array(result.clean_counts), counts, 3)
        unpainted = dict.fromkeys(
            ("painted_verdict", "painted_counts", "painted_probabilities"), None
        )
        assert replace(result, **unpainted) == other  # type: ignore[arg-type]


def test_painted_results_survive_a_file_and_are_compared(zoo: Zoo) -> None:
    wanted = scene(**PAINT)
    (shown,) = replay(wanted, zoo)
    file = SceneFile(wanted, (shown,))
    again = read_scene(json.dumps(file.to_json()).encode())
    assert again == file
    assert differences(again.results, replay(again.scene, zoo)) == ()
    assert shown.painted_probabilities is not None and shown.painted_counts is not None
    most = float(np.nextafter(shown.painted_probabilities[0], 1))
    changes: dict[str, Any] = {
        "painted_verdict": "held" if shown.painted_verdict != "held" else "fooled",
        "painted_counts": (*shown.painted_counts[1:], shown.painted_counts[0] + 1),
        "painted_probabilities": (most, *shown.painted_probabilities[1:]),
    }
    for name, value in changes.items():
        (line,) = differences([replace(shown, **{name: value})], [shown])
        assert line.startswith(f"tiny-rsc: {name} ")


def test_a_file_from_before_paint_was_scored_is_as_good_as_ever(zoo: Zoo) -> None:
    (shown,) = replay(scene(**PAINT), zoo)
    values = SceneFile(scene(**PAINT), (shown,)).to_json()
    for name in [name for name in values["results"][0] if name.startswith("painted")]:
        del values["results"][0][name]
    old = read_scene(json.dumps(values).encode())
    assert old.results[0].painted_counts is None
    assert differences(old.results, (shown,)) == ()
    (plain,) = replay(scene(), zoo)
    assert not [name for name in plain.to_json() if name.startswith("painted")]
    with pytest.raises(SceneError, match="painted change that the scene lacks"):
        SceneFile(scene(), (shown,))


def test_the_seed_matters(zoo: Zoo) -> None:
    first, second = (replay(scene(seed=seed), zoo) for seed in (1, 2))
    assert any("clean_probabilities differ by up to" in line for line in differences(first, second))


def test_differences_are_found_in_every_number(zoo: Zoo) -> None:
    (shown,) = replay(scene(), zoo)
    least = float(np.nextafter(shown.clean_probabilities[3], 1))
    changes: dict[str, Any] = {
        "sha256": "0" * 64,
        "label": 4,
        "verdict": "held" if shown.verdict != "held" else "fooled",
        "clean_counts": (*shown.clean_counts[1:], shown.clean_counts[0] + 1),
        "adversarial_counts": shown.adversarial_counts[:4],
        "clean_probabilities": (*shown.clean_probabilities[:3], least,
                                *shown.clean_probabilities[4:]),
        "adversarial_probabilities": (0.5,) * 10,
        "linf": float(np.nextafter(shown.linf, 1)),
        "l2": shown.l2 + 1,
        "queries": shown.queries + 1,
        "gradients": 0,
    }  # fmt: skip
    known = {item.name for item in dataclasses.fields(ModelResult)}
    assert {*changes, "model", "device", "threads"} == {
        name for name in known if not name.startswith("painted")
    }
    for name, value in changes.items():
        (line,) = differences([shown], [replace(shown, **{name: value})])
        assert line.startswith(f"tiny-rsc: {name} ")


def test_what_may_be_why_is_told(zoo: Zoo) -> None:
    (shown,) = replay(scene(), zoo)
    elsewhere = replace(shown, device="cuda", threads=shown.threads + 1)
    assert differences([elsewhere], [shown]) == ()
    here = Environment.here()
    there = Environment("abacus", {**here.versions, "torch": "1.0"})
    lines = conditions(SceneFile(scene(), (elsewhere,), there), [shown], here)
    assert [line.split(" was ")[0] for line in lines] == [
        "tiny-rsc: device", "tiny-rsc: threads", "processor", "torch"
    ]  # fmt: skip


def test_results_are_those_of_the_scene(zoo: Zoo) -> None:
    (shown,) = replay(scene(), zoo)
    assert SceneFile(scene(models=ALL), (shown,)).results == (shown,)
    for results in ((shown, shown), (replace(shown, model="tiny-ann"),)):
        with pytest.raises(SceneError, match="results must be of the scene's models"):
            SceneFile(scene(), results)


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": "unsure"}, {"label": -1}, {"clean_counts": 3}, {"clean_counts": []},
        {"clean_counts": [1.5]}, {"clean_probabilities": [2.0]}, {"linf": -1.0},
        {"linf": float("inf")}, {"threads": 10**6}, {"device": ""}, {"queries": None},
        {"verdict": ["held"]}, {"painted_verdict": "held"}, {"painted_counts": (1,)},
        {"painted_counts": (1,), "painted_probabilities": (1.0,)},
    ],
)  # fmt: skip
def test_results_are_checked(changes: dict[str, Any]) -> None:
    result = ModelResult("m", "s", 0, "held", (1,), (1,), (1.0,), (1.0,), 0.1, 0.1, 1, 1, "cpu", 1)
    with pytest.raises(SceneError):
        replace(result, **changes)


def test_progress_rises_over_the_models(zoo: Zoo) -> None:
    seen: list[float] = []
    replay(scene(models=ALL), zoo, progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1
    assert any(0 < share < 1 / 3 for share in seen) and any(2 / 3 < share < 1 for share in seen)


def test_cancelling(zoo: Zoo) -> None:
    with pytest.raises(Cancelled):
        replay(scene(), zoo, cancelled=lambda: True)


def test_threads_of_each_model(zoo: Zoo) -> None:
    before = torch.get_num_threads()
    wanted = scene(models=("tiny-rsc", "tiny-ann"))
    found = replay(wanted, zoo, threads={"tiny-rsc": before + 1})
    assert [result.threads for result in found] == [before + 1, before]
    with pytest.raises(ZeroDivisionError), cpu_threads(before + 1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == before
