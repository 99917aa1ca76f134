"""The load test's view of the Playground: its links ask for what it thinks, and lies are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from rsc_snn.marker import read_markers, result_facts
from rsc_snn.outcome import attack_image
from rsc_snn.zoo import Zoo
from tests.pages.conftest import PageMaker

pytest.importorskip("playwright", reason="Playwright is not installed")

from benchmarks.many_users import Link, Log, compare, make_links
from benchmarks.visitor import Seen


def headless(zoo: Zoo, link: Link) -> dict[str, Any]:
    return result_facts(link.digest, attack_image(zoo.load(link.request.model), link.request))


def test_links_differ_and_some_need_the_button(assets: Path) -> None:
    zoo = Zoo(assets / "models")
    links = make_links(zoo, 40, 0.3, seed=1)
    assert len({link.digest for link in links}) == len({link.query for link in links}) == 40
    assert {link.request.model for link in links} == set(zoo.names())
    assert 0 < sum(link.heavy for link in links) < 30
    assert make_links(zoo, 40, 0.3, seed=1) == links
    assert not any(link.heavy for link in make_links(zoo, 40, 0.0, seed=1))


def test_the_page_shows_what_the_link_asks_for_and_what_a_headless_run_gives(
    assets: Path, page: PageMaker
) -> None:
    zoo = Zoo(assets / "models")
    for link in make_links(zoo, 6, 0.0, seed=2):
        app = page("pages/playground.py", **dict(parse_qsl(link.query))).run()
        assert not app.exception
        assert not [each for each in app.warning if each.icon == ":material/link_off:"]
        found = [
            facts
            for element in app.get("html")
            for facts in read_markers(element.proto.body)
            if facts["request"] == link.digest
        ]
        assert len(found) == 1, link.query
        log = Log(seen=[(link, Seen(facts=found[0]))])
        assert compare(zoo, log) == (0, 0), link.query


def test_a_wrong_result_would_be_found(assets: Path) -> None:
    zoo = Zoo(assets / "models")
    link = make_links(zoo, 1, 0.0, seed=3)[0]
    truth = headless(zoo, link)
    changes: list[dict[str, Any]] = [
        {},
        {"verdict": "none"},
        {"adversarial": [11] * link.request.draws},
        {"pixels": "0"},
    ]
    log = Log(
        seen=[(link, Seen(facts=truth | change)) for change in changes],
        tabs=[(link, Seen(problems=["no result"]))],
    )
    assert compare(zoo, log) == (2, 1)
