"""The results as Markdown: `zoo results` prints it and keeps docs/results.md true."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from rsc_snn.coding import CODING_LABELS
from rsc_snn.data.catalogue import DATASETS
from rsc_snn.errors import DataError
from rsc_snn.robustness.compare import (
    CLAIMS,
    Claim,
    Comparison,
    Results,
    averaging,
    blunt_attacks,
    claims,
    masking_signs,
    outcome,
    upper_end,
)
from rsc_snn.robustness.published import BESIDE, LABELS, PUBLISHED, Published
from rsc_snn.robustness.store import Row
from rsc_snn.robustness.suite import (
    BUDGET,
    CLEAN,
    SUITE,
    WORST,
    attack_label,
    suite_markdown,
)
from rsc_snn.zoo import ModelCard

NOTHING = "Nothing was measured yet; `python -m rsc_snn zoo evaluate` makes the results.\n"
Cards = Mapping[str, ModelCard]


def fill(text: str, results: Results, cards: Cards) -> str:
    """`text` with every section between its markers written anew.

    Raises DataError if a pair of markers is not there exactly once.
    """
    for marker, section in SECTIONS.items():
        start, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
        pattern = re.compile(f"(?<={re.escape(start)}\n).*?(?={re.escape(end)})", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise DataError(f"The text must have {start} and {end} once.")
        text = pattern.sub(section(results, cards).replace("\\", r"\\"), text)
    return text


def whole(results: Results, cards: Cards) -> str:
    """All sections, one after the other."""
    return "\n".join(section(results, cards) for section in SECTIONS.values())


def dataset_label(name: str) -> str:
    """The name of a data set for a person."""
    return DATASETS[name].label if name in DATASETS else name


MINUTES = "Minutes: clean images and all attacks of the row."


def table_markdown(results: Results) -> str:
    """Accuracies of one data set's models, a table for each epsilon from the largest down."""
    tables = [_table(results, epsilon) for epsilon in reversed(results.epsilons() or (BUDGET,))]
    return "\n".join(tables)


