"""What a person takes away from the app: pictures, numbers, scenes and programs, as bytes.

Equal arguments give equal bytes. Numbers keep all their digits.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rsc_snn.activity import Activity, channel_rates, raster, rates, turnover
from rsc_snn.attacks import ATTACKS, get_attack, score
from rsc_snn.data.pixels import to_png, to_unit
from rsc_snn.outcome import AttackRequest, Outcome, Verdict, judge, vote_counts
from rsc_snn.randomness import derive_seed
from rsc_snn.scene import Environment, ModelResult, Scene, SceneFile
from rsc_snn.sweep.grid import attack_label, cell_command

if TYPE_CHECKING:
    from rsc_snn.classifier import SpikingClassifier
    from rsc_snn.sweep.cells import Cell
    from rsc_snn.tradeoff import OperatingPoint
    from rsc_snn.tradeoff.points import Accuracy
    from rsc_snn.tradeoff.rows import PointRow
    from rsc_snn.zoo import Zoo

_IMAGES = ("original", "adversarial")
_NEURONS = 256  # of each layer, whose spikes are in an archive


@dataclass(frozen=True)
class Rounding:
    """What rounding the attacked image to 8 bits, as a PNG does, makes of the attack.

    before, after: share (0..1) of `draws` that see the true class, in the attacked image as
    computed and as rounded, with the same noise. verdict_before, verdict_after: those of the
    vote. linf_255: the largest change of a pixel after rounding, in 255ths; it may exceed epsilon
    by up to a half.
    """

    before: float
    after: float
    verdict_before: Verdict
    verdict_after: Verdict
    linf_255: float
    draws: int

    @property
    def survives(self) -> bool | None:
        """True if the true class still lacks its majority; None if it never lost it."""
        lost = ("fooled", "abstained")
        return self.verdict_after in lost if self.verdict_before in lost else None


def to_8_bit(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Pixels 0..1 of any shape as 0..255, each rounded to the nearest level."""
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)


def adversarial_png(outcome: Outcome) -> bytes:
    """The attacked image as a PNG of 8 bits a channel; see `survives_rounding`."""
    return to_png(to_8_bit(outcome.adversarial))


def survives_rounding(
    model: SpikingClassifier, request: AttackRequest, outcome: Outcome, draws: int | None = None
) -> Rounding:
    """Score the attacked image before and after rounding to 8 bits on the same fresh draws.

    draws: how many, by default those of the request; the noise is that of `attack_image`'s
    scoring, which the attack has not seen. Raises ConfigError, AttackError, DeviceMemoryError.
    """
    count = request.draws if draws is None else draws
    device = next(model.parameters()).device
    rounded = to_unit(torch.from_numpy(to_8_bit(outcome.adversarial)))
    images = (outcome.original, outcome.adversarial, rounded.numpy())
    clean, before, after = (
        score(
            model,
            torch.from_numpy(image).unsqueeze(0).to(device),
            count,
            time_steps=request.time_steps,
            sigma=request.sigma,
            seed=request.seed,
        )[:, 0]
        for image in images
    )
    counts = [vote_counts(logits.cpu().numpy()) for logits in (clean, before, after)]
    return Rounding(
        before=float(counts[1][outcome.label]) / count,
        after=float(counts[2][outcome.label]) / count,
        verdict_before=judge(counts[0], counts[1], outcome.label),
        verdict_after=judge(counts[0], counts[2], outcome.label),
        linf_255=round(float(np.abs(rounded.numpy() - outcome.original).max()) * 255, 4),
        draws=count,
    )


def archive_npz(outcome: Outcome, request: AttackRequest, activity: Activity) -> bytes:
    """An outcome and what the network did as a compressed NumPy archive without pickles.

    original, adversarial `[C, H, W]`; clean_logits, adversarial_logits `[D, K]`; clean_steps,
    adversarial_steps `[T, K]`; layer_names, clean_rates, adversarial_rates, changed `[L]`. For
    layer i from 0: layer_i_neurons `[M]`, the numbers of the neurons shown, and layer_i_clean,
    layer_i_adversarial `[T, M]`, their spikes; or, of a network without spikes, the mean
    activation of each channel `[C]`. meta: JSON of all that determined them.
    """
    measured, changed = rates(activity), turnover(activity)[0]
    arrays: dict[str, NDArray[Any]] = {
        "original": outcome.original,
        "adversarial": outcome.adversarial,
        "clean_logits": outcome.clean_logits,
        "adversarial_logits": outcome.adversarial_logits,
        "clean_steps": activity.clean.step_logits,
        "adversarial_steps": activity.adversarial.step_logits,
        "layer_names": np.array(activity.names, dtype=np.str_),
        "clean_rates": measured.clean,
        "adversarial_rates": measured.adversarial,
        "changed": changed,
        "meta": np.array(json.dumps(_meta(outcome, request))),
    }
    for index, name in enumerate(activity.names):
        seed = derive_seed(request.seed, "raster", index)
        found = _spikes(activity, name, seed) if activity.spiking else _channels(activity, name)
        arrays |= {f"layer_{index}_{part}": values for part, values in found.items()}
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()


