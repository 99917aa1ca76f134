"""The glossary has every term that the app's texts use, and links lead to terms."""

from __future__ import annotations

import ast
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rsc_snn.attacks import ATTACKS
from rsc_snn.errors import ConfigError
from rsc_snn.glossary import (
    TERMS,
    Term,
    find_term,
    glossary_html,
    linked,
    linked_slugs,
    mark,
    plain,
)
from rsc_snn.ui.lesson.texts import STEPS, text_file
from tests.readme_tables import ROOT

# Words of the Playground that a newcomer cannot know.
PLAYGROUND = (
    "sigma", "epsilon", "time steps", "draws", "seed", "coding", "membrane", "firing rate",
    "transfer", "trade-off", "perturbation", "gradient", "black-box", "random start", "step size",
    "clean accuracy", "robust accuracy", "adversarial training", "synaptic operations", "logits",
    "Randomized Smoothing Coding", "spikes", "class probabilities", "95 % interval",
)  # fmt: skip
# Capitals that are no terms: file formats, units, digests, the seats of licences.
NO_TERMS = {"CIFAR", "CIFAR-10", "CPU", "CSV", "GPU", "HTML", "JPEG", "JSON", "MB", "NPZ", "PNG",
            "SHA", "SVG", "GB", "URL"}  # fmt: skip
LESSON = [text_file(step) for step in STEPS]


def spellings() -> dict[str, Term]:
    return {form.casefold(): term for term in TERMS.values() for form in term.spellings}


def help_texts() -> list[str]:
    """What the app's controls and attacks explain about themselves."""
    found = [spec.explanation for spec in ATTACKS.values()]
    found += [parameter.help for spec in ATTACKS.values() for parameter in spec.parameters]
    for path in sorted((ROOT / "rsc_snn" / "ui").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "help":
                found += [
                    part.value
                    for part in ast.walk(node.value)
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                ]
    return found


def without_formulas(text: str) -> str:
    return re.sub(r"\$\$.*?\$\$|\$.*?\$", " ", text, flags=re.DOTALL)


class _Ids(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name == "id"]


def test_terms_are_alphabetical_and_say_one_or_two_sentences() -> None:
    names = [term.name.casefold() for term in TERMS.values()]
    assert names == sorted(names) and len(names) > 60
    for term in TERMS.values():
        sentences = re.findall(r"[.](?: |$)", term.definition.replace("et al.", "et al"))
        assert 1 <= len(sentences) <= 3, term.name
        assert term.definition.endswith("."), term.name
        assert len(term.definition) <= 260, term.name


def test_no_spelling_belongs_to_two_terms() -> None:
    forms = [form.casefold() for term in TERMS.values() for form in term.spellings]
    assert sorted(set(forms)) == sorted(forms)


def test_anchors_are_unique_and_on_the_page() -> None:
    ids = _Ids(glossary_html()).found
    assert ids == [term.anchor for term in TERMS.values()]
    assert len(set(ids)) == len(ids)


def test_an_unknown_term_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no term 'nothing'"):
        find_term("nothing")
    with pytest.raises(ConfigError, match="no term 'nothing'"):
        linked("[this](#nothing)")


def test_marks_become_links_with_the_definition() -> None:
    text = linked("A [pixels](#pixel) and $x$ and [elsewhere](https://example.org).")
    assert text.startswith('A [pixels](#glossary-pixel "One number')
    assert text.endswith(" and $x$ and [elsewhere](https://example.org).")
    assert plain("A [pixels](#pixel).") == "A pixels."


def test_names_of_attacks_are_marked() -> None:
    assert mark("PGD-10") == "[PGD-10](#pgd)"
    assert mark("PGD-L2") == "[PGD-L2](#pgd-l2)"
    assert mark("EOT-PGD, step size 2/255") == "[EOT-PGD](#pgd), [step size](#step-size) 2/255"
    assert mark("Step size") == "[Step size](#step-size)"
    assert mark("Gaussians") == "Gaussians"


def test_titles_hold_no_quotes_that_would_end_them() -> None:
    for term in TERMS.values():
        assert linked(f"[x](#{term.slug})").count('"') == 2


@pytest.mark.parametrize("path", LESSON, ids=lambda path: path.name)
def test_links_of_the_lesson_lead_to_the_term_they_show(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for shown, slug in re.findall(r"\[([^\]]+)\]\(#([\w-]+)\)", text):
        assert shown.casefold() in {form.casefold() for form in find_term(slug).spellings}
    assert len(set(linked_slugs(text))) == len(linked_slugs(text))


@pytest.mark.parametrize("path", LESSON, ids=lambda path: path.name)
def test_the_first_use_of_each_term_is_linked(path: Path) -> None:
    text = without_formulas(str(path.read_text(encoding="utf-8")))
    body = text.partition("\n")[2]
    marked = re.sub(r"\[([^\]]+)\]\(#([\w-]+)\)", lambda match: f"⟦{match[1]}⟧", body)
    unlinked = re.sub("⟦[^⟧]*⟧", lambda match: "⟦" + "_" * (len(match[0]) - 2) + "⟧", marked)
    known, links = spellings(), set(linked_slugs(body))
    for form, term in known.items():
        bare = re.search(rf"(?<![\w-]){re.escape(form)}(?![\w-])", unlinked.casefold())
        if bare is None:
            continue
        assert term.slug in links, f"{form!r} is not linked"
        first = min(
            place.start()
            for other in term.spellings
            for place in re.finditer(re.escape(f"⟦{other.casefold()}⟧"), marked.casefold())
        )
        assert first < bare.start(), f"the first use of {form!r} is not linked"


def linked_elsewhere() -> set[str]:
    """The terms that the Playground and the models' cards link, in texts or by a name."""
    found: set[str] = set()
    for path in sorted((ROOT / "rsc_snn" / "ui").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(linked_slugs(node.value))
    for spec in ATTACKS.values():
        for name in (spec.label, *(parameter.label for parameter in spec.parameters)):
            found |= set(linked_slugs(mark(name)))
    return found


@pytest.mark.parametrize("word", PLAYGROUND)
def test_words_of_the_playground_lead_to_the_glossary(word: str) -> None:
    forms = spellings()
    found = {word.casefold(), word.casefold().removesuffix("s")} & set(forms)
    assert found, word
    assert {forms[form].slug for form in found} & linked_elsewhere(), word


def test_links_from_other_pages_name_the_word() -> None:
    assert linked("[spikes](#spike)", "lesson?word=").startswith('[spikes](lesson?word=spike "A 1')
    for slug in linked_elsewhere():
        assert find_term(slug).slug == slug


def test_every_abbreviation_of_the_help_texts_is_explained() -> None:
    texts = help_texts()
    assert len(texts) > 60
    forms = set(spellings())
    used = {
        word
        for text in texts
        for word in re.findall(r"(?<![\w-])[A-Z][A-Z0-9]*[A-Z0-9](?:-[A-Z0-9]+)*(?![\w-])", text)
    }
    assert {"FGSM", "PGD", "EOT"} <= used
    lacking = {word for word in used if word.casefold() not in forms} - NO_TERMS
    assert not lacking


def test_every_attack_is_explained() -> None:
    forms = set(spellings())
    for spec in ATTACKS.values():
        if spec.family != "noise":
            assert spec.label.casefold() in forms, spec.label
