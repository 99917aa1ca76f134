"""The page Trade-off: from stored results, from live ones, from none, from damaged ones."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from rsc_snn.glossary import TERMS
from rsc_snn.jobs import JobContext
from rsc_snn.sweep.cells import CLEAN, Cell, CellResult
from rsc_snn.sweep.grid import PRESETS, GridAttack, expand, fingerprints, read_grid
from rsc_snn.sweep.store import Store
from rsc_snn.sweep.transfer import FILE, export_parquet
from rsc_snn.tradeoff import WORST, operating_points
from rsc_snn.ui import resources
from rsc_snn.ui.explorer import live
from rsc_snn.ui.explorer.frame import caution, left_out_words, unlike_numbers
from rsc_snn.ui.explorer.handover import playground_query
from rsc_snn.ui.explorer.live import measure_grid
from rsc_snn.ui.explorer.measured import Sample, variant_of
from rsc_snn.ui.explorer.provenance import grids_of, processors
from rsc_snn.ui.explorer.sources import gather
from rsc_snn.ui.explorer.views import VIEWS
from rsc_snn.zoo import Zoo
from tests.conftest import TINY_CONFIGS
from tests.explorer_results import make_grid, make_results
from tests.pages.conftest import PageMaker, figures
from tests.tradeoff_cells import make_result

PAGE = "pages/tradeoff.py"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The app's own store, which is not there yet; and no data set at hand."""
    monkeypatch.setenv("RSC_SNN_STORE", str(tmp_path / "store" / "sweep.sqlite"))
    monkeypatch.setenv("RSC_SNN_DATA", str(tmp_path / "no-data"))
    return tmp_path / "store" / "sweep.sqlite"


@pytest.fixture
def shipped_grid(assets: Path) -> Path:
    """Results of all tiny models that ship with the assets."""
    with Store(":memory:") as memory:
        memory.put_all(make_results(make_grid(list(TINY_CONFIGS)), Zoo(assets / "models")))
        export_parquet(memory, assets / "results" / FILE)
    return assets


def words(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.info, app.success, app.code)
    return " ".join(element.value for kind in kinds for element in kind)


def is_fine(app: AppTest) -> AppTest:
    assert not app.exception
    assert not app.error, app.error[0].value
    assert not app.warning, app.warning[0].value
    return app


