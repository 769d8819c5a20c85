"""When drift is an alarm, as one YAML file says."""

from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import msgspec
from msgspec import Meta

from ml.drift.counts import BLOCK
from ml.features import MINUTE
from ml.one_line import one_line
from ml.yaml_file import plain

DEFAULT_FILE: Final = "policy.yaml"
_BLOCK_MINUTES: Final = BLOCK // MINUTE

Minutes = Annotated[int, Meta(ge=_BLOCK_MINUTES, le=7 * 24 * 60, multiple_of=_BLOCK_MINUTES)]
Reference = Literal["training", "last_week"]


class DriftPolicyError(ValueError):
    """A file is no policy of drift; the text says which, and why."""


class Scale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Windows of one length. An alarm takes `in_a_row` of them, one each `every_minutes`, that reach all the figures.

    least_rows: with fewer transactions a window says nothing. least_psi: beyond what chance gives, of a feature, the score or
    the segments, by what windows are compared with. least_alert_ratio: of the share of alerts and the expected one, either way,
    with `least_alerts` expected.
    """

    name: Annotated[str, Meta(min_length=1, max_length=40)]
    minutes: Minutes
    every_minutes: Minutes
    in_a_row: Annotated[int, Meta(ge=1, le=100)]
    least_rows: Annotated[int, Meta(ge=1)]
    least_psi: Annotated[dict[Reference, Annotated[float, Meta(gt=0)]], Meta(min_length=1)]
    least_alerts: Annotated[float, Meta(gt=0)]
    least_alert_ratio: Annotated[float, Meta(gt=1)]

    @property
    def blocks(self) -> int:
        """A window's length in blocks."""
        return self.minutes // _BLOCK_MINUTES

    @property
    def step(self) -> int:
        """Blocks from a window's end to the next one's."""
        return self.every_minutes // _BLOCK_MINUTES


class DriftPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """left_out: features that are compared with nothing. false_discoveries: the expected share of them among what is found in
    a window. factors: of some comparisons, by name, what `least_psi` is multiplied by; of alerts the exponent of their ratio.
    "alerts of" and "anomaly_score of" name those of all segments. least_rise: how much more of the
    transactions than before an issue of the data has to affect, as a share."""

    scales: Annotated[tuple[Scale, ...], Meta(min_length=1)]
    left_out: tuple[str, ...] = ()
    false_discoveries: Annotated[float, Meta(gt=0, lt=1)] = 0.01
    factors: dict[str, Annotated[float, Meta(gt=0)]] = {}
    least_rise: Annotated[float, Meta(gt=0, lt=1)] = 0.05

    def factor(self, what: str) -> float:
        """By how much more than others a comparison has to differ."""
        name, of, _ = what.partition(" of ")
        return self.factors.get(f"{name} of" if of else name, 1.0)

    @classmethod
    def read(cls, path: Path | None = None) -> Self:
        """The policy in a file; without one, the built-in one. Raises `DriftPolicyError`."""
        try:
            content = (
                resources.files(__package__).joinpath(DEFAULT_FILE).read_bytes() if path is None else path.read_bytes()
            )
            return msgspec.convert(plain(content), cls)
        except (OSError, ValueError) as error:
            raise DriftPolicyError(
                f"{path} should be a policy of drift, but it can't be used: {one_line(error)}; "
                f"ml/drift/{DEFAULT_FILE} is one"
            ) from error
