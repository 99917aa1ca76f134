"""The controls of a page as text in its link: reading with validation, and writing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rsc_snn.attacks.parameters import ParameterSpec
from rsc_snn.errors import RscSnnError

_LONGEST = 60
_STRANGE = re.compile(r"[^\w .,:+/-]")


class LinkError(RscSnnError):
    """A value in the page's link cannot be used."""


@dataclass(frozen=True)
class Field:
    """One control that the link carries.

    store: under which name its value is remembered; fields with one store share their value.
    parse: text to value, raises RscSnnError. check: value to value, raises RscSnnError.
    longest: characters of the text that are read at all. mend: of a remembered value what the
    control can show now.
    """

    name: str
    default: Any
    parse: Callable[[str], Any]
    check: Callable[[Any], Any]
    store: str = ""
    longest: int = _LONGEST
    mend: Callable[[Any], Any] = lambda value: value

    @property
    def key(self) -> str:
        """Where the value is remembered."""
        return self.store or self.name

    def usable(self, value: Any) -> bool:
        """True if the control could show `value`."""
        try:
            self.check(value)
        except RscSnnError:
            return False
        return True


def clean_text(text: str, longest: int = _LONGEST) -> str:
    """Text of a link without what could be markup, and not longer than any real value."""
    return _STRANGE.sub("?", text[:longest])


def read_field(field: Field, text: str) -> tuple[Any, str | None]:
    """The value of `text`, or the default and a sentence that says why it is used."""
    try:
        return field.parse(clean_text(text, field.longest)), None
    except RscSnnError as error:
        reason = str(error).rstrip(".")
        return field.default, f"The link cannot be used as it is: {reason}; the default is used."


def format_value(value: Any) -> str:
    """A control's value as the link has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def choice_field(name: str, label: str, options: Sequence[str], default: str) -> Field:
    """One of `options`."""

    def check(value: Any) -> str:
        if value not in options:
            raise LinkError(f"there is no {label} {value!r} here")
        return str(value)

    return Field(name, default, check, check, longest=max(_LONGEST, _most_characters(options)))


def _most_characters(options: Sequence[str]) -> int:
    return max(map(len, options), default=0)


def choices_field(name: str, label: str, options: Sequence[str], most: int) -> Field:
    """None to `most` of `options`, as a list; in the link with commas between them."""

    def check(value: Any) -> list[str]:
        if not isinstance(value, (list, tuple)) or len(value) > most:
            raise LinkError(f"there is room for {most} of {label}")
        for item in value:
            if item not in options:
                raise LinkError(f"{item!r} cannot be one of {label}")
        if len(set(value)) != len(value):
            raise LinkError(f"{label} must differ from each other")
        return list(value)

    def parse(text: str) -> list[str]:
        return check([part.strip() for part in text.split(",") if part.strip()])

    def mend(value: Any) -> Any:
        """Those that are still there; if none is, it is as if nothing had been remembered."""
        kept = [item for item in value or () if item in options]
        return kept or value

    longest = max(_LONGEST, _most_characters(options)) * (most + 1)
    return Field(name, [], parse, check, longest=longest, mend=mend)


def text_field(name: str, longest: int, check: Callable[[str], str]) -> Field:
    """A short text that `check` accepts, raising RscSnnError for others; empty by default."""

    def checked(value: Any) -> str:
        if not isinstance(value, str) or len(value) > longest:
            raise LinkError(f"the value of {name} is too long")
        return check(value)

    return Field(name, "", checked, checked, longest=longest + 1)


def switch_field(name: str, label: str, default: bool) -> Field:
    """True or false."""

    def check(value: Any) -> bool:
        if not isinstance(value, bool):
            raise LinkError(f"{label} must be true or false")
        return value

    def parse(text: str) -> bool:
        words = {"true": True, "false": False}
        return check(words.get(text.strip().lower(), text))

    return Field(name, default, parse, check)


def number_field(name: str, label: str, low: float, high: float, default: float) -> Field:
    """A number from `low` to `high`; whole if the default is an int."""
    whole = isinstance(default, int)

    def check(value: Any) -> int | float:
        if not isinstance(value, (int, float)) or not low <= value <= high:
            limits = f"{_number_text(low)} and {_number_text(high)}"
            raise LinkError(f"{label} must be between {limits}, not {_number_text(value)}")
        return value

    def parse(text: str) -> int | float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or (whole and number != int(number)):
            noun = "a whole number" if whole else "a number"
            raise LinkError(f"{label} must be {noun}, not {text!r}")
        return check(int(number) if whole else number)

    return Field(name, default, parse, check)


def _number_text(value: Any) -> str:
    """A number as a person writes it: whole ones in full while they are short."""
    if isinstance(value, int) and abs(value) < 10**12:
        return str(value)
    return f"{value:g}" if isinstance(value, (int, float)) else repr(value)


def parameter_field(spec: ParameterSpec, attack: str) -> Field:
    """A parameter of `attack`. Attacks share epsilon where it has one unit, and nothing else."""
    store = f"epsilon{spec.unit}" if spec.name == "epsilon" else f"{attack}.{spec.name}"
    return Field(spec.name, spec.default, spec.parse, spec.validate, store)
