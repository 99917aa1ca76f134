"""Images drawn again, and signs turned, at random: what intervals and tests of means rest on.

Columns `[n, K]` hold K values of each of n images. The random rows depend on n alone, so that all
columns of the same images meet the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from rsc_snn.errors import DataError
from rsc_snn.randomness import derive_seed, make_generator

Floats = NDArray[np.float64]

RESAMPLES = 9999
# A p below this is no chance.
SIGNIFICANT = 0.05
_SEED = 0
# Fewer images that differ than this are too few to draw again.
FEW = 10
# Of 95 % intervals, in standard errors.
_HALF = 1.959964
# Bytes of a block of random rows; blocks are kept, as a page asks again for the same images.
_BLOCK = 2**21
# Decimals of a resampled mean.
_DIGITS = 12


def resampled_means(columns: Floats) -> Floats:
    """Means `[RESAMPLES, K]` of columns `[n, K]` over images drawn with replacement.

    All columns meet the same resamples, so that ratios and differences of the means are paired.
    Raises DataError if there is no image.
    """
    n = len(columns)
    if n == 0:
        raise DataError("There are no images to compare.")
    sums = [block.astype(np.float64) @ columns for block in _blocks(n, "times")]
    # Each machine sums in an order of its own: what is 0 on one is not on another.
    return np.round(np.concatenate(sums) / n, _DIGITS)


def differ_in_few(columns: Floats) -> NDArray[np.bool_]:
    """`[K]`, True where fewer than `FEW` of the n images of a column `[n, K]` differ from 0.

    Or from 1, or from -1: what nearly all images share is as much alike.
    """
    counts = np.stack([(columns != value).sum(axis=0) for value in (-1, 0, 1)])
    few: NDArray[np.bool_] = counts.min(axis=0) < FEW
    return few


def few_interval(columns: Floats) -> Floats:
    """The ends `[2, K]` of 95 % intervals of the means of columns `[n, K]` of differences.

    For those of which few images differ: drawing them again never shows what was not seen, so
    that without any the bootstrap's interval is a point, however few the images. A mean of
    differences from -1 to 1 is what some images gain minus what others lose, two shares with
    Wilson's interval each; the ends are as far away as those of both together (Newcombe's
    square-and-add, Statistics in Medicine 17, 1998). An image that gains does not lose: the two
    shares are correlated by -sqrt(g l / ((1 - g) (1 - l))), which a sum of squares alone leaves out
    and is too narrow for. Values between vary less than right and wrong do, so that for them it is
    wider than it must be.
    """
    # Seconds to load, which not every command and not every worker needs.
    from statsmodels.stats.proportion import proportion_confint

    n = len(columns)
    gained, lost = np.maximum(columns, 0).mean(axis=0), np.maximum(-columns, 0).mean(axis=0)
    # At 0 and at n the formula's ends differ from the share by float rounding alone.
    (low, high), (least, most) = (
        proportion_confint(np.clip(share, 0, 1) * n, n, method="wilson") for share in (gained, lost)
    )
    rest = (1 - gained) * (1 - lost)
    squared = np.divide(gained * lost, rest, out=np.zeros_like(rest), where=rest > 1e-12)
    against = np.sqrt(np.minimum(squared, 1))

    def away(first: Floats, second: Floats) -> Floats:
        return np.sqrt(first**2 + second**2 + 2 * against * first * second)

    below = away(gained - np.minimum(low, gained), np.maximum(most, lost) - lost)
    above = away(np.maximum(high, gained) - gained, lost - np.minimum(least, lost))
    difference = gained - lost
    return np.stack([np.maximum(difference - below, -1), np.minimum(difference + above, 1)])


def unseen(columns: Floats) -> Floats:
    """`[K]`, half the 95 % interval that one image not drawn leaves of means of columns `[n, K]`.

    For scores and differences between right and wrong. Noise makes nearly all of their images
    differ by a little, so that how many differ by 1, and whether those are too few to draw again,
    is not to be counted (`differ_in_few`). 0 where all values are -1, 0 or 1.
    """
    noisy = ~np.isin(columns, (-1.0, 0.0, 1.0)).all(axis=0)
    return np.where(noisy, _HALF / len(columns), 0.0)


def widened(columns: Floats, ends: Floats) -> Floats:
    """The bootstrap's `ends` `[2, K]` of means of columns `[n, K]`, with room for what is unseen.

    The distance of each end and `unseen` add up in squares, as for independent errors.
    """
    means, room = columns.mean(axis=0), unseen(columns)
    below, above = np.hypot(means - ends[0], room), np.hypot(ends[1] - means, room)
    return np.stack([np.maximum(means - below, -1), np.minimum(means + above, 1)])


def sign_flip_p(columns: Floats) -> Floats:
    """p-values `[K]`, two-sided, that the values `[n, K]` of a column have the mean 0.

    For differences of two scores of each image: to exchange the two scores turns the sign. As
    `scipy.stats.permutation_test` with permutation_type "samples" and RESAMPLES resamples. The
    margin lets sums that differ by rounding alone count as equal.
    """
    observed = np.abs(columns.sum(axis=0)) * (1 - 1e-9)
    extreme = np.zeros(columns.shape[1], dtype=np.int64)
    for block in _blocks(len(columns), "signs") if columns.shape[1] else ():
        extreme += (np.abs(block.astype(np.float64) @ columns) >= observed).sum(axis=0)
    return (extreme + 1) / (RESAMPLES + 1)


def _blocks(n: int, kind: Literal["times", "signs"]) -> Iterator[NDArray[np.int8]]:
    """RESAMPLES random rows over n images, a few at a time."""
    rows = max(1, _BLOCK // n)
    for at in range(0, RESAMPLES, rows):
        yield _block(n, at, min(rows, RESAMPLES - at), kind)


@lru_cache(maxsize=16)
def _block(n: int, at: int, rows: int, kind: str) -> NDArray[np.int8]:
    """`[rows, n]`: how often each image is drawn (never 128 times), or a sign for each image."""
    generator = make_generator(derive_seed(_SEED, "tradeoff", kind, n, at))
    if kind == "signs":
        flips = torch.randint(0, 2, (rows, n), generator=generator, dtype=torch.int8)
        return (2 * flips - 1).numpy()
    drawn = torch.randint(0, n, (rows, n), generator=generator)
    drawn += n * torch.arange(rows)[:, None]
    times = torch.bincount(drawn.flatten(), minlength=rows * n)
    return times.to(torch.int8).view(rows, n).numpy()
