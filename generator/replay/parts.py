"""The parts of a mapping: a text, a number, a time, a label, each from a column or several."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

UNIT_MS: Final = {
    "months": 30 * 86_400_000.0,
    "days": 86_400_000.0,
    "hours": 3_600_000.0,
    "minutes": 60_000.0,
    "seconds": 1_000.0,
    "milliseconds": 1.0,
    "microseconds": 1e-3,
    "nanoseconds": 1e-6,
}
"""A month has 30 days: data sets that count in months name no calendar."""
WHOLE_NUMBER: Final = r"^(-?\d+)\.0+$"
"""The text of a float that is whole; its group is the number without the zeros."""
UNKNOWN_WORDS: Final = ("", "null", "na", "n/a", "\\n", "nan", "none", "<na>", "#n/a")
"""What means that there is no value, in small letters, where a mapping says nothing else."""


class Part(BaseModel):
    """A part of a mapping; a key that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def column_alone(given: Any) -> Any:
    """In place of a field's keys, a plain text names its column."""
    return {"column": given} if isinstance(given, str) else given


def as_texts(given: Any) -> Any:
    """YAML reads 1, true and NULL as a number, a boolean and nothing; here they are texts to look for, in small letters."""
    return [("null" if one is None else str(one)).lower() for one in given] if isinstance(given, list) else given


def _text_keys(given: Any) -> Any:
    """YAML reads 5411 as a number; here it is a text to look for."""
    return {str(key): value for key, value in given.items()} if isinstance(given, dict) else given


def whole(text: str) -> str:
    """A label's value as it is compared: 1.0 is 1.

    >>> whole("1.0"), whole("1.50"), whole("yes")
    ('1', '1.50', 'yes')
    """
    return re.sub(WHOLE_NUMBER, r"\1", text)


Short = Annotated[str, Field(min_length=1, max_length=200)]
Texts = Annotated[list[str], BeforeValidator(as_texts), Field(min_length=1)]
Words = Annotated[list[str], BeforeValidator(as_texts)]
Columns = Annotated[list[str], Field(min_length=1)]


class FromColumns(Part):
    """What is read from a column, or from several."""

    column: str | None = None
    columns: Columns | None = None

    @property
    def read(self) -> list[str]:
        """The columns that it is made from."""
        return self.columns or ([] if self.column is None else [self.column])


class Text(FromColumns):
    """A text: from a column, from several, the same in each row, or made from the row's number.

    Several columns' texts are put together with `joined` between them; unknown is what none of them knows. `values` renames
    what the column holds; `otherwise` is what becomes of values that are not in it. `unknown`: more words for an unknown value.
    """

    joined: str = "-"
    constant: Short | None = None
    row: str | None = Field(None, max_length=200, description="what comes before the row's number")
    values: Annotated[dict[str, Short], BeforeValidator(_text_keys)] = {}
    otherwise: Literal["keep", "unknown", "reject"] = "keep"
    unknown: Words = []

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.column, self.columns, self.constant, self.row).count(None) != 3:
            raise ValueError("needs exactly one of column, columns, constant and row")
        return self


class Number(Part):
    """A number: from a column, or the same in each row; times `scale` (0.01 where the data counts in cents).

    `decimal` is what stands before the decimals, in the whole column: with a point, 1,234 is one thousand and 1.234 is not;
    with a comma it is the other way round. `negative`: what becomes of a number below zero. `unknown`: more words for an
    unknown value.
    """

    column: str | None = None
    constant: float | None = Field(None, allow_inf_nan=False)
    scale: float = Field(1.0, allow_inf_nan=False)
    decimal: Literal[".", ","] = "."
    negative: Literal["reject", "absolute"] = "reject"
    unknown: Words = []

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.column, self.constant).count(None) != 1:
            raise ValueError("needs exactly one of column and constant")
        return self


class Time(FromColumns):
    """When it happened: a count of `unit` since `origin`, or a text in `format` (ISO 8601, or what strptime takes).

    Several columns' texts are put together with a space between them. `zone` holds for texts that name none. `spread` puts rows
    that share a count evenly over the unit, in the file's order.
    """

    unit: (
        Literal["days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds", "months"] | None
    ) = None
    origin: AwareDatetime = datetime(1970, 1, 1, tzinfo=UTC)
    format: str = "iso"
    zone: str = "UTC"
    spread: bool = False

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        try:
            return ZoneInfo(zone).key
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("is a time zone's name, such as Europe/Berlin") from None

    @model_validator(mode="after")
    def _count_or_text(self) -> Self:
        if (self.column, self.columns).count(None) != 1:
            raise ValueError("needs exactly one of column and columns")
        if self.unit is None and ("origin" in self.model_fields_set or self.spread):
            raise ValueError("origin and spread belong to a count: say its unit")
        if "%z" in self.format:
            raise ValueError("strptime's %z is not known here: use iso, or name the zone under zone")
        if self.unit is not None and self.model_fields_set & {"format", "zone"}:
            raise ValueError("format and zone belong to a text, unit to a count: leave one of them out")
        if self.unit is not None and self.columns:
            raise ValueError("a count stands in one column: name it as column")
        return self


class LabelColumn(Part):
    """Which rows are fraud: the column's values that say so, the values that say honest, and optionally the kind of fraud.

    Values are compared in small letters, and 1.0 is 1.
    """

    column: str
    fraud: Texts = ["1", "true", "yes", "t", "y"]
    honest: Texts = ["0", "false", "no", "f", "n"]
    scenario: Annotated[Text, BeforeValidator(column_alone)] | None = None


TextField = Annotated[Text, BeforeValidator(column_alone)]
NumberField = Annotated[Number, BeforeValidator(column_alone)]
