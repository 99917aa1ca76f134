"""Typed, ranged parameters: what the app's forms, the command line and the docs are made from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rsc_snn.errors import AttackError

Value = int | float | bool | str
PIXEL_UNIT = "/255"


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter of an attack.

    unit "/255" means that people give and read the value in 255ths of the pixel range; `fraction`
    turns it into the 0..1 pixels that the code works on. minimum, maximum and step are None for
    "bool" and "choice"; choices is empty for all but "choice".
    """

    name: str
    label: str
    kind: Literal["int", "float", "bool", "choice"]
    default: Value
    help: str
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()

    def validate(self, value: Any) -> Value:
        """`value` in this parameter's type. Raises AttackError with a sentence."""
        if self.kind == "choice":
            if value not in self.choices:
                raise AttackError(
                    f"{self.label} must be one of {', '.join(self.choices)}, not {value!r}."
                )
            return str(value)
        if self.kind == "bool":
            if not isinstance(value, bool):
                raise AttackError(f"{self.label} must be true or false, not {value!r}.")
            return value
        return self._validate_number(value)

    def _validate_number(self, value: Any) -> Value:
        whole = self.kind == "int"
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        finite = is_number and (isinstance(value, int) or math.isfinite(value))
        if not finite or (whole and value != int(value)):
            noun = "a whole number" if whole else "a number"
            raise AttackError(f"{self.label} must be {noun}, not {value!r}.")
        assert self.minimum is not None and self.maximum is not None
        if not self.minimum <= value <= self.maximum:
            raise AttackError(
                f"{self.label} must be between {self.minimum:g} and {self.maximum:g}{self.unit}, "
                f"not {_short(value)}."
            )
        return int(value) if whole else float(value) + 0.0  # -0 is 0 for all that is made of it.

    def parse(self, text: str) -> Value:
        """The value written as `text` (command line, URL). Raises AttackError with a sentence."""
        if self.kind == "choice":
            return self.validate(text)
        if self.kind == "bool":
            lowered = text.strip().lower()
            words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
            return self.validate(words.get(lowered, text))
        try:
            number = float(text)
        except ValueError:
            return self.validate(text)
        return self.validate(number)

    def fraction(self, value: Value) -> Value:
        """`value` as the code uses it: 255ths become a fraction of the pixel range 0..1."""
        if self.unit == PIXEL_UNIT:
            return float(value) / 255
        return value

    def range_text(self) -> str:
        """The allowed values for a person, such as `1 to 100` or `ce, dlr`."""
        if self.kind == "choice":
            return ", ".join(self.choices)
        if self.kind == "bool":
            return "true, false"
        return f"{self.minimum:g} to {self.maximum:g}{self.unit}"

    def value_text(self, value: Value) -> str:
        """`value` for a person, such as `8/255` or `true`."""
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str):
            return value
        return f"{value:g}{self.unit}"


def _short(value: float) -> str:
    """A number for a person, even a whole one that no float holds."""
    try:
        return f"{value:g}"
    except OverflowError:
        return f"{'-' * (value < 0)}inf"


def validate_all(
    parameters: Iterable[ParameterSpec], values: Mapping[str, Any], owner: str
) -> dict[str, Value]:
    """`values` checked and completed with defaults, in the order of `parameters`.

    `owner` names the attack in messages. Raises AttackError for an unknown name or a bad value.
    """
    specs = {parameter.name: parameter for parameter in parameters}
    unknown = [str(name) for name in values if name not in specs]
    if unknown:
        raise AttackError(
            f"{owner} has no parameter {unknown[0]!r}; it has {', '.join(specs) or 'none'}."
        )
    return {name: spec.validate(values.get(name, spec.default)) for name, spec in specs.items()}