def wait_for(app: AppTest, done: Callable[[AppTest], bool], seconds: float = 60) -> AppTest:
    """Run the page again, as its polling does, until `done(app)`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done(app.run()):
            return app
        time.sleep(0.05)
    raise AssertionError(f"the page did not get there: {words(app)}")


@pytest.mark.parametrize("view", list(VIEWS))
def test_every_view_answers_from_what_ships(shipped_grid: Path, page: PageMaker, view: str) -> None:
    app = is_fine(page(PAGE, view=view, models="tiny-rsc,tiny-ann").run())
    assert len(figures(app)) == (0 if view == "ask" else 1)
    text = words(app)
    assert "n = 20 photographs of the gallery" in text
    assert re.search(r"python -m rsc_snn sweep shown(-1)?\.toml", text)
    assert app.query_params["models"] == "tiny-rsc,tiny-ann"


@pytest.mark.parametrize(
    ("view", "slug"),
    [
        ("curves", "clean-accuracy"),
        ("plane", "pareto-front"),
        ("epsilon", "epsilon"),
        ("prices", "qte"),
        ("noise", "variance"),
        ("ask", "confidence-interval"),
    ],
)
def test_the_words_of_a_view_lead_to_the_glossary(
    shipped_grid: Path, page: PageMaker, view: str, slug: str
) -> None:
    text = words(is_fine(page(PAGE, view=view, models="tiny-rsc,tiny-ann").run()))
    found = set(re.findall(r"\(poisson_coding\?word=([a-z0-9-]+) ", text))
    assert slug in found
    assert found <= set(TERMS)


def test_curves_over_the_time_steps_have_a_line_for_each_noise_level(
    shipped_grid: Path, page: PageMaker
) -> None:
    app = page(PAGE, models="tiny-rsc,tiny-ann", axis="steps").run()
    ((alt, figure),) = figures(is_fine(app)).items()
    assert "over T 1 to 4" in alt and figure["layout"]["xaxis"]["title"]["text"] == "time steps T"
    names = {trace["name"] for trace in figure["data"] if "customdata" in trace}
    labels = [name.split(" at sigma ") for name in names]
    assert sorted(label[1] for label in labels if len(label) == 2) == ["0", "0.1", "0.2", "0.3"]
    assert "over the [time steps]" in words(app) and app.query_params["axis"] == "steps"


def test_networks_without_a_noise_level_are_pointed_to_the_time_steps(
    shipped_grid: Path, page: PageMaker
) -> None:
    hint = "choose T under “Curves over”"
    assert hint in words(is_fine(page(PAGE, models="tiny-direct,tiny-ann").run()))
    for models, axis in (("tiny-direct", "steps"), ("tiny-ann", "sigma"), ("tiny-rsc", "sigma")):
        assert hint not in words(is_fine(page(PAGE, models=models, axis=axis).run()))


def test_the_link_holds_every_control(shipped_grid: Path, page: PageMaker) -> None:
    link = {
        "models": "tiny-rsc,tiny-direct", "steps": "4", "attack": "fgsm", "epsilon": "8",
        "predictor": "vote", "passes": "3", "axis": "effective", "view": "plane",
        "dataset": "cifar10",
    }  # fmt: skip
    app = is_fine(page(PAGE, **link).run())
    assert {name: app.query_params[name] for name in link} == link
    assert "of a vote over 3 passes, under FGSM at epsilon 8/255" in words(app)
    app.segmented_control(key="tradeoff.epsilon").set_value("2").run()
    assert app.query_params["epsilon"] == "2" and "epsilon 2/255" in words(is_fine(app))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("models", "no-such", "cannot be one of the models"),
        ("steps", "3", "cannot be one of the time steps"),
        ("attack", "<b>x", "there is no attack"),
        ("worst", "fgsm,xyz", "cannot be one of the attacks"),
        ("epsilon", "nan", "there is no epsilon"),
        ("view", "xyz", "there is no view"),
        ("dataset", "mnist", "there is no data set"),
        ("grid", "maybe", "must be true or false"),
    ],
)
def test_a_bad_link_is_a_sentence_and_the_default(
    shipped_grid: Path, page: PageMaker, name: str, value: str, reason: str
) -> None:
    app = page(PAGE, **{name: value}).run()
    assert not app.exception and not app.error
    (warning,) = app.warning
    assert reason in warning.value and "<" not in warning.value
    assert len(figures(app)) == 1


def test_without_results_the_page_says_how_to_get_some(assets: Path, page: PageMaker) -> None:
    app = is_fine(page(PAGE, models="tiny-rsc", view="plane").run())
    assert "python -m rsc_snn sweep rsc_snn/sweep/quick.toml --yes" in words(app)
    assert not figures(app)


def test_results_of_other_weights_are_not_shown(shipped_grid: Path, page: PageMaker) -> None:
    from tests.conftest import save_tiny_model

    card = Zoo(shipped_grid / "models").card("tiny-direct")
    save_tiny_model(shipped_grid / "models", "tiny-rsc", "Other weights", card.config)
    app = is_fine(page(PAGE).run())
    assert "tiny-rsc" not in app.multiselect(key="tradeoff.models.cifar10").options
    assert "Other weights" not in app.multiselect(key="tradeoff.models.cifar10").options


def test_damaged_results_are_a_sentence_and_the_store_goes_on(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    (shipped_grid / "results" / FILE).write_bytes(b"no parquet")
    with Store(store) as own:
        own.put_all(make_results(make_grid(["tiny-rsc"]), Zoo(shipped_grid / "models")))
    app = page(PAGE).run()
    assert not app.exception and not app.error
    assert "are damaged" in app.warning[0].value and "goes on" in app.warning[0].value
    (figure,) = figures(app).values()
    assert "open: added here" in [trace.get("name") for trace in figure["data"]]


@pytest.mark.parametrize("kind", ["folder", "other program", "later version", "noise"])
def test_a_store_that_cannot_be_read_is_a_sentence(
    shipped_grid: Path, page: PageMaker, store: Path, kind: str
) -> None:
    store.parent.mkdir()
    if kind == "folder":
        store.mkdir()
    elif kind == "noise":
        store.write_bytes(b"x" * 5000)
    elif kind == "later version":
        with Store(store):
            pass
        with sqlite3.connect(store) as connection:
            connection.execute("PRAGMA user_version = 99")
    else:
        with sqlite3.connect(store) as connection:
            connection.execute("CREATE TABLE t (x)")
    app = page(PAGE).run()
    assert not app.exception and not app.error
    (warning,) = app.warning
    assert "\n" not in warning.value and "The page goes on without it." in warning.value
    assert len(figures(app)) == 1


def test_a_sweep_of_the_command_line_shows_up(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    app = is_fine(page(PAGE).run())
    assert "16" not in app.segmented_control(key="tradeoff.epsilon").options
    grid = make_grid(["tiny-rsc"], epsilons=(2.0, 4.0, 8.0, 16.0))
    with Store(store) as own:
        own.put_all(make_results(grid, Zoo(shipped_grid / "models")))
        app.run()
    assert "16/255" in app.segmented_control(key="tradeoff.epsilon").options


def test_attacks_of_a_later_version_do_not_count(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    known = make_results(make_grid(["tiny-rsc"]), Zoo(shipped_grid / "models"))
    with Store(store) as own:
        own.put_all([replace(result, cell=replace(result.cell, attack="zeta")) for result in known])
    assert len(figures(is_fine(page(PAGE).run()))) == 1


def test_a_model_of_another_order_of_classes_does_not_hide_the_gallery_from_others(
    shipped_grid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = Zoo(shipped_grid / "models")
    strange = replace(zoo.card("tiny-ann"), name="strange", classes=tuple("abcdefghij"))
    monkeypatch.setitem(zoo._cards, "strange", strange)
    monkeypatch.setattr(live.resources, "zoo", lambda: zoo)
    assert live.splits_at_hand("strange") == []
    assert live.splits_at_hand("tiny-ann") == ["gallery"]


def test_a_step_that_is_no_share_of_epsilon_can_be_measured_again(assets: Path) -> None:
    for size in (0.0, 2.0):
        cell = make_result(
            [True], attack="pgd", chain=(), epsilon=0.1, parameters=(("step_size", size),)
        ).cell
        (grid,) = grids_of([cell])
        assert dict(grid.attacks[0].parameters)["step_size"] == size


def measured_again(shown: Iterable[Cell], zoo: Zoo, file: Path) -> list[set[str]]:
    """The keys of the cells of each of the files that are offered for `shown`."""
    found = []
    for grid in grids_of(shown):
        file.write_text(grid.to_toml(), encoding="utf-8")
        read = read_grid(file)
        found.append({cell.key for cell in expand(read, zoo, fingerprints(read, zoo))})
    return found


def test_what_is_shown_can_be_measured_again(assets: Path, tmp_path: Path) -> None:
    zoo = Zoo(assets / "models")
    cells = [r.cell for r in make_results(make_grid(list(TINY_CONFIGS)), zoo)]
    shown = [
        cell for cell in cells if cell.epsilon in (0, 8) and (cell.time_steps == 4 or is_ann(cell))
    ]
    (keys,) = measured_again(shown, zoo, tmp_path / "shown.toml")
    smaller = [
        cell for cell in cells if cell.epsilon in (2, 4) and (cell.time_steps == 4 or is_ann(cell))
    ]
    assert keys == {cell.key for cell in (*shown, *smaller)}, "no T that is not shown"


def is_ann(cell: Cell) -> bool:
    return cell.model == "tiny-ann"


def test_several_sweeps_are_measured_again_by_several_files(assets: Path, tmp_path: Path) -> None:
    zoo = Zoo(assets / "models")
    grids = [
        make_grid(["tiny-rsc", "tiny-ann"], epsilons=(2.0, 4.0), time_steps=(4,)),
        make_grid(["tiny-rsc"], epsilons=(4.0,), time_steps=(4,), sigmas=(0.0, 0.05, 0.15)),
        make_grid(["tiny-rsc"], epsilons=(4.0,), time_steps=(1,), sigmas=(0.25,), draws=3),
        make_grid(
            ["tiny-rsc"],
            epsilons=(2.0, 4.0),
            time_steps=(8,),
            attacks=(GridAttack.of("pgd", step_size=1.0),),
        ),
    ]
    cells = {r.cell.key: r.cell for grid in grids for r in make_results(grid, zoo)}
    shown = [c for c in cells.values() if c.epsilon in (0, 4) or c.time_steps == 8]
    files = measured_again(shown, zoo, tmp_path / "shown.toml")
    keys = set[str]().union(*files)
    assert {cell.key for cell in shown} <= keys <= cells.keys()
    assert len(files) == 4


def test_the_page_offers_a_file_for_each_sweep(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    grid = make_grid(["tiny-rsc"], epsilons=(4.0,), time_steps=(4,), sigmas=(0.05,))
    with Store(store) as own:
        own.put_all(make_results(grid, Zoo(shipped_grid / "models")))
    text = words(is_fine(page(PAGE, models="tiny-rsc,tiny-ann", steps="4").run()))
    assert "sweep shown-1.toml\npython -m rsc_snn sweep shown-2.toml" in text
    assert "sigmas = [0.05]" in text and "time_steps = [4]" in text


def test_a_point_opens_in_the_playground(assets: Path, page: PageMaker) -> None:
    results = make_results(make_grid(["tiny-rsc"]), Zoo(assets / "models"))
    cell = next(
        r.cell
        for r in results
        if r.cell.attack == "pgd" and r.cell.sigma == 0.1 and r.cell.epsilon == 8.0
        and r.cell.time_steps == 1
    )  # fmt: skip
    query = playground_query(cell)
    assert (query["sigma"], query["time_steps"], query["epsilon"]) == ("0.1", "1", "8")
    app = page("pages/playground.py", **query).run()
    assert not app.exception
    assert not [note for note in app.warning if "The link" in note.value]
    assert query.pop("compare") == "" and "compare" not in app.query_params
    assert {name: app.query_params[name] for name in query} == query


def live_link(**changes: str) -> dict[str, str]:
    link = {
        "grid": "true", "grid_models": "tiny-rsc", "grid_sigmas": "0,0.2", "grid_steps": "4",
        "grid_attacks": "fgsm", "grid_epsilons": "4", "grid_images": "8", "grid_draws": "2",
    }  # fmt: skip
    return link | changes


def test_a_grid_is_measured_live_and_stays(assets: Path, page: PageMaker, store: Path) -> None:
    app = is_fine(page(PAGE, **live_link()).run())
    assert (
        "4 measurements (2 settings, each clean and under attack), 0 of them measured already"
        in words(app)
    )
    assert not store.exists()
    app.button(key="tradeoff.start").click().run()
    wait_for(app, lambda app: "All 4 measurements of this grid are done." in words(app))
    is_fine(app)
    (figure,) = figures(app).values()
    lines = [trace for trace in figure["data"] if trace.get("mode") == "lines+markers"]
    assert [trace["x"] for trace in lines] == [[0.0, 0.2], [0.0, 0.2]]
    assert all(mark.endswith("-open") for mark in lines[0]["marker"]["symbol"])
    assert app.query_params["attack"] == "fgsm" and app.query_params["grid"] == "true"
    again = is_fine(page(PAGE, **live_link()).run())
    assert "All 4 measurements of this grid are done." in words(again)
    assert len(figures(again)) == 1


def test_a_grid_goes_on_where_it_was(assets: Path, page: PageMaker, store: Path) -> None:
    app = is_fine(page(PAGE, **live_link()).run())
    grid = make_grid(
        ["tiny-rsc"], 8, sigmas=(0.2,), time_steps=(4,), draws=2, epsilons=(4.0,),
        attacks=(make_grid(["x"]).attacks[0],),
    )  # fmt: skip
    with Store(store) as own:
        own.put_all(make_results(grid, Zoo(assets / "models")))
    app.run()
    assert "under attack), 2 of them measured already" in words(app)
    assert app.button(key="tradeoff.start").label == "Go on"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"grid_models": ""}, "Choose at least one of each."),
        ({"grid_images": "21"}, "images must be at most 20"),
        ({"grid_images": "100000"}, "must be between 2 and 1000"),
    ],
)
def test_a_grid_that_cannot_be_measured_is_a_sentence(
    assets: Path, page: PageMaker, changes: dict[str, str], said: str
) -> None:
    app = page(PAGE, **live_link(**changes)).run()
    assert not app.exception
    text = words(app) + " ".join(element.value for element in [*app.error, *app.warning])
    assert said in text


def test_a_grid_above_the_limits_is_not_started(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSC_SNN_LIMIT_GRID_CELLS", "3")
    app = page(PAGE, **live_link()).run()
    assert app.button(key="tradeoff.start").disabled
    assert "up to 3 measurements" in app.warning[0].value
    assert "python -m rsc_snn sweep my-grid.toml" in app.warning[0].value


def test_a_store_that_cannot_be_written_is_a_sentence(
    assets: Path, page: PageMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("RSC_SNN_STORE", str(tmp_path / "file" / "sweep.sqlite"))
    app = is_fine(page(PAGE, **live_link()).run())
    app.button(key="tradeoff.start").click().run()
    wait_for(app, lambda app: bool(app.error))
    assert "cannot be made" in app.error[0].value


def test_the_clicked_point_is_marked(
    shipped_grid: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsc_snn.ui.explorer import views

    draw: Any = views.draw_figure
    clicks: list[str | None] = [None]

    def click(figure: Any, key: str, alt: str) -> str | None:
        draw(figure, key, alt)
        return clicks.pop() if clicks else None

    monkeypatch.setattr(views, "draw_figure", click)
    app = is_fine(page(PAGE, view="plane", steps="1").run())
    results = make_results(make_grid(list(TINY_CONFIGS)), Zoo(shipped_grid / "models"))
    key = next(
        r.cell.key for r in results
        if (r.cell.model, r.cell.sigma, r.cell.time_steps, r.cell.epsilon, r.cell.attack)
        == ("tiny-rsc", 0.3, 1, 4.0, "pgd")
    )  # fmt: skip
    clicks.append(key)
    app.selectbox(key="tradeoff.attack").set_value("pgd-10").run()
    is_fine(app)
    assert "Open sigma 0.3, T = 1, PGD-10 at 4/255 in the Playground" in words(app)
    (figure,) = figures(app).values()
    rows = [row for trace in figure["data"] for row in trace.get("customdata", ())]
    assert key in [row[-1] for row in rows]  # what a click sends
    names = [trace.get("name", "") for trace in figure["data"]]
    (ring,) = [name for name in names if name.startswith("opened by the link")]
    assert ring.endswith("Tiny RSC-SNN, sigma 0.2 at sigma 0.3, T = 1")
    assert app.query_params["point"] == key
    shared = is_fine(page(PAGE, **dict(app.query_params)).run())
    assert "Open sigma 0.3, T = 1, PGD-10 at 4/255 in the Playground" in words(shared)


TABLED = ("curves", "plane", "map", "epsilon", "votes")


@pytest.mark.parametrize("view", TABLED)
def test_the_numbers_are_a_table_of_the_points_of_the_figure(
    shipped_grid: Path, page: PageMaker, view: str
) -> None:
    link = {"view": view, "models": "tiny-rsc,tiny-ann", "setting": "tiny-rsc/0.1/4"}
    app = is_fine(page(PAGE, **link).run())
    assert not app.dataframe, "it is made only once it is opened"
    app.session_state["explorer.numbers"] = True
    (table,) = is_fine(app.run()).dataframe
    lines = table.value
    (figure,) = figures(app).values()
    clean, robust = measured_values(figure, view)
    if view != "map":  # It shows the robust accuracy alone.
        assert set(lines["clean, %"]) == clean
    assert set(lines["robust, %"]) == robust
    if view != "votes":
        keys = {row[0] for trace in figure["data"] for row in trace.get("customdata", ())}
        assert len(lines) == len(keys)
    assert all(re.fullmatch(r"[\d.]+ to [\d.]+", text) for text in lines["robust, interval"])
    assert set(lines["images"]) == {"20 gallery photographs, seed 0"}
    assert set(lines["result"]) == {"shipped"} and set(lines["draws"]) <= {1, 5}
    attacks = {"PGD-10"} if view == "votes" else {"FGSM, PGD-10"}
    assert set(lines["attacks"]) == attacks
    if view == "votes":
        assert "strongest alone, %" not in lines
    else:
        assert (lines["strongest alone, %"] >= lines["robust, %"]).all()
    for line in lines.to_dict("records"):
        query = dict(parse_qsl(line["Playground"].removeprefix("./?")))
        assert query["epsilon"] == f"{line['epsilon, 255ths']:g}"
        assert query["model"] in ("tiny-rsc", "tiny-ann")
    assert "Table, CSV" in [button.proto.label for button in app.get("download_button")]


def measured_values(figure: dict[str, Any], view: str) -> tuple[set[float], set[float]]:
    """Clean and robust accuracies in a figure, in percent as the table has them."""
    traces = [trace for trace in figure["data"] if "customdata" in trace]

    def rounded(values: Iterable[float]) -> set[float]:
        return {round(100 * value, 1) for value in values}

    if view == "plane":
        return (
            rounded(value for trace in traces for value in trace["x"]),
            rounded(value for trace in traces for value in trace["y"]),
        )
    if view == "map":
        rows = [value for row in figure["data"][0]["z"] for value in row if value is not None]
        return set(), rounded(rows)
    if view == "epsilon":
        return (
            rounded(trace["y"][0] for trace in traces),
            rounded(value for trace in traces for value in trace["y"][1:]),
        )
    if view == "votes":
        return rounded(traces[0]["y"]), rounded(traces[1]["y"])
    above = [trace["y"] for trace in traces if trace["yaxis"] == "y"]
    below = [trace["y"] for trace in traces if trace["yaxis"] == "y2"]
    return rounded(v for y in above for v in y), rounded(v for y in below for v in y)


@pytest.mark.parametrize("view", TABLED)
def test_the_text_alternative_has_the_range_of_values(
    shipped_grid: Path, page: PageMaker, view: str
) -> None:
    link = {"view": view, "models": "tiny-rsc", "setting": "tiny-rsc/0.1/4"}
    app = is_fine(page(PAGE, **link).run())
    ((alt, figure),) = figures(app).items()
    clean, robust = measured_values(figure, view)
    ends = re.search(r"robust accuracy ([\d.]+) to ([\d.]+) %", alt)
    assert ends is not None
    assert [float(end) for end in ends.groups()] == [min(robust), max(robust)]
    if view != "map":
        assert f"clean accuracy {min(clean):.1f} to {max(clean):.1f} %" in alt
    if view not in ("epsilon", "votes"):
        assert "sigma 0 to 0.3" in alt and "8 settings of 1 network" in alt


def test_a_chosen_row_does_what_a_click_on_its_point_does(
    shipped_grid: Path, page: PageMaker
) -> None:
    results = make_results(make_grid(list(TINY_CONFIGS)), Zoo(shipped_grid / "models"))
    key = next(
        r.cell.key for r in results
        if (r.cell.model, r.cell.sigma, r.cell.time_steps, r.cell.epsilon, r.cell.attack)
        == ("tiny-rsc", 0.3, 1, 4.0, "pgd")
    )  # fmt: skip
    app = is_fine(page(PAGE, view="plane", attack="pgd-10", models="tiny-rsc").run())
    app.session_state["tradeoff.row"] = key
    assert is_fine(app.run()).query_params["point"] == key
    assert "Open sigma 0.3, T = 1, PGD-10 at 4/255 in the Playground" in words(app)
    assert "tradeoff.row" not in app.session_state, "it opens once"


def test_the_answer_names_setting_interval_energy_and_time(
    shipped_grid: Path, page: PageMaker
) -> None:
    link = {"view": "ask", "models": "tiny-rsc,tiny-ann", "attack": "fgsm"}
    app = is_fine(page(PAGE, **link).run())
    assert [metric.label for metric in app.metric] == [
        "Clean accuracy", "Robust accuracy", "Energy of a pass", "Time of a pass",
    ]  # fmt: skip
    assert all(" to " in metric.delta for metric in app.metric[:2])
    answer = app.success[0].value
    assert re.search(r"^\*\*.+ at (sigma [\d.]+, )?T = \d\.\*\* It loses .+ of at most 5", answer)
    assert answer.endswith("The limit is kept.")
    assert "At most 5 points of accuracy below" in words(app) and "tiny-rsc at" not in words(app)
    assert "times the energy" not in words(app)
    vote = is_fine(page(PAGE, **link, predictor="vote", passes="3").run())
    assert "A vote takes 3 times the energy and time of a pass." in words(vote)


def test_prices_are_of_one_dial_at_a_time(shipped_grid: Path, page: PageMaker) -> None:
    app = is_fine(page(PAGE, view="prices", models="tiny-rsc,tiny-ann", dial="tiny-rsc/1").run())
    assert "at T = 1" in words(app) and "at T = 4" not in words(app)
    assert len(app.selectbox(key="tradeoff.dial").options) == 2
    app.selectbox(key="tradeoff.dial").set_value("tiny-rsc/4").run()
    assert "at T = 4" in words(is_fine(app)) and "at T = 1" not in words(app)
    assert app.query_params["dial"] == "tiny-rsc/4"


def test_prices_of_a_fine_dial_begin_with_tenths(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    finer = make_grid(["tiny-rsc"], sigmas=(0.05, 0.15), time_steps=(4,))
    with Store(store) as own:
        own.put_all(make_results(finer, Zoo(shipped_grid / "models")))
    link = {"view": "prices", "models": "tiny-rsc", "steps": "4", "attack": "fgsm"}
    app = is_fine(page(PAGE, **link).run())
    assert "From sigma 0 to 0.1 " in words(app) and "sigma 0.05" not in words(app)
    assert "levels" not in app.query_params
    app.segmented_control(key="tradeoff.levels").set_value("all").run()
    assert "From sigma 0 to 0.05 " in words(is_fine(app)) and "0.1 to 0.15 " in words(app)
    assert app.query_params["levels"] == "all"
    coarse = is_fine(page(PAGE, **(link | {"steps": "1"})).run())
    assert "From sigma 0 to 0.1 " in words(coarse)
    assert not [c for c in coarse.segmented_control if c.key == "tradeoff.levels"]


def test_the_lowest_of_noisy_scores_makes_no_price_and_no_choice(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    """Each attack alone does as much harm at both sigmas; each image's lowest score falls."""
    grid = make_grid(["tiny-rsc"], time_steps=(4,), sigmas=(0.1, 0.2))
    results = make_results(grid, Zoo(shipped_grid / "models"))
    with Store(store) as own:
        own.put_all(map(with_equal_attacks, results))
    (shipped_grid / "results" / FILE).unlink()
    link = {"models": "tiny-rsc", "worst": "fgsm,pgd-10"}
    prices = words(is_fine(page(PAGE, view="prices", **link).run()))
    assert "robustness within the ends of the worst case" in prices
    ask = words(is_fine(page(PAGE, view="ask", lose="50", **link).run()))
    assert "not told from it at both ends of the worst case" in ask
    for text in (prices, ask):
        assert "only if it holds at both ends" in text
    for view in ("prices", "ask"):
        alone = words(is_fine(page(PAGE, view=view, models="tiny-rsc", attack="pgd-10").run()))
        assert "ends of the worst case" not in alone and "both ends," not in alone