def _table(results: Results, epsilon: float) -> str:
    """Clean, the worst case and each attack at one epsilon, and the time all these took."""
    columns = [(CLEAN, 0.0), (WORST, epsilon), *((name, epsilon) for name in SUITE)]
    heads = [attack_label(attack) for attack, _ in columns]
    lines = [
        f"**At {epsilon:g}/255**",
        "",
        f"| model | sigma | T | {' | '.join(heads)} | minutes |",
        "|" + " --- |" * (len(columns) + 4),
    ]
    for model in results.models():
        rows = [results.get(model, attack, size) for attack, size in columns]
        measured = [row for row in rows if row is not None and row.attack != WORST]
        if not measured:
            continue
        sigma = "–" if measured[0].sigma is None else f"{measured[0].sigma:g}"
        minutes = sum(row.seconds for row in measured) / 60
        cells = [sigma, f"{measured[0].time_steps}", *map(share, rows), f"{minutes:.1f}"]
        lines.append(f"| `{model}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def share(row: Row | None) -> str:
    """An accuracy with its interval, in percent: `41.2 (37.0 to 45.6)`, which breaks once."""
    if row is None:
        return "–"
    return f"{100 * row.value:.1f} ({100 * row.lower:.1f}\u00a0to\u00a0{100 * row.upper:.1f})"


def provenance(results: Results) -> str:
    """How the numbers of one data set came to be, in a sentence or two for a caption."""
    rows = results.rows
    noisy = sorted({row.draws for row in rows} - {1})
    scored = "1 pass an image"
    if noisy:
        scored = f"{_numbers(noisy)} fresh noise draws an image, 1 for models without noise"
    whole_set = sorted({row.n for row in rows if row.attack == CLEAN})
    subset = sorted({min(row.images, row.n) for row in rows})
    commands = sorted({row.command.replace(f" {row.model} ", " ") for row in rows})
    return (
        f"{dataset_label(rows[0].dataset)}, test images: n = {_numbers(whole_set)} for clean and "
        f"FGSM, {_numbers(subset)} of them at random for the rest and the worst case; "
        f"{scored}; seed "
        f"{_numbers(sorted({row.seed for row in rows}))}; {rows[0].confidence:.0%} intervals. "
        f"Command: {' and '.join(f'`{command}`' for command in commands)}."
    )


def _numbers(values: Sequence[int]) -> str:
    return " or ".join(f"{value:,}" for value in values) or "0"


def _suite(results: Results, cards: Cards) -> str:
    return suite_markdown()


def _tables(results: Results, cards: Cards) -> str:
    if not results.rows:
        return NOTHING
    parts = []
    for dataset in results.datasets():
        part = results.of(dataset)
        devices = sorted({row.device for row in part.rows})
        hours = sum(row.seconds for row in part.rows if row.attack != WORST) / 3600
        lacking = [
            name
            for name, card in cards.items()
            if card.dataset == dataset and name not in part.models()
        ]
        begun = [name for name in part.models() if _is_begun(part, name)]
        rest = f"Not measured yet: {_names(lacking)}.\n" if lacking else ""
        rest += f"Measured in part: {_names(begun)}.\n" if begun else ""
        parts.append(
            f"### {dataset_label(dataset)}\n\n{table_markdown(part)}\n{provenance(part)}\n"
            f"{MINUTES} Measured in {hours:.1f} hours on {', '.join(devices)}.\n{rest}"
        )
    return "\n".join(parts)


def _names(models: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in models)


def _is_begun(results: Results, model: str) -> bool:
    """True if some of the suite is lacking, and so the worst case."""
    return not any(row.model == model and row.attack == WORST for row in results.rows)


def published_markdown(results: Results, cards: Cards) -> str:
    """Published accuracies on the data sets of `results` or akin, ours below; "" without any."""
    datasets = [dataset for dataset in results.datasets() if dataset in BESIDE]
    if not datasets:
        return ""
    lines = [
        "| who | data | model | set-up | clean | FGSM | PGD-7 | stronger |",
        "|" + " --- |" * 8,
    ]
    for dataset in datasets:
        part = results.of(dataset)
        lines += [_published_line(entry) for entry in PUBLISHED if entry.dataset in BESIDE[dataset]]
        lines += [_own_line(part, model, cards) for model in part.models()]
    return "\n".join(lines) + "\n"


def _published(results: Results, cards: Cards) -> str:
    return published_markdown(results, cards) or NOTHING


def _published_line(entry: Published) -> str:
    numbers = ["–" if value is None else f"{value:.2f}" for value in (entry.clean, entry.fgsm)]
    pgd = entry.pgd_note or "–"
    if entry.pgd is not None:
        pgd = f"{entry.pgd:.2f}" + (f" ({entry.pgd_note})" if entry.pgd_note else "")
    label = LABELS[entry.dataset]
    words = ["published", label, entry.method, entry.setting, *numbers, pgd, entry.stronger or "–"]
    return f"| {' | '.join(words)} |"


def _own_line(results: Results, model: str, cards: Cards) -> str:
    words = [
        "ours",
        dataset_label(results.rows[0].dataset),
        f"`{model}`",
        set_up(cards[model]) if model in cards else "–",
        share(results.get(model, CLEAN)),
        share(results.get(model, "fgsm", BUDGET)),
        share(results.get(model, "pgd7", BUDGET)),
        _worst_case(results, model),
    ]
    return f"| {' | '.join(words)} |"


def _worst_case(results: Results, model: str) -> str:
    """The worst case at the field's budget, from its lower to its upper end if there is noise."""
    ends = [results.get(model, WORST, BUDGET), upper_end(results, model, BUDGET)]
    shares = dict.fromkeys(share(row) for row in ends if row is not None)
    return f"worst case {' to '.join(shares)}" if shares else "–"


def set_up(card: ModelCard) -> str:
    """Network, coding, T and training of a model, in one line."""
    config = card.config
    network = f"{config.network} {'-'.join(map(str, config.widths))}"
    if config.neuron == "relu":
        network += ", ReLU"
    if config.has_time:
        network += f", {_coding(card)}, T = {config.time_steps}"
    if card.training is None:
        return f"{network}, training not stated"
    attacked = card.adversarial not in ("", "none")
    kind = f"adversarially trained ({_attack_of_training(card)})" if attacked else "not attacked"
    taught = f", taught by `{card.training.teacher}`" if card.training.teacher else ""
    return f"{network}, {card.training.epochs} epochs{taught}, {kind}"


def _attack_of_training(card: ModelCard) -> str:
    """Such as `fgsm, 4/255`."""
    recipe = {} if card.training is None else card.training.recipe
    epsilon = recipe.get("adversarial", {}).get("epsilon")
    return card.adversarial if epsilon is None else f"{card.adversarial}, {epsilon:g}/255"


def _coding(card: ModelCard) -> str:
    """Such as `RSC, sigma 0.2`; of a model that knows a range, the range."""
    label = CODING_LABELS[card.config.coding]
    if card.config.coding != "rsc":
        return label
    low, high = card.trained_sigmas or (0.0, 0.0)
    span = f" (trained at {low:g} to {high:g})" if low < high else ""
    return f"{label}, sigma {card.config.sigma:g}{span}"


def _claims(results: Results, cards: Cards) -> str:
    found = list(claims(results))
    if not found:
        return "No model was measured together with its twin yet.\n"
    parts = []
    groups: dict[tuple[str, str], list[Claim]] = {}
    for item in found:
        groups.setdefault((item.first.model, item.second.model), []).append(item)
    for (first, second), items in groups.items():
        lines = [
            "| epsilon | first, at least | first, at most | second, at least | second, at most "
            "| difference, at least | p | difference, at most | p | verdict |",
            "|" + " --- |" * 10,
            *(_claim_line(item) for item in items),
        ]
        table = "\n".join(lines)
        parts.append(f"**`{first}` against `{second}`.** {outcome(items)}\n\n{table}\n")
    return "\n".join(parts)


def _claim_line(item: Claim) -> str:
    high = ["–"] * 2 if item.exact else [points(item.at_most), f"{item.at_most.p:.2g}"]
    words = [
        f"{item.first.epsilon_255:g}/255",
        *_both_ends(item.first, item.at_most.first),
        *_both_ends(item.second, item.at_least.second),
        points(item.at_least),
        f"{item.at_least.p:.2g}",
        *high,
        item.verdict,
    ]
    return f"| {' | '.join(words)} |"


def _both_ends(lower: Row, upper: Row) -> tuple[str, str]:
    """The two ends of a worst case; the second is a dash where there is but one."""
    return share(lower), share(upper) if upper != lower else "–"


def points(item: Comparison) -> str:
    """A difference with its interval in points: `+6.2 (+3.1 to +9.4)`."""
    lower, upper = item.interval
    return f"{100 * item.difference:+.1f} ({100 * lower:+.1f} to {100 * upper:+.1f})"


def outcomes_markdown(results: Results) -> str:
    """A row for each pair of `CLAIMS` in the results of one data set; "" without any."""
    found = list(claims(results))
    sizes = [f"{epsilon:g}" for epsilon in results.epsilons()]
    rows = []
    for names in CLAIMS:
        pair = [item for item in found if item.pair == names]
        if pair:
            ends = {f"{item.first.epsilon_255:g}": _ends(item) for item in pair}
            verdict, _, detail = outcome(pair).partition(": ")
            cells = [
                f"`{pair[0].first.model}` against `{pair[0].second.model}`",
                f"**{verdict}:** {detail}",
                *(ends.get(size, "–") for size in sizes),
            ]
            rows.append(f"| {' | '.join(cells)} |")
    if not rows:
        return ""
    heads = ["model and twin", "verdict", *(f"at {size}/255, points" for size in sizes)]
    return "\n".join([f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads), *rows]) + "\n"


