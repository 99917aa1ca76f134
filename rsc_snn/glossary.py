"""The words of the app, each with one or two exact sentences, and links to them in texts.

Texts in Markdown mark the first use of a term as `[spikes](#spike)`: what is shown, then the
term's slug. `linked` turns such marks into links to the glossary that show the definition too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from rsc_snn.errors import ConfigError

_LINK = re.compile(r"\[([^\]]+)\]\(#([\w-]+)\)")


@dataclass(frozen=True)
class Term:
    """A word and its meaning. forms: how texts write it, beside its name, plurals included."""

    name: str
    definition: str
    forms: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """The name in links: `clean-accuracy`."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @property
    def anchor(self) -> str:
        """Where on a page its definition stands."""
        return f"glossary-{self.slug}"

    @property
    def spellings(self) -> tuple[str, ...]:
        """The name and all other forms."""
        return (self.name, *self.forms)


_TERMS = (
    Term(
        "adaptive attack",
        "An attack made for one defence by someone who knows it. A defence is worth only what it "
        "withstands of these.",
        ("adaptive attacks",),
    ),
    Term(
        "adversarial example",
        "An input changed by so little that a person sees no difference, chosen so that the "
        "network answers wrongly.",
        ("adversarial examples", "adversarial image", "adversarial images"),
    ),
    Term(
        "adversarial training",
        "Training on inputs that are attacked anew at each step, so that the network learns to "
        "answer right within the attack's budget.",
        ("adversarially trained", "trained adversarially"),
    ),
    Term(
        "ANN",
        "Artificial neural network: the ordinary kind, whose neurons pass on numbers, not spikes, "
        "and answer at once.",
        ("ANNs", "ordinary network", "ordinary networks"),
    ),
    Term(
        "ANN twin",
        "An ANN with the same layers as a spiking network, trained on the same data: the one to "
        "compare it with.",
        ("ANN twins", "twin"),
    ),
    Term(
        "APGD",
        "Auto-PGD: PGD with momentum that chooses its own step sizes and returns to the best point "
        "so far (Croce and Hein, 2020).",
        ("Auto-PGD",),
    ),
    Term(
        "ASSG",
        "Adaptive Sharpness Surrogate Gradient: a surrogate gradient for the attack alone. For "
        "each neuron and time step it is as wide as the potential strays from the threshold (Wang "
        "et al., 2025).",
    ),
    Term(
        "attack",
        "A search for a change of the input, within a budget or as small as can be, that makes "
        "the network answer wrongly.",
        ("attacks",),
    ),
    Term(
        "AutoAttack",
        "A fixed set of strong attacks without parameters to tune: two kinds of APGD, FAB and "
        "Square (Croce and Hein, 2020).",
    ),
    Term(
        "Bernoulli draw",
        "A random 1 or 0, the 1 with a given probability: a coin that need not be fair.",
        ("Bernoulli draws", "Bernoulli"),
    ),
    Term(
        "Berry-Esseen theorem",
        "An upper bound on the distance of a sum of independent random terms from the normal law: "
        "it falls as the terms become many and none of them dominates.",
        ("Berry-Esseen",),
    ),
    Term(
        "black-box",
        "Said of an attack that sees the network's answers or scores only, no weights and no "
        "gradients.",
    ),
    Term(
        "Bonferroni correction",
        "Asks so much more of each of k comparisons that with 95 % confidence no conclusion of "
        "all k is chance: intervals of 1 - 0.05/k in place of 95 %.",
        ("Bonferroni",),
    ),
    Term(
        "bootstrap",
        "Drawing the images again at random, with replacement, many times: how much a number "
        "varies over these samples says how sure it is (Efron, 1979).",
        ("paired bootstrap",),
    ),
    Term(
        "budget",
        "How much an attack may change the input: a norm and its limit, epsilon.",
        ("budgets",),
    ),
    Term(
        "central limit theorem",
        "The sum of many independent random terms of finite variance, none of which dominates, "
        "nearly follows a normal law, whatever law the terms follow.",
    ),
    Term(
        "certified radius",
        "A distance within which the majority vote of a smoothed classifier provably stays the "
        "same, whatever the attack. It is proven with a stated confidence, here in L2 for RSC; for "
        "Poisson coding there is one in L1 (Mukhoty et al., 2024).",
        ("certified radii", "certified circle", "certificate"),
    ),
    Term(
        "channel",
        "One filter of a layer: neurons that have the same weights, each at its own place of the "
        "image.",
        ("channels",),
    ),
    Term(
        "class probability",
        "The share of belief that the network gives a class: the softmax of its logits, between 0 "
        "and 1, in sum 1.",
        ("class probabilities",),
    ),
    Term(
        "clean accuracy",
        "The share of right answers on inputs that nobody changed.",
    ),
    Term(
        "Clopper-Pearson bound",
        "A limit that lies below the true probability with a stated confidence, computed exactly "
        "from how often the event happened in n trials (Clopper and Pearson, 1934).",
        ("Clopper-Pearson",),
    ),
    Term(
        "coding",
        "The rule that turns an image into one input frame for each time step.",
        ("codings", "coded", "input coding"),
    ),
    Term(
        "confidence interval",
        "A range computed from the data by a rule whose ranges hold the true value in a stated "
        "share of cases, here 95 of 100.",
        ("confidence intervals", "95 % interval", "95 % intervals"),
    ),
    Term(
        "covariance",
        "How much two random quantities vary together: the mean product of their deviations from "
        "their means. That of a quantity with itself is its variance.",
        ("covariances",),
    ),
    Term(
        "Carlini-Wagner",
        "An attack that looks for the smallest change in L2 that changes the answer, by "
        "optimisation, without a budget (Carlini and Wagner, 2017).",
        ("Carlini and Wagner",),
    ),
    Term(
        "DeepFool",
        "An attack that takes the network for linear at each step and walks just across the "
        "nearest decision boundary (Moosavi-Dezfooli et al., 2016).",
    ),
    Term(
        "direct coding",
        "The image itself as the frame of every time step, without noise.",
        ("direct-coded",),
    ),
    Term(
        "distribution function",
        "For every number, the probability that a random value is no larger than it.",
        ("distribution functions",),
    ),
    Term(
        "distillation",
        "Training a network, the student, to give the probabilities that a trained network, its "
        "teacher, gives; the true labels count beside them.",
    ),
    Term(
        "DLR",
        "Difference of logits ratio: a loss for attacks that does not change if all logits are "
        "scaled, so that an over-confident network cannot hide its gradient.",
    ),
    Term(
        "draw",
        "One sample of the random noise. A pass with a new draw is what the Playground calls a "
        "look.",
        ("draws", "noise draw", "noise draws", "look", "looks"),
    ),
    Term(
        "effective sigma",
        "Sigma divided by the square root of T: the noise level of the mean of T noisy frames.",
    ),
    Term(
        "EOT",
        "Expectation over transformation: averaging the gradient over many noise draws, so that "
        "the attack follows what a noisy network does on average (Athalye et al., 2018).",
        ("expectation over transformation",),
    ),
    Term(
        "epsilon",
        "The most that an attack may change the input, in its norm. In L-infinity it is counted "
        "in steps of 1/255, the smallest difference of an 8-bit pixel.",
        ("ε", "epsilons"),
    ),
    Term(
        "E-RSCT",
        "Efficient RSC Training: distillation from an ANN plus the pre-synaptic loss, to win back "
        "the clean accuracy that noise costs.",
    ),
    Term(
        "fan-in",
        "The number of inputs of a neuron.",
    ),
    Term(
        "FGSM",
        "Fast Gradient Sign Method: one step that moves every pixel by epsilon in the direction in "
        "which the error grows (Goodfellow et al., 2015).",
    ),
    Term(
        "firing rate",
        "Spikes divided by time steps: 0 for a neuron that is silent, 1 for one that fires at "
        "every step.",
        ("firing rates",),
    ),
    Term(
        "frame",
        "The coded image of one time step.",
        ("frames",),
    ),
    Term(
        "gradient",
        "The direction in the space of inputs, or of weights, in which a value such as the error "
        "grows fastest.",
        ("gradients",),
    ),
    Term(
        "Holm correction",
        "Asks more of each of k comparisons, so that with 95 % confidence no conclusion is chance: "
        "the smallest p-value counts k times, the next one k - 1 times, and so on (Holm, 1979).",
        ("Holm",),
    ),
    Term(
        "input current",
        "What flows into a neuron at one time step: the weighted sum of the frame's pixels, or of "
        "the spikes of the layer before.",
        ("input currents", "current", "currents"),
    ),
    Term(
        "Kolmogorov-Smirnov distance",
        "The largest gap between two distribution functions: 0 if the laws are the same, at most "
        "1.",
        ("Kolmogorov-Smirnov",),
    ),
    Term(
        "L2",
        "The Euclidean length of a change: the square root of the sum of its squares over all "
        "pixels.",
        ("L2 norm", "Euclidean length"),
    ),
    Term(
        "L-infinity",
        "The largest change of any one pixel.",
        ("L-infinity norm", "Linf", "L∞"),
    ),
    Term(
        "LIF",
        "Leaky integrate-and-fire: a neuron that adds up its input current, loses a fixed share of "
        "its potential at each time step, and fires when it reaches its threshold.",
        ("leaky integrate-and-fire",),
    ),
    Term(
        "logit",
        "The score that a network gives a class; the class with the largest one is the answer.",
        ("logits",),
    ),
    Term(
        "masked gradient",
        "A gradient that vanishes or misleads, so that attacks which follow it fail. It makes a "
        "network look robust when it is not.",
        ("masked gradients", "gradient masking"),
    ),
    Term(
        "matching sigma",
        "The sigma at which RSC is as noisy as Poisson coding on an image: the square root of the "
        "mean of x (1 - x) over its pixels, at most 0.5.",
        ("matched sigma",),
    ),
    Term(
        "membrane potential",
        "The state of a spiking neuron: the current that it has gathered and not yet lost or "
        "spent on a spike.",
        ("membrane potentials", "membrane", "membranes", "potential"),
    ),
    Term(
        "MI-FGSM",
        "Repeated FGSM steps along a running sum of the gradients, whose momentum carries it past "
        "small bumps (Dong et al., 2018).",
    ),
    Term(
        "Newcombe interval",
        "An interval for a difference of two shares, made from the Wilson interval of each; it has "
        "a width even where no difference was seen (Newcombe, 1998).",
        ("Newcombe's interval",),
    ),
    Term(
        "normal law",
        "The bell curve, the normal or Gaussian distribution: set by its mean and variance alone.",
        ("normal", "Gaussian"),
    ),
    Term(
        "Pareto front",
        "The settings that no other beats: another one that is better in clean accuracy is worse "
        "in robust accuracy, and the other way round.",
    ),
    Term(
        "noisy pass",
        "One run of a network over its T frames with fresh noise, which gives one answer.",
        ("noisy passes", "passes", "passes with noise"),
    ),
    Term(
        "perturbation",
        "What an attack adds to an input: the attacked input minus the original.",
        ("perturbations",),
    ),
    Term(
        "PGD",
        "Projected Gradient Descent: many small FGSM steps, after each of which every pixel is "
        "pulled back to within epsilon of the original, in L-infinity (Madry et al., 2018). PGD-10 "
        "takes 10.",
        ("PGD-7", "PGD-10", "PGD-20", "EOT-PGD"),
    ),
    Term(
        "PGD-L2",
        "PGD in L2: each step follows the gradient itself, not its signs, and the change as a "
        "whole is pulled back to a Euclidean length of at most epsilon.",
    ),
    Term(
        "pixel",
        "One number of the image, between 0 (black) and 1 (white); a colour image has three at "
        "each place.",
        ("pixels", "grey value"),
    ),
    Term(
        "Poisson coding",
        "At each time step every pixel is a spike with a probability equal to its value. The name "
        "is the field's; the draws are Bernoulli draws.",
        ("Poisson", "Poisson frames"),
    ),
    Term(
        "pre-synaptic loss",
        "The mean squared difference between the weighted input of an ANN's neuron, before its "
        "ReLU, and the mean input current of the spiking neuron in its place, both standardised. "
        "The paper names such a loss; this form is ours.",
    ),
    Term(
        "QQ plot",
        "Quantiles of the data over those of a law: if the data follow the law, the marks lie on a "
        "line.",
    ),
    Term(
        "QTE",
        "Quantification trade-off estimation, as this app defines it: the robust accuracy gained "
        "for each point of clean accuracy lost, when the dial moves from one setting to another.",
    ),
    Term(
        "quantile",
        "The value below which a stated share of a law, or of the data, lies.",
        ("quantiles",),
    ),
    Term(
        "random effects",
        "A model of data in groups, here the answers to each image: it splits the variance into "
        "that between the images and that between the noise draws of one image.",
    ),
    Term(
        "random start",
        "A first random step inside the budget, before an attack follows any gradient.",
    ),
    Term(
        "randomized smoothing",
        "Classifying by the majority vote over many noisy copies of the input. The share of votes "
        "for each class changes slowly with the input, so that a certified radius can be proven "
        "(Cohen et al., 2019).",
        ("smoothing", "smoothed", "smooths"),
    ),
    Term(
        "reset",
        "What happens to the membrane potential at a spike: it goes back to 0.",
        ("resets",),
    ),
    Term(
        "RMS error",
        "Root mean square error: the square root of the mean squared difference, here over all "
        "pixels of two images.",
        ("root mean square",),
    ),
    Term(
        "R+FGSM",
        "FGSM after a small random first step (Tramer et al., 2018).",
    ),
    Term(
        "robust accuracy",
        "The share of right answers on attacked inputs; it is said with the attack and its budget.",
        ("accuracy under attack", "robustness"),
    ),
    Term(
        "RSC",
        "Randomized Smoothing Coding: the image plus Gaussian noise of strength sigma, drawn anew "
        "for each pixel and time step. The name and the idea are the paper's, this form is ours: "
        "its exact one could not be established.",
        ("RSC coding", "Randomized Smoothing Coding", "RSC-SNN"),
    ),
    Term(
        "RSC-ANN",
        "An ordinary network behind RSC: it answers each of the T noisy frames, and the mean of "
        "its logits counts. The noise of an RSC-SNN without its spikes.",
        ("RSC-ANNs",),
    ),
    Term(
        "SA-PGD",
        "Stable Adaptive PGD: PGD with momentum whose steps adapt to each pixel, made to follow an "
        "adaptive surrogate gradient (Wang et al., 2025).",
    ),
    Term(
        "seed",
        "Where the random numbers start. The same seed gives the same result.",
        ("seeds",),
    ),
    Term(
        "sigma",
        "The noise level of RSC: the standard deviation of what is added to each pixel, as a share "
        "of the pixel range 0..1.",
        ("σ", "noise level", "noise levels"),
    ),
    Term(
        "SNN",
        "Spiking neural network: its neurons keep a membrane potential from step to step and pass "
        "on spikes, 1 or 0.",
        ("SNNs", "spiking network", "spiking networks"),
    ),
    Term(
        "spike",
        "A 1 that a neuron, or a pixel under Poisson coding, gives at a time step; at all other "
        "steps it gives 0.",
        ("spikes", "spiking", "fires", "fire", "fired"),
    ),
    Term(
        "Square",
        "A black-box attack that changes random squares of the image and keeps those that lower "
        "the lead of the true class (Andriushchenko et al., 2020).",
    ),
    Term(
        "standard error",
        "The standard deviation of a measured value: how far it typically is from the true one.",
        ("standard errors",),
    ),
    Term(
        "standard deviation",
        "The square root of the variance: how far a random value typically is from its mean.",
        ("standard deviations",),
    ),
    Term(
        "step size",
        "How far an attack moves in each of its steps.",
    ),
    Term(
        "surrogate gradient",
        "A smooth stand-in for the derivative of the spike, which is 0 almost everywhere; with it "
        "spiking networks can be trained, and attacked.",
        ("surrogate gradients", "surrogate"),
    ),
    Term(
        "synaptic operation",
        "One addition of a weight to a membrane potential because a spike arrived. Counting them "
        "estimates the energy of a spiking network.",
        ("synaptic operations",),
    ),
    Term(
        "tau",
        "The time constant of a LIF neuron: at each time step its potential keeps the share "
        "1 - 1/tau.",
        ("τ",),
    ),
    Term(
        "threshold",
        "The membrane potential at which a neuron fires.",
        ("thresholds",),
    ),
    Term(
        "time step",
        "One tick of a spiking network: one frame goes in, each neuron is updated once, and may "
        "fire once.",
        ("time steps", "steps T"),
    ),
    Term(
        "trade-off",
        "More of one good for less of another: here robust accuracy for clean accuracy.",
    ),
    Term(
        "transfer",
        "Attacking one network with an adversarial example made for another.",
    ),
    Term(
        "variance",
        "The mean squared deviation of a random value from its mean.",
        ("variances",),
    ),
    Term(
        "vote",
        "The class that most draws give. A verdict on one photograph needs more than half of them; "
        "in accuracies of votes the most frequent class wins.",
        ("votes", "majority vote", "majority"),
    ),
    Term(
        "Wasserstein distance",
        "How far the mass of one law must be moved, on average, to make it another.",
        ("Wasserstein",),
    ),
    Term(
        "white-box",
        "Said of an attack that knows the network: its weights and its gradients.",
    ),
    Term(
        "Wilson interval",
        "A confidence interval for a share, such as an accuracy, that stays inside 0 to 1 and can "
        "be used with few trials too, where its confidence is only about what it says (Wilson, "
        "1927).",
        ("Wilson", "Wilson's interval"),
    ),
)