def test_too_few_images_that_differ_give_no_intervals(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    """Noise costs 12 of 20 images, and nothing withstands before or after; then two images do."""
    grid = make_grid(["tiny-rsc"], time_steps=(4,), sigmas=(0.0, 0.1))
    results = make_results(grid, Zoo(shipped_grid / "models"))
    with Store(store) as own:
        own.put_all(map(with_few_that_differ, results))
    (shipped_grid / "results" / FILE).unlink()
    link = {"models": "tiny-rsc", "attack": "pgd-10", "epsilon": "8"}
    assert "| 0.00 (no interval: too few images differ) |" in words(
        is_fine(page(PAGE, view="prices", **link).run())
    )
    noise = words(is_fine(page(PAGE, view="noise", **(link | {"epsilon": "2"})).run()))
    assert "| 100 (no interval: too few images are right, or wrong) |" in noise
    assert "nan" not in noise


def with_few_that_differ(result: CellResult) -> CellResult:
    cell, labels = result.cell, result.labels
    count = 2 if cell.epsilon == 2 else 0
    if cell.attack == CLEAN:
        count = 8 if cell.sigma else 20
    right = np.tile(np.arange(cell.images) < count, (cell.draws, 1))
    answers = np.where(right, labels, (labels + 1) % 10).astype(np.uint16)
    return replace(result, answers=answers, standing=np.asarray(right.any(axis=0)))


def with_equal_attacks(result: CellResult) -> CellResult:
    """The same, with 60 % right under each attack: of every image at sigma 0.1, but at sigma 0.2
    FGSM breaks every other pair of images (80 % and 40 % right) and PGD the rest."""
    cell, labels = result.cell, result.labels
    share = np.full(cell.images, 1.0 if cell.attack == CLEAN else 0.6)
    if cell.attack != CLEAN and cell.sigma == 0.2:
        share += np.where(
            (np.arange(cell.images) // 2 % 2 == 0) == (cell.attack == "pgd"), 0.2, -0.2
        )
    right = np.arange(cell.draws)[:, None] < np.round(cell.draws * share)
    return replace(result, answers=np.where(right, labels, (labels + 1) % 10).astype(np.uint16))


def test_own_points_on_other_images_stand_beside_the_stored_ones(
    shipped_grid: Path, page: PageMaker
) -> None:
    """The stored results are of 20 photographs, the grid is of 8 of them."""
    app = is_fine(page(PAGE, steps="4", **live_link()).run())
    assert "of other images (20 gallery photographs, seed 0)" in words(app)
    app.button(key="tradeoff.start").click().run()
    wait_for(app, lambda app: "All 4 measurements of this grid are done." in words(app))
    is_fine(app)
    assert app.query_params["sample"].startswith("gallery-8-")
    (figure,) = figures(app).values()
    lines = [trace for trace in figure["data"] if "customdata" in trace]
    own = [trace for trace in lines if "<br>on " not in trace["name"]]
    stored = [
        trace for trace in lines if trace["name"].endswith("<br>on 20 gallery photographs, seed 0")
    ]
    assert [len(found) for found in (own, stored, lines)] == [2, 2, 4]
    assert own[0]["x"] == [0, 0.2] and stored[0]["x"] == [0, 0.1, 0.2, 0.3]
    assert all(mark.endswith("-open") for mark in own[0]["marker"]["symbol"])
    assert not any(mark.endswith("-open") for mark in stored[0]["marker"]["symbol"])
    text = words(app)
    assert "Thin dotted lines were measured on other images" in text
    assert "n = 8 photographs of the gallery" in text and "n = 20 photographs" in text
    app.segmented_control(key="tradeoff.view").set_value("prices").run()
    assert "n = 8 photographs" in words(is_fine(app)) and "n = 20" not in words(app)
    app.segmented_control(key="tradeoff.view").set_value("curves").run()
    app.multiselect(key="tradeoff.beside.cifar10").set_value([]).run()
    assert "Thin dotted lines" not in words(is_fine(app))
    assert app.query_params["beside"] == ""


def test_points_beside_can_be_chosen_in_every_figure(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    grid = make_grid(["tiny-rsc", "tiny-ann"], 8, epsilons=(2.0, 4.0))
    results = make_results(grid, Zoo(shipped_grid / "models"))
    with Store(store) as own:
        own.put_all(results)
    key = next(
        r.cell.key for r in results
        if (r.cell.model, r.cell.sigma, r.cell.time_steps, r.cell.epsilon, r.cell.attack)
        == ("tiny-rsc", 0.3, 4, 4.0, "fgsm")
    )  # fmt: skip
    for view in ("curves", "plane", "epsilon"):
        link = {"attack": "fgsm", "models": "tiny-rsc,tiny-ann", "steps": "4"}
        link["beside"] = Sample.of(results[0].cell).slug
        app = is_fine(page(PAGE, view=view, point=key, **link).run())
        (figure,) = figures(app).values()
        beside = [trace for trace in figure["data"] if "<br>on 8 gallery" in trace.get("name", "")]
        rows = [row for trace in beside for row in trace["customdata"]]
        assert key in [row[-1] for row in rows]
        assert all(row[1].endswith("; 8 gallery photographs, seed 0 (added here)") for row in rows)
        assert "Open sigma 0.3, T = 4, FGSM at 4/255 in the Playground" in words(app)
    alone = is_fine(page(PAGE, attack="fgsm", models="tiny-rsc", beside="").run())
    assert "open: added here" not in str(figures(alone)), "none is shown"
    worst = is_fine(page(PAGE, models="tiny-rsc", attack="worst", beside=link["beside"]).run())
    assert "<br>on 8 gallery" in str(figures(worst)), "both have the same attacks"


def test_the_worst_case_over_other_attacks_is_not_shown_beside(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    grid = make_grid(["tiny-rsc"], 8, attacks=(make_grid(["x"]).attacks[0],))
    results = make_results(grid, Zoo(shipped_grid / "models"))
    with Store(store) as own:
        own.put_all(results)
    beside = Sample.of(results[0].cell).slug
    app = is_fine(page(PAGE, models="tiny-rsc", attack="worst", beside=beside).run())
    assert "<br>on 8 gallery" not in str(figures(app))
    app.selectbox(key="tradeoff.attack").set_value("fgsm").run()
    assert "<br>on 8 gallery" in str(figures(is_fine(app)))


@pytest.mark.parametrize("view", ["curves", "votes", "noise"])
def test_the_commands_of_own_models_name_their_folder(
    assets: Path,
    page: PageMaker,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    view: str,
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    for name in ("tiny-rsc.json", "tiny-rsc.safetensors"):
        (assets / "models" / name).rename(folder / name)
    monkeypatch.setenv("RSC_SNN_ZOO", str(folder))
    zoo = Zoo(assets / "models", [folder])
    with Store(store) as own:
        own.put_all(make_results(make_grid(["tiny-rsc", "tiny-ann"]), zoo))
    hovers = {
        model: str(figures(is_fine(page(PAGE, models=model, view=view).run())))
        for model in ("tiny-rsc", "tiny-ann")
    }
    assert all(f"--model {model}" in hover for model, hover in hovers.items())
    assert f"--zoo {folder}" in hovers["tiny-rsc"].replace("<br>", " ")
    assert "--zoo" not in hovers["tiny-ann"]


@pytest.mark.parametrize(("draws", "count"), [(1, "One draw is"), (2, "Two draws are")])
def test_few_draws_do_not_vote(
    draws: int, count: str, assets: Path, page: PageMaker, store: Path
) -> None:
    with Store(store) as own:
        own.put_all(make_results(make_grid(["tiny-rsc"], draws=draws), Zoo(assets / "models")))
    app = is_fine(page(PAGE, view="votes", setting="tiny-rsc/0.1/4").run())
    assert f"{count} too few for a vote" in words(app)


def test_one_draw_is_one_draw(shipped_grid: Path, page: PageMaker) -> None:
    app = is_fine(page(PAGE, models="tiny-ann").run())
    assert "1 fresh noise draw an image" in words(app)
    app.multiselect(key="tradeoff.models.cifar10").set_value(["tiny-rsc"]).run()
    assert "1 or 5 fresh noise draws an image" in words(is_fine(app))


def test_stored_points_are_there_before_the_first_own_one(
    shipped_grid: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grid that was begun and has no attacked cell yet."""
    from rsc_snn.ui.explorer import grid_panel

    app = is_fine(page(PAGE, steps="4", **live_link()).run())
    monkeypatch.setattr(grid_panel, "measure_grid", lambda cells, context: None)
    app.button(key="tradeoff.start").click().run()
    is_fine(app)
    assert app.query_params["sample"].startswith("gallery-8-")
    for view in ("curves", "plane", "epsilon"):
        app.segmented_control(key="tradeoff.view").set_value(view).run()
        (figure,) = figures(is_fine(app)).values()
        names = [trace.get("name", "") for trace in figure["data"]]
        assert any(name.endswith("<br>on 20 gallery photographs, seed 0") for name in names)
        assert "n = 20 photographs" in words(app)
        assert "before any click" not in words(app), "no point has a mark"
    app.segmented_control(key="tradeoff.view").set_value("prices").run()
    assert "Nothing was measured yet for this choice, under FGSM at epsilon 4/255." in words(app)


EOT = {
    "grid": "true", "grid_models": "tiny-rsc", "grid_sigmas": "0,0.1,0.2,0.3", "grid_steps": "1,4",
    "grid_attacks": "eot_pgd10", "grid_epsilons": "2,4,8", "grid_images": "20", "grid_draws": "5",
}  # fmt: skip


def test_a_plan_does_not_rename_the_worst_case(shipped_grid: Path, page: PageMaker) -> None:
    before = is_fine(page(PAGE, models="tiny-rsc").run())
    after = is_fine(page(PAGE, models="tiny-rsc", **EOT).run())
    for app in (before, after):
        assert "the worst of FGSM, PGD-10 at epsilon 4/255" in words(app)
        assert app.query_params["worst"] == "fgsm,pgd-10"
    assert figures(before) == figures(after)


def test_a_shared_link_keeps_the_attacks_of_the_worst_case(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    link = dict(is_fine(page(PAGE, models="tiny-rsc").run()).query_params)
    open_page = is_fine(page(PAGE, **link).run())
    grid = make_grid(["tiny-rsc"], attacks=(PRESETS["eot_pgd10"],))
    with Store(store) as own:
        own.put_all(make_results(grid, Zoo(shipped_grid / "models")))
    fresh = is_fine(page(PAGE, models="tiny-rsc").run())
    assert "the worst of FGSM, PGD-10, EOT-PGD-10 at" in words(fresh)
    for app in (open_page, page(PAGE, **link)):
        assert "the worst of FGSM, PGD-10 at" in words(is_fine(app.run()))
    app.multiselect(key="tradeoff.worst.cifar10").set_value(["fgsm", "eot-pgd-10"]).run()
    assert "the worst of FGSM, EOT-PGD-10 at" in words(is_fine(app))
    assert app.query_params["worst"] == "fgsm,eot-pgd-10"
    app.multiselect(key="tradeoff.worst.cifar10").set_value([]).run()
    assert "Choose at least one attack in the panel." in words(is_fine(app))


def test_the_attacks_begin_with_those_of_the_chosen_models(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    """EOT-PGD was tried on one model alone, which is enough where only that one is shown."""
    grid = make_grid(["tiny-rsc"], attacks=(PRESETS["eot_pgd10"],))
    with Store(store) as own:
        own.put_all(make_results(grid, Zoo(shipped_grid / "models")))
    text = words(is_fine(page(PAGE, models="tiny-rsc").run()))
    assert "the worst of FGSM, PGD-10, EOT-PGD-10 at" in text
    assert "follow one" not in text
    text = words(is_fine(page(PAGE, models="tiny-poisson,tiny-ann").run()))
    assert "the worst of FGSM, PGD-10 at" in text


def test_attacks_of_one_draw_against_noise_are_called_too_weak(
    shipped_grid: Path, page: PageMaker
) -> None:
    sentence = "lower than what is shown here"
    for view in ("curves", "plane", "map", "epsilon", "votes", "noise", "prices", "ask"):
        assert sentence in words(is_fine(page(PAGE, models="tiny-rsc", view=view).run())), view
    assert sentence not in words(is_fine(page(PAGE, models="tiny-ann,tiny-direct").run()))


def test_settings_without_one_of_the_attacks_are_said_to_be_left_out(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    grid = make_grid(["tiny-rsc"], attacks=(PRESETS["eot_pgd10"],), time_steps=(4,))
    with Store(store) as own:
        own.put_all(make_results(grid, Zoo(shipped_grid / "models")))
    text = words(is_fine(page(PAGE, models="tiny-rsc", worst="fgsm,eot-pgd-10").run()))
    assert "4 settings are left out (T = 1): not all of these attacks were measured" in text
    for few in ("fgsm", "fgsm,pgd-10"):
        assert "left out" not in words(is_fine(page(PAGE, models="tiny-rsc", worst=few).run()))


@pytest.mark.parametrize("view", ["curves", "epsilon", "map", "ask"])
def test_settings_without_the_attack_at_this_epsilon_are_said_to_be_left_out(
    shipped_grid: Path, page: PageMaker, store: Path, view: str
) -> None:
    """At 16/255 two sigmas at T = 4 were measured; the map and the answer are of every T."""
    grid = make_grid(["tiny-rsc"], epsilons=(16.0,), sigmas=(0.1, 0.2), time_steps=(4,))
    with Store(store) as own:
        own.put_all(make_results(grid, Zoo(shipped_grid / "models")))
    link = {"models": "tiny-rsc", "attack": "pgd-10", "steps": "4", "view": view}
    text = words(is_fine(page(PAGE, **link, epsilon="16").run()))
    left_out = "6 settings are left out (T = 1, 4)"
    if view in ("curves", "epsilon"):
        left_out = "2 settings are left out (T = 4)"
    assert f"{left_out}: this attack was not measured there at this epsilon." in text
    assert "left out" not in words(is_fine(page(PAGE, **link, epsilon="8").run()))


def test_a_shared_link_keeps_the_images(shipped_grid: Path, page: PageMaker) -> None:
    """A later version ships more results of 8 photographs than of 20."""
    link = dict(is_fine(page(PAGE, models="tiny-rsc").run()).query_params)
    names, sigmas = list(TINY_CONFIGS), tuple(i / 20 for i in range(11))
    more = make_grid(names, 8, sigmas=sigmas, time_steps=(1, 2, 4, 8))
    with Store(":memory:") as memory:
        zoo = Zoo(shipped_grid / "models")
        memory.put_all([*make_results(make_grid(names), zoo), *make_results(more, zoo)])
        export_parquet(memory, shipped_grid / "results" / FILE)
    assert "n = 8 photographs" in words(is_fine(page(PAGE, models="tiny-rsc").run()))
    again = is_fine(page(PAGE, **link).run())
    assert "n = 20 photographs" in words(again)
    assert again.query_params["sample"] == link["sample"]
    other = page(PAGE, models="tiny-rsc", sample="gallery-8-abcdef-0-100").run()
    (warning,) = other.warning
    assert "there is no set of images 'gallery-8-abcdef-0-100' here" in warning.value


def test_images_of_one_name_can_be_told_apart_and_chosen(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    """Two samples of 20 gallery photographs, as of networks that see another size."""
    results = make_results(make_grid(["tiny-rsc"]), Zoo(shipped_grid / "models"))
    with Store(store) as own:
        own.put_all([replace(r, cell=replace(r.cell, data="f" * 16)) for r in results])
    app = is_fine(page(PAGE, models="tiny-rsc").run())
    box = app.selectbox(key="tradeoff.sample.cifar10")
    assert len(set(box.options)) == 2
    assert box.options[1] == "20 gallery photographs, seed 0, fingerprint ffffff"
    first, second = app.query_params["sample"], "gallery-20-ffffff-0-100"
    box.select_index(1).run()
    assert app.query_params["sample"] == second
    app.segmented_control(key="tradeoff.epsilon").set_value("2").run()
    assert app.query_params["sample"] == second, "another click does not change it"
    app.selectbox(key="tradeoff.sample.cifar10").select_index(0).run()
    assert is_fine(app).query_params["sample"] == first != second


def test_networks_of_one_label_can_be_told_apart_and_chosen(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    models = shipped_grid / "models"
    for path in list(models.glob("tiny-rsc.*")):
        shutil.copy(path, models / f"tiny-twin{path.suffix}")
    card = json.loads((models / "tiny-twin.json").read_text()) | {"name": "tiny-twin"}
    (models / "tiny-twin.json").write_text(json.dumps(card))
    with Store(store) as own:
        own.put_all(make_results(make_grid(["tiny-twin"]), Zoo(models)))
    link = {"models": "tiny-rsc,tiny-twin", "attack": "pgd-10", "steps": "4"}
    for view, key in (("votes", "setting"), ("prices", "dial"), ("map", "model")):
        app = is_fine(page(PAGE, **link, view=view).run())
        box = app.selectbox(key=f"tradeoff.{key}")
        assert len(set(box.options)) == len(box.options) >= 2, view
        box.select_index(0).run()
        assert "tiny-rsc" in app.query_params[key], view
    (figure,) = figures(page(PAGE, **link).run()).values()
    names = {trace["name"] for trace in figure["data"] if trace.get("customdata")}
    assert any("tiny-twin" in name for name in names)


def test_a_long_name_of_an_attack_comes_back_by_its_link(
    assets: Path, page: PageMaker, store: Path
) -> None:
    attack = GridAttack.of("eot_pgd", 0.1, steps=20, eot_draws=20, precision="full")
    with Store(store) as own:
        own.put_all(
            make_results(make_grid(["tiny-rsc"], attacks=(attack,)), Zoo(assets / "models"))
        )
    link = dict(is_fine(page(PAGE, models="tiny-rsc").run()).query_params)
    assert len(link["attack"]) > 60
    assert is_fine(page(PAGE, **link).run()).query_params["attack"] == link["attack"]


def test_showing_a_grid_leaves_no_choice_among_other_results_behind(
    shipped_grid: Path, page: PageMaker
) -> None:
    """The grid has two draws and one dial; five passes and another setting were chosen before."""
    link = {**live_link(), "models": "tiny-rsc", "steps": "1,4", "predictor": "vote"}
    link |= {"passes": "5", "view": "votes", "setting": "tiny-rsc/0.3/1"}
    app = is_fine(page(PAGE, **link).run())
    app.button(key="tradeoff.start").click().run()
    wait_for(app, lambda app: "All 4 measurements of this grid are done." in words(app))
    is_fine(app)
    app.button(key="tradeoff.show").click().run()
    assert is_fine(app).query_params["sample"].startswith("gallery-8-")


def test_where_all_answers_are_alike_the_noise_view_parts_nothing(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    results = make_results(make_grid(["tiny-ann"], epsilons=(32.0,)), Zoo(shipped_grid / "models"))
    wrong = [
        replace(r, answers=((r.labels + 1) % 10)[None].repeat(len(r.answers), axis=0))
        if r.cell.attack != CLEAN
        else r
        for r in results
    ]
    with Store(store) as own:
        own.put_all(wrong)
    link = {"models": "tiny-ann", "attack": "pgd-10", "epsilon": "32", "view": "noise"}
    app = is_fine(page(PAGE, **link).run())
    (note,) = [info.value for info in app.info]
    assert "every answer is wrong" in note and "Left out: Tiny ANN at T = 1" in note
    assert not figures(app)


def test_a_worst_case_that_rests_on_an_added_result_is_marked_as_added(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    """The strongest attack by itself ships, another one was added: the point is not all shipped."""
    zoo = Zoo(shipped_grid / "models")
    grid = make_grid(["tiny-rsc"], attacks=(PRESETS["eot_pgd10"],))
    weak = [
        replace(r, answers=np.tile(r.labels, (r.cell.draws, 1)))
        for r in make_results(grid, zoo)
        if r.cell.attack == "eot_pgd"
    ]
    with Store(store) as own:
        own.put_all(weak)
    link = {"models": "tiny-rsc", "steps": "4", "attack": "worst"}
    for worst, added in (("fgsm,pgd-10", False), ("fgsm,pgd-10,eot-pgd-10", True)):
        app = is_fine(page(PAGE, worst=worst, **link).run())
        (figure,) = figures(app).values()
        marks = [m for t in figure["data"] if "customdata" in t for m in t["marker"]["symbol"]]
        assert {mark.endswith("-open") for mark in marks} == {added}
        for view in ("map", "prices", "noise", "votes"):
            text = words(shown := is_fine(page(PAGE, view=view, worst=worst, **link).run()))
            assert ("added here" in f"{text} {figures(shown)}") == added, view
        ask = words(is_fine(page(PAGE, view="ask", worst=worst, **link).run()))
        assert ("(added here)" in ask) == added


@pytest.mark.parametrize("view", ["curves", "map", "epsilon", "votes", "prices", "noise"])
def test_added_results_that_better_ones_cover_are_counted(
    shipped_grid: Path, page: PageMaker, store: Path, view: str
) -> None:
    """Of four settings of the dial at T = 4; a view of one setting counts what lies under that."""
    zoo = Zoo(shipped_grid / "models")
    few = make_grid(
        ["tiny-rsc"], attacks=(PRESETS["fgsm"],), draws=3, epsilons=(4.0,), time_steps=(4,)
    )
    with Store(store) as own:
        own.put_all(make_results(few, zoo))
    link = {"models": "tiny-rsc", "steps": "4", "attack": "fgsm", "epsilon": "4", "view": view}
    text = words(is_fine(page(PAGE, **link).run()))
    said = "1 result that was added here stays" if view == "votes" else "4 results that were added"
    assert said in text and "measured with more draws" in text
    other = words(is_fine(page(PAGE, **{**link, "epsilon": "8"}).run()))
    assert ("of the figure:" in other) == (view == "epsilon"), "that view shows every epsilon"


@pytest.mark.parametrize("case", ["more draws, one attack lacks", "no clean result"])
def test_added_results_that_lack_something_are_not_called_covered(
    shipped_grid: Path, page: PageMaker, store: Path, case: str
) -> None:
    grid = make_grid(["tiny-rsc"], attacks=(PRESETS["fgsm"],), draws=10)
    results = make_results(grid, Zoo(shipped_grid / "models"))
    if case == "no clean result":
        results = [result for result in results if result.cell.attack != CLEAN]
    with Store(store) as own:
        own.put_all(results)
    link = {"models": "tiny-rsc", "attack": "worst", "worst": "fgsm,pgd-10"}
    assert "of the figure:" not in words(is_fine(page(PAGE, **link).run()))


@pytest.mark.parametrize(
    ("before", "alike"),
    [((8.0,), False), ((4.0, 8.0), False), ((1.0, 2.0, 4.0, 8.0), False), ((2.0, 4.0, 8.0), True)],
)
def test_attacks_through_other_smaller_epsilons_are_said(
    shipped_grid: Path, page: PageMaker, store: Path, before: tuple[float, ...], alike: bool
) -> None:
    """What ships went through 2 and 4 of 255 before 8."""
    grid = make_grid(["tiny-rsc"], attacks=(PRESETS["fgsm"],), epsilons=before, sigmas=(0.25,))
    with Store(store) as own:
        own.put_all(make_results(grid, Zoo(shipped_grid / "models")))
    link = {"models": "tiny-rsc", "steps": "4", "attack": "fgsm", "epsilon": "8"}
    text = words(is_fine(page(PAGE, **link).run()))
    said = "These attacks did not all go through the same smaller epsilons first"
    assert (said in text) == (not alike)


@pytest.mark.parametrize(
    ("kinds", "precision", "said"),
    [
        (("bfloat16", "bfloat16"), "fast", ""),
        (("bfloat16", "float32"), "fast", "computed in bfloat16 or float32, as"),
        (("float32", ""), "fast", "computed in float32 (of some it was not noted), as"),
        (("", ""), "fast", ""),
        (("bfloat16", "float32"), "full", ""),
    ],
)
def test_gradients_in_other_numbers_are_said(
    kinds: tuple[str, str], precision: str, said: str
) -> None:
    parameters = (("eot_draws", 10), ("precision", precision))
    right = np.ones((4, 8), bool)
    results = []
    for sigma, kind in zip((0.1, 0.2), kinds, strict=True):
        attacked = make_result(
            right, attack="eot_pgd", epsilon=8.0, parameters=parameters, sigma=sigma
        )
        versions = {"fast_gradients": kind} if kind else {}
        results += [make_result(right, sigma=sigma), replace(attacked, versions=versions)]
    points = operating_points(results, "eot_pgd", 8.0)
    assert len(points) == 2
    found = unlike_numbers(points)
    assert said in found and bool(found) == bool(said)


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        ([("CPU · 1 thread", "AMD EPYC, AVX2")], "AMD EPYC with AVX2"),
        ([("CPU · 1 thread", None)], "a CPU that was not noted"),
        (
            [("CPU · 1 thread", None), ("GPU · NVIDIA L4", "Xeon"), ("CPU · 1 thread", "M4, NEON")],
            "M4 with NEON, NVIDIA L4 and a CPU that was not noted",
        ),
    ],
)
def test_what_measured_the_points_is_named(
    devices: list[tuple[str, str | None]], said: str
) -> None:
    results = [
        replace(
            make_result(np.ones(8, bool), sigma=0.1 * place, **attacked),
            device=device,
            versions={"processor": processor} if processor else {},
        )
        for place, (device, processor) in enumerate(devices)
        for attacked in ({}, {"attack": "pgd", "epsilon": 8.0})
    ]
    assert processors(operating_points(results, "pgd", 8.0)) == said


def test_how_far_the_worst_case_of_noisy_scores_may_err() -> None:
    """Two attacks that harm in draws of their own; each image's lowest score is below both."""
    first, second = np.ones((4, 8), bool), np.ones((4, 8), bool)
    first[0, :4], second[0, 4:] = False, False
    results = [
        make_result(np.ones((4, 8), bool)),
        make_result(first, attack="pgd", epsilon=8.0),
        make_result(second, attack="eot_pgd", epsilon=8.0, parameters=(("eot_draws", 10),)),
    ]
    (point,) = operating_points(results, WORST, 8.0, attacks=("pgd", "eot_pgd"))
    assert (point.robust.value, point.alone) == (0.75, 0.875)
    assert "up to 12.5 points more are right" in caution([point])
    assert "one [draw](#draw)" not in caution([point])
    (alone,) = operating_points(results, "eot_pgd", 8.0)
    assert caution([alone]) == ""


def test_an_attack_counts_once_in_the_worst_case(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    longer = GridAttack.of("pgd", 1 / 4, steps=20, random_start=True, eot_draws=1)
    grid = make_grid(["tiny-rsc"], attacks=(longer,), epsilons=(16.0,))
    with Store(store) as own:
        own.put_all(make_results(grid, Zoo(shipped_grid / "models")))
    app = is_fine(page(PAGE, models="tiny-rsc", attack="worst", worst="fgsm,pgd-10").run())
    (other,) = [
        name for name in app.multiselect(key="tradeoff.worst.cifar10").options if "20" in name
    ]
    slug = next(
        variant_of(r.cell).slug for r in make_results(grid, Zoo(shipped_grid / "models"))
        if r.cell.epsilon
    )  # fmt: skip
    app.multiselect(key="tradeoff.worst.cifar10").set_value(["fgsm", "pgd-10", slug]).run()
    assert other not in words(is_fine(app))
    assert "Only FGSM, PGD-10 count" in words(app) and "the worst of FGSM, PGD-10 at" in words(app)
    app.multiselect(key="tradeoff.worst.cifar10").set_value(["fgsm", slug]).run()
    assert "Nothing was measured yet" in words(is_fine(app)), "they have no size in common"


@pytest.mark.parametrize("view", ["curves", "plane", "map", "epsilon"])
def test_a_plan_of_other_settings_leaves_the_stored_ones_in_the_figure(
    shipped_grid: Path, page: PageMaker, view: str
) -> None:
    """The grid is of 8 photographs at a sigma that the stored 20 were not measured at."""
    link = {**live_link(), "grid_sigmas": "0.15", "steps": "4", "view": view}
    app = is_fine(page(PAGE, **link).run())
    if view != "map":
        assert "of other images (20 gallery photographs, seed 0)" in words(app)
        assert len(figures(app)) == 1


def test_a_vote_needs_draws_and_says_where_they_lack(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    """One setting has 11 draws, the others 5."""
    grid = make_grid(["tiny-rsc"], draws=11, sigmas=(0.1,), time_steps=(4,))
    with Store(store) as own:
        own.put_all(make_results(grid, Zoo(shipped_grid / "models")))
    link = {"models": "tiny-rsc", "predictor": "vote", "steps": "4"}
    app = is_fine(page(PAGE, **link).run())
    assert app.query_params["passes"] == "5", "all settings have these"
    assert "left out" not in words(app)
    text = words(is_fine(page(PAGE, **link, passes="11").run()))
    # Without noise, at sigma 0, any vote is a single pass.
    assert "2 settings are left out (T = 4): too few draws for a vote over 11 passes." in text
    assert "not all of these attacks" not in text
    text = words(is_fine(page(PAGE, **{**link, "models": "tiny-poisson"}, passes="11").run()))
    assert "Nothing was measured yet for this choice" in text
    assert "with the 11 draws that the vote needs" in text


def test_what_a_grid_will_measure_is_not_left_out(shipped_grid: Path, page: PageMaker) -> None:
    """On the images that are shown, at sigmas of which nothing is stored yet."""
    link = {**live_link(), "models": "tiny-rsc", "attack": "pgd-10", "grid_sigmas": "0.15,0.25"}
    link |= {"grid_images": "20", "grid_draws": "5", "grid_attacks": "fgsm,pgd10"}
    text = words(is_fine(page(PAGE, **link).run()))
    assert "0 of them measured already" in text and "PGD-10 at epsilon 4/255" in text
    assert "left out" not in text


def test_a_model_whose_card_was_given_another_data_set_breaks_no_view(
    shipped_grid: Path, page: PageMaker
) -> None:
    card = shipped_grid / "models" / "tiny-rsc.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"dataset": "imagenette"}))
    for view in VIEWS:
        app = page(PAGE, view=view, models="tiny-rsc,tiny-ann", dataset="cifar10").run()
        assert not app.exception and not app.error, view


def test_an_attack_at_one_epsilon_of_many_settings_counts(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    grid = make_grid(["tiny-rsc"], attacks=(PRESETS["eot_pgd10"],), epsilons=(8.0,))
    with Store(store) as own:
        own.put_all(make_results(grid, Zoo(shipped_grid / "models")))
    text = words(is_fine(page(PAGE, models="tiny-rsc").run()))
    assert "the worst of FGSM, PGD-10, EOT-PGD-10 at epsilon 8/255" in text


def test_a_grid_with_a_step_of_its_own_is_one_attack(
    assets: Path, page: PageMaker, store: Path
) -> None:
    attack = GridAttack.of("pgd", 0.31875, steps=7)
    with Store(store) as own:
        own.put_all(
            make_results(make_grid(["tiny-rsc"], attacks=(attack,)), Zoo(assets / "models"))
        )
    app = is_fine(page(PAGE, models="tiny-rsc", view="epsilon").run())
    (figure,) = figures(app).values()
    assert {len(trace["x"]) for trace in figure["data"] if trace.get("customdata")} == {4}
    assert "PGD (step size 0.31875 epsilon, steps 7)" in words(app)


def test_without_photographs_of_the_data_there_is_no_price_of_a_pass(
    shipped_grid: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = page(PAGE, view="ask", models="tiny-rsc,tiny-ann", attack="fgsm")
    monkeypatch.setattr("rsc_snn.ui.explorer.ask.resources.gallery", lambda dataset: ())
    labels = [metric.label for metric in is_fine(app.run()).metric]
    assert labels == ["Clean accuracy", "Robust accuracy"]
    assert "settings kept the limit" in words(app)


def test_the_noise_view_says_how_many_draws_pay(shipped_grid: Path, page: PageMaker) -> None:
    text = words(is_fine(page(PAGE, view="noise", models="tiny-rsc", attack="pgd-10").run()))
    assert "draws, best for the effort" in text
    assert re.search(r"\| (\d+|as many as can be) \(\d+\) \|", text)


def test_the_noise_view_leaves_out_settings_of_one_draw_and_names_them(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    grid = make_grid(["tiny-rsc"], draws=1, sigmas=(0.15,), time_steps=(4,))
    with Store(store) as own:
        own.put_all(make_results(grid, Zoo(shipped_grid / "models")))
    link = {"view": "noise", "models": "tiny-rsc", "attack": "pgd-10", "steps": "4"}
    app = is_fine(page(PAGE, **link).run())
    text, note = words(app), "With one draw, left out: "
    (name,) = re.findall(f"{note}(.*?)\\.( |$)", text.replace("0.15", "0,15"))
    assert name[0].endswith("at sigma 0,15, T = 4 (added here)") and len(figures(app)) == 1
    assert "| draws, best for the effort" in text and "images and the attack on each" in text
    (shipped_grid / "results" / FILE).unlink()
    alone = is_fine(page(PAGE, **link).run())
    assert note in alone.info[0].value and not figures(alone)


def test_settings_that_miss_the_budget_by_noise_are_named(
    shipped_grid: Path, page: PageMaker
) -> None:
    app = is_fine(page(PAGE, view="ask", models="tiny-rsc", attack="fgsm", lose="10").run())
    text = words(app)
    assert "Beyond the limit, but by no more than noise: Tiny" in text
    assert "settings kept the limit" in text


class Listener:
    """Hears what a job says."""

    def __init__(self) -> None:
        self.paces: list[str] = []
        self.notes: list[str] = []

    def progress(self, share: float, pace: str = "") -> None:
        self.paces.append(f"{share:.0%}: {pace}")

    def advise(self, sentence: str) -> None:
        assert sentence.startswith("What was measured is kept")

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def publish(self, item: object) -> None:
        pass

    def cancelled(self) -> bool:
        return False


def small_cells(assets: Path) -> tuple[Cell, ...]:
    grid = make_grid(["tiny-rsc"], 4, sigmas=(0.0, 0.2), time_steps=(4,), epsilons=(4.0,), draws=2)
    zoo = Zoo(assets / "models")
    return expand(grid, zoo, fingerprints(grid, zoo))


def test_a_grid_says_points_rate_and_time_left(assets: Path) -> None:
    heard: Any = Listener()
    measure_grid(small_cells(assets), heard)
    first, *rest = heard.paces
    assert first == "0%: 0 of 6 measurements" and len(rest) == 6 and not heard.notes
    pattern = r"\d+%: (\d) of 6 measurements, [\d.,]+ a minute, about \d+ s left"
    found = [re.fullmatch(pattern, pace) for pace in rest]
    assert [match and match[1] for match in found] == list("123456")
    assert rest[-1].startswith("100%") and rest[-1].endswith("about 0 s left")


def test_a_grid_says_that_another_sweep_fills_the_store(
    assets: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rsc_snn.sweep.plan._shuffled", lambda keys: list(keys)[::-1])
    heard: Any = Listener()
    with Store(store) as other, other.sweeping() as alone:
        assert alone
        measure_grid(small_cells(assets), heard)
        assert other.cells()[1][0].sigma == 0.2, "the other sweep begins with the first"
    assert heard.notes == ["Another sweep fills this store; each leaves alone what the other did."]


def test_results_of_a_card_before_it_was_edited_do_not_count(
    assets: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(assets / "models" / "tiny-rsc.safetensors", own / "mine.safetensors")
    card = json.loads((assets / "models" / "tiny-rsc.json").read_text()) | {"name": "mine"}
    (own / "mine.json").write_text(json.dumps(card))
    monkeypatch.setenv("RSC_SNN_ZOO", str(own))
    with Store(store) as filled:
        filled.put_all(make_results(make_grid(["mine"]), Zoo(own=[own])))
        keys = set(filled.keys())
    assert gather().own == keys
    card["config"]["lif"]["threshold"] = 2.0
    (own / "mine.json").write_text(json.dumps(card))
    st.cache_resource.clear()  # As in a new process.
    assert gather().own == set()


def test_a_damaged_cell_of_the_store_costs_no_other_and_comes_back(
    assets: Path, store: Path
) -> None:
    results = make_results(make_grid(["tiny-rsc"]), Zoo(assets / "models"))
    with Store(store) as own:
        own.put_all(results)
        with sqlite3.connect(store) as connection:
            connection.execute("UPDATE answers SET answers = x'12' WHERE rowid = 2")
        found = gather()
        assert not found.problems and len(found.results(found.cells.values())) == len(results) - 1
        after = gather()
        assert "1 result, cannot be read any more; a sweep measures it again" in after.problems[0]
        assert len(after.cells) == len(results) - 1 and after.stamp != found.stamp
        own.put_all(results)
        healed = gather()
        assert not healed.problems and len(healed.results(healed.cells.values())) == len(results)


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grid goes on until it is cancelled, at a quarter."""
    from rsc_snn.ui.explorer import grid_panel

    def measure(cells: object, context: JobContext) -> None:
        context.progress(0.25, "1 of 4 measurements, 12 a minute, about 15 s left")
        context.note("It has company.")
        while True:
            context.check()
            time.sleep(0.01)

    monkeypatch.setattr(grid_panel, "measure_grid", measure)


def test_the_row_of_a_grid_shows_what_it_says(assets: Path, page: PageMaker, endless: None) -> None:
    app = is_fine(page(PAGE, **live_link()).run())
    app.button(key="tradeoff.start").click().run()
    wait_for(app, lambda app: "It has company." in words(app))
    (bar,) = app.get("progress")
    assert bar.proto.text == "Your grid: 1 of 4 measurements, 12 a minute, about 15 s left"
    assert "goes on through a reload of this page" in words(app)
    app.button(key="tradeoff.cancel").click().run()
    wait_for(app, lambda app: "Stopped; what was measured is kept." in words(app))


@pytest.mark.parametrize("change", ["switch", "empty list", "bad number", "another grid"])
def test_a_grid_under_way_is_shown_and_can_be_cancelled_whatever_the_controls_say(
    shipped_grid: Path, page: PageMaker, endless: None, change: str
) -> None:
    app = is_fine(page(PAGE, **live_link()).run())
    app.button(key="tradeoff.start").click().run()
    wait_for(app, lambda app: "It has company." in words(app))
    sample = app.query_params["sample"]
    if change == "switch":
        app.toggle(key="tradeoff.grid").set_value(False).run()
    elif change == "empty list":
        app.button_group(key="tradeoff.grid_steps").set_value([]).run()
    else:
        number = 21 if change == "bad number" else 6
        app.number_input(key="tradeoff.grid_images").set_value(number).run()
    assert not app.exception and bool(app.error) == (change == "bad number")
    (bar,) = app.get("progress")
    assert "1 of 4 measurements" in bar.proto.text
    assert ("(an earlier grid)" in bar.proto.text) == (change == "another grid")
    assert app.query_params["sample"] == sample, "the figure still waits for its points"
    text = words(app)
    assert "A reload would end it" in text and "through a reload" not in text
    app.button(key="tradeoff.cancel").click().run()
    wait_for(app, lambda app: not app.get("progress"))


def test_a_network_that_fails_on_another_page_ends_no_grid(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is the Playground, which itself does not ask for a grid."""

    def endless(context: JobContext) -> None:
        while True:
            context.check()
            time.sleep(0.01)

    app, queue = page("app.py"), resources.queue()
    job = queue.submit("the visitor", "Your grid", endless)
    app.session_state["owner"] = "the visitor"
    app.session_state["job.tradeoff"] = ("the grid", job)
    queue.leave("the visitor", grace=10)  # As the framework does when a connection ends.
    assert not app.run().exception
    monkeypatch.setattr(queue, "_clock", lambda: time.monotonic() + 60)
    time.sleep(0.1)
    view = queue.view(job)
    assert view is not None and not view.state.finished
    queue.cancel(job)


def test_a_job_behind_ones_own_grid_says_so_and_can_cancel_it(
    assets: Path, page: PageMaker, endless: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSC_SNN_LIMIT_LIVE_SECONDS", "0")
    app = page("app.py").run()
    app.switch_page(PAGE)
    for name, value in live_link().items():
        app.query_params[name] = value
    app.run()
    app.button(key="tradeoff.start").click().run()
    wait_for(app, lambda app: "It has company." in words(app))
    app.switch_page("pages/playground.py")
    app.query_params.clear()
    app.query_params["attack"] = "fgsm"
    app.run().button(key="attack.start").click().run()
    said = "It waits for a computation of your own: Your grid, 1 of 4 measurements"
    assert said in words(app.run())
    app.button(key="attack.cancel.tradeoff").click().run()
    wait_for(app, lambda app: bool(app.success or app.error or app.warning))
    assert said not in words(app)


def test_what_will_stay_out_of_the_figure_is_said_before_it_is_measured(
    shipped_grid: Path, page: PageMaker
) -> None:
    """Stored: FGSM on 20 photographs with 5 draws, through 2 and 4 before 8 of 255."""
    link = live_link(grid_images="20", grid_sigmas="0,0.1,0.15", grid_epsilons="4")
    app = is_fine(page(PAGE, **link).run())
    said = "2 of these measurements stay out of the figures: the same is stored"
    assert said in words(app), "those at sigma 0 and 0.1; at 0.15 nothing is stored"
    app.button(key="tradeoff.match").click().run()
    assert app.query_params["grid_draws"] == "5"
    assert app.query_params["grid_epsilons"] == "2,4"
    text = words(is_fine(app))
    assert "stay out of the figures" not in text
    assert "9 measurements (3 settings, each clean and under attack), 6 of them" in text


def test_what_stays_out_of_the_figure_is_said_after_it_was_measured(
    shipped_grid: Path, page: PageMaker
) -> None:
    app = is_fine(page(PAGE, **live_link(grid_images="20", grid_sigmas="0.1")).run())
    app.button(key="tradeoff.start").click().run()
    wait_for(app, lambda app: "All 2 measurements of this grid are done." in words(app))
    assert "1 of these measurements stays out of the figures" in words(app)


@pytest.mark.parametrize("case", ["other images", "more draws", "more epsilons", "as stored"])
def test_what_the_figure_will_show_is_not_said_to_stay_out(
    shipped_grid: Path, page: PageMaker, case: str
) -> None:
    changes = {
        "other images": {},
        "more draws": {"grid_images": "20", "grid_draws": "6"},
        "more epsilons": {"grid_images": "20", "grid_draws": "5", "grid_epsilons": "1,2,4"},
        "as stored": {"grid_images": "20", "grid_draws": "5", "grid_epsilons": "2,4"},
    }[case]
    app = page(PAGE, **live_link(grid_sigmas="0.1", **changes)).run()
    assert "out of the figures" not in words(is_fine(app))


@pytest.mark.parametrize("planned", [True, False])
def test_a_grid_of_one_visitor_does_not_change_what_is_seen_first(
    shipped_grid: Path, page: PageMaker, store: Path, planned: bool
) -> None:
    """Of 8 photographs there are, or will be, more results than the 20 have that ship."""
    before = is_fine(page(PAGE).run())
    sigmas = tuple(step / 20 for step in range(11))
    link = {}
    if planned:
        link = live_link(grid_models=",".join(TINY_CONFIGS), grid_steps="1,2,4,8,16")
        link |= {"grid_sigmas": ",".join(f"{s:g}" for s in sigmas), "grid_epsilons": "1,2,4,8"}
    else:
        many = make_grid(list(TINY_CONFIGS), 8, sigmas=sigmas, time_steps=(1, 2, 4, 8))
        with Store(store) as own:
            own.put_all(make_results(many, Zoo(shipped_grid / "models")))
    after = page(PAGE, **link).run()
    assert not after.exception and not after.error
    assert figures(after) == figures(before)
    assert after.query_params["sample"] == before.query_params["sample"]
    assert after.query_params["beside"] == ""


def test_each_data_set_keeps_what_was_chosen_of_it(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    results = make_results(make_grid(list(TINY_CONFIGS)), Zoo(shipped_grid / "models"))
    with Store(store) as own:
        own.put_all([replace(r, cell=replace(r.cell, dataset="imagenette")) for r in results])
    link = {"models": "tiny-poisson", "steps": "4", "attack": "worst", "worst": "fgsm"}
    app = is_fine(page(PAGE, **link).run())
    app.segmented_control(key="tradeoff.dataset").set_value("imagenette").run()
    assert is_fine(app).query_params["models"] != "tiny-poisson"
    app.segmented_control(key="tradeoff.dataset").set_value("cifar10").run()
    assert {name: is_fine(app).query_params[name] for name in link} == link


def test_without_time_steps_the_page_asks_for_one(shipped_grid: Path, page: PageMaker) -> None:
    said = "Choose at least one T in the panel to see Tiny RSC-SNN"
    for view in VIEWS:
        app = is_fine(page(PAGE, view=view, models="tiny-rsc", steps="").run())
        assert said in words(app) and "Nothing was measured" not in words(app)
    beside_the_ann = is_fine(page(PAGE, models="tiny-rsc,tiny-ann", steps="").run())
    assert said in words(beside_the_ann) and len(figures(beside_the_ann)) == 1
    alone = is_fine(page(PAGE, models="tiny-ann", steps="").run())
    assert "Choose at least one T" not in words(alone) and len(figures(alone)) == 1


def test_a_chosen_model_without_a_point_is_named(
    shipped_grid: Path, page: PageMaker, store: Path
) -> None:
    grid = make_grid(["tiny-rsc"], epsilons=(16.0,))
    with Store(store) as own:
        own.put_all(make_results(grid, Zoo(shipped_grid / "models")))
    link = {"models": "tiny-rsc,tiny-ann,tiny-direct", "steps": "4", "attack": "pgd-10"}
    for view in VIEWS:
        app = is_fine(page(PAGE, view=view, epsilon="16", **link).run())
        (note,) = [info.value for info in app.info if "Nothing" in info.value]
        assert "choice of Tiny ANN; Tiny SNN, direct coding, under PGD-10 at epsilon 16/255" in note
        assert "at T = 4." in note
        assert "Nothing was measured" not in words(
            is_fine(page(PAGE, view=view, epsilon="8", **link).run())
        )


def test_the_point_with_a_mark_is_explained(shipped_grid: Path, page: PageMaker) -> None:
    for view in ("curves", "plane", "map", "epsilon"):
        text = words(is_fine(page(PAGE, view=view, models="tiny-rsc").run()))
        assert "before any click, that of the best harmonic mean" in text, view
        assert ("Colours go from the lowest to the highest value" in text) == (view == "map")


def test_the_epsilon_view_names_its_attack_without_a_size(
    shipped_grid: Path, page: PageMaker
) -> None:
    for attack, name in (("pgd-10", "PGD-10"), ("worst", "the worst of FGSM, PGD-10")):
        app = is_fine(page(PAGE, view="epsilon", models="tiny-rsc", attack=attack).run())
        (alt,) = figures(app)
        assert f" under {name}, " in alt and f"of a single pass under {name}, as it may" in words(
            app
        )
        assert f"{name} at epsilon" not in alt


def test_a_click_on_a_price_is_said_to_open_the_setting_after_the_step(
    shipped_grid: Path, page: PageMaker
) -> None:
    said = "A click on a step of the figure opens the setting after it"
    link = {"models": "tiny-rsc", "steps": "4"}
    prices = words(is_fine(page(PAGE, view="prices", **link).run()))
    assert said in prices and "click on a point" not in prices
    assert said not in words(is_fine(page(PAGE, view="curves", **link).run()))


def test_robustness_of_a_vote_is_said_not_to_be_aimed_at(
    shipped_grid: Path, page: PageMaker
) -> None:
    said = "not at the vote"
    vote = {"predictor": "vote", "passes": "3"}
    for view in ("curves", "plane", "map", "epsilon", "prices", "ask"):
        link = {"models": "tiny-rsc", "steps": "4", "view": view}
        assert said in words(is_fine(page(PAGE, **link, **vote).run())), view
        assert said not in words(is_fine(page(PAGE, **link).run())), view
    assert said not in words(is_fine(page(PAGE, models="tiny-ann", **vote).run())), "no noise"


def test_one_point_and_one_setting_are_singular(shipped_grid: Path, page: PageMaker) -> None:
    link = {"view": "ask", "models": "tiny-rsc,tiny-ann", "attack": "fgsm"}
    for lose, noun in (("1", "1 point"), ("2", "2 points")):
        app = is_fine(page(PAGE, **link, lose=lose).run())
        said = " ".join(box.value for box in (*app.success, *app.info))
        assert f"of at most {noun} of clean" in said
    assert left_out_words(1, noun="setting").startswith(" 1 more setting is left out")
    assert left_out_words(2, noun="setting").startswith(" 2 more settings are left out")
    assert left_out_words(0) == ""


def test_the_time_of_a_pass_beside_a_job_is_not_kept(
    shipped_grid: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsc_snn.ui.explorer import ask

    measure, count = ask.measure_pass, []

    def counted(*args: Any, **options: Any) -> Any:
        count.append(args)
        return measure(*args, **options)

    def endless(context: JobContext) -> None:
        while True:
            context.check()
            time.sleep(0.01)

    monkeypatch.setattr(ask, "measure_pass", counted)
    queue = resources.queue()
    job = queue.submit("somebody", "A grid", endless)
    while not queue.status().running:
        time.sleep(0.01)
    app = is_fine(page(PAGE, view="ask", models="tiny-rsc", attack="fgsm").run())
    queue.cancel(job)
    while queue.status().running:
        time.sleep(0.01)
    for _ in range(3):
        is_fine(app.run())
    assert len(count) == 2, "beside the job, and once without it"
    assert app.metric[3].delta == "measured on this machine"