def _spikes(activity: Activity, layer: str, seed: int) -> dict[str, NDArray[Any]]:
    """Some neurons of a layer by number `[M]`, and their spikes on both images `[T, M]`."""
    shown = raster(activity, layer, most=_NEURONS, seed=seed)
    return {
        "neurons": shown.index,
        "clean": (shown.codes & 1).astype(bool),
        "adversarial": (shown.codes >> 1).astype(bool),
    }


def _channels(activity: Activity, layer: str) -> dict[str, NDArray[Any]]:
    """The mean activation of each channel of a layer without spikes on both images `[C]`."""
    means = channel_rates(activity, layer)
    return {"clean": means.clean, "adversarial": means.adversarial}


def logits_csv(outcome: Outcome, classes: Sequence[str]) -> bytes:
    """The logits of every draw: image (original or adversarial), draw, one column a class."""
    rows = [
        [image, draw, *map(str, values)]
        for image, logits in zip(
            _IMAGES, (outcome.clean_logits, outcome.adversarial_logits), strict=True
        )
        for draw, values in enumerate(logits)
    ]
    return _csv(["image", "draw", *classes], rows)


def rates_csv(activity: Activity) -> bytes:
    """One row a layer: its neurons, mean rates for both images, their difference, changed spikes.

    Rates are spikes per neuron and time step; mean activations of a network without spikes, whose
    column of changed spikes is empty.
    """
    measured, layers = rates(activity), activity.clean.layers
    columns = {
        "layer": [layer.name for layer in layers],
        "neurons": [layer.size for layer in layers],
        "original": measured.clean,
        "adversarial": measured.adversarial,
        "difference": measured.change,
        "changed_share": turnover(activity)[0] if activity.spiking else [""] * len(layers),
    }
    return _csv(list(columns), list(zip(*columns.values(), strict=True)))


def points_csv(rows: Sequence[PointRow], zoo: Zoo | None = None) -> bytes:
    """One row a point of the trade-off, with the commands that measure it, joined by `&&`.

    Accuracies and their ends are shares. sigma is empty without a noise level, passes for a single
    pass; draws are those that were stored, of which votes are taken. strongest_alone: the accuracy
    under the attack that does most harm by itself, the upper end of a worst case (not of votes over
    other numbers of passes). zoo: as in `cell_command`.
    """
    table = [_point(row, zoo) for row in rows]
    return _csv(list(table[0]) if table else [], [list(line.values()) for line in table])


def _point(row: PointRow, zoo: Zoo | None) -> dict[str, Any]:
    cell, point = row.cell, row.point
    return {
        "model": point.model,
        "sha256": cell.sha256,
        "sigma": point.sigma,
        "time_steps": point.time_steps,
        "epsilon": point.epsilon,
        "norm": ATTACKS[cell.attack].norm,
        "attacks": ", ".join(map(attack_label, row.attacks)),
        "predictor": row.predictor,
        "passes": row.passes,
        "clean": row.clean.value,
        "clean_lower": row.clean.lower,
        "clean_upper": row.clean.upper,
        "robust": row.robust.value,
        "robust_lower": row.robust.lower,
        "robust_upper": row.robust.upper,
        "strongest_alone": point.alone if row.robust is point.robust else None,
        "dataset": cell.dataset,
        "split": cell.split,
        "images": cell.images,
        "data": cell.data,
        "seed": cell.seed,
        "draws": cell.draws,
        "command": " && ".join(_commands(row, zoo)),
    }


def _commands(row: PointRow, zoo: Zoo | None) -> list[str]:
    """Of the worst case one for each attack."""
    return [answer_command(cell, row.passes, zoo) for cell in row.attacks]


def answer_command(cell: Cell, passes: int | None, zoo: Zoo | None = None) -> str:
    """`cell_command` of a vote over so many passes; None for a single pass."""
    if passes is None:
        return cell_command(cell, zoo)
    return f"{cell_command(replace(cell, draws=passes), zoo)} --predictor vote"


