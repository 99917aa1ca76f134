"""The Playground's controls: photograph, network, attack, noise. Each reads and writes the link."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from rsc_snn.attacks import ATTACKS, AttackSpec, ParameterSpec
from rsc_snn.classifier import ModelConfig
from rsc_snn.coding import SIGMA_RANGE
from rsc_snn.errors import ZooError
from rsc_snn.glossary import mark
from rsc_snn.ui import resources
from rsc_snn.ui.choices import network_labels
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import (
    Field,
    choice_field,
    choices_field,
    number_field,
    parameter_field,
    switch_field,
)
from rsc_snn.ui.words import explained

if TYPE_CHECKING:
    from rsc_snn.zoo import ModelCard

SEEDS = (0, 2**31 - 1)
_RIVALS = 2
_OWN_SIGMA = "Each network runs at the noise level of its own card."
_DEFAULT_ATTACK = "pgd"
_DEFAULT_DRAWS = 8
_MOST_SLIDER_STOPS = 150


def choose_model(link: PageLink) -> ModelCard:
    """The model to attack. Raises ZooError if there is none to choose."""
    zoo = resources.zoo()
    problems = zoo.problems()
    for problem in problems.values():
        st.warning(problem, icon=":material/broken_image:")
    cards = resources.usable_cards()
    names = list(cards)
    for name in zoo.names():
        if name not in cards and name not in problems:
            st.warning(
                f"{name} takes images of {zoo.card(name).config.in_channels} channels, and these "
                "photographs have three, so it is not offered.",
                icon=":material/palette:",
            )
    if not names:
        raise ZooError("There is no model to choose: the assets folder has none that can be used.")
    field = choice_field("model", "model", names, _default_model(cards))
    chosen = st.selectbox(
        "Model",
        names,
        format_func=network_labels(cards.values()).__getitem__,
        key=link.seed(field),
        help=explained(
            "[Spiking networks](#snn), which differ in how a photograph becomes input, their "
            "[coding](#coding) ([direct](#direct-coding), [Poisson](#poisson-coding) or "
            "[RSC](#rsc)); [ANNs](#ann), which have ordinary neurons; and, for CIFAR-10, an "
            "[RSC-ANN](#rsc-ann), which has those behind the noise. Some are [adversarially "
            "trained](#adversarial-training). Those that ship for one data set have one shape."
        ),
    )
    return cards[link.keep(field, chosen)]


def choose_rivals(link: PageLink, card: ModelCard) -> tuple[ModelCard, ...]:
    """Up to two more models for the same pixels and attack: same classes, same image size."""
    cards = resources.usable_cards()
    names = [
        name for name, other in cards.items() if name != card.name and _takes_the_same(other, card)
    ]
    field = choices_field("compare", "the networks to compare with", names, _RIVALS)
    chosen = st.multiselect(
        "Compare with",
        names,
        format_func=network_labels(cards[name] for name in names).__getitem__,
        key=link.seed(field),
        max_selections=_RIVALS,
        placeholder="up to two more networks",
        help=explained(
            "The same photograph, attack and seed, side by side. The attack is made anew for each "
            "network, from what that network itself gives away, such as its "
            "[gradients](#gradient)."
        ),
        disabled=not names,
    )
    return tuple(cards[name] for name in link.keep(field, chosen, linked=bool(chosen)))


def _takes_the_same(first: ModelCard, second: ModelCard) -> bool:
    """True if both answer the same question about the same pixels."""
    return (first.dataset, first.classes, first.config.image_size) == (
        second.dataset,
        second.classes,
        second.config.image_size,
    )


def _default_model(cards: dict[str, ModelCard]) -> str:
    """The first RSC-SNN that was not attacked in training, for it shows an attack at work."""
    noisy = [name for name, card in cards.items() if is_dial(card.config)]
    plain = [name for name in noisy if not _was_attacked(cards[name])]
    return next(iter(plain or noisy or cards))


def _was_attacked(card: ModelCard) -> bool:
    return card.training is not None and card.training.adversarial not in {"", "none"}


def has_sigma(config: ModelConfig) -> bool:
    """True if the model's coding has a noise level."""
    return config.coding == "rsc"


