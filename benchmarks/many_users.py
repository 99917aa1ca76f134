"""Many visitors at once, and whether each sees what is true: `python -m benchmarks.many_users`.

Sessions open links to different networks, photographs, attacks, sigmas, time steps and seeds, with
pauses as of a person, and press the button of what is too slow to follow a link. Most speak the
app's protocol over a websocket of their own, for thirty tabs of Chromium on two cores would
measure Chromium; some are real tabs. Each result that a page shows is compared with a headless
computation of the same request by `rsc_snn.outcome.attack_image`, in this process, after the load.
Prints errors, wrong results, waiting times, and the server's memory before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import torch
from playwright.async_api import Browser, async_playwright

from benchmarks.playground import memory_of
from benchmarks.visitor import Seen, Visitor
from benchmarks.watching import spread
from rsc_snn.attacks import ATTACKS
from rsc_snn.cli import exit_code
from rsc_snn.data.gallery import GalleryImage, gallery_reference, image_id, load_gallery
from rsc_snn.marker import ATTRIBUTE, read_markers, request_digest, result_facts
from rsc_snn.outcome import AttackRequest, ImageChoice, attack_image, is_heavy
from rsc_snn.zoo import ModelCard, Zoo
from tests.browser.driving import ARGUMENTS, EXCEPTION, find_chromium, served_app

# What a visitor of the Playground tries, with parameters that differ from the defaults.
LIGHT: dict[str, dict[str, Any]] = {
    "fgsm": {},
    "rfgsm": {},
    "pgd": {"steps": 5},
    "mi_fgsm": {"steps": 5},
    "pgd_l2": {"steps": 5},
    "gaussian_noise": {},
    "uniform_noise": {},
}
HEAVY: dict[str, dict[str, Any]] = {"eot_pgd": {"steps": 10}, "square": {"queries": 100}}
EPSILONS = (2.0, 4.0, 8.0)
PAUSE = (0.5, 2.5)
VISIT_SECONDS = 120.0
DRAWS_OF = ("clean", "adversarial", "verdict", "label")


@dataclass(frozen=True)
class Link:
    """A link to the Playground and what it asks for."""

    query: str
    request: AttackRequest
    heavy: bool

    @property
    def digest(self) -> str:
        """By which the page marks its result."""
        return request_digest(self.request)


@dataclass
class Log:
    """What all sessions saw, and how much memory the server held."""

    seen: list[tuple[Link, Seen]] = field(default_factory=list)
    tabs: list[tuple[Link, Seen]] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    @property
    def everything(self) -> list[tuple[Link, Seen]]:
        """Visits of both kinds."""
        return self.seen + self.tabs


def make_links(zoo: Zoo, count: int, heavy_share: float, seed: int) -> list[Link]:
    """`count` different links, about `heavy_share` of them to what passes through the queue."""
    chooser = random.Random(seed)
    images = load_gallery()
    cards = [zoo.card(name) for name in zoo.names()]
    links: dict[str, Link] = {}
    while len(links) < count:
        link = _random_link(chooser, cards, images, chooser.random() < heavy_share)
        links[link.digest] = link
    return list(links.values())


def _random_link(
    chooser: random.Random, cards: Sequence[ModelCard], images: Iterable[GalleryImage], heavy: bool
) -> Link:
    card = chooser.choice(cards)
    image = chooser.choice([each for each in images if each.dataset == card.dataset])
    name, changes = chooser.choice(list((HEAVY if heavy else LIGHT).items()))
    spec = ATTACKS[name]
    values = {each.name: each.default for each in spec.parameters} | changes
    if "epsilon" in values and name != "pgd_l2":
        values["epsilon"] = chooser.choice(EPSILONS)
    spiking, noisy = card.config.neuron == "lif", card.config.coding == "rsc"
    request = AttackRequest(
        model=card.name,
        sha256=card.sha256,
        image=ImageChoice(
            gallery_reference(image),
            image.class_name,
            image.class_index,
            image.pixels(card.config.image_size),
        ),
        attack=name,
        parameters=tuple(values.items()),
        time_steps=chooser.randint(1, 6) if spiking else None,
        sigma=chooser.randint(0, 10) / 20 if noisy else None,
        draws=chooser.choice((1, 4, 8, 16)),
        seed=chooser.randint(0, 99),
    )
    slow = is_heavy(
        spec,
        values,
        card.config,
        request.time_steps,
        torch.device("cpu"),
        scored=request.draws,
    )
    return Link(_query(request, image), request, slow)


def _query(request: AttackRequest, image: GalleryImage) -> str:
    """The link's text: every choice, so that nothing is left to what the session remembers."""
    values: dict[str, Any] = {"model": request.model, "image": image_id(image)}
    values |= {"attack": request.attack, **dict(request.parameters)}
    values |= {"sigma": request.sigma, "time_steps": request.time_steps}
    values |= {"draws": request.draws, "seed": request.seed}
    return urlencode({name: _text(value) for name, value in values.items() if value is not None})


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"


