"""What all sessions share: device, models, photographs, job queue and remembered results."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import streamlit as st
import torch

from rsc_snn.data.gallery import GalleryImage, load_gallery
from rsc_snn.device import describe_device, pick_device
from rsc_snn.jobs import JobQueue
from rsc_snn.ui.memo import Memo
from rsc_snn.zoo import Zoo

T = TypeVar("T")

_REMEMBERED = 128
_PICTURES = 512
_CORES = os.cpu_count() or 1
# What a visitor waits for gets all cores of a small machine, one visitor after the other: threads
# that wait for each other on busy cores lose more than they gain. A job in the background gets
# half, so that pages and a browser on the same machine get along with it.
_LIVE_THREADS = min(_CORES, 4)
_LIVE_AT_ONCE = _CORES // _LIVE_THREADS
_JOB_THREADS = max(1, min(_CORES // 2, 4))


@st.cache_resource(show_spinner=False)
def device() -> torch.device:
    """Where the app computes."""
    return pick_device()


def zoo() -> Zoo:
    """The models of the assets folder."""
    return _zoo(os.environ.get("RSC_SNN_ASSETS", ""))


@st.cache_resource(show_spinner=False, max_entries=4)
def _zoo(assets: str) -> Zoo:
    return Zoo()


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
    return JobQueue(workers=1, prepare=lambda: torch.set_num_threads(_JOB_THREADS))


@st.cache_resource(show_spinner=False)
def _live_pool() -> ThreadPoolExecutor:
    device_text()
    return ThreadPoolExecutor(
        _LIVE_AT_ONCE, "live", initializer=torch.set_num_threads, initargs=(_LIVE_THREADS,)
    )


def run_live(work: Callable[[], T]) -> T:
    """Do what a page waits for, a few at a time, and return its result or raise its error.

    The framework runs a page in a new thread each time; long-lived threads keep their thread
    pools and memory, and many visitors at once cannot take all of the machine.
    """
    return _live_pool().submit(work).result()


@st.cache_resource(show_spinner=False)
def memo() -> Memo:
    """Results of all sessions, by everything that determines them."""
    return Memo(_REMEMBERED)


@st.cache_resource(show_spinner=False)
def pictures() -> Memo:
    """Thumbnails and decoded uploads."""
    return Memo(_PICTURES)


def owner() -> str:
    """A name for this session, by which the queue knows whose job is whose."""
    return str(st.session_state.setdefault("owner", uuid.uuid4().hex))
