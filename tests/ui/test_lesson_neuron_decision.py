"""The lesson's neuron and decision as a person uses them: sliders, sentences, links."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from rsc_snn.smoothing import exact_certificate, toy_classifier
from rsc_snn.ui.lesson import decision, neuron


def _neuron() -> None:
    from rsc_snn.ui.lesson import neuron
    from rsc_snn.ui.link import PageLink

    link = PageLink("lesson")
    neuron.draw(link)
    link.publish()
    link.complain()


def _decision() -> None:
    from rsc_snn.ui.lesson import decision
    from rsc_snn.ui.link import PageLink

    link = PageLink("lesson")
    decision.draw(link)
    link.publish()
    link.complain()


def _with_a_part() -> None:
    import streamlit as st

    from rsc_snn.ui.link import PageLink
    from rsc_snn.ui.query import number_field

    link = PageLink("lesson")
    field = number_field("x", "x", 0, 100, 10)

    @st.fragment
    def part() -> None:
        link.keep(field, st.slider("x", 0, 100, key=link.seed(field)))
        link.publish()
        # As a slider that is moved runs the part again, with the link of the page's last run.
        st.session_state["again"] = part_again

    def part_again(value: int) -> int:
        st.session_state[link.widget(field)] = value
        return int(st.session_state[link.seed(field)])

    part()


def test_a_part_that_runs_again_after_the_browsers_back_keeps_its_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "rsc_snn.ui.link._by_history", lambda: bool(st.session_state.pop("went back", False))
    )
    app = AppTest.from_function(_with_a_part).run()
    app.slider[0].set_value(40).run()
    app.session_state["went back"] = True
    del app.query_params["x"]
    app.run()
    assert app.slider[0].value == 10, "what the link leaves out is as by default"
    assert app.session_state["again"](70) == 70


def opened(step: str, **query: str) -> AppTest:
    """The step alone, opened by a link."""
    app = AppTest.from_function({"neuron": _neuron, "decision": _decision}[step])
    app.default_timeout = 60
    for key, value in query.items():
        app.query_params[key] = value
    return checked(app)


def checked(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception and not app.error
    return app


def said(app: AppTest) -> str:
    """All sentences of the step."""
    return " ".join([part.value for part in (*app.markdown, *app.caption)])


def move(app: AppTest, name: str, value: float) -> AppTest:
    app.slider(key=f"lesson.{name}").set_value(value)
    return checked(app)


def test_the_neuron_counts_its_spikes_and_knows_its_stairs() -> None:
    app = opened("neuron", neuron_noise="0", neuron_current="0.6", neuron_steps="32")
    assert "10 spikes in 32 steps" in said(app)
    assert "At 0.60 it spikes every 3 steps" in said(app)
    assert "within T = 32 the neuron is silent below a current of 0.500" in said(app)
    assert "Turn the noise up" in said(app)
    assert "A current of 0.49 never makes it spike" in said(move(app, "neuron_current", 0.49))
    assert "0 spikes in 32 steps" in said(app)
    assert "At just threshold / τ" in said(move(app, "neuron_current", 0.5))
    assert "At 1.20 it spikes at every step" in said(move(app, "neuron_current", 1.2))
    assert "1 spike in 1 step," in said(move(app, "neuron_steps", 1))


def test_a_short_watch_sees_fewer_spikes_than_a_long_one() -> None:
    app = opened("neuron", neuron_noise="0", neuron_current="0.6", neuron_steps="1")
    assert "within T = 1 the neuron is silent below a current of 1.000" in said(app)
    assert "up to threshold / τ = 0.500" in said(app)
    assert "0 spikes in 1 step" in said(app) and "it spikes every" not in said(app)
    late = "its first spike would come at step 3, after the T = "
    assert f"{late}1 that" in said(app)
    assert f"{late}2 that" in said(move(app, "neuron_steps", 2))
    assert "At 0.60 it spikes every 3 steps" in said(move(app, "neuron_steps", 3))
    assert "1 spike in 3 steps" in said(app)


@pytest.mark.parametrize(
    ("current", "tau", "threshold"),
    [("0.9", "2.0", "1.35"), ("0.65", "1.3", "0.8"), ("1.05", "1.4", "1.35")],
)
def test_figure_and_sentence_agree_where_charge_and_threshold_meet(
    current: str, tau: str, threshold: str
) -> None:
    query = {"neuron_current": current, "neuron_tau": tau, "neuron_threshold": threshold}
    app = opened("neuron", neuron_noise="0", neuron_steps="32", **query)
    assert "it spikes every 2 steps" in said(app) and "16 spikes in 32 steps" in said(app)


def test_noise_lifts_a_silent_neuron() -> None:
    app = opened("neuron", neuron_current="0.45", neuron_noise="0.2")
    assert "never makes it spike" in said(app)
    rate = re.search(r"spike in (\d+)% of the steps on average", said(app))
    assert rate and 0 < int(rate[1]) < 50


def test_the_decision_says_what_the_formula_gives() -> None:
    app = opened("decision")
    found = exact_certificate(toy_classifier(), np.array([0.62, 0.41]), 0.2, 4)
    assert f"pA = {found.chance:.2%}** of passes say blue" in said(app)
    assert f"**{found.radius:.3f}**" in said(app)
    assert "the noise that counts is σ / √T = 0.100" in said(app)
    assert "averages T" not in said(move(app, "decision_steps", 1))


def test_an_estimate_has_a_seed_and_certifies_less() -> None:
    app = opened("decision", decision_draws="1000")
    exact = exact_certificate(toy_classifier(), np.array([0.62, 0.41]), 0.2, 4).radius
    radius = re.search(r"= \*\*(0\.\d+)\*\*", said(app))
    assert radius and 0 < float(radius[1]) < exact
    first = said(app)
    assert said(opened("decision", decision_draws="1000")) == first
    app.button(key="lesson.decision_seed.again").click()
    assert said(checked(app)) != first
    assert app.query_params["decision_seed"] == "1"


def test_an_even_chance_certifies_nothing() -> None:
    # 100 passes cannot tell 55 % from one half.
    app = opened("decision", decision_draws="100", decision_sigma="0.36")
    assert "not above one half" in said(app)
    assert "Nothing is certified" in said(app)


def test_noise_can_change_the_class() -> None:
    app = opened("decision", decision_sigma="0.6")
    assert "Without noise the point is blue: smoothing changed its class" in said(app)
    assert "turn the majority of passes from orange" in said(app)
    assert "smoothing changed its class" not in said(opened("decision"))


def test_where_all_is_orange_there_is_no_edge() -> None:
    """From an effective sigma of about 0.252 on."""
    edge, none = "runs the smoothed edge", "there is no smoothed edge"
    app = opened("decision", decision_sigma="0.25", decision_steps="1")
    assert edge in said(app) and none not in said(app) and "leads to its edge" in said(app)
    assert "Everything is orange" not in said(app) and "no edge to find" not in said(app)
    move(app, "decision_sigma", 0.26)
    assert none in said(app) and edge not in said(app) and "leads to its edge" not in said(app)
    assert "no edge, and the circle certifies a constant answer." in said(app)
    assert "The attack on the smoothed decision has no edge to find." in said(app)
    assert "did not turn it" not in said(app).partition("Without noise a change")[0]


def test_the_words_about_the_radius_are_of_the_figure_beside_them() -> None:
    app = opened("decision", decision_steps="4")
    assert "before its class changes, here at σ = 0.4" in said(app)
    assert "from σ = 0.51 on every input is orange" in said(app)
    calm = opened("decision", decision_steps="16")
    assert "its class changes" not in said(calm) and "every input is orange" not in said(calm)
    assert "would drown the blue disc" in said(calm)
    orange = opened("decision", decision_u="0.9", decision_v="0.9", decision_steps="16")
    assert "its class changes" not in said(orange) and "would drown" not in said(orange)


def test_an_attack_lost_for_want_of_noise_is_said_to_be() -> None:
    query = {"decision_u": "0.35", "decision_v": "0.5", "decision_sigma": "0.05"}
    app = opened("decision", decision_steps="4", **query)
    assert "did not turn it in 60 steps: with so little noise" in said(app)
    assert "leads to its edge" not in said(app)
    assert "with so little noise" not in said(opened("decision"))


def test_where_all_is_orange_and_passes_are_few_there_is_neither_edge_nor_circle() -> None:
    query = {"decision_u": "0.45", "decision_v": "0.5", "decision_draws": "100"}
    app = opened("decision", decision_sigma="0.26", decision_steps="1", **query)
    assert "there is no circle. Everything is orange now: there is no edge." in said(app)
    assert "the circle certifies" not in said(app)


@pytest.mark.parametrize("sigma", ["0.05", "0.33"])
@pytest.mark.parametrize("steps", ["3", "16"])
@pytest.mark.parametrize(("u", "v"), [("0", "0"), ("0.9", "0.35")])
def test_the_product_of_the_radius_holds_as_it_is_written(
    sigma: str, steps: str, u: str, v: str
) -> None:
    query = {"decision_u": u, "decision_v": v, "decision_sigma": sigma, "decision_steps": steps}
    text = said(opened("decision", **query))
    factors = re.search(r"= ([\d.]+) × ([\d.]+) = \*\*([\d.]+)\*\*", text)
    assert factors
    noise, quantile, radius = factors.groups()
    assert f"{float(noise) * float(quantile):.3f}" == radius
    assert len(noise.lstrip("0.")) >= 4
    found = exact_certificate(
        toy_classifier(), np.array([float(u), float(v)]), float(sigma), int(steps)
    )
    assert radius == f"{found.radius:.3f}"


@pytest.mark.parametrize("draws", ["exact", "100"])
def test_a_chance_that_is_almost_one_says_how_far_it_is_from_it(draws: str) -> None:
    corner = {"decision_u": "0", "decision_v": "0", "decision_sigma": "0.05"}
    text = said(opened("decision", decision_steps="16", decision_draws=draws, **corner))
    (rest,) = toy_classifier().chances(np.zeros((1, 2)), 0.0125)[:, 0]
    factor, exponent = f"{rest:.1e}".split("e")
    written = exponent.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    assert f"1 − {factor} × 10{written}" in text
    assert "100.00%" not in text


def test_an_estimate_of_the_wrong_class_is_said_to_be_wrong() -> None:
    point = {"decision_u": "0.72", "decision_v": "0.5", "decision_seed": "1698"}
    text = said(opened("decision", decision_draws="100", **point))
    assert "This estimate is wrong, as 0.1% of them may be" in text
    assert "This estimate is wrong" not in said(opened("decision", decision_draws="100"))


@pytest.mark.parametrize(
    ("step", "values"),
    [
        ("neuron", {"neuron_tau": "5", "neuron_threshold": "0.5", "neuron_seed": "3"}),
        ("decision", {"decision_u": "0.3", "decision_v": "0.7", "decision_draws": "10000"}),
    ],
)
def test_a_link_opens_the_step_in_its_state(step: str, values: dict[str, str]) -> None:
    app = opened(step, **values)
    assert not app.warning
    for name, value in values.items():
        assert app.query_params[name] == value


def test_what_a_link_cannot_mean_is_said() -> None:
    app = opened("neuron", neuron_tau="0.5")
    assert "between 1.1 and 10" in app.warning[0].value
    assert app.slider(key="lesson.neuron_tau").value == 2.0


@pytest.mark.parametrize("module", [neuron, decision])
def test_the_code_of_the_figures_can_be_shown(module: object) -> None:
    for function in module.CODE:  # type: ignore[attr-defined]
        assert '"""' in inspect.getsource(function)


@pytest.mark.parametrize("corner", ["0", "1"])
@pytest.mark.parametrize(("sigma", "steps"), [("0.05", "16"), ("0.6", "1")])
def test_the_ends_of_the_decisions_sliders_have_an_answer(
    corner: str, sigma: str, steps: str
) -> None:
    values = {"decision_sigma": sigma, "decision_steps": steps}
    app = opened("decision", decision_u=corner, decision_v=corner, **values)
    assert "say orange" in said(app) and "Certified radius" in said(app)


@pytest.mark.parametrize(
    ("tau", "threshold", "steps"), [("1.1", "1.5", "1"), ("10", "0.2", "64"), ("10", "1.5", "64")]
)
@pytest.mark.parametrize("current", ["0", "1.5"])
def test_the_ends_of_the_neurons_sliders_have_an_answer(
    tau: str, threshold: str, steps: str, current: str
) -> None:
    values = {"neuron_tau": tau, "neuron_threshold": threshold, "neuron_steps": steps}
    app = opened("neuron", neuron_current=current, **values)
    first = 1 - (1 - 1 / float(tau)) ** int(steps)
    expected = float(threshold) / float(tau) / first
    assert f"silent below a current of {expected:.3f}" in said(app)
