"""The limits of the app in one place: what one visitor, and all together, may ask of the machine.

They come, in rising order, from the defaults below, from a TOML file that `RSC_SNN_SETTINGS`
names, and from environment variables: `time_steps` is `RSC_SNN_LIMIT_TIME_STEPS`. The defaults
suit an app that serves its owner; docs/serving.md has those of an app that is open to the public.
"""

from __future__ import annotations

import difflib
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsc_snn.errors import ConfigError, SettingsError

if TYPE_CHECKING:
    from rsc_snn.attacks.parameters import ParameterSpec
    from rsc_snn.attacks.registry import AttackSpec

FILE_VARIABLE = "RSC_SNN_SETTINGS"
PREFIX = "RSC_SNN_LIMIT_"
# One single-image network pass (32x32 pixels, one time step) with its gradient takes about 3 ms
# on one small CPU core: the measure behind rsc_snn.outcome.LIVE_PASSES.
_PASS_SECONDS = 0.003
_MOST_THREADS = 4
# Numbers from here on, and letters of a text beyond so many, are not repeated in a sentence.
_LONG = 1e15
_SHOWN = 40
# The parameters of attacks that these settings limit.
_LIMITED = ("steps", "queries", "eot_draws")


def _limit(default: float, low: float, high: float, text: str) -> Any:
    """A field with its range and its meaning; whole if the default is an int."""
    return field(default=default, metadata={"low": low, "high": high, "text": text})


@dataclass(frozen=True)
class Settings:
    """Every limit, checked: a bad value raises SettingsError with one sentence."""

    draws: int = _limit(64, 1, 1024, "draws that an answer is scored on")
    time_steps: int = _limit(32, 1, 64, "time steps of a network")
    steps: int = _limit(1000, 1, 1000, "steps of an attack")
    queries: int = _limit(20_000, 1, 20_000, "queries of a black-box attack")
    eot_draws: int = _limit(128, 1, 128, "noise draws at each step of an attack")
    upload_megabytes: int = _limit(10, 1, 1024, "megabytes of an uploaded file")
    upload_megapixels: float = _limit(40.0, 0.01, 1000, "millions of pixels of an uploaded image")
    queue: int = _limit(16, 1, 10_000, "computations that wait, of all visitors together")
    queue_per_visitor: int = _limit(2, 1, 10_000, "computations under way of one visitor")
    job_seconds: float = _limit(0.0, 0, 1e6, "seconds that one computation may run; 0: any number")
    reconnect_seconds: float = _limit(10.0, 0, 3600, "seconds that a lost browser has to return")
    live_seconds: float = _limit(0.6, 0, 60, "seconds of one small core that follow a slider")
    grid_cells: int = _limit(2000, 1, 1_000_000, "measurements of a grid that a page takes")
    grid_seconds: float = _limit(7200.0, 1, 1e6, "estimated seconds of a grid that a page measures")
    remembered: int = _limit(512, 1, 1_000_000, "results that are remembered")
    remembered_megabytes: float = _limit(64.0, 0.001, 1e6, "megabytes of results")

    def __post_init__(self) -> None:
        for each in fields(self):
            _check(each.name, getattr(self, each.name), type(each.default), **each.metadata)

    @property
    def draws_range(self) -> tuple[int, int]:
        """The least and the largest number of draws that a control may offer."""
        return 1, self.draws

    @property
    def time_steps_range(self) -> tuple[int, int]:
        """The least and the largest number of time steps that a control may offer."""
        return 1, self.time_steps

    @property
    def upload_bytes(self) -> int:
        """The largest upload, in bytes."""
        return self.upload_megabytes * 2**20

    @property
    def upload_pixels(self) -> int:
        """The largest uploaded image, in pixels."""
        return int(self.upload_megapixels * 1e6)

    @property
    def remembered_bytes(self) -> int:
        """The largest memory of results, in bytes."""
        return int(self.remembered_megabytes * 2**20)

    @property
    def job_limit(self) -> float | None:
        """Seconds that one computation may run; None for any number."""
        return self.job_seconds or None

    @property
    def live_passes(self) -> int:
        """How many single-image passes of one time step may follow a slider."""
        return round(self.live_seconds / _PASS_SECONDS)

    def cap(self, parameter: ParameterSpec) -> ParameterSpec:
        """The same parameter within the limits: its range, and its default, end there.

        What is made from it (a form, the reading of a link) obeys the limit, and its `validate`
        says so in a sentence. Parameters without a limit are returned as they are.
        """
        if parameter.name not in _LIMITED:
            return parameter
        limit = getattr(self, parameter.name)
        assert parameter.minimum is not None and parameter.maximum is not None
        maximum = max(min(parameter.maximum, limit), parameter.minimum)
        return replace(parameter, maximum=maximum, default=min(parameter.default, int(maximum)))

    def cap_attack(self, spec: AttackSpec) -> AttackSpec:
        """The same attack, each of its parameters within the limits."""
        return replace(spec, parameters=tuple(map(self.cap, spec.parameters)))


