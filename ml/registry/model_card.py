"""A model's card: what it was trained on, what it judges by, how well, and where it must not be trusted, as Markdown.

After M. Mitchell and others, "Model Cards for Model Reporting", FAT* 2019.
"""

from collections.abc import Iterable, Mapping

from ml.features.available import needs_profiles
from ml.features.state_schema import FOLD_VERSION
from ml.model import Model
from ml.registry.aliases import DATA_PARAMS


def card(model: Model, params: Mapping[str, str], metrics: Mapping[str, float], report: str | None = None) -> str:
    """The card of a model, by the params and metrics of its training run, and by what the gate said of it, as JSON."""
    title = f"# {model.name}, version {model.version}"
    run = f", run {model.origin.run}" if model.origin.run else ""
    gate = [] if report is None else ["## Gate", "", "```json", report, "```", ""]
    return "\n".join(
        [
            title,
            "",
            f"Digest `{model.digest}`. It came from {model.origin.registry or 'no registry'}{run}.",
            "",
            *_section("Data", ((name, params[name]) for name in DATA_PARAMS if name in params)),
            *_features(model),
            *_section("Figures", ((name, f"{value:.6g}") for name, value in sorted(metrics.items()))),
            *gate,
            "## Limits",
            "",
            *(f"- {limit}" for limit in _limits(model, params)),
            "",
        ]
    )


def _section(title: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    lines = [f"| {name} | {value} |" for name, value in rows]
    body = ["| what | value |", "| --- | --- |", *lines] if lines else ["Nothing is known: its training run is gone."]
    return [f"## {title}", "", *body, ""]


def _features(model: Model) -> list[str]:
    rows = [
        f"| {name} | {low:.6g} | {middle:.6g} | {high:.6g} |"
        for name, (low, middle, high) in zip(model.features, model.usual.tolist(), strict=True)
    ]
    head = ["| feature | 1 % | median | 99 % |", "| --- | --- | --- | --- |"]
    return ["## Features", "", "With the range that they had in training.", "", *head, *rows, ""]


def _limits(model: Model, params: Mapping[str, str]) -> list[str]:
    said = [
        f"It judges features of fold version {FOLD_VERSION}; of another version the same names mean something else.",
        f"Its threshold {model.threshold:.6g} flags {model.budget:.2%} of traffic like that of its training.",
        "Other traffic has other habits: let the gate compare it on your own history before it judges.",
        "A score says how strange a payment is, and not that its customer has done wrong: a person decides.",
    ]
    if model.decline_threshold is None:
        said.append(
            "It has no decline threshold: nothing is known of a score above which a payment may be declined at once."
        )
    if model.extras:
        said.append(f"It needs the extras {', '.join(sorted(model.extras))}, declared where it judges.")
    if needs_profiles(model.features):
        said.append("It judges by profiles: where none are made, all merchants are unknown to it.")
    if params.get("labels") == "0":
        said.append("It has seen no label: it finds what is strange, which fraud that looks ordinary is not.")
    return said
