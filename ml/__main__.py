"""The command line: `python -m ml train | register | evaluate | models | promote | rollback`."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from messaging.config import KafkaConfig
from messaging.errors import KafkaConfigError, ReadError
from messaging.reader import Reader
from ml import console
from ml.dataset.history import History, HistoryError
from ml.detectors import DEFAULT, DETECTORS, Detector
from ml.evaluation import protocol_report
from ml.evaluation.contest import Judged, StreamScores, Terms, evaluate
from ml.evaluation.errors import EvaluationError
from ml.evaluation.protocol import Protocol, evaluate_by
from ml.evaluation.report import last_line
from ml.evaluation.scored import Scored, scored_from
from ml.features.currencies import Rates, RatesUnreadable, default_rates
from ml.features.declared import DeclarationError, Declared, names, undeclared
from ml.features.declared import read as declaration
from ml.options import FitDays, FitEnd, KnownDays, ProtocolOption, Seeds, TestDays, protocol_from
from ml.progress import Progress as Report
from ml.progress import silent
from ml.registry import listing, unregistered
from ml.registry.model_store import ModelRefused, ModelStore, NotReady, RegistryError
from ml.registry.unregistered import Unregistered
from ml.schema import EXTRA_PREFIX
from ml.thresholds.budget import DEFAULT_BUDGET
from ml.training.policy import Policy, labels_for
from ml.training.train import OUTSIDE, TrainingError, train
from settings import Settings, local_path

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train models and choose the one that judges.",
)
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Extras = Annotated[
    bool,
    typer.Option(
        "--extras/--no-extras",
        help=f"Whether columns named {EXTRA_PREFIX}… are features too.",
    ),
]
ExtrasFile = Annotated[
    str | None,
    typer.Option(help="TOML file that declares the extras of the job's transactions.", show_default="of the settings"),
]
Profiles = Annotated[
    bool,
    typer.Option(
        "--profiles/--no-profiles",
        help="Whether what crosses customers is features too: merchants and categories, and what labels said of them.",
    ),
]
_FOR_PEOPLE: Final = (
    RegistryError,
    HistoryError,
    RatesUnreadable,
    DeclarationError,
    TrainingError,
    EvaluationError,
    KafkaConfigError,
)
_UNREGISTERED: Final = Path(".scoreline/models")
"""Where a trained model is kept until it is registered."""

_AT_ONCE: Final = 5_000
"""Records between two reports of progress."""

Version = Annotated[int, typer.Argument(min=1, help="A version from `python -m ml models`.")]


def main() -> None:
    """Run the command line; every failure that a person can fix is one line on standard error and exit status 1."""
    try:
        app()
    except _FOR_PEOPLE as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        sys.exit(1)


@app.command("train")
def train_command(
    history: Annotated[str, typer.Argument(help="Parquet or CSV file, or folder of them, sorted by event_time.")],
    detector: Annotated[str, typer.Option(help=f"One of {', '.join(DETECTORS)}.")] = DEFAULT,
    trials: Annotated[int, typer.Option(min=0, help="Sets of hyper-parameters to try; needs labels.")] = 0,
    promote: Annotated[bool, typer.Option("--promote", help="Make the new version the champion.")] = False,
    state_out: Annotated[
        str | None, typer.Option(help="Folder for the customers' folded past, for a job's first start.")
    ] = None,
    budget: Annotated[float, typer.Option(help="Share of the traffic that may become alerts.")] = DEFAULT_BUDGET,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
    extras: Extras = True,
    extras_file: ExtrasFile = None,
    profiles: Profiles = False,  # until it is measured what they cost a job
) -> None:
    """Train a detector on a history, and on the labels beside it where it learns from labels, and register it."""
    registry = _registry()
    past, state = _here(history, "HISTORY"), None if state_out is None else _here(state_out, "--state-out")
    policy = Policy(registry.name, detector, budget, seed, trials, profiles)
    opened, declared = _opened(past, extras), _declared(extras_file)
    _refuse_undeclared(opened.extras, declared, promote)
    registry.check()  # better now than after minutes of training
    labels = labels_for(policy, past)
    with _bars() as bars:
        trained = train(opened, policy, labels, bars, declared)
    if state is not None:
        trained.customers.write(state / "customers.parquet", opened.rates.version)
        if trained.profiles is not None:
            trained.profiles.write(state)
    whole = Unregistered(trained.model, trained.example, trained.params, trained.metrics)
    parent = _UNREGISTERED if state is None else state.parent / "models"
    with err.status("registering"):
        model = unregistered.register(registry, whole, parent, datetime.now(UTC), promote)
    _report_outside(trained.metrics, declared)
    share = trained.metrics["alert_share_check_part"]
    out.print(
        f"version {model.version} of {model.name}, {detector}: threshold {model.threshold:.4f}; "
        f"flags {share:.2%} of the last tenth of {past}, with a budget of {budget:.2%}"
    )
    out.print(console.declines(trained.model.decline_threshold, trained.metrics))
    if promote:
        _promote(registry, model.version)


@app.command("register")
def register_command(
    folder: Annotated[str, typer.Argument(help="Folder of a trained model that could not be registered.")],
    promote: Annotated[bool, typer.Option("--promote", help="Make it the champion.")] = False,
    extras_file: ExtrasFile = None,
) -> None:
    """Register a model that `train` has kept because the registry was unavailable."""
    registry, place = _registry(), _here(folder, "FOLDER")
    try:
        trained = unregistered.read(place, registry.name)
    except ModelRefused as refusal:
        raise RegistryError(f"the model in {place} is not registered: {refusal}") from refusal
    _refuse_undeclared(list(trained.model.extras), _declared(extras_file), promote)
    with err.status("registering"):
        model = registry.register(*trained)
    out.print(f"version {model.version} of {model.name}: threshold {model.threshold:.4f}; {place} is no longer needed")
    if promote:
        _promote(registry, model.version)


@app.command("evaluate")
def evaluate_command(
    folder: Annotated[str, typer.Argument(help="History: transactions, and truth.parquet or labels.parquet.")],
    detector: Annotated[
        list[str] | None, typer.Option(show_default="all", help=f"One of {', '.join(DETECTORS)}; may be repeated.")
    ] = None,
    model: Annotated[
        int | None, typer.Option(min=1, help="Judge this registered version, trained on other data.")
    ] = None,
    scores: Annotated[str | None, typer.Option(help="Judge what the job wrote on this topic.")] = None,
    bootstrap_servers: Annotated[str | None, typer.Option(help="Kafka brokers, if not those of the settings.")] = None,
    budget: Annotated[float, typer.Option(help="Share of the traffic that may become alerts.")] = DEFAULT_BUDGET,
    label_delay_days: Annotated[
        float | None, typer.Option(min=0.0, show_default="that of the labels", help="Gap between training and test.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
    report: Annotated[str | None, typer.Option(help="Write every figure to this JSON file.")] = None,
    extras: Extras = True,
    extras_file: ExtrasFile = None,
    protocol: ProtocolOption = None,
    seeds: Seeds = None,
    fit_end: FitEnd = None,
    fit_days: FitDays = None,
    test_days: TestDays = None,
    known_days: KnownDays = None,
    profiles: Profiles = True,
    profile_delay_hours: Annotated[
        int, typer.Option(min=0, help="How many hours later than at once a table of profiles comes.")
    ] = 0,
) -> None:
    """Judge detectors, a model, or what the streaming job wrote, on the last quarter of a history. The last line is JSON.

    With --protocol handbook: detectors, by the weeks and the figures of the Fraud Detection Handbook.
    """
    judged: Judged = _chosen(detector)
    history, figures = _here(folder, "FOLDER"), None if report is None else _here(report, "--report")
    days = {"fit_days": fit_days, "test_days": test_days, "known_days": known_days}
    terms = Terms(
        budget, label_delay_days, seed, extras, profiles, profile_delay_hours, _rates(), _declared(extras_file)
    )
    plan = protocol_from(protocol, fit_end, delay_days=label_delay_days, **days)
    if plan is None and seeds is not None:
        raise EvaluationError("--seeds belongs to --protocol: give both or neither")
    if plan is not None and (model is not None or scores is not None):
        raise EvaluationError("--protocol judges detectors that it fits: leave --model and --scores out")
    if plan is not None:
        _evaluate_by(plan, history, _chosen(detector), terms, seeds or 1, figures)
        return
    if scores is not None:
        kafka = KafkaConfig.from_settings(Settings.from_command_line([]))
        kafka = replace(kafka, servers=bootstrap_servers or kafka.servers)
        with _bars() as bars:
            judged = StreamScores(scores, read_scores(kafka, scores, bars))
    elif model is not None:
        judged = _registry().load(model, _opened(history, extras).extras)
    with _bars() as bars:
        results = evaluate(history, judged, terms, bars)
    _write(figures, results)
    console.show(out, results)
    print(msgspec.json.encode(last_line(results)).decode(), flush=True)


def _evaluate_by(
    plan: Protocol, history: Path, detectors: list[Detector], terms: Terms, seeds: int, figures: Path | None
) -> None:
    with _bars() as bars:
        outcomes = evaluate_by(plan, history, detectors, terms, seeds, bars)
    _write(figures, outcomes)
    console.show_outcomes(out, outcomes)
    print(msgspec.json.encode(protocol_report.last_line(outcomes)).decode(), flush=True)


@app.command()
def models() -> None:
    """List the registered versions, the newest first."""
    rows = [listing.cells(registered) for registered in _registry().models()]
    caption = "alerts: of the last tenth of the history, unseen in training"
    console.show_table(out, listing.HEADER, rows, caption)


@app.command()
def promote(version: Version, extras_file: ExtrasFile = None) -> None:
    """Make a version the champion, once it has been loaded and checked."""
    registry = _registry()
    try:
        registry.load(version, names(_declared(extras_file)))
    except (ModelRefused, NotReady) as refusal:
        raise RegistryError(f"version {version} is not promoted: {refusal}") from refusal
    _promote(registry, version)


@app.command()
def rollback() -> None:
    """Make the champion before this one champion again."""
    registry = _registry()
    out.print(f"version {registry.rollback()} of {registry.name} is the {registry.alias} again")


def _opened(history: Path, extras: bool) -> History:
    opened = History.open(history, _rates())
    return opened if extras else opened.without_extras()


def _rates() -> Rates:
    """By which amounts are compared: SCORELINE_CURRENCY_RATES, or the built-in table."""
    file = Settings.from_command_line([]).currency_rates
    return default_rates() if file is None else Rates.read(file)


def _here(place: str, what: str) -> Path:
    try:
        return local_path(place)
    except ValueError as error:
        raise HistoryError(f"{what} {error}, but it is {place!r}: copy it to this machine") from None


def _declared(file: str | None) -> Declared:
    """What a file declares; without one, the file of the settings."""
    path = Settings.from_command_line([]).extras_file if file is None else _here(file, "--extras-file")
    return declaration(path)


def _refuse_undeclared(extras: Sequence[str], declared: Declared, promote: bool) -> None:
    unknown = undeclared(declared, extras)
    if promote and unknown:
        first = ", ".join(unknown[:3]) + ", …" * (len(unknown) > 3)
        raise TrainingError(
            "--promote makes a model the champion of the running job, which reads declared extras alone, but "
            f"{len(unknown)} of the history's are not declared ({first}): declare them (--extras-file, or "
            "SCORELINE_EXTRAS_FILE; docs/replay.md), add --no-extras, or leave --promote out"
        )


def _report_outside(metrics: Mapping[str, float], declared: Declared) -> None:
    """Values of extras that count as unknown because they lie outside what is declared."""
    for extra in declared:
        if count := metrics.get(OUTSIDE + extra.name, 0.0):
            out.print(f"{count:,.0f} values of {extra.name} are not {extra.range}, and count as unknown")


def _promote(registry: ModelStore, version: int) -> None:
    registry.promote(version)
    out.print(f"version {version} of {registry.name} is the {registry.alias} now")


def _chosen(names: list[str] | None) -> list[Detector]:
    for name in names or ():
        if name not in DETECTORS:
            raise EvaluationError(f"--detector is one of {', '.join(DETECTORS)}, not {name!r}")
    return [DETECTORS[name] for name in names or DETECTORS]


def _write(file: Path | None, figures: object) -> None:
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))


def _registry() -> ModelStore:
    settings = Settings.from_command_line([])  # typer has read the flags already
    return ModelStore(settings.mlflow_tracking_uri, settings.model_name, settings.model_alias)


@contextmanager
def _bars() -> Iterator[console.Bars]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    display = Progress(*columns, console=err)
    try:
        yield console.Bars(display)
    finally:
        if display.live.is_started:
            display.stop()


def read_scores(kafka: KafkaConfig, topic: str, progress: Report = silent) -> dict[int, Scored]:
    """All scores that a topic holds now; see `scored_from`. Raises `EvaluationError` where Kafka does not have them."""
    try:
        with Reader(kafka, topic) as reader:
            ends = reader.ends(topic)
            if not ends:
                raise ReadError("there is no such topic")
            return scored_from(topic, _counted(reader, topic, sum(ends.values()), progress))
    except ReadError as error:
        raise EvaluationError(f"the topic {topic} can't be read from Kafka at {kafka.servers}: {error}") from None


def _counted(reader: Reader, topic: str, end: int, progress: Report) -> Iterator[tuple[str, bytes | None]]:
    """Each record's place and value."""
    stage = f"reading {topic}"
    progress(stage, 0, end)
    for number, message in enumerate(reader.read_all(), 1):
        if number % _AT_ONCE == 0:
            progress(stage, min(number, end), end)
        yield f"partition {message.partition()}, offset {message.offset()}", message.value()
    progress(stage, end, end)


if __name__ == "__main__":
    main()