def is_dial(config: ModelConfig) -> bool:
    """True for an RSC-SNN, spiking and with a noise level: what the app is about."""
    return config.neuron == "lif" and has_sigma(config)


Noise = tuple[float | None, int | None]


def choose_noise(link: PageLink, cards: Sequence[ModelCard]) -> tuple[Noise, ...]:
    """(sigma, time steps) of each network; None where a network has no such dial.

    The dials start where the first network that has them was trained. Networks that were trained
    at different sigmas may each keep their own.
    """
    configs = [card.config for card in cards]
    noisy = [config for config in configs if has_sigma(config)]
    timed = [config for config in configs if config.has_time]
    own = len({config.sigma for config in noisy}) > 1 and _each_its_own(link)
    sigma_field = number_field("sigma", "Sigma", *SIGMA_RANGE, _start_sigma((noisy or configs)[0]))
    sigma = _dial(
        link,
        sigma_field,
        "Noise level σ (sigma)",
        SIGMA_RANGE,
        0.01,
        "[Sigma](#sigma) is the strength of the random noise that is added to the photograph at "
        "every time step ([Randomized Smoothing Coding](#rsc)), as a share of the pixel range.",
        _OWN_SIGMA if own else None if noisy else _why_no_sigma(configs[0]),
    )
    limits = resources.settings().time_steps_range
    start = _start_steps((timed or configs)[0], limits)
    steps_field = number_field("time_steps", "The number of time steps", *limits, start)
    steps = _dial(
        link,
        steps_field,
        "Time steps T",
        limits,
        1,
        "How many [frames](#frame) of the photograph the network sees before it answers, one at "
        "each [time step](#time-step). Its answer is the mean over the steps. If the frames are "
        "noisy, more steps average out more of the noise.",
        None if timed else "An ordinary network has no time steps: it sees one frame.",
    )
    return tuple(
        (
            None if not has_sigma(config) else float(config.sigma) if own else sigma,
            steps if config.has_time else None,
        )
        for config in configs
    )


def _each_its_own(link: PageLink) -> bool:
    field = switch_field("own_sigma", "The choice of each network's own sigma", True)
    chosen = st.toggle(
        "Each network at its own sigma",
        key=link.seed(field),
        help="Networks mostly lose accuracy away from the noise level that they were trained with.",
    )
    return bool(link.keep(field, chosen))


def _start_sigma(config: ModelConfig) -> float:
    return float(config.sigma) if has_sigma(config) else 0.2


def _start_steps(config: ModelConfig, limits: tuple[int, int]) -> int:
    steps = config.time_steps if config.has_time else ModelConfig().time_steps
    return min(max(steps, limits[0]), limits[1])


def _why_no_sigma(config: ModelConfig) -> str:
    if config.coding == "poisson":
        return "Poisson coding has its own noise, set by the pixels: there is no sigma to choose."
    return "This network gets the photograph as it is: there is no noise to set."


def _dial(
    link: PageLink,
    field: Field,
    label: str,
    limits: tuple[Any, Any],
    step: Any,
    text: str,
    disabled: str | None,
) -> Any:
    """A slider, or, for a model without this dial, the slider disabled with the reason."""
    low, high = (type(field.default)(limit) for limit in limits)
    value = st.slider(
        label,
        low,
        high,
        step=step,
        # A link or a card may have more digits than the step.
        format="%g" if isinstance(step, float) else None,
        key=link.seed(field),
        help=explained(text),
        disabled=disabled is not None,
    )
    link.keep(field, value, linked=disabled is None)
    if disabled is None:
        return value
    st.caption(disabled)
    return None


