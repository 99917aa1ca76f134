"""The suite: which attacks, how strong, on how many images. Everything that decides a number."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rsc_snn.attacks.options import option_words
from rsc_snn.attacks.parameters import Value
from rsc_snn.attacks.registry import AttackSpec, get_attack, validate_parameters
from rsc_snn.errors import ConfigError

CLEAN = "none"
WORST = "worst"
# Raised whenever the same key would give other numbers than before, and with it the SCHEMA of the
# table of results, whose rows do not name it.
PROTOCOL = 1
_LARGEST_SEED = 2**63 - 1
# The budget at which the field compares: 8/255.
BUDGET = 8.0
# The worst case of scores of one draw each would err low by more than its two ends can tell.
_LEAST = {"draws": 2, "seed": 0}
# The step of PGD-7 in the papers on spiking networks: 2.55/255 at epsilon 8/255.
_PGD7_STEP = 2.55 / 8


@dataclass(frozen=True)
class SuiteAttack:
    """One attack of the suite at any epsilon.

    name: in results and on the command line. attack: its name in the registry. step: its step
    size as a share of epsilon, None for an attack without one. all_images: on all test images,
    not on the subset. control: what must be weaker than every attack; not part of the worst case.
    """

    name: str
    label: str
    attack: str
    fixed: Mapping[str, Value] = field(default_factory=dict)
    step: float | None = None
    all_images: bool = False
    control: bool = False

    @property
    def spec(self) -> AttackSpec:
        """The registry's entry."""
        return get_attack(self.attack)

    @property
    def gradient(self) -> bool:
        """True for a white-box attack that follows gradients."""
        return self.spec.follows_gradients

    def command(self, settings: Settings, epsilon: float) -> str:
        """The command that measures MODEL, one with noise, on its DATASET under this attack alone.

        It attacks every image, and none has been attacked at smaller epsilons before.
        """
        words = ["python -m rsc_snn evaluate --model MODEL --data DATASET"]
        words += [] if self.all_images else ["--limit", str(settings.images)]
        words += ["--draws", str(settings.draws), "--batch-size", str(settings.batch_size)]
        parameters = self.parameters(epsilon)
        usual = validate_parameters(self.spec, {})
        changed = {name: value for name, value in parameters.items() if value != usual[name]}
        changed = {"epsilon": epsilon, **changed}
        return " ".join([*words, "--attack", self.attack, *option_words(changed.items())])

    def parameters(self, epsilon: float) -> dict[str, Value]:
        """All parameters at `epsilon` (255ths), checked. Raises AttackError."""
        values: dict[str, Any] = {"epsilon": epsilon, **self.fixed}
        if self.step is not None:
            values["step_size"] = epsilon * self.step
        return validate_parameters(self.spec, values)


_ENTRIES = (
    SuiteAttack("fgsm", "FGSM", "fgsm", {"eot_draws": 1}, all_images=True),
    SuiteAttack(
        "pgd7",
        "PGD-7",
        "pgd",
        {"steps": 7, "random_start": True, "eot_draws": 1},
        step=_PGD7_STEP,
    ),
    SuiteAttack(
        "pgd20",
        "PGD-20",
        "pgd",
        {"steps": 20, "random_start": True, "eot_draws": 1},
        step=1 / 4,
    ),
    SuiteAttack(
        "eot_pgd20",
        "EOT-PGD-20",
        "eot_pgd",
        {"steps": 20, "random_start": True, "eot_draws": 10, "precision": "fast"},
        step=1 / 4,
    ),
    SuiteAttack("apgd", "APGD", "apgd", {"steps": 20, "loss": "ce", "rho": 0.75, "eot_draws": 5}),
    SuiteAttack(
        "square",
        "Square",
        "square",
        {"queries": 300, "p_init": 0.8, "loss": "margin", "eot_draws": 1},
    ),
    SuiteAttack("uniform_noise", "Uniform noise", "uniform_noise", control=True),
)

SUITE: dict[str, SuiteAttack] = {attack.name: attack for attack in _ENTRIES}
ADVERSARIES: tuple[str, ...] = tuple(name for name, attack in SUITE.items() if not attack.control)


