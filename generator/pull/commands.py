"""The command `pull`."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from typer import Argument, Option

from generator.live import LINGER_MS
from generator.producer import Outbox
from generator.pull.errors import PullError
from generator.pull.paging import Paging
from generator.pull.position import KeptPosition
from generator.pull.pull import Pulled, Puller, Target
from generator.pull.service import Service, shown
from generator.replay.mapping import load_mapping
from generator.stopping import stop_on_signal
from messaging.config import KafkaConfig

DEAD_LETTERS = 3
"""The exit status when all was done, but some records could not be mapped."""
ONCE_GIVES_UP_SECONDS, PLAIN_SECONDS = 300.0, 5.0
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

out = Console(highlight=False, soft_wrap=True)
Url = Annotated[str, Argument(help="What GET answers with a list of payments as JSON.")]
MappingName = Annotated[str, Option("--mapping", help="A format that comes along, or a mapping file (docs/replay.md).")]
Every = Annotated[str, Option(help="Pause between two looks, as in 500ms, 20s, 5m, 1h.")]
Once = Annotated[bool, Option("--once", help="Take what there is, and end; a service that is unavailable is given up.")]
RecordsPath = Annotated[
    str | None,
    Option("--records", help="Where the list is in an answer, as in data.items.", show_default="its only list"),
]
Next = Annotated[
    str | None,
    Option("--next", help="Where an answer has the next page's address or cursor.", show_default="its Link header"),
]
Cursor = Annotated[str | None, Option(help="The parameter that takes the cursor that --next finds.")]
Since = Annotated[
    str | None, Option(help="The parameter that takes the largest event_time so far; or PARAMETER=FIELD.")
]
From = Annotated[str | None, Option("--from", help="What --since begins by.", show_default="the parameter is left out")]
Timeout = Annotated[float, Option(min=0.1, help="Seconds without an answer after which it is asked again.")]
Work = Annotated[Path, Option(help="Folder of the position.")]


class Access(NamedTuple):
    """What the settings say: how to reach Kafka, the topics there, and what the service is shown."""

    config: KafkaConfig
    target: Target
    authorization: str


def register(app: typer.Typer, access: Callable[[], Access]) -> None:
    """Add the command to a command line; `access` reads the settings when it is asked for."""

    @app.command()
    def pull(
        url: Url,
        mapping: MappingName,
        every: Every = "20s",
        once: Once = False,
        records: RecordsPath = None,
        next_: Next = None,
        cursor: Cursor = None,
        since: Since = None,
        from_: From = None,
        timeout: Timeout = 30.0,
        work: Work = Path(".scoreline/pull"),
    ) -> None:
        """Pull transactions from a REST service into Kafka, again and again; a pull that was stopped or killed goes on.

        The exit status is 0 when all records could be mapped, 3 when some could not (they are dead letters), 1 on an error.
        """
        pause = None if once else _seconds(every)
        if from_ is not None and since is None:
            raise PullError("--from is what --since begins by: give --since too")
        parameter, _, of = (since or "").partition("=")
        paging = Paging(records, next_, cursor, parameter or None, of or None)
        fields = load_mapping(mapping, "--mapping")
        found = access()
        view = _View()
        service = Service(url, found.authorization, timeout, ONCE_GIVES_UP_SECONDS if once else None, view.waiting)
        kept = KeptPosition(work / f"{fields.name}.json")
        outbox = Outbox(found.config, (found.target.transactions, found.target.invalid), LINGER_MS)
        puller = Puller(service, paging, fields, outbox, found.target, kept, from_, view.show)
        stop_on_signal(puller.stopped.set)
        pulled = puller.run(pause)
        out.print(f"{_words(pulled)}, from {shown(url)}", markup=False)
        if pulled.dead_letters:
            out.print(f"  the first dead letter: {pulled.first_reason}", markup=False)
            raise typer.Exit(DEAD_LETTERS)


class _View:
    """A line now and then while it pulls, and one whenever it has to wait."""

    def __init__(self) -> None:
        self._next = time.monotonic() + PLAIN_SECONDS

    def show(self, pulled: Pulled) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PLAIN_SECONDS
            out.print(f"pull: {_words(pulled)}", markup=False)

    def waiting(self, reason: str, seconds: float) -> None:
        out.print(f"pull: {reason}: asked again in {seconds:.1f} s", markup=False)


def _words(pulled: Pulled) -> str:
    until = f", event time {pulled.last_event_time:%Y-%m-%d %H:%M:%S}" if pulled.last_event_time else ""
    return (
        f"{pulled.transactions:,} transactions and {pulled.dead_letters:,} dead letters in {pulled.pages:,} pages "
        f"({pulled.seen_before:,} records had come before){until}"
    )


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?", text)
    seconds = float(found[1]) * _SECONDS[found[2] or "s"] if found else 0.0
    if seconds <= 0:
        raise PullError(f"--every has to be a time above 0, such as 500ms, 20s, 5m or 1h, but is {text!r}")
    return seconds
