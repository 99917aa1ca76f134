"""The limits of the app: where they come from, what they refuse, what they narrow."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsc_snn.attacks import ATTACKS
from rsc_snn.attacks.run import MAX_DRAWS
from rsc_snn.coding import TIME_STEPS_RANGE
from rsc_snn.data import uploads
from rsc_snn.errors import AttackError, SettingsError
from rsc_snn.outcome import LIVE_PASSES
from rsc_snn.settings import Settings, job_threads, live_at_once, live_threads, load_settings

ROOT = Path(__file__).parents[1]
LIMITED = ("steps", "queries", "eot_draws")


def test_defaults_change_nothing() -> None:
    settings = load_settings({})
    assert settings == Settings()
    for spec in ATTACKS.values():
        assert settings.cap_attack(spec) == spec
    assert settings.live_passes == LIVE_PASSES
    assert (settings.upload_bytes, settings.upload_pixels) == (
        uploads.MAX_BYTES,
        uploads.MAX_PIXELS,
    )
    assert settings.job_limit is None


def test_no_limit_goes_beyond_what_the_code_can_do() -> None:
    Settings(draws=MAX_DRAWS, time_steps=TIME_STEPS_RANGE[1])
    for values in ({"draws": MAX_DRAWS + 1}, {"time_steps": TIME_STEPS_RANGE[1] + 1}):
        with pytest.raises(SettingsError):
            Settings(**values)


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("draws = 16\ntime_steps = 8\njob_seconds = 60\n", encoding="utf-8")
    settings = load_settings(
        {"RSC_SNN_SETTINGS": str(file), "RSC_SNN_LIMIT_TIME_STEPS": "4", "RSC_SNN_OTHER": "x"}
    )
    assert (settings.draws, settings.time_steps, settings.job_limit) == (16, 4, 60)
    assert (settings.draws_range, settings.time_steps_range) == ((1, 16), (1, 4))


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"RSC_SNN_LIMIT_DRAWS": "many"}, "RSC_SNN_LIMIT_DRAWS must be a number, not 'many'."),
        ({"RSC_SNN_LIMIT_DRAWS": "0"}, "'draws' .* must be between 1 and 1024, not 0."),
        ({"RSC_SNN_LIMIT_DRAWS": "2.5"}, "must be a whole number, not 2.5"),
        ({"RSC_SNN_LIMIT_JOB_SECONDS": "nan"}, "must be a number, not nan"),
        ({"RSC_SNN_LIMIT_DRAW": "3"}, "no limit 'draw', .*; did you mean 'draws'?"),
        ({"RSC_SNN_LIMIT_XYZZY": "3"}, "no limit 'xyzzy', .*; there are draws, "),
        ({"RSC_SNN_SETTINGS": "nowhere.toml"}, "'nowhere.toml' cannot be read."),
    ],
)
def test_bad_values_are_one_sentence(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        load_settings(environment)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("draws = 'x'", "must be a whole number, not 'x'"),
        ("draws = true", "must be a whole number, not True"),
        ("[limits]\ndraws = 3", "no limit 'limits'"),
        ("draws", "is no TOML"),
        ("\xff".encode("latin-1"), "is no TOML"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path: Path, content: str | bytes, words: str) -> None:
    file = tmp_path / "limits.toml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(SettingsError, match=words):
        load_settings({"RSC_SNN_SETTINGS": str(file)})


@given(st.sampled_from(sorted(ATTACKS)), st.integers(1, 128), st.integers(1, 20_000))
def test_a_capped_parameter_takes_what_the_limit_allows(name: str, limit: int, value: int) -> None:
    limits: dict[str, Any] = dict.fromkeys(LIMITED, limit)
    for before, after in zip(
        ATTACKS[name].parameters,
        Settings(**limits).cap_attack(ATTACKS[name]).parameters,
        strict=True,
    ):
        if before.name not in LIMITED:
            assert after == before
            continue
        assert after.validate(after.default) == min(int(before.default), limit)
        if value <= limit:
            assert after.validate(value) == value
        else:
            with pytest.raises(AttackError, match=f"between 1 and {limit}"):
                after.parse(str(value))


def test_the_machine_is_shared_out() -> None:
    assert live_threads() >= 1 and live_at_once() >= 1 and job_threads() >= 1
    assert job_threads() <= live_threads()


def test_the_document_knows_every_limit_and_its_example_can_be_loaded(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    for each in fields(Settings):
        row = re.search(rf"\| `{each.name}` \| ([\d,.]+) \|", text)
        assert row, each.name
        assert float(row[1].replace(",", "")) == each.default
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example
    file = tmp_path / "public.toml"
    file.write_text(example[1], encoding="utf-8")
    settings = load_settings({"RSC_SNN_SETTINGS": str(file)})
    for name, value in tomllib.loads(example[1]).items():
        assert getattr(settings, name) == value
        assert value < getattr(Settings(), name) or name == "job_seconds"


@pytest.mark.parametrize("digits", [16, 400, 5_000])
def test_a_number_of_any_length_is_a_sentence(digits: int, tmp_path: Path) -> None:
    number = "1" * digits
    with pytest.raises(SettingsError) as from_variable:
        load_settings({"RSC_SNN_LIMIT_DRAWS": number})
    file = tmp_path / "settings.toml"
    file.write_text(f"draws = {number}\n", encoding="utf-8")
    with pytest.raises(SettingsError) as from_file:
        load_settings({"RSC_SNN_SETTINGS": str(file)})
    for caught in (from_variable, from_file):
        assert len(str(caught.value)) < 300