async def socket_session(
    address: str, links: Sequence[Link], end: float, seed: int, log: Log
) -> None:
    """One visitor's clicks until `end`, each in the same session."""
    chooser = random.Random(seed)
    await asyncio.sleep(chooser.uniform(*PAUSE))
    async with Visitor(address) as visitor:
        while time.perf_counter() < end:
            link = chooser.choice(links)
            seen = await visitor.visit(link.query, link.digest, VISIT_SECONDS)
            log.seen.append((link, seen))
            await asyncio.sleep(chooser.uniform(*PAUSE))


async def tab_session(
    browser: Browser, address: str, links: Sequence[Link], end: float, seed: int, log: Log
) -> None:
    """One real tab that opens links until `end`; only those that need no button."""
    chooser = random.Random(seed)
    page = await browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(VISIT_SECONDS * 1000)
    quick = [link for link in links if not link.heavy]
    while time.perf_counter() < end:
        link, seen, start = chooser.choice(quick), Seen(), time.perf_counter()
        try:
            await page.goto(f"{address}/?{link.query}")
            marker = page.locator(f"[{ATTRIBUTE}*='{link.digest}']")
            await marker.first.wait_for(state="attached")
            found = read_markers(await marker.first.evaluate("element => element.outerHTML"))
            seen.facts = found[0] if found else None
        except Exception as error:  # Whatever stops a tab is what this looks for.
            seen.problems.append(f"tab: {str(error).splitlines()[0]}")
        seen.seconds = time.perf_counter() - start
        shown = await page.locator(EXCEPTION).all_inner_texts()
        seen.problems += [f"exception: {text}" for text in shown]
        log.tabs.append((link, seen))
        await asyncio.sleep(chooser.uniform(*PAUSE))
    await page.close()


async def watch_memory(process: int, log: Log) -> None:
    """Note the server's memory every second, for ever."""
    while True:
        log.memory.append(memory_of(process))
        await asyncio.sleep(1)


async def warm_up(address: str, links: Sequence[Link]) -> None:
    """Show every model once, so that loading it does not count as growth."""
    async with Visitor(address) as visitor:
        for model in sorted({link.request.model for link in links}):
            link = next(each for each in links if each.request.model == model)
            await visitor.visit(link.query, link.digest, VISIT_SECONDS)


async def load(
    address: str, process: int, links: Sequence[Link], options: argparse.Namespace
) -> Log:
    """All sessions at once for the time given."""
    log = Log()
    await warm_up(address, links)
    watcher = asyncio.create_task(watch_memory(process, log))
    end = time.perf_counter() + options.seconds
    async with async_playwright() as playwright:
        browser = None
        if options.tabs:
            executable = find_chromium(cast(Any, playwright))
            if executable is None:
                raise SystemExit("no Chromium: set RSC_SNN_CHROMIUM, or give --tabs 0")
            browser = await playwright.chromium.launch(
                executable_path=executable, args=list(ARGUMENTS)
            )
        sessions = [
            tab_session(browser, address, links, end, seed, log)
            if browser is not None and seed < options.tabs
            else socket_session(address, links, end, seed, log)
            for seed in range(options.sessions)
        ]
        for result in await asyncio.gather(*sessions, return_exceptions=True):
            if isinstance(result, BaseException):
                log.seen.append((links[0], Seen(problems=[f"session ended: {result!r}"])))
        if browser is not None:
            await browser.close()
    watcher.cancel()
    log.memory.append(memory_of(process))
    return log


