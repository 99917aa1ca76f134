"""An image becomes spikes: direct, Poisson and RSC coding, and the sigma that matches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from html import escape

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from rsc_snn.coding import Coding, DirectCoding, PoissonCoding, RSCCoding
from rsc_snn.data.gallery import GalleryImage
from rsc_snn.figures.lesson_coding import error_figure
from rsc_snn.glossary import linked
from rsc_snn.randomness import derive_seed, make_generator
from rsc_snn.theory import expected_rms, matched_sigma, rms_error, running_means
from rsc_snn.ui import resources
from rsc_snn.ui.images import data_link, to_bytes
from rsc_snn.ui.lesson.inputs import choose_number, choose_photograph, draw_again
from rsc_snn.ui.lesson.words import say
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import switch_field
from rsc_snn.ui.results import draw_figure

CODE = (DirectCoding, PoissonCoding, RSCCoding, rms_error, expected_rms, matched_sigma)

Floats = NDArray[np.floating]
Bytes = NDArray[np.uint8]

_DATASET = "cifar10"
_MOST_STEPS = 16
_STEPS_PER_SECOND = 3
_MOST_SIGMA = 0.6
# As near as the slider comes.
_NEAR = 0.0051
_STYLE = """
<style>
.rsc-film { overflow: hidden; aspect-ratio: 1; border-radius: 0.5rem; }
.rsc-row .rsc-film img {
  aspect-ratio: auto; border-radius: 0; animation-name: rsc-film;
  animation-iteration-count: infinite;
}
@keyframes rsc-film { to { transform: translateY(-100%); } }
@media (prefers-reduced-motion: reduce) {
  .rsc-row .rsc-film img { animation-name: none; transform: translateY(var(--rsc-last)); }
}
</style>
"""


@dataclass(frozen=True)
class _Coded:
    """A photograph coded for the most steps.

    frames, means: pictures `[T, H, W, 3]`, the means of the first 1, 2, ... frames. errors,
    expected: RMS error of the means, measured and by formula, `[T]`.
    """

    frames: Bytes
    means: Bytes
    errors: Floats
    expected: Floats


def draw(link: PageLink) -> None:
    """The step: controls, the three codings, the error of the mean image."""
    image = choose_photograph(link, "image_photo", _DATASET)
    steps, sigma, seed = _read_noise(link)
    left, right = st.columns(2, gap="large")
    with left:
        playing = _switch(
            link, "image_play", "Play the steps", "One step after the other, again and again."
        )
        coded = {
            "Direct": _obtain(image, DirectCoding(), 0),
            "Poisson": _obtain(image, PoissonCoding(), seed),
            f"RSC, σ = {sigma:.2f}": _obtain(image, RSCCoding(sigma), seed),
        }
        _draw_pictures(coded, steps, playing)
    with right:
        _, poisson, rsc = coded.values()
        _draw_errors(poisson, rsc, steps, sigma)
        _draw_answer(link, image, sigma)


def _read_noise(link: PageLink) -> tuple[int, float, int]:
    """Time steps, sigma and seed."""
    left, middle, right = st.columns([2, 2, 1], gap="large", vertical_alignment="bottom")
    with left:
        steps = choose_number(
            link,
            "image_steps",
            "Time steps T",
            (1, _MOST_STEPS),
            4,
            1,
            "How many frames the photograph becomes, and the mean is taken over.",
        )
    with middle:
        sigma = choose_number(
            link,
            "image_sigma",
            "Noise level σ of RSC",
            (0.0, _MOST_SIGMA),
            0.1,
            0.01,
            "How strong the Gaussian noise is that RSC adds to every pixel at every step.",
        )
    with right:
        seed = draw_again(link, "image_seed")
    return steps, sigma, seed


def _switch(link: PageLink, name: str, label: str, text: str) -> bool:
    field = switch_field(name, f"The switch “{label}”", False)
    return bool(link.keep(field, st.toggle(label, key=link.seed(field), help=text)))


def _obtain(image: GalleryImage, coding: Coding, seed: int) -> _Coded:
    key = ("lesson.image", image.sha256, coding, seed)
    return resources.live(key, _Coded, partial(_code, image, coding, seed))


def _code(image: GalleryImage, coding: Coding, seed: int) -> _Coded:
    """Pictures show what lies beyond black and white as black and white; the errors do not."""
    x = image.pixels()
    generator = make_generator(derive_seed(seed, "image", coding.name))
    frames = coding(x, _MOST_STEPS, generator)
    means = running_means(frames)
    return _Coded(
        _pictures(frames[:, 0].numpy()),
        _pictures(means[:, 0].numpy()),
        rms_error(means, x).numpy(),
        expected_rms(coding, x, _MOST_STEPS).numpy(),
    )


def _pictures(frames: Floats) -> Bytes:
    """Frames `[T, C, H, W]` in 0..1 as pictures `[T, H, W, 3]`."""
    return np.stack([to_bytes(frame) for frame in frames])


def _draw_pictures(coded: dict[str, _Coded], steps: int, playing: bool) -> None:
    frame_note = f"frames 1 to {steps}" if playing else f"frame {steps}"
    after = f"after T = {steps}: " if playing else ""
    frames = [
        _picture_html(one.frames[:steps], title, frame_note, playing)
        for title, one in coded.items()
    ]
    means = [
        _picture_html(
            one.means[:steps],
            "Mean so far" if playing else f"Mean of {steps}",
            f"error {after}{one.errors[steps - 1]:.3f}",
            playing,
        )
        for one in coded.values()
    ]
    st.html(f'{_STYLE}<div class="rsc-row">{"".join(frames)}{"".join(means)}</div>')
    say(
        "Top row: what the network gets at one step. Bottom row: the mean of all frames up to it. "
        "Direct coding repeats the photograph. Poisson coding makes each colour of each pixel a "
        "[spike](#spike) or none. RSC adds Gaussian noise; the pictures cut it off at black and "
        "white, the network gets all of it. Both means approach the photograph as T grows."
    )


def _picture_html(pictures: Bytes, title: str, note: str, playing: bool) -> str:
    """The last of pictures `[T, H, W, 3]`, or all of them as a film."""
    words = f"<b>{escape(title)}</b><br>{escape(note)}"
    name = escape(f"{title}, {note}")
    count, height, width, _ = pictures.shape
    if not playing or count == 1:
        shown = f'<img src="{data_link(pictures[-1])}" alt="{name}">'
    else:
        strip = data_link(pictures.reshape(count * height, width, 3))
        timing = f"animation-duration:{count / _STEPS_PER_SECOND:.3f}s"
        last = f"--rsc-last:{-100 * (count - 1) / count:.4f}%"
        shown = (
            f'<div class="rsc-film"><img src="{strip}" alt="{name}" '
            f'style="{last};{timing};animation-timing-function:steps({count})"></div>'
        )
    return f"<figure>{shown}<figcaption>{words}</figcaption></figure>"


def _draw_errors(poisson: _Coded, rsc: _Coded, steps: int, sigma: float) -> None:
    draw_figure(
        error_figure(poisson.errors, rsc.errors, poisson.expected, rsc.expected, steps),
        "lesson-image-errors",
        "Two falling curves: error of the mean image over the time steps, Poisson and RSC.",
    )
    say(
        "How far the mean image is from the photograph: its [RMS error](#rms-error). After "
        f"T = {steps}: Poisson **{poisson.errors[steps - 1]:.3f}**, RSC with σ = {sigma:.2f} "
        f"**{rsc.errors[steps - 1]:.3f}**. Both fall as 1/√T: four times the steps, half the "
        "error. Move σ until the two curves coincide: then the two [codings](#coding) are "
        "equally noisy."
    )


def _draw_answer(link: PageLink, image: GalleryImage, sigma: float) -> None:
    """The matching sigma, if the student asks for it."""
    reveal = _switch(
        link,
        "image_reveal",
        "Reveal the σ that matches",
        "First look for it with the slider: there the two curves coincide.",
    )
    if not reveal:
        return
    matched = float(matched_sigma(image.pixels())[0])
    words = linked(
        "The [matching sigma](#matching-sigma) of this photograph is √(mean of x (1 − x)) = "
        f"**{matched:.3f}**. "
    )
    if abs(sigma - matched) <= _NEAR:
        st.success(words + "That is where your slider stands.", icon=":material/check_circle:")
    else:
        st.info(words + f"Your slider stands at {sigma:.2f}.", icon=":material/straighten:")
