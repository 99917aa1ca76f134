"""What ships: pinned requirements, imports that keep their place, texts that are true."""

from __future__ import annotations

import argparse
import ast
import os
import re
import shlex
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from rsc_snn.cli import build_parser
from tests.readme_tables import README, ROOT, TABLES, with_tables

ALLOWED = {
    ".ci",
    ".gitattributes",
    ".gitignore",
    ".streamlit",
    "LICENSE",
    "Makefile",
    "README.md",
    "app.py",
    "assets",
    "benchmarks",
    "docs",
    "pages",
    "pyproject.toml",
    "requirements-bench.txt",
    "requirements-cluster.txt",
    "requirements-dev.txt",
    "requirements.txt",
    "rsc_snn",
    "tests",
}
MAX_PAGE_LINES = 120
MACHINE_PATH = re.compile(r"(?<![\w.~/-])/(?:work|root|home|Users|tmp|opt|mnt)/")
# A reader that lets three names through; everything else that unpickles could run what it reads.
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
DOCS = [README, *sorted((ROOT / "docs").glob("*.md"))]


def tracked() -> list[Path]:
    """The files of the repository, relative to its root."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git clone")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [Path(name) for name in listing.stdout.split("\0") if name]


def product_modules() -> list[Path]:
    """Every Python file but the tests, relative to the root."""
    files = [ROOT / "app.py"]
    for folder in ("pages", "rsc_snn", "benchmarks"):
        files += sorted((ROOT / folder).rglob("*.py"))
    return [path.relative_to(ROOT) for path in files]


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all that a module imports, wherever in it."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(package: str) -> set[str]:
    """The product's modules that import `package` or a part of it."""
    return {
        path.as_posix()
        for path in product_modules()
        if any(name == package or name.startswith(f"{package}.") for name in imports(path))
    }