def _ends(item: Claim) -> str:
    """A difference from its lower to its upper end if there is noise; a line for each end."""
    ends = [item.at_least] if item.exact else [item.at_least, item.at_most]
    return " to\u00a0".join(points(end).replace(" ", "\u00a0") for end in ends)


def _averaging(results: Results, cards: Cards) -> str:
    found = [item for dataset in results.datasets() for item in _at_budget(results.of(dataset))]
    if not found:
        return NOTHING
    lines = [
        "| model | PGD-20, 1 draw | EOT-PGD-20, 10 draws | what EOT takes away | p |",
        "|" + " --- |" * 5,
    ]
    lines += [
        f"| `{item.first.model}` | {share(item.first)} | {share(item.second)} | {points(item)} "
        f"| {item.p:.2g} |"
        for item in found
    ]
    matters = sum(item.verdict in ("above", "leans above") for item in found)
    return (
        "\n".join(lines) + f"\n\nAveraging gradients over draws does more harm, beyond chance, to "
        f"{matters} of {len(found)} stochastic models.\n"
    )


def _at_budget(results: Results) -> list[Comparison]:
    return list(averaging(results, BUDGET))


def _masking(results: Results, cards: Cards) -> str:
    if not results.rows:
        return NOTHING
    signs = [sign for dataset in results.datasets() for sign in masking_signs(results.of(dataset))]
    count = len({row.model for row in results.rows if row.attack == WORST})
    looked = f"Looked for in {count} models that were measured under the whole suite"
    if part := [model for model in results.models() if _is_begun(results, model)]:
        looked += f" and, as far as they were measured, in {_names(part)}"
    if not signs:
        return f"{looked}: none was found.\n{_blunt(results)}"
    lines = [f"- `{sign.model}` at {sign.epsilon:g}/255: {sign.text}." for sign in signs]
    return "\n".join([f"{looked}:", "", *lines, "", _blunt(results)])


def _blunt(results: Results) -> str:
    """How little the search says of models with noise; nothing if none was measured."""
    found = blunt_attacks(results)
    if not found.total:
        return ""
    return (
        f"For the {found.models} of them with noise that says little, for noise misleads the "
        f"attacks it rests on. In {found.square} of {found.total} measurements (a model at an "
        "epsilon) Square takes less than a point more than uniform noise, and in "
        f"{found.apgd} APGD leaves more than EOT-PGD-20.\n"
    )


Section = Callable[[Results, Cards], str]
SECTIONS: dict[str, Section] = {
    "suite": _suite,
    "results": _tables,
    "claims": _claims,
    "eot": _averaging,
    "masking": _masking,
    "published": _published,
}