def _check(name: str, value: Any, kind: type, low: float, high: float, text: str) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    finite = not isinstance(value, float) or math.isfinite(value)
    if not number or not finite or (kind is int and not isinstance(value, int)):
        noun = "a whole number" if kind is int else "a number"
        raise SettingsError(f"The limit {name!r} ({text}) must be {noun}, not {value!r}.")
    if not low <= value <= high:
        # Numbers of any length may be written, and not all fit a float.
        shown = f", not {value:.7g}" if abs(value) < _LONG else ""
        raise SettingsError(
            f"The limit {name!r} ({text}) must be between {low:.7g} and {high:.7g}{shown}."
        )


def load_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The limits of this process. Raises SettingsError with a sentence."""
    values: dict[str, Any] = {}
    file = environment.get(FILE_VARIABLE)
    if file:
        values |= _from_file(Path(file))
    for variable, text in environment.items():
        if variable.startswith(PREFIX):
            name = variable.removeprefix(PREFIX).lower()
            values[_known(name, f"the environment ({variable})")] = _number(variable, text)
    return Settings(**values)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"The settings file {str(path)!r} cannot be read.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"The settings file {str(path)!r} is no TOML: {error}.") from error
    except ValueError as error:  # More digits than Python reads.
        raise SettingsError(f"The settings file {str(path)!r} holds too long a number.") from error
    return {_known(name, repr(str(path))): value for name, value in content.items()}


def _known(name: str, place: str) -> str:
    """`name` if it is a limit's, else SettingsError with the nearest one."""
    names = [each.name for each in fields(Settings)]
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}."
    raise SettingsError(f"There is no limit {name!r}, which {place} sets; {hint}")


def _number(variable: str, text: str) -> float:
    """A number in an environment variable: an int where it is written as one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise SettingsError(f"{variable} must be a number, not {text[:_SHOWN]!r}.")


def live_threads() -> int:
    """Threads of one computation that a visitor waits for.

    It gets all cores of a small machine, one visitor after the other: threads that wait for each
    other on busy cores lose more than they gain.
    """
    return min(_cores(), _MOST_THREADS)


def live_at_once() -> int:
    """How many computations that visitors wait for run at once."""
    return _cores() // live_threads()


def job_threads() -> int:
    """Threads of a job in the background: half of the cores, so that pages get along with it."""
    return max(1, min(_cores() // 2, _MOST_THREADS))


def most_threads() -> int:
    """The most that may be asked for: more than there are cores are slower, far more fail."""
    return _cores()


def check_threads(count: int) -> None:
    """Raise ConfigError unless `count` threads of the CPU may be asked for."""
    if not 1 <= count <= most_threads():
        raise ConfigError(
            f"The number of threads must be between 1 and {most_threads()}, not {count}."
        )


def _cores() -> int:
    return os.cpu_count() or 1