def true_facts(zoo: Zoo, log: Log) -> dict[tuple[str, int], dict[str, Any]]:
    """What each request that was shown gives headless, by its digest and number of threads."""
    wanted = {
        (link.digest, int(seen.facts["threads"])): link
        for link, seen in log.everything
        if seen.facts is not None
    }
    facts = {}
    for (digest, threads), link in wanted.items():
        torch.set_num_threads(threads)
        outcome = attack_image(zoo.load(link.request.model), link.request)
        facts[digest, threads] = result_facts(digest, outcome)
    return facts


def compare(zoo: Zoo, log: Log) -> tuple[int, int]:
    """Results that differ in votes, verdict or class, and those that differ in bits alone."""
    facts = true_facts(zoo, log)
    wrong = bits = 0
    for _, seen in log.everything:
        if seen.facts is None:
            continue
        truth = facts[seen.facts["request"], int(seen.facts["threads"])]
        if any(seen.facts[name] != truth[name] for name in DRAWS_OF):
            wrong += 1
        elif seen.facts != truth:
            bits += 1
    return wrong, bits


def waits(name: str, visits: Iterable[tuple[Link, Seen]]) -> None:
    """One line on how long the visits took that showed a result."""
    seconds = [seen.seconds for _, seen in visits if seen.facts is not None]
    if seconds:
        middle, high = spread(seconds)
        print(f"{name:<36}median {middle:.2f} s   95 % within {high:.2f} s   n = {len(seconds)}")


def report(log: Log, wrong: int, bits: int, before: float) -> None:
    """All lines."""
    problems = [problem for _, seen in log.everything for problem in seen.problems]
    served = sum(seen.facts is not None for _, seen in log.everything)
    print(f"{'results shown':<36}{served} of {len(log.everything)} visits")
    print(f"{'errors':<36}{len(problems)}   goal: 0")
    for problem in sorted(set(problems)):
        print(f"    {problems.count(problem)} x {problem}")
    print(f"{'turned away, the queue was full':<36}{sum(s.refused for _, s in log.everything)}")
    print(f"{'wrong results':<36}{wrong}   goal: 0")
    print(f"{'right, but not equal to the bit':<36}{bits}")
    waits("wait, computed at once", [(a, b) for a, b in log.seen if not b.queued])
    waits("wait, through the queue", [(a, b) for a, b in log.seen if b.queued])
    waits("wait, real tabs (with the page)", log.tabs)
    after, peak = log.memory[-1], max(log.memory)
    print(
        f"{'memory of the server':<36}{before:.0f} MB before, {after:.0f} MB after, "
        f"{peak:.0f} MB at most: grew by {after - before:.0f} MB   goal: < 200 MB"
    )


def main() -> None:
    """Parse the command line, load, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=30, help="visitors at once")
    parser.add_argument("--tabs", type=int, default=3, help="how many of them are real tabs")
    parser.add_argument("--seconds", type=float, default=180.0, help="how long they click")
    parser.add_argument("--links", type=int, default=150, help="different links to choose from")
    parser.add_argument("--heavy", type=float, default=0.05, help="share of links with a button")
    parser.add_argument("--cores", type=int, default=2, help="cores for all processes together")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of links")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    zoo = Zoo()
    links = make_links(zoo, options.links, options.heavy, options.seed)
    with (
        tempfile.TemporaryDirectory() as scratch,
        served_app(Path(scratch) / "log") as (address, process),
    ):
        log = asyncio.run(load(address, process.pid, links, options))
    wrong, bits = compare(zoo, log)
    report(log, wrong, bits, log.memory[0])


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
