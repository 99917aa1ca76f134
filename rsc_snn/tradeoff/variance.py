"""Where the noise of an accuracy comes from: the images and the attack on each, or the coding.

Right or wrong of image i at draw d is `y_id = p + b_i + e_id` (one-way random effects): b_i, how
much easier the image is than the mean one, with variance image_sd^2 over images; e_id, the noise
of coding within an image, with mean variance coding_sd^2. Each image is attacked once, from one
random start and with one series of the attack's own draws, so b_i holds that luck too; to part
them, images would have to be attacked several times. For answers of 0 and 1 no law of b or e
is assumed. With n images and D draws the accuracy has the variance

    image_sd^2 / n + coding_sd^2 / (n D).

More draws shrink the second part alone, more images both.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isnan, nan, sqrt

import numpy as np

from rsc_snn.attacks.registry import get_attack
from rsc_snn.errors import ConfigError, DataError
from rsc_snn.resampling import FEW, Floats, resampled_means
from rsc_snn.sweep.cells import CLEAN, SELECTION, CellResult
from rsc_snn.tradeoff.paired import interval


@dataclass(frozen=True)
class Components:
    """Standard deviations of a single answer, and what they make of the accuracy's.

    image_sd: between images, each with the attack on it. coding_sd: between draws. icc: the share
    of an answer's variance that is between images (intraclass correlation), with a 95 % percentile
    bootstrap interval over images; nan where fewer than `FEW` images have any right, or any wrong,
    answer, for drawing them again shows too little then. se_images, se_coding: the two parts of the
    accuracy's standard error with these n images and D draws; their squares add up.
    """

    image_sd: float
    coding_sd: float
    icc: float
    icc_lower: float
    icc_upper: float
    se_images: float
    se_coding: float
    n: int
    draws: int

    @property
    def has_interval(self) -> bool:
        """False if too few images are right, or wrong, for an interval of `icc`."""
        return not isnan(self.icc_lower)

    @property
    def se(self) -> float:
        """Standard error of the accuracy."""
        return sqrt(self.se_images**2 + self.se_coding**2)

    def se_at(self, n: int, draws: float) -> float:
        """Standard error to expect from n images and so many draws (infinity is allowed)."""
        if n < 1 or draws < 1:
            raise ConfigError("A standard error needs one image and one draw or more.")
        return sqrt((self.image_sd**2 + self.coding_sd**2 / draws) / n)

    def best_draws(self, image_cost: float) -> int | None:
        """Draws for each image that make the accuracy most certain for a given effort.

        image_cost: what one more image costs beside its draws, in draws (attacking it, above
        all). The optimum of two-stage sampling, sqrt(image_cost * coding_sd^2 / image_sd^2)
        (Cochran, Sampling Techniques, 1977, section 10.6), rounded to the better whole number,
        at least 1. None if images do not differ: then the more draws, the better.
        """
        if not image_cost > 0:
            raise ConfigError(f"The cost of an image must be above 0, not {image_cost!r}.")
        if self.coding_sd == 0:
            return 1
        if self.image_sd == 0:
            return None
        best = sqrt(image_cost) * self.coding_sd / self.image_sd
        near = {max(1, floor(best)), max(1, ceil(best))}
        return min(near, key=lambda draws: self._effort(draws, image_cost))

    def _effort(self, draws: int, image_cost: float) -> float:
        """Variance times cost, which is the same for any number of images."""
        return self.se_at(1, draws) ** 2 * (image_cost + draws)


def attack_cost(result: CellResult) -> float:
    """What an image that is attacked takes before its draws, in passes: the attack at this epsilon.

    With the passes that tell whether it broke the image. One that was broken before is neither
    attacked nor scored: it has no part in the effort. 0 without an attack or an image to attack.
    """
    if result.cell.attack == CLEAN or not result.attacked:
        return 0.0
    attack = result.queries * get_attack(result.cell.attack).pass_cost
    return (attack + _selection(result)) / result.attacked


def _selection(result: CellResult) -> float:
    """About how many passes told which of the attacked images are broken.

    All rounds of `SELECTION` for a broken one; of one that stands those to expect at its rate.
    """
    if not result.cell.noisy:
        return 0.0
    wrong = 1 - result.right.mean(axis=0)[result.standing]
    before = np.cumsum((0, *SELECTION[:-1]))
    expected = sum(
        float((draws * wrong**d).sum()) for draws, d in zip(SELECTION, before, strict=True)
    )
    return expected + sum(SELECTION) * max(result.attacked - len(wrong), 0)


def variance_components(result: CellResult) -> Components:
    """The components of right and wrong `[D, n]`, by the analysis of variance.

    Between images MSB = D sum (p_i - p)^2 / (n - 1), within them
    MSW = D sum p_i (1 - p_i) / (n (D - 1));
    image_sd^2 = max((MSB - MSW) / D, 0), coding_sd^2 = MSW (Searle, Casella, McCulloch, Variance
    Components, 1992, chapter 3). Answers of a model without noise (one draw) have no coding noise.

    Raises DataError with fewer than two images, or with one draw of a model with noise.
    """
    cell, rates = result.cell, result.right.mean(axis=0)
    n, draws = cell.images, cell.draws
    if n < 2:
        raise DataError("The noise of images can be told only from two images or more.")
    if draws < 2 and cell.noisy:
        raise DataError("The noise of coding can be told only from two draws or more.")
    columns = np.stack([rates, rates**2], axis=1)
    image, coding = _components(columns.mean(axis=0)[None], n, draws)
    lower, upper = nan, nan
    if min((rates > 0).sum(), (rates < 1).sum()) >= FEW:
        lower, upper = interval(_share(*_components(resampled_means(columns), n, draws)))
    return Components(
        image_sd=sqrt(image[0]),
        coding_sd=sqrt(coding[0]),
        icc=float(_share(image, coding)[0]),
        icc_lower=lower,
        icc_upper=upper,
        se_images=sqrt(image[0] / n),
        se_coding=sqrt(coding[0] / (n * draws)),
        n=n,
        draws=draws,
    )


def _components(means: Floats, n: int, draws: int) -> tuple[Floats, Floats]:
    """Variances (of images, of coding) from means `[B, 2]` of the images' rates and squares."""
    mean, square = means.T
    between = draws * n / (n - 1) * np.maximum(square - mean**2, 0)
    within = draws / (draws - 1) * np.maximum(mean - square, 0) if draws > 1 else 0 * mean
    return np.maximum(between - within, 0) / draws, within


def _share(image: Floats, coding: Floats) -> Floats:
    """Variance of images / all variance; 1 where there is none, as no answer is noisy then."""
    total = image + coding
    return np.divide(image, total, out=np.ones_like(total), where=total > 1e-12)
