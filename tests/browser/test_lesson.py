"""The lesson in real Chromium: walk through it, answer, skip, come back by link."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rsc_snn.glossary import TERMS, find_term, linked_slugs
from rsc_snn.ui.lesson.questions import QUESTIONS, Number
from rsc_snn.ui.lesson.texts import STEPS, step_text, text_file
from tests.browser.driving import EXCEPTION, control, open_playground, served_app, settle

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
WRONG = {"pixel": 0.16, "image": 0, "currents": 1, "neuron": 3, "decision": 0.5, "bill": 0}
SKIPPED = "currents"
FIGURES = {"pixel": 2, "image": 1, "currents": 2, "neuron": 2, "decision": 2, "bill": 0}


AREA = "document.querySelector('[data-testid=stMain]')"


def right(step: str) -> float:
    question = QUESTIONS[step]
    return question.value if isinstance(question, Number) else question.right


def wait_for_step(page: Any, step: str) -> None:
    """Until the step is there with its figures, run to its end."""
    title = re.compile(rf"^{STEPS.index(step) + 1}\. {re.escape(step_text(step).title)}")
    page.get_by_role("heading", name=title).wait_for()
    page.wait_for_function(
        "count => document.querySelectorAll('.js-plotly-plot .draglayer').length >= count",
        arg=FIGURES[step],
    )
    settle(page)


def open_step(page: Any, address: str, query: str, step: str) -> None:
    page.goto(f"{address}/poisson_coding?{query}")
    wait_for_step(page, step)


def answer(page: Any, step: str, value: float) -> None:
    """Give an answer as a person does."""
    place = page.locator(control(page, f"lesson.answer.{step}"))
    if isinstance(QUESTIONS[step], Number):
        place.locator("input").fill(f"{value:g}")
    else:
        place.locator("label[data-baseweb=radio], label:has(input)").nth(int(value)).click()
    page.locator(f"{control(page, f'lesson.check.{step}')} button").click()


def test_a_newcomer_walks_all_six_steps(page: Any, address: str) -> None:
    open_playground(page, address)
    sidebar = page.locator('[data-testid="stSidebar"]')
    assert sidebar.is_visible()
    page.evaluate(
        "window.gone = []; const push = history.pushState; history.pushState = function(...all) {"
        "window.gone.push(all[2]); return push.apply(this, all); }; null"
    )
    page.get_by_role("link", name="Lesson").click()
    for step in STEPS:
        wait_for_step(page, step)
        assert not sidebar.is_visible()
        if step == STEPS[0]:
            gone = page.evaluate("window.gone")
            assert gone and all("/poisson_coding" in place for place in gone), gone
        assert f"step={step}" in page.url
        page.wait_for_function(f"{AREA}.scrollTop === 0")
        if step == SKIPPED:
            page.get_by_role("button", name="Skip the question").click()
            continue
        answer(page, step, WRONG[step])
        page.get_by_text("is not right").wait_for()
        settle(page)
        answer(page, step, right(step))
        page.get_by_text("is right.").wait_for()
        settle(page)
        if step != STEPS[-1]:
            page.get_by_role("button", name="Next:").click()
    page.get_by_text(f"you solved {len(STEPS) - 1} of {len(STEPS)}").wait_for()
    back = page.locator(f"{control(page, f'lesson.way.{SKIPPED}')} button")
    back.click()
    wait_for_step(page, SKIPPED)
    answer(page, SKIPPED, right(SKIPPED))
    page.get_by_text("is right.").wait_for()
    settle(page)


def tab_to(page: Any, selector: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab does not reach {selector}")


def test_a_step_is_done_by_keyboard_alone(page: Any, address: str) -> None:
    open_step(page, address, "step=pixel", "pixel")
    tab_to(page, f"{control(page, 'lesson.pixel_x')} input")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(re.compile("pixel_x=0.29"))
    tab_to(page, f"{control(page, 'lesson.answer.pixel')} input")
    page.keyboard.type("0.02")
    page.keyboard.press("Enter")
    page.get_by_text("is right.").wait_for()
    settle(page)
    tab_to(page, f"{control(page, 'lesson.next.pixel')} button")
    page.keyboard.press("Enter")
    wait_for_step(page, "image")
    # The new step's controls come next, not those of the page's end.
    tab_to(page, f"{control(page, 'lesson.image_steps')} input")


def test_two_wrong_answers_are_explained_and_the_way_is_open(page: Any, address: str) -> None:
    open_step(page, address, "step=decision", "decision")
    answer(page, "decision", 0.5)
    page.get_by_text("You have a second try.").wait_for()
    settle(page)
    answer(page, "decision", 0.25)
    page.get_by_text("The right answer is").wait_for()
    settle(page)
    page.get_by_role("button", name="Next:").click()
    wait_for_step(page, "bill")


def test_a_bad_link_is_told_in_a_sentence(page: Any, address: str) -> None:
    query = "step=neuron&neuron_tau=abc&neuron_steps=1e99&neuron_seed=-1&nonsense=1"
    open_step(page, address, query, "neuron")
    alerts = page.locator('[data-testid="stAlert"]')
    assert alerts.count() == 1 and alerts.locator("li").count() == 3
    said = " ".join(alerts.all_inner_texts())
    assert "Time constant τ must be a number, not 'abc'" in said
    assert "between 0 and 2147483647, not -1" in said
    assert page.locator(EXCEPTION).count() == 0
    page.wait_for_url(re.compile("neuron_tau=2&"))


def test_one_comes_back_by_link(page: Any, address: str) -> None:
    open_step(page, address, "step=neuron", "neuron")
    tau = control(page, "lesson.neuron_tau")
    page.locator(f"{tau} [role=slider], {tau} input").first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile("neuron_tau=2.3"))
    settle(page)
    link = page.url
    caption = page.get_by_text("Middle: at each step").inner_text()
    other = page.context.new_page()
    other.goto(link)
    wait_for_step(other, "neuron")
    assert other.get_by_text("Middle: at each step").inner_text() == caption
    assert other.locator(EXCEPTION).count() == 0
    other.close()


def test_the_first_visitor_of_a_server_may_come_by_a_link(
    chromium: Any, page: Any, assets: Path, tmp_path: Path
) -> None:
    with served_app(tmp_path / "log", assets) as (address, _):
        open_step(page, address, "step=pixel", "pixel")
        assert page.get_by_role("link", name="Playground").count() == 1
        page.goto("about:blank")


def wait_until_in_view(page: Any, anchor: str) -> None:
    page.wait_for_function(
        """anchor => {
          const box = document.getElementById(anchor).getBoundingClientRect();
          return box.top >= 0 && box.bottom <= innerHeight;
        }""",
        arg=anchor,
    )


def test_words_lead_to_the_glossary_and_back(page: Any, address: str) -> None:
    open_step(page, address, "step=neuron", "neuron")
    slugs = linked_slugs(text_file("neuron").read_text(encoding="utf-8"))
    links = page.locator('.st-key-lesson-idea a[href*="#glossary-"]')
    assert links.count() == len(slugs)
    term = find_term("membrane-potential")
    link = page.locator(f'.st-key-lesson-idea a[href="#{term.anchor}"]')
    assert link.get_attribute("title") == term.definition
    entry = page.locator(f"#{term.anchor}")
    left = page.evaluate(f"{AREA}.scrollTop")
    link.click()
    wait_until_in_view(page, term.anchor)
    assert term.definition in entry.inner_text()
    settle(page)
    assert "step=neuron" in page.url
    assert len(page.context.pages) == 1
    assert page.locator(".rsc-glossary dt").count() == len(TERMS)
    entry.get_by_role("link", name="Back to the text").click()
    page.wait_for_function(f"{AREA}.scrollTop === {left}")
    link.click()
    wait_until_in_view(page, term.anchor)
    page.go_back()
    page.wait_for_function(f"{AREA}.scrollTop === {left}")


def test_a_word_of_the_playground_leads_to_the_glossary(page: Any, address: str) -> None:
    open_playground(page, address)
    page.get_by_role("button", name="Help for Noise level").hover()
    with page.context.expect_page() as opened:
        page.locator('a[href="poisson_coding?word=sigma"]').click()
    other = opened.value
    entry = other.locator(f"#{find_term('sigma').anchor}")
    entry.wait_for()
    wait_until_in_view(other, find_term("sigma").anchor)
    settle(other)
    assert find_term("sigma").definition in entry.inner_text()
    other.close()


def test_the_projector_has_larger_type(page: Any, address: str) -> None:
    open_step(page, address, "step=decision", "decision")

    def size() -> float:
        return float(
            page.locator(".st-key-lesson-idea p").first.evaluate(
                "text => parseFloat(getComputedStyle(text).fontSize)"
            )
        )

    before = size()
    page.locator(f"{control(page, 'lesson.presentation')} label").first.click()
    page.wait_for_url(re.compile("presentation=true"))
    settle(page)
    assert size() > 1.15 * before
    form = page.locator(control(page, "lesson.check.decision"))
    assert not form.is_visible()
    page.get_by_text("The question", exact=True).click()
    form.wait_for(state="visible")


def test_the_code_opens(page: Any, address: str) -> None:
    open_step(page, address, "step=pixel", "pixel")
    page.get_by_text("Show me the code").click()
    page.get_by_text("class PoissonCoding").first.wait_for()
    settle(page)


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_a_phone_shows_every_step_without_scrolling_sideways(page: Any, address: str) -> None:
    for step in STEPS:
        open_step(page, address, f"step={step}", step)
        main = page.locator('[data-testid="stMain"]')
        assert main.evaluate("area => area.scrollWidth <= area.clientWidth + 1"), step
        edges = page.locator(".js-plotly-plot, .st-key-lesson-idea, form").evaluate_all(
            "parts => parts.map(part => part.getBoundingClientRect().right)"
        )
        assert max(edges) <= 390, step
        if step in ("neuron", "decision"):
            tops = page.locator("[class*=st-key-lesson-live] .stSlider, .draglayer").evaluate_all(
                "parts => parts.map(part => part.getBoundingClientRect())"
            )
            slider, figure = tops[0], next(top for top in tops if top["height"] > 100)
            assert figure["bottom"] - slider["top"] < 844 - 60, step
    open_step(page, address, "step=pixel&presentation=true", "pixel")
    page.locator('[data-testid="stExpandSidebarButton"]').click()
    page.get_by_role("link", name="Models").wait_for()
