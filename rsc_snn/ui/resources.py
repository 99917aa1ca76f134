"""What all sessions share: device, models, photographs, job queue and remembered results."""

from __future__ import annotations

import gc
import os
import sys
import uuid
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import streamlit as st
import torch

from rsc_snn.data.gallery import GalleryImage, load_gallery
from rsc_snn.device import describe_device, pick_device
from rsc_snn.jobs import JobQueue
from rsc_snn.settings import Settings, job_threads, live_at_once, live_threads, load_settings
from rsc_snn.ui.memo import Memo, size_of
from rsc_snn.zoo import ModelCard, Zoo, assets_folder, zoo_folders

T = TypeVar("T")
_Stamp = tuple[tuple[str, int, int], ...]
_STAMP_SECONDS = 2.0

# A computation goes on while its visitor looks at other pages: that a tab was closed is noticed
# at once (`owner`), so this is for what that misses.
_AWAY_SECONDS = 6 * 3600.0
# Channels of the photographs.
COLOURS = 3
_PICTURES = 512
_PICTURES_BYTES = 32 * 2**20


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """The limits of this app. Raises SettingsError with a sentence."""
    return load_settings()


@st.cache_resource(show_spinner=False)
def device() -> torch.device:
    """Where the app computes."""
    return pick_device()


def zoo() -> Zoo:
    """The models that ship, and those of the visitor's own folders, as they are on disk now.

    Raises ZooError.
    """
    return _recent_zoo(os.environ.get("RSC_SNN_ASSETS", ""), zoo_folders(sys.argv[1:]))


def usable_cards() -> dict[str, ModelCard]:
    """The models that the app can show photographs to: whole ones that take colour."""
    found = zoo()
    problems = found.problems()
    cards = {name: found.card(name) for name in found.names() if name not in problems}
    return {name: card for name, card in cards.items() if card.config.in_channels == COLOURS}


# A page asks for the zoo dozens of times a run; to look at the files, and to compare what they
# were, takes milliseconds.
@st.cache_resource(show_spinner=False, max_entries=4, ttl=_STAMP_SECONDS)
def _recent_zoo(assets: str, own: tuple[Path, ...]) -> Zoo:
    return _zoo(assets, own, _stamp(own))


@st.cache_resource(show_spinner=False, max_entries=4)
def _zoo(assets: str, own: tuple[Path, ...], stamp: _Stamp) -> Zoo:
    return Zoo(own=own)


def _stamp(own: tuple[Path, ...]) -> _Stamp:
    """Name, size and time of every file of the folders: a model came, went or was repaired."""
    found = []
    for folder in (assets_folder() / "models", *own):
        for path in sorted(folder.glob("*.*")):
            with suppress(OSError):  # It went this moment.
                facts = path.stat()
                found.append((str(path), facts.st_size, facts.st_mtime_ns))
    return tuple(found)


def gallery(dataset: str) -> tuple[GalleryImage, ...]:
    """The photographs of one data set. Raises DataError if the gallery is missing."""
    return _gallery(os.environ.get("RSC_SNN_ASSETS", ""), dataset)


@st.cache_resource(show_spinner=False, max_entries=16)
def _gallery(assets: str, dataset: str) -> tuple[GalleryImage, ...]:
    return tuple(image for image in load_gallery() if image.dataset == dataset)


@st.cache_resource(show_spinner=False)
def device_text() -> str:
    """The device for a person. Asked for before any thread is limited to a few cores."""
    return describe_device(device())


@st.cache_resource(show_spinner=False)
def queue() -> JobQueue:
    """The queue of heavy computations: one at a time, whoever asks."""
    device_text()
    limits = settings()
    return JobQueue(
        workers=1,
        capacity=limits.queue,
        per_owner=limits.queue_per_visitor,
        time_limit=limits.job_limit,
        abandon_after=_AWAY_SECONDS,
        prepare=lambda: torch.set_num_threads(job_threads()),
        size=size_of,
        keep_bytes=limits.remembered_bytes,
    )


@st.cache_resource(show_spinner=False)
def _live_pool() -> ThreadPoolExecutor:
    device_text()
    return ThreadPoolExecutor(
        live_at_once(), "live", initializer=torch.set_num_threads, initargs=(live_threads(),)
    )


def run_live(work: Callable[[], T]) -> T:
    """Do what a page waits for, a few at a time, and return its result or raise its error.

    The framework runs a page in a new thread each time; long-lived threads keep their thread
    pools and memory, and many visitors at once cannot take all of the machine.
    """
    return _live_pool().submit(work).result()


def live(key: Hashable, kind: type[T], work: Callable[[], T]) -> T:
    """The remembered result of `key`, or that of `work` as in `run_live`, remembered from then on.

    Sessions that ask for the same key at the same time wait for one computation.
    """
    return memo().compute(key, kind, lambda: run_live(work))


@st.cache_resource(show_spinner=False)
def memo() -> Memo:
    """Results of all sessions, by everything that determines them."""
    return Memo(settings().remembered, settings().remembered_bytes)


@st.cache_resource(show_spinner=False)
def pictures() -> Memo:
    """Thumbnails and decoded uploads."""
    return Memo(_PICTURES, _PICTURES_BYTES)


@st.cache_resource(show_spinner=False)
def settle_memory() -> None:
    """Once the first page is drawn: what is loaded by then stays, so leave it out of collections.

    The framework collects garbage after every run of a page. The libraries are nearly all of what
    it would look through each time, and meanwhile no other visitor is served.
    """
    gc.collect()
    gc.freeze()


def owner() -> str:
    """A name for this session, by which the queue knows whose job is whose."""
    name = str(st.session_state.setdefault("owner", uuid.uuid4().hex))
    _presence(name)
    return name


@dataclass(frozen=True)
class _Presence:
    """A connected session and where its jobs are."""

    owner: str
    queue: JobQueue
    grace: float

    def end(self) -> None:
        self.queue.leave(self.owner, self.grace)


# The framework releases what belongs to a session as soon as its connection ends: the tab was
# closed or reloaded, or the network failed. After a failure the browser connects again, to the
# same session, whose page goes on asking for its jobs; it has some seconds to do so.
@st.cache_resource(show_spinner=False, scope="session", on_release=_Presence.end)
def _presence(owner: str) -> _Presence:
    return _Presence(owner, queue(), settings().reconnect_seconds)
