"""What is around a step of the lesson: the way through, the idea, the question, the projector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import streamlit as st

from rsc_snn.glossary import TERMS, find_term
from rsc_snn.ui.components import arrive, copy_link
from rsc_snn.ui.errors import shown_errors
from rsc_snn.ui.lesson.code import draw_code
from rsc_snn.ui.lesson.questions import QUESTIONS, Number, Progress, Question
from rsc_snn.ui.lesson.texts import STEPS, step_text
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import choice_field, switch_field

_LABELS = {
    "pixel": "A pixel",
    "image": "An image",
    "currents": "First layer",
    "neuron": "A neuron",
    "decision": "A decision",
    "bill": "The bill",
}
_STEP = choice_field("step", "step", STEPS, STEPS[0])
_PROJECTOR = switch_field("presentation", "The switch “Presentation”", False)
# In a link from another page: the word of the glossary to go to.
_WORD = choice_field("word", "glossary word", ("", *TERMS), "")
_PROGRESS = "lesson.progress"
_ARRIVAL = "lesson.arrival"
_STYLE = """
<style>
.st-key-lesson-idea, .st-key-lesson-equations { padding-bottom: 0.8rem; }
.st-key-lesson-idea p { max-width: 46rem; font-size: 1.06rem; line-height: 1.6; }
.st-key-lesson-equations .katex-display {
  margin: 0.15em 0; overflow-x: auto; overflow-y: hidden; padding: 0.15em 0;
}
.st-key-lesson-tools .st-key-copy-link { min-width: 8.5rem; }
.st-key-lesson-arrive { position: absolute; }
.st-key-lesson-question { max-width: 60rem; }
@media (max-width: 640px) {
  /* Sliders side by side and the first figure next, so that one sees what a slider does. */
  [class*="st-key-lesson-live-"] {
    display: grid; grid-template-columns: 1fr 1fr; gap: 0.5rem 1rem;
  }
  [class*="st-key-lesson-live-"]
    :is([data-testid="stLayoutWrapper"], [data-testid^="stHorizontal"], [data-testid="stColumn"],
    [data-testid="stVerticalBlock"]) { display: contents; }
  [class*="st-key-lesson-live-"] [data-testid="stElementContainer"] { grid-column: 1 / -1; }
  [class*="st-key-lesson-live-"]
    [data-testid="stElementContainer"]:has([data-testid="stSlider"], [data-testid="stButton"]) {
    grid-column: auto; align-self: end;
  }
  [class*="st-key-lesson-live-"] [data-testid="stElementContainer"]:is(
    .st-key-lesson-bill_attacked, .st-key-lesson-currents_channel) { grid-column: 1 / -1; }
  .st-key-lesson-live-decision [data-testid="stElementContainer"] { order: 2; }
  .st-key-lesson-live-decision
    :is(.st-key-lesson-decision_draws, .st-key-lesson-decision_seed-again) { order: 1; }
  .st-key-lesson-live-decision .st-key-lesson-decision-plane,
  .st-key-lesson-live-decision [data-testid="stElementContainer"]:has([data-testid="stSlider"]) {
    order: 0;
  }
}
</style>
"""
# Everything on a page is in units of this size, but for the figures; their legends, which are laid
# out for their size, stay as they are.
_LARGE = """
<style>
html { font-size: 20px !important; }
[data-testid="stMainBlockContainer"] { max-width: none; }
.js-plotly-plot .xtick text, .js-plotly-plot .ytick text { font-size: 15px !important; }
.js-plotly-plot :is(.xtitle, [class^="y"][class$="title"]) { font-size: 17px !important; }
</style>
"""


@dataclass(frozen=True)
class Frame:
    """What the link says of the page around the step. projector: for a room that reads along."""

    step: str
    projector: bool


def read_frame(link: PageLink) -> Frame:
    """Draw the tools and the way through the steps, and read them."""
    with st.container(key="lesson-tools", horizontal=True, vertical_alignment="center"):
        st.button(
            "Start again",
            key="lesson.reset",
            on_click=link.forget,
            icon=":material/restart_alt:",
            help="Put every control back to its start and forget every answer.",
        )
        projector = st.toggle(
            "Presentation",
            key=link.seed(_PROJECTOR),
            help="For the projector: larger type, the whole width, the question folded away.",
        )
        copy_link(key="copy-link")
    step = str(st.session_state[link.seed(_STEP)])
    link.keep(_STEP, step)
    link.keep(_PROJECTOR, projector, linked=projector)
    st.html(_STYLE + (_LARGE if projector else ""))
    _draw_way(link, step)
    _arrive(link, step)
    return Frame(step, projector)


@dataclass(frozen=True)
class _Arrival:
    """Where the visitor came to last, and how often that was somewhere new."""

    step: str
    word: str = ""
    count: int = 0


def _arrive(link: PageLink, step: str) -> None:
    """A new step begins at its top, and a link to a word of the glossary there."""
    key = link.seed(_WORD)
    word = str(st.session_state[key])
    del st.session_state[key]
    last: _Arrival = st.session_state.setdefault(_ARRIVAL, _Arrival(step))
    if word or step != last.step:
        last = st.session_state[_ARRIVAL] = _Arrival(step, word, last.count + 1)
    arrive(find_term(last.word).anchor if last.word else "", last.count, key="lesson-arrive")


def _progress() -> dict[str, Progress]:
    found: dict[str, Progress] = st.session_state.setdefault(_PROGRESS, {})
    return found


def _of(step: str) -> Progress:
    return _progress().get(step, Progress())


def _is_done(step: str) -> bool:
    return _of(step).finished(QUESTIONS[step])


def _go(link: PageLink, step: str) -> None:
    st.session_state[link.widget(_STEP)] = step


def _draw_way(link: PageLink, current: str) -> None:
    """All steps side by side: where one is, what is done, and each a click away."""
    with st.container(key="lesson-way", horizontal=True, gap="small"):
        for number, step in enumerate(STEPS, 1):
            st.button(
                f"{number} · {_LABELS[step]}",
                key=f"lesson.way.{step}",
                type="primary" if step == current else "secondary",
                icon=_mark(step),
                on_click=partial(_go, link, step),
            )


def _mark(step: str) -> str | None:
    if _is_done(step):
        return ":material/check_circle:"
    return ":material/redo:" if _of(step).skipped else None


def draw_step(link: PageLink, frame: Frame) -> None:
    """The idea, the figures, the question, the code. An error of the figures leaves the rest."""
    step, text = frame.step, step_text(frame.step)
    st.header(f"{STEPS.index(step) + 1}. {text.title}", anchor=False)
    idea, equations = st.columns([3, 2], gap="large", vertical_alignment="center")
    with idea.container(key="lesson-idea"):
        st.markdown(text.idea)
    with equations.container(key="lesson-equations"):
        for equation in text.equations:
            st.latex(equation)
    module = import_module(f"{__package__}.{step}")
    _draw_figures(link, step, module.draw)
    if frame.projector:
        with st.expander("The question", icon=":material/quiz:"):
            _draw_question(link, step)
    else:
        with st.container(border=True, key="lesson-question"):
            _draw_question(link, step)
    draw_code(step, module.CODE)


@st.fragment
def _draw_figures(link: PageLink, step: str, draw: Callable[[PageLink], None]) -> None:
    """The step's controls and figures; a move of a control runs, and draws, nothing else."""
    with st.container(key=f"lesson-live-{step}"), shown_errors():
        draw(link)
    link.publish()