TERMS: dict[str, Term] = {
    term.slug: term for term in sorted(_TERMS, key=lambda term: term.name.casefold())
}


_SLUGS = {spelling.casefold(): term.slug for term in _TERMS for spelling in term.spellings}
_SPELLINGS = re.compile(
    rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(_SLUGS, key=len, reverse=True)))})(?![\w-])",
    re.IGNORECASE,
)


def find_term(slug: str) -> Term:
    """The term of a link. Raises ConfigError if there is none."""
    if slug not in TERMS:
        raise ConfigError(f"The glossary has no term {slug!r}.")
    return TERMS[slug]


def linked_slugs(text: str) -> list[str]:
    """The terms that a text links, in its order."""
    return [slug for _, slug in _LINK.findall(text)]


def linked(text: str, page: str = "") -> str:
    """`text` with its marks as Markdown links to the glossary, the definition as their title.

    page: on another page than the glossary, the link to it as far as the term's slug. Raises
    ConfigError if a term does not exist.
    """

    def replace(match: re.Match[str]) -> str:
        term = find_term(match[2])
        title = term.definition.replace('"', "'")
        target = f"{page}{term.slug}" if page else f"#{term.anchor}"
        return f'[{match[1]}]({target} "{title}")'

    return _LINK.sub(replace, text)


def mark(name: str) -> str:
    """`name`, such as an attack's, with its terms marked for `linked`: `[PGD](#pgd), 10 steps`.

    For names alone: in a sentence, words such as "square" need not mean the term.
    """
    return _SPELLINGS.sub(lambda match: f"[{match[0]}](#{_SLUGS[match[0].casefold()]})", name)


def plain(text: str) -> str:
    """`text` without its marks."""
    return _LINK.sub(r"\1", text)


def glossary_html() -> str:
    """All terms, alphabetical, as a definition list with an anchor, and a way back, each."""
    entries = "".join(
        f'<div id="{term.anchor}"><dt>{escape(term.name)}</dt>'
        f"<dd>{escape(term.definition)} "
        '<a class="rsc-back" href="#lesson">Back to the text</a></dd></div>'
        for term in TERMS.values()
    )
    return f'<dl class="rsc-glossary">{entries}</dl>'