def attack_label(name: str) -> str:
    """The name of a row of results for a person."""
    if name in SUITE:
        return SUITE[name].label
    return {CLEAN: "clean", WORST: "worst case"}.get(name, name)


@dataclass(frozen=True)
class Settings:
    """What one evaluation of the zoo measures; with the model and the data it fixes all numbers.

    images: size of the random subset, the same for all models of a data set, on which all but
    the clean images and FGSM are measured. epsilons: 255ths, kept in rising order. attacks: names
    of the suite. draws: fresh noise draws, two or more, on which a stochastic model is scored;
    one without noise is scored once. batch_size: it groups the noise. Raises ConfigError.
    """

    images: int = 500
    epsilons: tuple[float, ...] = (2.0, 4.0, 8.0)
    attacks: tuple[str, ...] = tuple(SUITE)
    draws: int = 10
    seed: int = 0
    batch_size: int = 500

    def __post_init__(self) -> None:
        for name, noun, most in (
            ("images", "number of images", 10**9),
            ("draws", "number of draws", 255),
            ("batch_size", "batch size", 10**6),
            ("seed", "seed", _LARGEST_SEED),
        ):
            value, least = getattr(self, name), _LEAST.get(name, 1)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ConfigError(
                    f"The {noun} must be a whole number from {least} to {most:,}, not {value!r}."
                )
        unknown = [name for name in self.attacks if name not in SUITE]
        if unknown or not self.attacks:
            wrong = f"no {unknown[0]!r}" if unknown else "to be asked for something"
            raise ConfigError(f"The suite has {wrong}; it has {', '.join(SUITE)}.")
        if not self.epsilons or not all(0 < epsilon <= 64 for epsilon in self.epsilons):
            raise ConfigError("Every epsilon must be above 0 and at most 64 (255ths).")
        rising = tuple(sorted({float(epsilon) for epsilon in self.epsilons}))
        object.__setattr__(self, "epsilons", rising)
        ordered = tuple(name for name in SUITE if name in self.attacks)
        object.__setattr__(self, "attacks", ordered)

    def command(self, model: str, options: Sequence[str] = ()) -> str:
        """The command that measures `model` in this way. options: of folders, such as --data."""
        words = ["python -m rsc_snn zoo evaluate", model, "--images", str(self.images)]
        words += ["--epsilons", *(f"{epsilon:.9g}" for epsilon in self.epsilons)]
        if self.attacks != tuple(SUITE):
            words += ["--attacks", *self.attacks]
        default = Settings()
        for name in ("draws", "seed", "batch_size"):
            if getattr(self, name) != getattr(default, name):
                words += [f"--{name.replace('_', '-')}", str(getattr(self, name))]
        return " ".join([*words, *map(shlex.quote, options)])


def suite_markdown(settings: Settings | None = None) -> str:
    """The suite as a Markdown table, for the docs."""
    settings = settings or Settings()
    lines = [
        "| attack | name | steps | step size | noise draws per gradient or query | images |",
        "|" + " --- |" * 6,
    ]
    for attack in SUITE.values():
        images = "all test images" if attack.all_images else f"{settings.images:,}"
        cells = (
            f"{attack.label}{' (control)' * attack.control}",
            f"`{attack.name}`",
            *_strength(attack),
            images,
        )
        lines.append(f"| {' | '.join(cells)} |")
    commands = [attack.command(settings, BUDGET) for attack in SUITE.values()]
    lines += [
        "",
        f"Each attack alone at {BUDGET:g}/255, for a model with noise (without, leave `--draws` "
        "out). It attacks every image, with noise of its own: compare intervals. The number may be "
        "a little higher than the table's, where an image broken at a smaller epsilon stays so.",
        "",
        "```",
        *commands,
        "```",
    ]
    return "\n".join(lines) + "\n"


def _strength(attack: SuiteAttack) -> tuple[str, str, str]:
    """(steps, step size, draws) for a person."""
    if attack.control:
        return "–", "–", "–"
    fixed = attack.fixed
    draws = str(fixed["eot_draws"])
    if attack.attack == "fgsm":
        return "1", "epsilon", draws
    if "queries" in fixed:
        return f"{fixed['queries']} queries", "its own", draws
    size = "its own" if attack.step is None else f"{attack.step:.4g} epsilon"
    return str(fixed["steps"]), size, draws
