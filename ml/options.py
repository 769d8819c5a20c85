"""The command line's options that have a type of their own: extras, profiles, a published protocol."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from typer import Option

from ml.evaluation.errors import EvaluationError
from ml.evaluation.protocol import Protocol
from ml.schema import EXTRA_PREFIX

Extras = Annotated[
    bool,
    Option(
        "--extras/--no-extras",
        help=f"Whether columns named {EXTRA_PREFIX}… are features too.",
    ),
]
ExtrasFile = Annotated[
    str | None,
    Option(help="TOML file that declares the extras of the job's transactions.", show_default="of the settings"),
]
Profiles = Annotated[
    bool,
    Option(
        "--profiles/--no-profiles",
        help="Whether what crosses customers is features too: merchants and categories, and what labels said of them.",
    ),
]

ProtocolName = Literal["handbook"]

ProtocolOption = Annotated[
    ProtocolName | None,
    Option(
        "--protocol",
        show_default="the last quarter judges",
        help="handbook: the weeks and the figures of the Fraud Detection Handbook.",
    ),
]
Seeds = Annotated[
    int | None, Option(min=1, show_default="1", help="How often each detector is fitted, each time with the next seed.")
]
FitEnd = Annotated[
    datetime | None,
    Option(formats=["%Y-%m-%d"], show_default="2018-08-01", help="The day after the last one that is fitted to."),
]
FitDays = Annotated[int | None, Option(show_default="7", help="Days that are fitted to, before --fit-end.")]
TestDays = Annotated[int | None, Option(show_default="7", help="Days that judge, after the delay of the labels.")]
KnownDays = Annotated[
    int | None,
    Option(
        show_default="as --fit-days",
        help="Leave out customers whose fraud was known in these days before --fit-end, or later.",
    ),
]


def protocol_from(name: ProtocolName | None, fit_end: datetime | None, **given: Any) -> Protocol | None:
    """The protocol that the options ask for, None for the last quarter; given: its days, None for what was not given.

    Raises `EvaluationError` where they contradict each other.
    """
    wanted = {field: value for field, value in given.items() if value is not None}
    if fit_end is not None:
        wanted["fit_end"] = fit_end.date()
    if name is None:
        for field in (field for field in wanted if field != "delay_days"):
            raise EvaluationError(f"--{field.replace('_', '-')} belongs to --protocol: give both or neither")
        return None
    if wanted.get("delay_days", 0) % 1:
        raise EvaluationError(f"--protocol has a delay of whole days, not {wanted['delay_days']:g}")
    if "delay_days" in wanted:
        wanted["delay_days"] = int(wanted["delay_days"])
    try:
        return msgspec.structs.replace(Protocol(name), **wanted)
    except ValueError as error:
        raise EvaluationError(str(error)) from None