def commands_in(text: str) -> Iterator[str]:
    """The arguments of each `python -m rsc_snn` (or torchrun) that a text quotes as code."""
    for line in text.replace("\\\n", " ").splitlines():
        for match in re.finditer(r"(?:python|torchrun .*) -m rsc_snn([^`#]*)", line):
            if "{" not in match[1]:
                yield match[1].strip()


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def all_commands(
    parser: argparse.ArgumentParser, prefix: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Every command and action: `()`, `("train",)`, `("data",)`, `("data", "list")`, ..."""
    yield prefix
    for name, child in subcommands(parser).items():
        yield from all_commands(child, (*prefix, name))


@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements*.txt")), ids=lambda path: path.name)
def test_requirements_are_pinned(path: Path) -> None:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    names = []
    for line in lines:
        if not line or line.startswith("#"):
            continue
        if line.startswith("-r "):
            assert (path.parent / line[3:]).is_file()
            continue
        pin = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*)==[0-9][A-Za-z0-9.!]*", line)
        assert pin, f"{line!r} in {path.name} is not pinned with =="
        names.append(pin[1].lower())
    assert len(names) == len(set(names))


def test_the_environment_has_the_pinned_versions() -> None:
    from importlib.metadata import version

    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if "==" in line:
            name, wanted = line.split("==")
            assert version(name).split("+")[0] == wanted, name


def test_third_party_imports_are_required() -> None:
    # Sweeps on a cluster have requirements of their own, imported where they are used.
    required = {
        line.split("==")[0]
        for name in ("requirements.txt", "requirements-cluster.txt")
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    required = {{"pillow": "PIL"}.get(name, name) for name in required}
    used = {
        name.split(".")[0]
        for path in product_modules()
        if path.parts[0] != "benchmarks"
        for name in imports(path)
    }
    assert used - set(sys.stdlib_module_names) - {"rsc_snn"} <= required


def test_streamlit_is_imported_by_the_app_alone() -> None:
    # Visitors of the load test speak the framework's protocol.
    users = importers("streamlit") - {"benchmarks/visitor.py"}
    assert {"app.py", "pages/playground.py"} <= users  # or this test looks in the wrong place
    assert {
        path for path in users if not path.startswith(("app.py", "pages/", "rsc_snn/ui/"))
    } == set()


def test_plotly_is_imported_by_figures_and_above_alone() -> None:
    users = importers("plotly")
    assert users
    allowed = ("app.py", "pages/", "rsc_snn/ui/", "rsc_snn/figures/")
    assert {path for path in users if not path.startswith(allowed)} == set()


def test_nothing_below_imports_what_is_above() -> None:
    for layer, above in (
        ("rsc_snn.ui", ("app.py", "pages/", "rsc_snn/ui/")),
        ("rsc_snn.figures", ("app.py", "pages/", "rsc_snn/ui/", "rsc_snn/figures/")),
    ):
        # Benchmarks measure any layer.
        allowed = (*above, "benchmarks/")
        assert {path for path in importers(layer) if not path.startswith(allowed)} == set()


def test_the_cluster_is_imported_where_it_is_used_alone() -> None:
    users = {path for path in importers("distributed") if not path.startswith("benchmarks/")}
    assert users == {"rsc_snn/sweep/runners.py"}
    script = "import sys, rsc_snn.sweep.run; sys.exit('distributed' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=120)


def test_torchvision_is_not_imported() -> None:
    assert importers("torchvision") == set()


def test_only_the_restricted_reader_unpickles() -> None:
    for package in UNPICKLERS:
        assert importers(package) <= {"rsc_snn/data/readers.py"}, package
    for path in product_modules():
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            options = {option.arg: ast.unparse(option.value) for option in node.keywords}
            assert options.get("allow_pickle", "False") == "False", path
            if ast.unparse(node.func) == "torch.load":
                assert options.get("weights_only") == "True", path


def test_texts_name_no_path_of_a_machine() -> None:
    found = []
    for path in tracked():
        file = ROOT / path
        if not file.is_file() or path.suffix in {".png", ".webp", ".safetensors", ".parquet"}:
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if MACHINE_PATH.search(line):
                found.append(f"{path}:{number}: {line.strip()}")
    assert found == []


def test_a_path_of_a_machine_would_be_found() -> None:
    assert MACHINE_PATH.search('open("' + "/".join(["", "home", "me", "x"]) + '")')
    home = "/".join(["~", "work", "x"])
    assert not MACHINE_PATH.search(f"https://example.org/home/page and {home} and data/opt/y")


def test_the_top_level_holds_what_it_should() -> None:
    assert {path.parts[0] for path in tracked()} <= ALLOWED


def test_no_file_is_large() -> None:
    sizes = {path: (ROOT / path).stat().st_size for path in tracked() if (ROOT / path).is_file()}
    assert {path: size for path, size in sizes.items() if size > 5 * 2**20} == {}


def test_pages_are_short() -> None:
    pages = sorted((ROOT / "pages").glob("*.py"))
    assert pages
    for path in (ROOT / "app.py", *pages):
        assert len(path.read_text(encoding="utf-8").splitlines()) < MAX_PAGE_LINES, path.name


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_the_tables_of_a_document_are_up_to_date(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == with_tables(text, TABLES[path]), "run `python -m tests.readme_tables`"


def test_an_old_table_would_be_noticed() -> None:
    text, tables = README.read_text(encoding="utf-8"), {"attacks": TABLES[README]["attacks"]}
    assert with_tables(text.replace("| FGSM |", "| FGSN |"), tables) == with_tables(text, tables)
    with pytest.raises(ValueError, match="attacks"):
        with_tables(text.replace("<!-- /attacks -->", ""), tables)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_lead_to_files(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text) + re.findall(r'src(?:set)?="([^"]+)"', text)
    for link in links:
        if "://" not in link:
            assert (path.parent / link).is_file(), link


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_files_that_texts_name_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:rsc_snn|benchmarks|pages|assets|tests)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name


def test_commands_in_texts_are_ones_that_the_program_takes() -> None:
    lines = [line for path in DOCS for line in commands_in(path.read_text(encoding="utf-8"))]
    assert len(lines) > 10
    for line in lines:
        arguments = shlex.split(line)
        if arguments and "--help" not in arguments:
            build_parser().parse_args(arguments)  # else it exits


def test_modules_that_make_runs_exist() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    modules = re.findall(r"-m ((?:benchmarks|tests)\.[\w.]+)", text)
    assert len(modules) >= 3
    for module in modules:
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module


def test_streamlit_is_configured() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["browser"]["gatherUsageStats"] is False
    assert config["server"]["maxUploadSize"] == 10
    assert config["server"]["enableXsrfProtection"] is True


def test_the_licence_is_mit() -> None:
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


def test_the_ci_script_can_run() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_help_of_every_command_is_quick() -> None:
    """Nothing heavy is imported to print it; two seconds of waiting would be torch's alone."""
    commands = list(all_commands(build_parser()))
    assert {("train",), ("data", "download"), ("zoo", "verify")} <= set(commands)
    script = (
        "import contextlib, io, sys\n"
        "from rsc_snn.cli import main\n"
        f"for command in {commands!r}:\n"
        "    text = io.StringIO()\n"
        "    try:\n"
        "        with contextlib.redirect_stdout(text):\n"
        "            main([*command, '--help'])\n"
        "    except SystemExit as end:\n"
        "        assert end.code == 0, command\n"
        "    assert 'usage: rsc-snn' in text.getvalue(), command\n"
        "heavy = {'torch', 'streamlit', 'pandas', 'scipy', 'spikingjelly'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 0, "COMMAND"),
        (["--version"], 0, "rsc-snn 0."),
        ([], 2, "required"),
        (["fly"], 2, "invalid choice"),
        (["zoo", "verify", "--folder", "nowhere"], 2, "There is no folder of models at nowhere."),
    ],
)
def test_the_program_as_a_process(arguments: list[str], code: int, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rsc_snn", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == code
    assert words in (done.stdout if code == 0 else done.stderr)
    assert "Traceback" not in done.stderr
