"""What the first layer sees: currents of a real network under Poisson coding and under RSC."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from rsc_snn.coding import Coding, PoissonCoding, RSCCoding
from rsc_snn.data.gallery import GalleryImage
from rsc_snn.errors import ZooError
from rsc_snn.figures.lesson_coding import (
    Covariances,
    Currents,
    covariance_figure,
    fan_in_figure,
    histogram_figure,
    quantile_figure,
)
from rsc_snn.theory import (
    CurrentLaw,
    Distance,
    FanIn,
    LinearLayer,
    chance_ks,
    covariance_error,
    current_law,
    draw_currents,
    fan_in_distances,
    first_layer,
    matched_sigma,
    measured_law,
    normal_distance,
    quantile_pairs,
    seen_pixels,
)
from rsc_snn.ui import resources
from rsc_snn.ui.choices import choose_button, network_labels
from rsc_snn.ui.images import data_link, to_bytes
from rsc_snn.ui.lesson.inputs import choose_number, choose_photograph, draw_again
from rsc_snn.ui.lesson.words import say
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import choice_field
from rsc_snn.ui.results import draw_figure

if TYPE_CHECKING:
    from torch import Tensor

    from rsc_snn.zoo import ModelCard

CODE = (first_layer, current_law, draw_currents, normal_distance, fan_in_distances)

_DRAWS = 2000
_POINTS = 60
_CHANNELS = 8
_FAN_INS = (1, 3, 9, 27, 81, 243)
_VIEWS = {"one": "One current", "covariance": "Several channels", "fan-in": "More inputs"}
_NAMES = {"poisson": "Poisson", "rsc": "RSC"}
_STYLE = """
<style>
.rsc-place { position: relative; width: 100%; max-width: 16rem; }
.rsc-place img {
  width: 100%; display: block; image-rendering: pixelated; border-radius: 0.5rem;
}
.rsc-place div { position: absolute; box-shadow: 0 0 0 2px #ffd60a, 0 0 0 3.5px #101418; }
@media (max-width: 640px) { .rsc-place { max-width: 9rem; } }
</style>
"""


@dataclass(frozen=True)
class _Drawn:
    """Currents at one place under one coding: the closed form, draws `[n, O]`, and the standard
    error `[O, O]` of their covariance."""

    law: CurrentLaw
    samples: Tensor
    error: Tensor


@dataclass(frozen=True)
class _Place:
    """A place of the first layer: the rows and columns that it sees, its currents by coding."""

    layer: LinearLayer
    seen: tuple[slice, slice]
    sigma: float
    drawn: dict[str, _Drawn]


def draw(link: PageLink) -> None:
    """The step: network, photograph and place; then one of three views of the currents."""
    left, right = st.columns([1, 3], gap="large")
    with left:
        card = _choose_model(link)
        image = choose_photograph(link, "currents_photo", card.dataset)
        row, column = _choose_place(link, card)
        seed = draw_again(link, "currents_seed")
        place = _obtain(card, image, row, column, seed)
        _draw_place(place, image, card)
    with right:
        view = _choose_view(link)
        if view == "one":
            _draw_one(place, _choose_channel(link, place))
        elif view == "covariance":
            _draw_covariance(place)
        else:
            _draw_fan_in(card, image, seed)


def _choose_model(link: PageLink) -> ModelCard:
    """A network with noise, spiking ones first. Raises ZooError if there is none."""
    cards = resources.usable_cards()
    noisy = [name for name, card in cards.items() if card.config.coding in _NAMES]
    names = sorted(noisy, key=lambda name: cards[name].config.neuron == "relu")
    if not names:
        raise ZooError("There is no network with Poisson coding or RSC to look into.")
    field = choice_field("currents_model", "model", names, names[0])
    chosen = st.selectbox(
        "Network",
        names,
        format_func=network_labels(cards[name] for name in names).__getitem__,
        key=link.seed(field),
        help="Its first layer. The currents are drawn under both codings, whichever it has.",
    )
    return cards[link.keep(field, chosen)]


def _choose_place(link: PageLink, card: ModelCard) -> tuple[int, int]:
    """Row and column of the first layer's output."""
    side = _side(card)
    row, column = (
        choose_number(
            link,
            f"currents_{name}",
            name.capitalize(),
            (0, side - 1),
            side // 2,
            1,
            "Where in the photograph; the preview marks what the neuron sees.",
        )
        for name in ("row", "column")
    )
    return row, column


def _choose_channel(link: PageLink, place: _Place) -> int:
    last = len(place.layer.bias) - 1
    text = "Which of the first layer's filters."
    return choose_number(link, "currents_channel", "Channel", (0, last), 0, 1, text)


def _side(card: ModelCard) -> int:
    """Places in a row of the first layer's output."""
    return -(-card.config.image_size // min(card.config.stem_stride, 2))


def _choose_view(link: PageLink) -> str:
    return choose_button(
        link, "currents_view", "What to look at", _VIEWS, "one", noun="view", hidden=True
    )


def _obtain(card: ModelCard, image: GalleryImage, row: int, column: int, seed: int) -> _Place:
    key = ("lesson.currents", card.identity, image.sha256, row, column, seed)
    return resources.live(key, _Place, partial(_draw_all, card, image, row, column, seed))


def _draw_all(card: ModelCard, image: GalleryImage, row: int, column: int, seed: int) -> _Place:
    model = resources.zoo().load(card.name, resources.device())
    x = image.pixels(card.config.image_size)
    layer, pixels = first_layer(model, x[0], row, column)
    sigma = float(matched_sigma(x)[0])
    codings: tuple[Coding, ...] = (PoissonCoding(), RSCCoding(sigma))
    drawn = {
        coding.name: _Drawn(
            current_law(layer, coding, pixels),
            draw_currents(layer, coding, pixels, _DRAWS, seed),
            covariance_error(layer, coding, pixels, _DRAWS),
        )
        for coding in codings
    }
    return _Place(layer, seen_pixels(model, row, column, *x.shape[2:]), sigma, drawn)


def _draw_place(place: _Place, image: GalleryImage, card: ModelCard) -> None:
    """The photograph, large, with a frame around what the neuron sees."""
    side = card.config.image_size
    picture = resources.pictures().compute(
        ("lesson.photograph", image.sha256, side),
        str,
        lambda: data_link(to_bytes(image.pixels(side)[0].numpy())),
    )
    (top, height), (left, width) = (
        (100 * part.start / side, 100 * (part.stop - part.start) / side) for part in place.seen
    )
    frame = f"top:{top:.3f}%;left:{left:.3f}%;width:{width:.3f}%;height:{height:.3f}%"
    st.html(
        f'{_STYLE}<div class="rsc-place"><img src="{picture}" alt="The photograph; a frame marks '
        f'the neuron’s pixels"><div style="{frame}"></div></div>'
    )
    say("Yellow: the pixels that a neuron at this place sees.")


def _draw_one(place: _Place, channel: int) -> None:
    """One current: how often each value occurs, and how normal it is."""
    deviations = {
        kind: float(drawn.law.covariance[channel, channel].clamp(min=0).sqrt())
        for kind, drawn in place.drawn.items()
    }
    currents = {
        kind: Currents(
            drawn.samples[:, channel].numpy(), float(drawn.law.mean[channel]), deviations[kind]
        )
        for kind, drawn in place.drawn.items()
    }
    noisy = [kind for kind, deviation in deviations.items() if deviation > 0]
    pairs, distances = {}, {}
    for kind in noisy:
        samples = place.drawn[kind].samples[:, channel]
        mean, variance = currents[kind].mean, deviations[kind] ** 2
        normal, measured = quantile_pairs(samples, mean, variance, _POINTS)
        pairs[kind] = (normal.numpy(), measured.numpy())
        distances[kind] = normal_distance(samples, mean, variance)
    left, right = st.columns(2, gap="medium")
    with left:
        draw_figure(
            histogram_figure(currents),
            "lesson-currents-histogram",
            "Two histograms with normal curves: one current under Poisson coding and under RSC.",
        )
        say(_histogram_words(place, channel, deviations))
    with right:
        draw_figure(
            quantile_figure(pairs),
            "lesson-currents-quantiles",
            "QQ plot: quantiles of the currents against those of the normal law.",
        )
        say(
            "The same draws as a [QQ plot](#qq-plot): their [quantiles](#quantile) over those of "
            "the normal law, in standard deviations from the mean, both by the formula. A normal "
            "law lies on the dotted line; a law of few values makes steps."
        )
    _write_distances(distances)


def _histogram_words(place: _Place, channel: int, deviations: dict[str, float]) -> str:
    words = (
        f"How often each current occurs: the one into [channel](#channel) {channel} at this place, "
        f"in {_DRAWS:,} [draws](#draw) of one [frame](#frame). Curves: the normal law by the "
        f"formula, with [standard deviation](#standard-deviation) {deviations['poisson']:.2f} "
        f"(Poisson) and {deviations['rsc']:.2f} (RSC at the photograph’s "
        f"[matching sigma](#matching-sigma), {place.sigma:.2f}). "
    )
    if deviations["poisson"] == 0:
        return words + "All pixels here are black or white: Poisson coding has no noise."
    return words + (
        "Both have the same mean. Move the place: RSC’s noise stays the same, except at the edge, "
        "where the neuron sees fewer pixels; that of Poisson coding follows the pixels."
    )


def _write_distances(distances: dict[str, Distance]) -> None:
    """Both distances of both codings, in words."""
    limit = chance_ks(_DRAWS)
    lines = []
    for kind, distance in distances.items():
        verdict = (
            "as close to a normal law as so many draws can show"
            if distance.ks <= limit
            else f"farther from a normal law than chance alone explains (limit {limit:.3f})"
        )
        lines.append(
            f"- **{_NAMES[kind]}**: Kolmogorov-Smirnov {distance.ks:.3f}, Wasserstein "
            f"{distance.wasserstein:.3f} standard deviations: {verdict}."
        )
    say(
        "How far from normal? [Kolmogorov-Smirnov](#kolmogorov-smirnov-distance): the largest gap "
        "between the two [distribution functions](#distribution-function). "
        "[Wasserstein](#wasserstein-distance): how far a draw has to move, on average, to make "
        f"one law the other. Draws of an exactly normal law, such as RSC’s, are not at 0 either: "
        f"the Kolmogorov-Smirnov distance of {_DRAWS:,} of them stays below {limit:.3f} only 19 "
        "times in 20."
    )
    st.markdown("\n".join(lines))


def _draw_covariance(place: _Place) -> None:
    """Covariance of the first channels: formula against measurement."""
    count = min(_CHANNELS, len(place.layer.bias))
    rows, columns = np.triu_indices(count)
    names = [f"{row} and {column}" for row, column in zip(rows, columns, strict=True)]
    entries, beyond = {}, 0
    for kind, drawn in place.drawn.items():
        closed = drawn.law.covariance
        found = Covariances(
            closed[rows, columns].numpy(),
            measured_law(drawn.samples).covariance[rows, columns].numpy(),
            drawn.error[rows, columns].numpy(),
            names,
        )
        entries[kind] = found
        # Entries without noise differ by rounding alone.
        missed = np.abs(found.measured - found.closed) > 2 * np.asarray(found.error) + 1e-9
        beyond += int(missed.sum())
    draw_figure(
        covariance_figure(entries),
        "lesson-currents-covariance",
        "Marks along a diagonal: covariances of channels, measured over closed form.",
    )
    total = len(names) * len(entries)
    st.latex(
        r"\mathrm{Cov}_\mathrm{Poisson} = W\,\mathrm{diag}(x(1-x))\,W^\top \qquad "
        r"\mathrm{Cov}_\mathrm{RSC} = \sigma^2\,W W^\top"
    )
    say(
        f"Each mark is one entry of the covariance of [channels](#channel) 0 to {count - 1} at "
        f"this place: to the right by the formula, upwards measured in {_DRAWS:,} [draws](#draw), "
        "with whiskers of two [standard errors](#standard-error). On the dotted line the two "
        f"agree. {beyond} of {total} miss it by more than their whisker; by chance about one in "
        "twenty does, on average over many draws: marks of one place tend to miss together. W "
        "and b include the network’s normalisations, that of its input and that of its first "
        "layer; b is the same at every draw, so it has no part in the covariance."
    )


def _draw_fan_in(card: ModelCard, image: GalleryImage, seed: int) -> None:
    """The distance from the normal law over the number of inputs."""
    key = ("lesson.fan-in", card.identity, image.sha256, seed)
    results = resources.live(key, tuple, partial(_fan_in, card, image, seed))
    draw_figure(
        fan_in_figure(results),
        "lesson-currents-fan-in",
        "Falling lines: distance of Poisson currents from the normal law over the fan-in.",
    )
    say(
        "How far the currents are from normal, by their "
        "[Kolmogorov-Smirnov](#kolmogorov-smirnov-distance) (KS) and "
        "[Wasserstein](#wasserstein-distance) distances, as the [fan-in](#fan-in) grows. One input "
        "is a coin; the sum of many is nearly normal: that is the central limit theorem. The "
        f"neurons have {_FAN_INS[0]} to {_FAN_INS[-1]} pixels of this photograph and weights of "
        "this layer, both chosen at random; the layer’s own have 27. Each mark is the mean over "
        f"four neurons, {_DRAWS:,} [draws](#draw) each. Grey: the distance that as many draws of "
        "an exactly normal law, such as RSC’s, have by chance; nothing smaller can be told from "
        "it. Dotted: KS is "
        "at most this, by the [Berry-Esseen theorem](#berry-esseen-theorem)."
    )


def _fan_in(card: ModelCard, image: GalleryImage, seed: int) -> tuple[FanIn, ...]:
    """Weights of the middle, where no filter is cut off by the image's edge."""
    model = resources.zoo().load(card.name, resources.device())
    x = image.pixels(card.config.image_size)
    middle = _side(card) // 2
    layer, _ = first_layer(model, x[0], middle, middle)
    return fan_in_distances(x.flatten(), layer.weights.flatten(), _FAN_INS, _DRAWS, seed)
