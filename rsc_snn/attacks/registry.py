"""The attacks: one frozen entry each. Forms, command-line options and docs are made from them.

Adding an attack is adding one entry to `_ENTRIES`. This module does not import torch, so that
`--help` and the docs are quick; the builders import the attack library when they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rsc_snn.attacks.parameters import PIXEL_UNIT, ParameterSpec, Value, validate_all
from rsc_snn.errors import AttackError

if TYPE_CHECKING:
    from torch import Tensor

    from rsc_snn.attacks.target import Target

Parameters = Mapping[str, Any]
AttackFunction = Callable[["Tensor", "Tensor"], "Tensor"]
Norm = Literal["Linf", "L2", "none"]
Family = Literal["gradient", "black-box", "noise", "adaptive"]


@dataclass(frozen=True)
class AttackSpec:
    """One attack: what a person reads about it, its parameters, and how it is made.

    norm: in which norm the perturbation is measured; where the attack has a parameter `epsilon`
    that norm is bounded by it, otherwise the attack looks for a small perturbation itself.
    builder: takes the target and the parameters (255ths already fractions), gives a function
    from images `[N, C, H, W]` and labels `[N]` to adversarial images. calls: the number of model
    calls to expect, for the progress bar. heavy: more than about a second on a small CPU.
    blind_steps: how many of its steps it takes before it looks at a gradient.
    """

    name: str
    label: str
    explanation: str
    norm: Norm
    family: Family
    parameters: tuple[ParameterSpec, ...]
    builder: Callable[[Target, Parameters], AttackFunction]
    calls: Callable[[Parameters], int]
    heavy: bool = False
    blind_steps: int = 0

    @property
    def bounded(self) -> bool:
        """True if the perturbation stays within the parameter `epsilon`."""
        return any(parameter.name == "epsilon" for parameter in self.parameters)

    @property
    def follows_gradients(self) -> bool:
        """True if each of its calls takes a gradient."""
        return self.family in ("gradient", "adaptive")

    def follows_one_draw(self, values: Mapping[str, Any]) -> bool:
        """True if against noise each gradient under these `values` is that of a single draw."""
        return self.follows_gradients and int(values.get("eot_draws", 1)) == 1

    def reach(self, values: Mapping[str, Any]) -> float | None:
        """The largest change that the steps under these `values` can make, if that is too little.

        In the unit of epsilon. Too little: less than epsilon or, from a random start, which may be
        at the far side of the ball, less than two epsilon. None where they can make use of all
        of the ball.
        """
        if not {"epsilon", "step_size", "steps"} <= set(values):
            return None
        travel = float(values["step_size"]) * (int(values["steps"]) + self.blind_steps)
        way = float(values["epsilon"]) * (2 if values.get("random_start") else 1)
        return travel if travel < way else None

    @property
    def pass_cost(self) -> int:
        """What each of its calls takes, in forward passes; one with its gradient about three."""
        return 3 if self.follows_gradients else 1

    def fractions(self, values: Parameters) -> dict[str, Value]:
        """Validated `values` with every 255th turned into a fraction of the pixel range."""
        return {spec.name: spec.fraction(values[spec.name]) for spec in self.parameters}


def get_attack(name: str) -> AttackSpec:
    """The attack called `name`; hyphens count as underscores. Raises AttackError."""
    spec = ATTACKS.get(str(name).replace("-", "_"))
    if spec is None:
        raise AttackError(f"Unknown attack {name!r}; choose one of {', '.join(ATTACKS)}.")
    return spec


def validate_parameters(spec: AttackSpec, values: Parameters) -> dict[str, Value]:
    """`values` checked and completed with the defaults. Raises AttackError with a sentence."""
    return validate_all(spec.parameters, values, spec.label)


def attacks_markdown() -> str:
    """The table of attacks for the docs, in Markdown."""
    lines = ["| attack | name | family | norm | parameters (default; range) |", "|" + " --- |" * 5]
    for spec in ATTACKS.values():
        parameters = "; ".join(
            f"`{p.name}` {p.value_text(p.default)} ({p.range_text()})" for p in spec.parameters
        )
        lines.append(
            f"| {spec.label} | `{spec.name}` | {spec.family} | {spec.norm} | {parameters} |"
        )
    return "\n".join(lines) + "\n"


def _number(
    name: str,
    label: str,
    default: float,
    low: float,
    high: float,
    step: float,
    text: str,
    unit: str = "",
) -> ParameterSpec:
    return ParameterSpec(name, label, "float", default, text, low, high, step, unit)


def _count(name: str, label: str, default: int, low: int, high: int, text: str) -> ParameterSpec:
    return ParameterSpec(name, label, "int", default, text, low, high, 1)


def _steps(default: int) -> ParameterSpec:
    text = "How many times the attack looks at the gradient and moves. More steps make it stronger."
    return _count("steps", "Steps", default, 1, 1000, text)


def _eot_draws(default: int, text: str = "") -> ParameterSpec:
    text = text or (
        "Noise draws over which the loss and its gradient are averaged at every step (EOT). With "
        "1 the attack follows one noisy gradient. Models without noise always use 1."
    )
    return _count("eot_draws", "EOT draws", default, 1, 128, text)


_EPSILON = _number(
    "epsilon",
    "Epsilon",
    8.0,
    0.0,
    64.0,
    0.5,
    "The most that any pixel may change, in 255ths of the pixel range.",
    PIXEL_UNIT,
)
_STEP_SIZE = _number(
    "step_size",
    "Step size",
    2.0,
    0.0,
    64.0,
    0.25,
    "How far each pixel moves in one step, in 255ths of the pixel range.",
    PIXEL_UNIT,
)
_RANDOM_START = ParameterSpec(
    "random_start",
    "Random start",
    "bool",
    True,
    "Start from a random point inside the allowed ball instead of the image itself.",
)

_PRECISION = ParameterSpec(
    "precision",
    "Gradient precision",
    "choice",
    "fast",
    "Fast computes gradients in bfloat16 on processors made for it, which weakens the attack "
    "little, if at all (measured in docs/sweeps.md). Models without noise and other processors use "
    "float32.",
    choices=("fast", "full"),
)


def _library() -> Any:
    """The attack classes, imported on first use: torchattacks takes seconds to import."""
    from rsc_snn.attacks import library

    return library


def _adaptive() -> Any:
    from rsc_snn.attacks import adaptive_surrogate

    return adaptive_surrogate


_ENTRIES = (
    AttackSpec(
        name="fgsm",
        label="FGSM",
        explanation=(
            "The Fast Gradient Sign Method asks the network one question: for each pixel, does "
            "the error grow if it gets brighter or darker? Then it moves every pixel by epsilon "
            "in that direction. One gradient, one step: quick, and the weakest of the gradient "
            "attacks (Goodfellow et al., 2015, arXiv 1412.6572)."
        ),
        norm="Linf",
        family="gradient",
        parameters=(_EPSILON, _eot_draws(1)),
        builder=lambda target, p: _library().FGSM(target, eps=p["epsilon"]),
        calls=lambda p: 1,
    ),
    AttackSpec(
        name="rfgsm",
        label="R+FGSM",
        explanation=(
            "FGSM with a random first step. Some networks have a misleading gradient exactly at "
            "the image; taking a small random step first gets away from there, then the gradient "
            "step follows. With 1 step and a step size of half of epsilon it is the published "
            "attack; with more steps it turns into PGD (Tramer et al., 2018, arXiv 1705.07204)."
        ),
        norm="Linf",
        family="gradient",
        parameters=(
            _EPSILON,
            _number(
                "step_size",
                "Step size",
                4.0,
                0.0,
                64.0,
                0.25,
                "Size of the random step and of each gradient step, in 255ths.",
                PIXEL_UNIT,
            ),
            _steps(1),
            _eot_draws(1),
        ),
        builder=lambda target, p: _library().RFGSM(
            target, eps=p["epsilon"], alpha=p["step_size"], steps=p["steps"]
        ),
        calls=lambda p: p["steps"],
        blind_steps=1,
    ),
    AttackSpec(
        name="pgd",
        label="PGD",
        explanation=(
            "Projected Gradient Descent repeats small FGSM steps and, after each one, pulls every "
            "pixel back to within epsilon of the original. It is the standard yardstick of "
            "robustness. Against a noisy network it follows one noisy gradient a step unless EOT "
            "draws are raised (Madry et al., 2018, arXiv 1706.06083)."
        ),
        norm="Linf",
        family="gradient",
        parameters=(_EPSILON, _STEP_SIZE, _steps(10), _RANDOM_START, _eot_draws(1)),
        builder=lambda target, p: _library().PGD(
            target,
            eps=p["epsilon"],
            alpha=p["step_size"],
            steps=p["steps"],
            random_start=p["random_start"],
        ),
        calls=lambda p: p["steps"],
    ),
    AttackSpec(
        name="eot_pgd",
        label="EOT-PGD",
        explanation=(
            "PGD for networks that use randomness. One gradient of a noisy network says little, "
            "so Expectation over Transformation averages the gradient over many fresh noise draws "
            "at every step, and attacks what the network does on average. Always use it before "
            "believing that noise protects (Athalye et al., 2018, arXiv 1802.00420)."
        ),
        norm="Linf",
        family="gradient",
        parameters=(
            _EPSILON,
            _STEP_SIZE,
            _steps(10),
            _RANDOM_START,
            _eot_draws(8),
            _PRECISION,
        ),
        builder=lambda target, p: _library().eot_pgd(target, p),
        calls=lambda p: p["steps"],
        heavy=True,
    ),
    AttackSpec(
        name="apgd",
        label="APGD",
        explanation=(
            "Auto-PGD needs no step size: it starts with large steps, adds momentum, and halves "
            "the step whenever the loss stops rising, returning to the best point so far. It is "
            "the core of AutoAttack. The loss is the cross-entropy, or DLR, which ignores the "
            "scale of the logits and so is not fooled by an over-confident network (Croce and "
            "Hein, 2020, arXiv 2003.01690)."
        ),
        norm="Linf",
        family="gradient",
        parameters=(
            _EPSILON,
            _steps(20),
            ParameterSpec(
                "loss",
                "Loss",
                "choice",
                "ce",
                "What the attack raises: the cross-entropy or the difference of logits ratio.",
                choices=("ce", "dlr"),
            ),
            _number(
                "rho",
                "Rho",
                0.75,
                0.1,
                1.0,
                0.05,
                "Share of steps that must raise the loss; below it, the step is halved.",
            ),
            _eot_draws(4),
        ),
        builder=lambda target, p: _library().APGD(
            target, eps=p["epsilon"], steps=p["steps"], loss=p["loss"], rho=p["rho"]
        ),
        calls=lambda p: p["steps"] + 1,
        heavy=True,
    ),
    AttackSpec(
        name="sa_pgd",
        label="SA-PGD",
        explanation=(
            "A spike has no slope, so every gradient attack follows a stand-in, the surrogate "
            "gradient that the network was trained with. Where potentials stay far from the "
            "threshold, that one vanishes: the attack is blind, but the network is not strong. "
            "Here each neuron gets, at each time step, a surrogate as wide as its potential "
            "usually strays from the threshold (ASSG), and the steps have momentum and adapt to "
            "each pixel: Stable Adaptive PGD (Wang et al., 2025, arXiv 2512.22522). Run it before "
            "believing that spikes protect."
        ),
        norm="Linf",
        family="adaptive",
        parameters=(
            _EPSILON,
            _steps(50),
            ParameterSpec(
                "surrogate",
                "Surrogate gradient",
                "choice",
                "adaptive",
                "Adaptive: fitted to each neuron and time step. Trained: the one used in training. "
                "Networks without spikes have none.",
                choices=("adaptive", "trained"),
            ),
            _number(
                "spread",
                "Spread",
                0.425,
                0.05,
                0.49,
                0.005,
                "A in the paper: the share of the adaptive surrogate's area on either side of the "
                "threshold that lies within the usual reach of the potential. A larger share makes "
                "the surrogate narrower.",
            ),
            _eot_draws(8),
            _PRECISION,
        ),
        builder=lambda target, p: _adaptive().sa_pgd(target, p),
        calls=lambda p: p["steps"] + 1,
        heavy=True,
    ),
    AttackSpec(
        name="mi_fgsm",
        label="MI-FGSM",
        explanation=(
            "Momentum Iterative FGSM keeps a running sum of the gradients and steps along its "
            "sign. Momentum carries it past small bumps of the loss and averages out part of the "
            "noise, so its images also tend to fool other networks (Dong et al., 2018, arXiv "
            "1710.06081)."
        ),
        norm="Linf",
        family="gradient",
        parameters=(
            _EPSILON,
            _STEP_SIZE,
            _steps(10),
            _number(
                "decay",
                "Momentum",
                1.0,
                0.0,
                2.0,
                0.1,
                "Factor on the sum of past gradients; 0 has no memory.",
            ),
            _eot_draws(1),
        ),
        builder=lambda target, p: _library().MIFGSM(
            target, eps=p["epsilon"], alpha=p["step_size"], steps=p["steps"], decay=p["decay"]
        ),
        calls=lambda p: p["steps"],
    ),
    AttackSpec(
        name="pgd_l2",
        label="PGD-L2",
        explanation=(
            "PGD with another ruler: instead of limiting each pixel, it limits the Euclidean "
            "length of the whole change, so a few pixels may change much while others stay. Its "
            "epsilon is a length in 0..1 pixels and must never be compared with an L-infinity "
            "epsilon: 8/255 on every pixel of a 32x32 image is already 1.74 (Madry et al., 2018, "
            "arXiv 1706.06083)."
        ),
        norm="L2",
        family="gradient",
        parameters=(
            _number(
                "epsilon",
                "Epsilon (L2)",
                0.5,
                0.0,
                20.0,
                0.05,
                "The most that the image may change: Euclidean length over all 0..1 pixels.",
            ),
            _number(
                "step_size",
                "Step size (L2)",
                0.1,
                0.0,
                20.0,
                0.01,
                "Euclidean length of one step.",
            ),
            _steps(10),
            _RANDOM_START,
            _eot_draws(1),
        ),
        builder=lambda target, p: _library().PGDL2(
            target,
            eps=p["epsilon"],
            alpha=p["step_size"],
            steps=p["steps"],
            random_start=p["random_start"],
        ),
        calls=lambda p: p["steps"],
    ),
    AttackSpec(
        name="cw",
        label="Carlini-Wagner",
        explanation=(
            "Carlini and Wagner's attack has no budget: it looks for the smallest change that "
            "changes the answer, by minimising the squared length of the change plus c times how "
            "far the true class still leads. If it finds nothing it returns the image unchanged. "
            "On a noisy network it keeps the smallest change that worked on its own draws, which "
            "may fail on fresh ones (Carlini and Wagner, 2017, arXiv 1608.04644)."
        ),
        norm="L2",
        family="gradient",
        parameters=(
            _number(
                "c",
                "c",
                1.0,
                0.01,
                1000.0,
                0.1,
                "Weight of being misclassified against staying close to the image.",
            ),
            _number(
                "kappa",
                "Kappa",
                0.0,
                0.0,
                50.0,
                0.5,
                "Lead of the wrong class, in logits, that the attack looks for. If no change gives "
                "it that lead, the smallest one that changes the answer is kept.",
            ),
            _steps(50),
            _number(
                "learning_rate",
                "Learning rate",
                0.01,
                0.0001,
                1.0,
                0.005,
                "Step of its optimiser (Adam).",
            ),
            _eot_draws(4),
        ),
        builder=lambda target, p: _library().CW(
            target, c=p["c"], kappa=p["kappa"], steps=p["steps"], lr=p["learning_rate"]
        ),
        calls=lambda p: p["steps"],
        heavy=True,
    ),
    AttackSpec(
        name="deepfool",
        label="DeepFool",
        explanation=(
            "DeepFool pretends that the network is linear, computes how far the nearest decision "
            "boundary is, steps just across it, and repeats until the answer changes. It measures "
            "how close the nearest wrong answer is, and has no budget. On a noisy network it stops "
            "at the boundary of its own draws, so on fresh draws the answer is often right again "
            "(Moosavi-Dezfooli et al., 2016, arXiv 1511.04599)."
        ),
        norm="L2",
        family="gradient",
        parameters=(
            _steps(20),
            _number(
                "overshoot",
                "Overshoot",
                0.02,
                0.0,
                1.0,
                0.01,
                "How far beyond the boundary each step goes, as a share of the step.",
            ),
            _eot_draws(
                4,
                "Noise draws whose logits are averaged before the network is taken as linear. "
                "Models without noise always use 1.",
            ),
        ),
        builder=lambda target, p: _library().DeepFool(
            target, steps=p["steps"], overshoot=p["overshoot"]
        ),
        calls=lambda p: p["steps"],
        heavy=True,
    ),
    AttackSpec(
        name="square",
        label="Square",
        explanation=(
            "A black-box attack: it sees the scores but no gradient. It changes random squares of "
            "the image to plus or minus epsilon and keeps a square if the lead of the true class "
            "falls. If it does clearly more harm than the strongest gradient attack, the gradients "
            "are probably masked, and the network is less robust than it looks "
            "(Andriushchenko et al., 2020, arXiv 1912.00049)."
        ),
        norm="Linf",
        family="black-box",
        parameters=(
            _EPSILON,
            _count(
                "queries",
                "Queries",
                300,
                1,
                20000,
                "How many squares it tries. The published attack uses 5000.",
            ),
            _number(
                "p_init",
                "First square",
                0.8,
                0.01,
                1.0,
                0.05,
                "Share of the image that the first squares cover; it shrinks with time.",
            ),
            ParameterSpec(
                "loss",
                "Loss",
                "choice",
                "margin",
                "What a square must lower: the lead of the true class or its log-probability.",
                choices=("margin", "ce"),
            ),
            _eot_draws(
                4,
                "Noise draws over which the loss is averaged in every query. With 1 it keeps "
                "squares that were merely lucky. Models without noise always use 1.",
            ),
        ),
        builder=lambda target, p: _library().Square(
            target, eps=p["epsilon"], n_queries=p["queries"], p_init=p["p_init"], loss=p["loss"]
        ),
        calls=lambda p: p["queries"] + 1,
        heavy=True,
    ),
    AttackSpec(
        name="gaussian_noise",
        label="Gaussian noise",
        explanation=(
            "Not an attack but the control: random Gaussian noise that knows nothing of the "
            "network. Every real attack of the same size must do more harm than this; if it does "
            "not, the attack is broken, not the network strong."
        ),
        norm="none",
        family="noise",
        parameters=(
            _number(
                "std",
                "Standard deviation",
                8.0,
                0.0,
                128.0,
                0.5,
                "Standard deviation of the noise, in 255ths of the pixel range.",
                PIXEL_UNIT,
            ),
        ),
        builder=lambda target, p: _library().GN(target, std=p["std"]),
        calls=lambda p: 0,
    ),
    AttackSpec(
        name="uniform_noise",
        label="Uniform noise",
        explanation=(
            "The control for attacks with an L-infinity budget: every pixel moves by a random "
            "amount between minus and plus epsilon, which is PGD's random start without its "
            "steps. The gap between this and PGD is what the gradient is worth."
        ),
        norm="Linf",
        family="noise",
        parameters=(_EPSILON,),
        builder=lambda target, p: _library().UniformNoise(target, eps=p["epsilon"]),
        calls=lambda p: 0,
    ),
)

ATTACKS: dict[str, AttackSpec] = {spec.name: spec for spec in _ENTRIES}
