"""The bill: what noise costs and buys on a real network, from the results that ship."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from rsc_snn.errors import RscSnnError
from rsc_snn.figures.explorer import Look, Show
from rsc_snn.figures.lesson_bill import bill_figure
from rsc_snn.glossary import mark
from rsc_snn.sweep.cells import CLEAN
from rsc_snn.theory import mixed_accuracy
from rsc_snn.tradeoff import WORST, OperatingPoint, Qte, operating_points, pareto_front, qte
from rsc_snn.tradeoff.paired import Difference, differences
from rsc_snn.ui import resources
from rsc_snn.ui.choices import network_labels
from rsc_snn.ui.explorer.frame import caution
from rsc_snn.ui.explorer.measured import (
    Menu,
    Sample,
    Selection,
    Setting,
    Variant,
    menu_of,
    points_of,
    setting_of,
    variant_of,
)
from rsc_snn.ui.explorer.sources import COMMAND, Evidence, gather, shipped_alone
from rsc_snn.ui.lesson.inputs import choose_number
from rsc_snn.ui.lesson.words import say
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import choice_field
from rsc_snn.ui.results import draw_figure

if TYPE_CHECKING:
    from rsc_snn.evaluate import Estimate
    from rsc_snn.zoo import ModelCard

CODE = (operating_points, pareto_front, qte, mixed_accuracy)

# Fewer settings are no dial.
_FEWEST = 4
_RANGE = "-range"
_EPSILON = "4"


@dataclass(frozen=True)
class _Bill:
    """All offers of one network under the worst of `attacks`, and its ordinary teacher's one.

    unit: what follows an epsilon.
    """

    offers: tuple[OperatingPoint, ...]
    front: tuple[OperatingPoint, ...]
    ordinary: tuple[OperatingPoint, ...]
    attacks: tuple[str, ...]
    unit: str

    @property
    def dearest(self) -> OperatingPoint:
        """The offer of the highest clean accuracy: what is paid is counted from there."""
        return self.front[-1]


def draw(link: PageLink) -> None:
    """The step: network and attack, the dial, the offer against the front."""
    evidence = _evidence()
    for problem in evidence.problems:
        st.warning(problem, icon=":material/broken_image:")
    menu = menu_of(evidence)
    models = _models(menu)
    if not models:
        st.info(
            "This step shows measured results, and there are none here yet. The command "
            f"`{COMMAND}` measures them (long on a small machine); they are shown from then on.",
            icon=":material/hourglass_empty:",
        )
        return
    left, middle, right = st.columns([2, 1, 3], gap="large", vertical_alignment="bottom")
    with left:
        model = _choose_model(link, models)
    part = _of_model(menu, model)
    attacks = part.worst_of([model])
    sizes = _sizes(part, model, attacks)
    if not sizes:
        st.info(
            f"{', '.join(variant.label for variant in attacks)} were not measured at the same "
            "settings of this network; choose another one.",
            icon=":material/hourglass_empty:",
        )
        return
    with middle:
        epsilon = _choose_epsilon(link, sizes, attacks[0].unit)
    bill = _bill(evidence, part, model, attacks, epsilon)
    with right:
        chosen = _choose_offer(link, bill)
    figure, words = st.columns([3, 2], gap="large")
    with words:
        _draw_words(bill, chosen)
        attacked = _choose_world(link)
        if chosen is not None:
            st.markdown(_world(bill, chosen, attacked))
    with figure:
        _draw_plane(bill, chosen, attacked)


def _evidence() -> Evidence:
    """What ships, so that a link shows everybody the same; if there is none of it, all there is."""
    found = gather()
    shipped = shipped_alone(found)
    return shipped if _models(menu_of(shipped)) else found


def _models(menu: Menu) -> list[str]:
    """Networks with enough settings of their noise level, that of a range of sigma first."""
    settings: dict[str, set[tuple[float, int]]] = {}
    for cell in menu.cells:
        if cell.sigma is not None and cell.attack != CLEAN:
            settings.setdefault(cell.model, set()).add((cell.sigma, cell.time_steps))
    names = sorted(name for name, found in settings.items() if len(found) >= _FEWEST)
    return sorted(names, key=lambda name: not name.endswith(_RANGE))


def _of_model(menu: Menu, model: str) -> Menu:
    """What was measured on the images on which the network has most cells."""
    own = [cell for cell in menu.cells if cell.model == model and cell.attack != CLEAN]
    counts = Counter(Sample.of(cell) for cell in own)
    return menu.only(own[0].dataset, max(counts, key=lambda sample: (counts[sample], sample)))


def _choose_model(link: PageLink, models: list[str]) -> str:
    field = choice_field("bill_model", "model", models, models[0])
    chosen = st.selectbox(
        "Network",
        models,
        format_func=network_labels(map(resources.zoo().card, models)).__getitem__,
        key=link.seed(field),
        help="Networks whose noise level can be turned, and whose settings were measured.",
    )
    return str(link.keep(field, chosen))


def _sizes(menu: Menu, model: str, attacks: Sequence[Variant]) -> list[float]:
    """Epsilons at which a setting of the network was measured clean and under all attacks."""
    return [size for size in menu.epsilons(attacks) if size > 0 and _at(menu, model, attacks, size)]


def _at(menu: Menu, model: str, attacks: Sequence[Variant], epsilon: float) -> set[Setting]:
    cells = menu.at(model, epsilon)
    clean = {setting_of(cell) for cell in cells if cell.attack == CLEAN}
    under = [
        {setting_of(cell) for cell in cells if cell.attack != CLEAN and variant_of(cell) == attack}
        for attack in attacks
    ]
    return clean.intersection(*under)


def _choose_epsilon(link: PageLink, found: Sequence[float], unit: str) -> float:
    sizes = {f"{epsilon:g}": epsilon for epsilon in found}
    default = _EPSILON if _EPSILON in sizes else next(iter(sizes))
    field = choice_field("bill_epsilon", "epsilon", list(sizes), default)
    chosen = st.selectbox(
        "Attack’s ε",
        list(sizes),
        format_func=lambda size: f"{size}{unit}",
        key=link.seed(field),
        help="The most that the attack may change any pixel, in 255ths of the pixel range.",
    )
    return sizes[link.keep(field, chosen)]


def _bill(
    evidence: Evidence, menu: Menu, model: str, attacks: Sequence[Variant], epsilon: float
) -> _Bill:
    """The worst case over the attacks; offers and the teacher's point are of the same images."""
    (cell, *_) = menu.cells
    teacher = _teacher(model)
    selection = Selection(
        dataset=cell.dataset,
        sample=Sample.of(cell),
        models=(model,) if teacher is None else (model, teacher),
        steps=tuple(menu.steps),
        attack=WORST,
        epsilon=epsilon,
        predictor="single",
        passes=None,
        axis="sigma",
        worst=tuple(variant.slug for variant in attacks),
    )
    points = points_of(evidence, selection)
    offers = tuple(point for point in points if point.model == model)
    ordinary = tuple(point for point in points if point.model != model)
    names = tuple(variant.label for variant in attacks)
    return _Bill(offers, pareto_front(offers), ordinary, names, attacks[0].unit)