def _draw_question(link: PageLink, step: str) -> None:
    """The question, the reply to the latest answer, and the way on."""
    question, progress = QUESTIONS[step], _of(step)
    st.markdown(f"**Question {STEPS.index(step) + 1}.** {question.text}")
    finished = progress.finished(question)
    if progress.answers:
        _draw_reply(question, progress)
    if not finished:
        _draw_form(step, question, progress)
    _draw_way_on(link, step, finished)


def _draw_form(step: str, question: Question, progress: Progress) -> None:
    key = f"lesson.answer.{step}"
    with st.form(f"lesson.form.{step}", border=False, enter_to_submit=True):
        last = progress.answers[-1] if progress.answers else None
        if isinstance(question, Number):
            _number(question, key, last)
        else:
            st.radio(
                "Your answer",
                range(len(question.options)),
                format_func=lambda index: question.options[index].text,
                index=None if last is None else int(last),
                key=key,
                label_visibility="collapsed",
            )
        st.form_submit_button(
            "Check again" if progress.answers else "Check",
            key=f"lesson.check.{step}",
            on_click=partial(_answer, step, key),
            icon=":material/done:",
        )


def _number(question: Number, key: str, last: float | None) -> None:
    low, high = question.limits
    digits = len(f"{question.step:g}".partition(".")[2])
    with st.container(width=220):
        st.number_input(
            "Your answer",
            float(low),
            float(high),
            value=last,
            step=float(question.step),
            format=f"%.{digits}f",
            key=key,
        )


def _answer(step: str, key: str) -> None:
    answer = st.session_state[key]
    if answer is not None:
        _progress()[step] = _of(step).with_answer(float(answer))


def _draw_reply(question: Question, progress: Progress) -> None:
    answer = progress.answers[-1]
    given = f"{answer:g}" if isinstance(question, Number) else question.options[int(answer)].text
    if progress.solved(question):
        st.success(
            f"**{given}** is right. {question.reply(answer)}", icon=":material/check_circle:"
        )
        return
    st.warning(f"**{given}** is not right. {question.reply(answer)}", icon=":material/lightbulb:")
    if progress.finished(question):
        st.info(f"The right answer is **{question.solution}**", icon=":material/school:")
    else:
        st.caption("You have a second try.")


def _draw_way_on(link: PageLink, step: str, finished: bool) -> None:
    """The next step; who does not want to answer can go on too."""
    following = STEPS[STEPS.index(step) + 1 :]
    if not following:
        if finished or _of(step).skipped:
            _draw_end()
        else:
            _skip_button(step, "Skip the question", partial(_skip, step))
    elif finished:
        st.button(
            f"Next: {step_text(following[0]).title}",
            key=f"lesson.next.{step}",
            type="primary",
            icon=":material/arrow_forward:",
            on_click=partial(_go, link, following[0]),
        )
    else:
        _skip_button(
            step, "Skip the question and go on", partial(_skip_to, link, step, following[0])
        )


def _skip_button(step: str, label: str, skip: partial[None]) -> None:
    st.button(
        label, key=f"lesson.skip.{step}", type="tertiary", icon=":material/redo:", on_click=skip
    )


def _skip(step: str) -> None:
    _progress()[step] = Progress(_of(step).answers, skipped=True)


def _skip_to(link: PageLink, step: str, following: str) -> None:
    _skip(step)
    _go(link, following)


def _draw_end() -> None:
    solved = sum(_of(step).solved(QUESTIONS[step]) for step in STEPS)
    st.success(
        f"That was the lesson; you solved {solved} of {len(STEPS)} questions. In the Playground "
        "you can now attack a network yourself. Exercises with solutions, to print, are in "
        "`docs/lesson-handout.md`.",
        icon=":material/flag:",
    )
