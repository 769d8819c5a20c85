"""The command line: `python -m ml train | register | evaluate | models | promote | rollback`."""

import sys
from collections.abc import Iterator, Sequence
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
from ml.evaluation.contest import Judged, StreamScores, Terms, evaluate
from ml.evaluation.errors import EvaluationError
from ml.evaluation.report import last_line
from ml.evaluation.scored import Scored, scored_from
from ml.progress import Progress as Report
from ml.progress import silent
from ml.registry import listing, unregistered
from ml.registry.model_store import ModelRefused, ModelStore, NotReady, RegistryError
from ml.registry.unregistered import Unregistered
from ml.schema import EXTRA_PREFIX
from ml.thresholds.budget import DEFAULT_BUDGET
from ml.training.policy import Policy, labels_for
from ml.training.train import TrainingError, train
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
        help=f"Whether columns named {EXTRA_PREFIX}… are features too; the job has no such columns.",
    ),
]
Profiles = Annotated[
    bool,
    typer.Option(
        "--profiles/--no-profiles",
        help="Whether what crosses customers is features too: merchants and categories, and what labels said of them.",
    ),
]
_UNREGISTERED: Final = Path(".scoreline/models")
"""Where a trained model is kept until it is registered."""

_AT_ONCE: Final = 5_000
"""Records between two reports of progress."""

Version = Annotated[int, typer.Argument(min=1, help="A version from `python -m ml models`.")]


def main() -> None:
    """Run the command line; every failure that a person can fix is one line on standard error and exit status 1."""
    try:
        app()
    except (RegistryError, HistoryError, TrainingError, EvaluationError, KafkaConfigError) as error:
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
    profiles: Profiles = False,  # until the job looks them up
) -> None:
    """Train a detector on a history, and on the labels beside it where it learns from labels, and register it."""
    registry = _registry()
    past, state = _here(history, "HISTORY"), None if state_out is None else _here(state_out, "--state-out")
    policy = Policy(registry.name, detector, budget, seed, trials, profiles)
    opened = _opened(past, extras)
    _refuse_unservable(opened.extras, promote)
    registry.check()  # better now than after minutes of training
    labels = labels_for(policy, past)
    with _bars() as bars:
        trained = train(opened, policy, labels, bars)
    if state is not None:
        trained.customers.write(state / "customers.parquet")
        if trained.profiles is not None:
            trained.profiles.write(state)
    whole = Unregistered(trained.model, trained.example, trained.params, trained.metrics)
    parent = _UNREGISTERED if state is None else state.parent / "models"
    with err.status("registering"):
        model = unregistered.register(registry, whole, parent, datetime.now(UTC), promote)
    share = trained.metrics["alert_share_check_part"]
    out.print(
        f"version {model.version} of {model.name}, {detector}: threshold {model.threshold:.4f}; "
        f"flags {share:.2%} of the last tenth of {past}, with a budget of {budget:.2%}"
    )
    if promote:
        _promote(registry, model.version)


@app.command("register")
def register_command(
    folder: Annotated[str, typer.Argument(help="Folder of a trained model that could not be registered.")],
    promote: Annotated[bool, typer.Option("--promote", help="Make it the champion.")] = False,
) -> None:
    """Register a model that `train` has kept because the registry was unavailable."""
    registry, place = _registry(), _here(folder, "FOLDER")
    try:
        trained = unregistered.read(place, registry.name)
    except ModelRefused as refusal:
        raise RegistryError(f"the model in {place} is not registered: {refusal}") from refusal
    _refuse_unservable([name for name in trained.model.features if name.startswith(EXTRA_PREFIX)], promote)
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
    profiles: Profiles = True,
    profile_delay_hours: Annotated[
        int, typer.Option(min=0, help="How many hours later than at once a table of profiles comes.")
    ] = 0,
) -> None:
    """Judge detectors, a model, or what the streaming job wrote, on the last quarter of a history. The last line is JSON."""
    judged: Judged = _chosen(detector)
    history, figures = _here(folder, "FOLDER"), None if report is None else _here(report, "--report")
    if scores is not None:
        kafka = KafkaConfig.from_settings(Settings.from_command_line([]))
        kafka = replace(kafka, servers=bootstrap_servers or kafka.servers)
        with _bars() as bars:
            judged = StreamScores(scores, read_scores(kafka, scores, bars))
    elif model is not None:
        judged = _registry().load(model, _opened(history, extras).extras)
    terms = Terms(budget, label_delay_days, seed, extras, profiles, profile_delay_hours)
    with _bars() as bars:
        results = evaluate(history, judged, terms, bars)
    if figures is not None:
        figures.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    console.show(out, results)
    print(msgspec.json.encode(last_line(results)).decode(), flush=True)


@app.command()
def models() -> None:
    """List the registered versions, the newest first."""
    rows = [listing.cells(registered) for registered in _registry().models()]
    caption = "alerts: of the last tenth of the history, unseen in training"
    console.show_table(out, listing.HEADER, rows, caption)


@app.command()
def promote(version: Version) -> None:
    """Make a version the champion, once it has been loaded and checked."""
    registry = _registry()
    try:
        registry.load(version)
    except (ModelRefused, NotReady) as refusal:
        raise RegistryError(f"version {version} is not promoted: {refusal}") from refusal
    _promote(registry, version)


@app.command()
def rollback() -> None:
    """Make the champion before this one champion again."""
    registry = _registry()
    out.print(f"version {registry.rollback()} of {registry.name} is the {registry.alias} again")


def _opened(history: Path, extras: bool) -> History:
    opened = History.open(history)
    return opened if extras else opened.without_extras()


def _here(place: str, what: str) -> Path:
    try:
        return local_path(place)
    except ValueError as error:
        raise HistoryError(f"{what} {error}, but it is {place!r}: copy it to this machine") from None


def _refuse_unservable(extras: Sequence[str], promote: bool) -> None:
    if promote and extras:
        first = ", ".join(extras[:3]) + ", …" * (len(extras) > 3)
        raise TrainingError(
            "--promote makes a model the champion of the running job, whose transactions have no extra columns, but the "
            f"history has {len(extras)} ({first}): add --no-extras, or leave --promote out"
        )


def _promote(registry: ModelStore, version: int) -> None:
    registry.promote(version)
    out.print(f"version {version} of {registry.name} is the {registry.alias} now")


def _chosen(names: list[str] | None) -> list[Detector]:
    for name in names or ():
        if name not in DETECTORS:
            raise EvaluationError(f"--detector is one of {', '.join(DETECTORS)}, not {name!r}")
    return [DETECTORS[name] for name in names or DETECTORS]


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