def point_command(point: OperatingPoint, accuracy: Accuracy, zoo: Zoo | None = None) -> str:
    """What measures a point's accuracy, for a person: of a worst case its strongest attack.

    That attack alone leaves at least as many answers right as the worst case, so its share is said.
    """
    if accuracy == "clean":
        return answer_command(point.clean_result.cell, point.voters, zoo)
    cell = point.robust_result.cell
    command = answer_command(cell, point.voters, zoo)
    if not point.is_worst_case:
        return command
    return f"{attack_label(cell)}, the strongest, alone {100 * point.alone:.1f}%: {command}"


def scene_json(scene: Scene, results: Sequence[ModelResult] = ()) -> bytes:
    """The file that `python -m rsc_snn attack --scene FILE` replays.

    With the results that were shown, it compares them, and the file says where they were computed.
    """
    device = results[0].device if results else "cpu"
    file = SceneFile(scene, tuple(results), Environment.here(device))
    return (json.dumps(file.to_json(), indent=1, ensure_ascii=False) + "\n").encode()


def snippet(scene: Scene, threads: int | None = None, zoo: Zoo | None = None) -> str:
    """A Python program that computes the numbers of a scene again, with the library alone.

    threads: of the CPU that the numbers were computed on, which decide the last digits. zoo: tells
    in which folders own models are; those of RSC_SNN_ZOO the program finds in any case.
    """
    own = () if zoo is None else zoo.own_origins(scene.models)
    title = f"{get_attack(scene.attack).label} on {scene.image or 'a photograph'}"
    choices = {
        "models": scene.models,
        "image": scene.image,
        "image_png": scene.image_png,
        "true_class": scene.true_class,
        "attack": scene.attack,
        "parameters": scene.parameters,
        "sigma": scene.sigma,
        "time_steps": scene.time_steps,
        "draws": scene.draws,
        "seed": scene.seed,
        "paint": scene.paint,
        "paint_epsilon": scene.paint_epsilon,
    }
    painted = scene.paint is not None
    given = {name: value for name, value in choices.items() if value is not None}
    fields = "\n".join(f"    {name}={value!r}," for name, value in given.items())
    return _PROGRAM.format(
        title=title,
        torch="" if threads is None else "import torch\n\n",
        threads="" if threads is None else f"torch.set_num_threads({threads})\n",
        fields=fields,
        vote_counts=", vote_counts" if painted else "",
        score_painted="from rsc_snn.paint import score_painted\n" if painted else "",
        painted=_PAINTED if painted else "",
        path="from pathlib import Path\n\n" if own else "",
        own=f"[{', '.join(f'Path({str(folder)!r})' for folder in own)}]" if own else "",
    )


_PROGRAM = '''"""{title}, without the app: run this in the folder of RSC-SNN."""

{path}{torch}from rsc_snn.device import pick_device
from rsc_snn.outcome import attack_image, mean_probabilities{vote_counts}
{score_painted}from rsc_snn.scene import Scene, requests
from rsc_snn.zoo import Zoo, own_folders

{threads}scene = Scene(
{fields}
)
zoo, device = Zoo(own=own_folders({own})), pick_device()
for request in requests(scene, zoo):
    model = zoo.load(request.model, device)
    outcome = attack_image(model, request)
    print(request.model, outcome.verdict, "linf", outcome.linf, "l2", outcome.l2)
    print("votes", outcome.clean_counts.tolist(), outcome.adversarial_counts.tolist())
    for logits in (outcome.clean_logits, outcome.adversarial_logits):
        print("probabilities", mean_probabilities(logits).tolist())
{painted}'''

_PAINTED = """\
    painted = score_painted(model, request, scene.paint, scene.paint_epsilon)
    print("painted votes", vote_counts(painted.logits).tolist())
    print("painted probabilities", mean_probabilities(painted.logits).tolist())
"""


def _meta(outcome: Outcome, request: AttackRequest) -> dict[str, Any]:
    return {
        "model": request.model,
        "sha256": request.sha256,
        "image": request.image.digest,
        "image_name": request.image.name,
        "label": outcome.label,
        "attack": request.attack,
        "parameters": dict(request.parameters),
        "time_steps": request.time_steps,
        "sigma": request.sigma,
        "draws": request.draws,
        "seed": request.seed,
        "verdict": outcome.verdict,
        "linf": outcome.linf,
        "l2": outcome.l2,
        "queries": outcome.queries,
        "gradients": outcome.gradients,
        "device": outcome.device,
        "threads": outcome.threads,
    }


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return content.getvalue().encode()
