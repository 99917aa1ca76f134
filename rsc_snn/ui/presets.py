"""Scenes that a lecturer opens with one click: each sets every control that it is about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import streamlit as st

from rsc_snn.errors import ZooError
from rsc_snn.ui import resources
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.photograph import own_photographs

_RSC = ("cifar10-snn-rsc-020", "cifar10-snn-rsc-range")
_POISSON = ("cifar10-snn-poisson",)
_ANN = ("cifar10-ann",)
_DIRECT = ("cifar10-snn-direct",)
_RSC_ANN = ("cifar10-ann-rsc-020",)
_RSC_AT = ("cifar10-snn-rsc-020-at",)
_ANN_AT = ("cifar10-ann-at",)
# As many draws a gradient as still follow a slider: a scene in which noise holds must not owe it
# to an attack that saw one draw.
_AVERAGED = {"attack": "pgd", "eot_draws": "4"}


@dataclass(frozen=True)
class Preset:
    """A scene: what to look for, and the values of the link.

    models: for each place of the comparison the names that will do, the best one first.
    """

    title: str
    look: str
    models: tuple[tuple[str, ...], ...]
    values: dict[str, str] = field(default_factory=dict)

    def query(self, names: Iterable[str]) -> dict[str, str] | None:
        """The link of the scene in a zoo of models called `names`; None if one is missing."""
        known = set(names)
        chosen = [next((name for name in place if name in known), None) for place in self.models]
        found = [name for name in chosen if name is not None]
        if len(found) < len(self.models):
            return None
        rivals = {"compare": ",".join(found[1:])} if found[1:] else {}
        return {"model": found[0], **rivals, **self.values}


PRESETS: dict[str, Preset] = {
    "poisson-rsc": Preset(
        "Poisson against RSC",
        "Same photograph, same attack, two kinds of noise, and an ordinary network beside them. "
        "Which of the three still sees what is there?",
        (_RSC, _POISSON, _ANN),
        {"image": "automobile-1", **_AVERAGED, "epsilon": "4", "seed": "0"},
    ),
    "small-sigma": Preset(
        "Sigma too small",
        "An RSC network robbed of its noise. Move sigma from 0 up to 0.2, the level that it was "
        "trained with, and watch the answer come back.",
        (_RSC,),
        {"image": "airplane-0", **_AVERAGED, "epsilon": "2", "sigma": "0", "seed": "0"},
    ),
    "no-eot": Preset(
        "An attack without EOT looks weak",
        "The gradient of a single noisy pass is itself noisy. Raise the EOT draws in the attack's "
        "settings from 1 to 8 and watch the same budget do more harm. Few photographs show it as "
        "clearly as this one.",
        (_RSC,),
        {
            "image": "deer-54",
            "attack": "pgd",
            "epsilon": "4",
            "eot_draws": "1",
            "draws": "16",
            "seed": "0",
        },
    ),
    "noise-is-no-attack": Preset(
        "Noise is no attack",
        "A random change of the same size as an attack: here neither network is misled. Choose "
        "PGD instead and compare.",
        (_RSC, _ANN),
        {"image": "ship-8", "attack": "uniform_noise", "epsilon": "8", "seed": "0"},
    ),
    "time": Preset(
        "The answer forms over time",
        "Press play below: each step adds a noisy frame, and the answer is the mean over all so "
        "far.",
        (_RSC,),
        {"image": "cat-3", "attack": "fgsm", "epsilon": "2", "time_steps": "8", "seed": "0"},
    ),
    "direct": Preset(
        "Spikes alone do not protect",
        "Here a spiking network that gets the photograph without noise falls like an ordinary one, "
        "and one with noise holds.",
        (_DIRECT, _ANN, _RSC),
        {"image": "frog-6", **_AVERAGED, "epsilon": "2", "seed": "0"},
    ),
    "noise-alone": Preset(
        "Noise without spikes",
        "The same noise before an ordinary network: here it holds as the spiking one does, and the "
        "same network without noise falls.",
        (_RSC_ANN, _ANN, _RSC[:1]),
        {"image": "truck-9", **_AVERAGED, "epsilon": "4", "seed": "0"},
    ),
    "trained-to-hold": Preset(
        "Trained to hold",
        "Two networks that were attacked while they learned, and one that was not.",
        (_RSC_AT, _ANN_AT, _RSC),
        {"image": "ship-8", **_AVERAGED, "epsilon": "8", "seed": "0"},
    ),
}


def available(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """The links of the scenes that a zoo of models called `names` can show."""
    names = tuple(names)
    queries = {key: preset.query(names) for key, preset in PRESETS.items()}
    return {key: query for key, query in queries.items() if query is not None}


def scene_buttons(link: PageLink) -> None:
    """A menu of scenes, and a button that puts everything back."""
    queries = available(_names())

    def open_scene() -> None:
        chosen = st.session_state["scenes"]
        own = own_photographs()
        link.forget()
        st.session_state.update(own)
        st.query_params.from_dict(queries[chosen])
        st.session_state["scene"] = chosen

    def reset() -> None:
        link.forget()
        st.session_state.pop("scene", None)

    if queries:
        st.menu_button(
            "Scenes",
            list(queries),
            format_func=lambda key: PRESETS[key].title,
            key="scenes",
            on_click=open_scene,
            icon=":material/theaters:",
            help="Whole situations worth a look, set up with one click.",
        )
    st.button(
        "Reset",
        key="reset",
        on_click=reset,
        icon=":material/restart_alt:",
        help="Put every control back to where a new visitor finds it.",
    )


def _names() -> tuple[str, ...]:
    """The models; none where the zoo is missing, which the choice of a model says already."""
    try:
        return resources.zoo().names()
    except ZooError:
        return ()


def scene_line(link: PageLink) -> None:
    """What to look for in the scene that was opened, until another link is or all is reset."""
    scene = st.session_state.get("scene")
    if link.arrived and link.arrived != available(_names()).get(str(scene)):
        st.session_state.pop("scene", None)
    preset = PRESETS.get(str(st.session_state.get("scene")))
    if preset is None:
        return
    values = available(_names()).get(str(st.session_state.get("scene")), {})
    moved = any(link.values.get(name, value) != value for name, value in values.items())
    title = f"{preset.title}, as it opened" if moved else preset.title
    st.info(f"**{title}.** {preset.look}", icon=":material/theaters:")