def _teacher(model: str) -> str | None:
    """The ordinary network that it learned from, if it is one of the zoo."""
    zoo = resources.zoo()
    training = zoo.card(model).training
    name = None if training is None else training.teacher
    return name if name in zoo.names() else None


def _choose_offer(link: PageLink, bill: _Bill) -> OperatingPoint | None:
    """The student's setting; None if it was not measured."""
    sigmas = sorted({f"{offer.sigma:g}" for offer in bill.offers}, key=float)
    steps = sorted({f"{offer.time_steps}" for offer in bill.offers}, key=int)
    left, right = st.columns(2, gap="large")
    with left:
        sigma = _dial(
            link, "bill_sigma", "Noise level σ", "noise level", sigmas, "Noise added to each pixel."
        )
    with right:
        step = _dial(
            link,
            "bill_steps",
            "Time steps T",
            "number of time steps",
            steps,
            "Frames that each answer is made from.",
        )
    place = (float(sigma), int(step))
    return next((one for one in bill.offers if (one.sigma, one.time_steps) == place), None)


def _dial(link: PageLink, name: str, label: str, noun: str, stops: list[str], text: str) -> str:
    field = choice_field(name, noun, stops, stops[len(stops) // 2])
    chosen = st.select_slider(
        label, stops, key=link.seed(field), help=text, disabled=len(stops) == 1
    )
    return str(link.keep(field, chosen))


def _draw_plane(bill: _Bill, chosen: OperatingPoint | None, attacked: float) -> None:
    zoo = resources.zoo()
    points = [*bill.offers, *bill.ordinary]
    cards = {point.model: zoo.card(point.model) for point in points}
    looks = {name: Look(card.label, card.config.kind) for name, card in cards.items()}
    show = Show(looks, here=None if chosen is None else chosen.key)
    best = _best(bill, attacked)
    draw_figure(
        bill_figure(points, bill.front, (best.clean.value, best.robust.value), attacked, show=show),
        "lesson-bill-plane",
        "A plane: robust over clean accuracy of every setting, the Pareto front, and your setting.",
    )
    teacher = " The mark by itself is the [ordinary network](#ann) that this one learned from."
    elsewhere = " and touches the front elsewhere" if len(bill.front) > 1 else " about it"
    say(
        "Each mark is a setting, with its sigma beside it where there is room; a line joins the "
        "settings of one T. Farther right is better where nobody attacks, farther up is better "
        "under attack. The broad grey line is the Pareto front; the ring, with its "
        "[95 % intervals](#confidence-interval), is your setting. Dotted: all pairs of accuracies "
        "that give as many right answers as the network's best setting, if the share q is "
        f"attacked. Move q, and the line turns{elsewhere}."
        + (teacher if bill.ordinary else "")
        + _trained(cards[bill.dearest.model])
    )


def _trained(card: ModelCard) -> str:
    """The noise that the network knows, to be read beside the marks' sigmas."""
    if card.trained_sigmas is None:
        return ""
    low, high = card.trained_sigmas
    known = f"sigma {low:g}" if low == high else f"sigma from {low:g} to {high:g}"
    return f" The network was trained with {known}; far from there, clean accuracy falls as well."


def _draw_words(bill: _Bill, chosen: OperatingPoint | None) -> None:
    if chosen is None:
        st.info("This setting was not measured; choose another one.", icon=":material/help:")
        return
    clean, robust = st.columns(2)
    clean.metric("Clean accuracy", f"{chosen.clean.value:.1%}", help=_interval(chosen.clean))
    robust.metric("Robust accuracy", f"{chosen.robust.value:.1%}", help=_interval(chosen.robust))
    st.markdown(f"{_price(bill, chosen)}\n\n{_standing(bill, chosen)}")
    say(
        "Robust: the share of right answers that withstand each of "
        f"{', '.join(map(mark, bill.attacks))} at [epsilon](#epsilon) "
        f"{chosen.epsilon:g}{bill.unit}. 95 % intervals: clean {_interval(chosen.clean)}, robust "
        f"{_interval(chosen.robust)}; n = {chosen.clean.n:,} images, {_passes(chosen)}. Changes "
        "are compared image by image; where an interval holds 0, the change may be chance."
    )
    cautions = caution([chosen])
    if cautions:
        say(cautions)


def _passes(chosen: OperatingPoint) -> str:
    """What an accuracy is the mean of."""
    if not chosen.robust_result.cell.noisy:
        return "whose answers hold no chance"
    passes = "[pass](#noisy-pass)" if chosen.scored == 1 else "[passes](#noisy-pass)"
    return (
        f"{chosen.scored} {passes} of each with fresh [noise](#draw): the mean of single answers, "
        "not a [vote](#vote)"
    )


def _choose_world(link: PageLink) -> float:
    """The reason for a setting: the share of images that are attacked."""
    percent = choose_number(
        link,
        "bill_attacked",
        "Attacked images q, in percent",
        (0, 100),
        20,
        5,
        "The share of images that you expect to be attacked. The network itself cannot know it.",
    )
    return percent / 100


def _right(point: OperatingPoint, attacked: float) -> float:
    """The share of right answers at a setting where the share `attacked` of images is attacked."""
    return float(mixed_accuracy(point.clean.value, point.robust.value, attacked))


def _best(bill: _Bill, attacked: float) -> OperatingPoint:
    """The setting that is right most often; no setting beside the front can be."""
    return max(bill.front, key=lambda point: _right(point, attacked))


def _world(bill: _Bill, chosen: OperatingPoint, attacked: float) -> str:
    """The student's setting against the one that is right most often."""
    best = _best(bill, attacked)
    most, own = _right(best, attacked), _right(chosen, attacked)
    start = f"**If {attacked:.0%} are attacked,** {own:.1%} of your answers are right."
    rival = _rival(bill, chosen, attacked)
    if most <= own:
        return f"{start} No measured setting of this network has more.{rival}"
    behind = _ahead(best, chosen, attacked)
    chance = (
        " The difference may be chance."
        if behind.lower <= 0
        else f" As the best of {len(bill.offers)} settings, picked on these images, it looks a "
        "little better than it is."
    )
    return (
        f"{start} With {best.setting} it would be {most:.1%}, the most of this network: "
        f"{behind.text()} points more.{chance}{rival}"
    )


def _rival(bill: _Bill, chosen: OperatingPoint, attacked: float) -> str:
    """What the ordinary network, which has no noise to pay for, answers in the same world."""
    if not bill.ordinary:
        return ""
    rival = max(bill.ordinary, key=lambda point: _right(point, attacked))
    ahead = _ahead(chosen, rival, attacked)
    chance = "; the difference may be chance" if ahead.lower <= 0 <= ahead.upper else ""
    apart = (
        f"{ahead.opposite().text()} points less"
        if ahead.value < 0
        else f"{ahead.text()} points more"
    )
    return (
        f" The ordinary network it learned from: {_right(rival, attacked):.1%}; yours has {apart}"
        f"{chance}."
    )


def _ahead(first: OperatingPoint, second: OperatingPoint, attacked: float) -> Difference:
    """How many more right answers `first` has, image by image; remembered."""

    def work() -> Difference:
        one, other = (
            mixed_accuracy(point.clean_scores, point.robust_scores, attacked)
            for point in (first, second)
        )
        (found,) = differences((one - other)[:, None])
        return found

    return resources.live(("lesson.world", first.key, second.key, attacked), Difference, work)


def _interval(estimate: Estimate) -> str:
    return f"{estimate.lower:.1%} to {estimate.upper:.1%}"


def _price(bill: _Bill, chosen: OperatingPoint) -> str:
    """What is paid and gained against the most accurate setting.

    Of less noise than that setting's nothing is said to be a price: it is not what noise costs.
    """
    dearest = bill.dearest
    if chosen is dearest:
        return (
            "**Paid and gained: nothing yet.** This is the setting of the highest clean accuracy, "
            "from which the others are counted."
        )
    try:
        found = resources.live(
            ("lesson.qte", dearest.key, chosen.key), Qte, lambda: qte(dearest, chosen)
        )
    except RscSnnError as error:
        return str(error)
    if (chosen.sigma or 0) < (dearest.sigma or 0):
        less = (chosen.effective_sigma or 0) <= (dearest.effective_sigma or 0)
        reason = (
            "That is no price of noise, for yours has less of it."
            if less
            else "Yours has less noise in a frame, but fewer frames to average it."
        )
        return (
            f"**Against {dearest.setting},** the setting of most clean accuracy: "
            f"{_apart(found.paid.opposite(), 'clean')}, {_apart(found.gained, 'robust')}. {reason}"
        )
    return (
        f"**Paid:** {found.paid.text()} points of clean accuracy against {dearest.setting}, the "
        f"setting that has most. **Gained:** {found.gained.text()} points of robust accuracy. "
        f"{found.sentence()}"
    )


def _apart(difference: Difference, accuracy: str) -> str:
    """Such as `3.1 (1.2 to 5.0) points less of clean accuracy`."""
    less = difference.value < 0
    size = difference.opposite() if less else difference
    return f"{size.text()} points {'less' if less else 'more'} of {accuracy} accuracy"


def _standing(bill: _Bill, chosen: OperatingPoint) -> str:
    """Whether another setting beats it."""
    if any(point is chosen for point in bill.front):
        return (
            "**On the Pareto front.** No measured setting is better in one accuracy without being "
            "worse in the other."
        )
    better = [
        point
        for point in bill.front
        if point.clean.value >= chosen.clean.value and point.robust.value >= chosen.robust.value
    ]
    best = max(better, key=lambda point: point.harmonic)
    return (
        f"**Beaten** by {best.setting}: clean {best.clean.value:.1%}, robust "
        f"{best.robust.value:.1%}. It is at least as good in both and better in one."
    )