def choose_attack(link: PageLink) -> tuple[AttackSpec, dict[str, Any]]:
    """An attack of the registry and its parameters, from a form made from its spec."""
    field = choice_field("attack", "attack", list(ATTACKS), _DEFAULT_ATTACK)
    name = st.selectbox(
        "Attack",
        list(ATTACKS),
        format_func=lambda name: ATTACKS[name].label,
        key=link.seed(field),
        help=explained(
            "How the photograph is changed to make the network fail: an [attack](#attack) makes an "
            "[adversarial example](#adversarial-example). [Gradient](#gradient) attacks look into "
            "the network ([white-box](#white-box)), [black-box](#black-box) attacks only at its "
            "answers; noise is the control."
        ),
    )
    spec = resources.settings().cap_attack(ATTACKS[link.keep(field, name)])
    values: dict[str, Any] = {}
    first, rest = spec.parameters[:1], spec.parameters[1:]
    for parameter in first:
        values[parameter.name] = _parameter(link, parameter, spec.name)
    if rest:
        with st.expander("Attack settings", icon=":material/tune:"):
            for parameter in rest:
                values[parameter.name] = _parameter(link, parameter, spec.name)
    with st.expander("What this attack does", icon=":material/help:"):
        st.caption(explained(f"**{mark(spec.label)}.** {spec.explanation}"))
    return spec, values


def _parameter(link: PageLink, parameter: ParameterSpec, attack: str) -> Any:
    """The control that fits one parameter's kind and range."""
    field = parameter_field(parameter, attack)
    key = link.seed(field)
    return link.keep(field, _CONTROLS[parameter.kind](parameter, key))


def _explanation(parameter: ParameterSpec) -> str:
    """What a parameter means; its name leads to the glossary, if that has it."""
    name = mark(parameter.label)
    return parameter.help if name == parameter.label else explained(f"{name}: {parameter.help}")


def _number(parameter: ParameterSpec, key: str) -> Any:
    """A slider, or a box to type in where a slider would have too many stops."""
    kind: Callable[[Any], Any] = int if parameter.kind == "int" else float
    assert parameter.minimum is not None and parameter.maximum is not None
    low, high = kind(parameter.minimum), kind(parameter.maximum)
    step = kind(parameter.step or 1)
    label = parameter.label if not parameter.unit else f"{parameter.label} (n{parameter.unit})"
    if (high - low) / step <= _MOST_SLIDER_STOPS:
        form = f"%g{parameter.unit}" if kind is float else f"%d{parameter.unit}"
        return st.slider(
            label, low, high, step=step, format=form, key=key, help=_explanation(parameter)
        )
    return st.number_input(
        label,
        low,
        high,
        step=step,
        format=None if kind is int else _decimals(step),
        key=key,
        help=_explanation(parameter),
    )


def _decimals(step: float) -> str:
    """A number format that shows `step` exactly."""
    text = f"{step:.6f}".rstrip("0")
    return f"%.{len(text.split('.')[1]) or 1}f"


def _choice(parameter: ParameterSpec, key: str) -> Any:
    return st.selectbox(parameter.label, parameter.choices, key=key, help=_explanation(parameter))


def _switch(parameter: ParameterSpec, key: str) -> Any:
    return st.toggle(parameter.label, key=key, help=_explanation(parameter))


_CONTROLS: dict[str, Callable[[ParameterSpec, str], Any]] = {
    "int": _number,
    "float": _number,
    "choice": _choice,
    "bool": _switch,
}


def choose_scoring(link: PageLink) -> tuple[int, int]:
    """How many draws the answer is scored on, and the seed of all randomness."""
    limits = resources.settings().draws_range
    start = min(_DEFAULT_DRAWS, limits[1])
    draws_field = number_field("draws", "The number of draws", *limits, start)
    draws = st.slider(
        "Draws (looks with fresh noise)",
        *limits,
        key=link.seed(draws_field),
        help=explained(
            "How often the original and the attacked photograph are each shown to the network, "
            "every time with a fresh [draw](#draw) of the noise that the attack has not seen. A "
            "network without noise answers the same every time."
        ),
    )
    seed_field = number_field("seed", "The seed", *SEEDS, 0)
    seed = st.number_input(
        "Seed",
        *SEEDS,
        step=1,
        key=link.seed(seed_field),
        help=explained(
            "Where the random numbers start. The same [seed](#seed) gives the same result, always."
        ),
    )
    return link.keep(draws_field, draws), link.keep(seed_field, int(seed))
