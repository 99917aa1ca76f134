"""RSC_SNN_REQUIRE_ALL, which CI sets, leaves no way to skip a test unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import conftest

SKIPS = {
    "in the test": "import pytest\ndef test_it():\n    pytest.skip('no data')\n",
    "by a mark": "import pytest\n@pytest.mark.skipif(True, reason='no')\ndef test_it(): pass\n",
    "in a fixture": (
        "import pytest\n@pytest.fixture\ndef browser():\n    pytest.skip('none')\n"
        "def test_it(browser): pass\n"
    ),
    "of the module": "import pytest\npytest.importorskip('no_such_module_as_this')\n",
}


@pytest.mark.parametrize("text", SKIPS.values(), ids=SKIPS)
@pytest.mark.parametrize("required", [False, True])
def test_a_skip(text: str, required: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSC_SNN_REQUIRE_ALL", "1" if required else "")
    path = tmp_path / "test_inner.py"
    path.write_text(text, encoding="utf-8")
    hooks = type("Hooks", (), {})()
    for name in ("pytest_runtest_makereport", "pytest_make_collect_report"):
        setattr(hooks, name, getattr(conftest, name))
    options = [
        "-q",
        "--import-mode=importlib",
        "-p",
        "no:cacheprovider",
        "-c",
        str(tmp_path / "none.ini"),
    ]
    (tmp_path / "none.ini").write_text("[pytest]\n", encoding="utf-8")
    code = pytest.main([str(path), *options, "--rootdir", str(tmp_path)], plugins=[hooks])
    skipped = {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    failed = {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}
    assert code in (failed if required else skipped)
