"""Mapping files: which column of a data set is which field of a transaction, and in which unit."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from generator.replay.errors import ReplayError
from ml.schema import is_extra_name

FORMATS: Final = Path(__file__).parent / "formats"
UNIT_MS: Final = {"days": 86_400_000, "hours": 3_600_000, "minutes": 60_000, "seconds": 1_000, "milliseconds": 1}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _column_alone(given: Any) -> Any:
    """In place of a field's keys, a plain text names its column."""
    return {"column": given} if isinstance(given, str) else given


def _as_texts(given: Any) -> Any:
    """YAML reads 1 and true as a number and a boolean; here they are texts to look for."""
    return [str(one).lower() for one in given] if isinstance(given, list) else given


def _named_columns(given: Any) -> Any:
    """A list of columns means each under its own name."""
    return {column: column for column in given} if isinstance(given, list) else given


Short = Annotated[str, Field(min_length=1, max_length=200)]
Texts = Annotated[list[str], BeforeValidator(_as_texts), Field(min_length=1)]


class Text(_Part):
    """A text: from a column, the same in each row, or made from the row's number.

    `values` renames what the column holds; `otherwise` is what becomes of values that are not in it.
    """

    column: str | None = None
    constant: Short | None = None
    row: str | None = Field(None, max_length=200, description="what comes before the row's number")
    values: dict[str, Short] = {}
    otherwise: Literal["keep", "unknown", "reject"] = "keep"

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.column, self.constant, self.row).count(None) != 2:
            raise ValueError("needs exactly one of column, constant and row")
        return self


class Number(_Part):
    """A number: from a column, or the same in each row; times `scale` (0.01 where the data counts in cents)."""

    column: str | None = None
    constant: float | None = Field(None, allow_inf_nan=False)
    scale: float = Field(1.0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.column, self.constant).count(None) != 1:
            raise ValueError("needs exactly one of column and constant")
        return self


class Time(_Part):
    """When it happened: a count of `unit` since `origin`, or a text in `format` (ISO 8601, or what strptime takes).

    `zone` holds for texts that name none. `spread` puts rows that share a count evenly over the unit, in the file's order.
    """

    column: str
    unit: Literal["days", "hours", "minutes", "seconds", "milliseconds"] | None = None
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
        if self.unit is None and ("origin" in self.model_fields_set or self.spread):
            raise ValueError("origin and spread belong to a count: say its unit")
        if "%z" in self.format:
            raise ValueError("strptime's %z is not known here: use iso, or name the zone under zone")
        if self.unit is not None and self.model_fields_set & {"format", "zone"}:
            raise ValueError("format and zone belong to a text, unit to a count: leave one of them out")
        return self


class LabelColumn(_Part):
    """Which rows are fraud: the column's values that say so, the values that say honest, and optionally the kind of fraud."""

    column: str
    fraud: Texts = ["1", "true"]
    honest: Texts = ["0", "false"]
    scenario: Annotated[Text, BeforeValidator(_column_alone)] | None = None


def _extra_name(name: str) -> str:
    if not is_extra_name(name):
        raise ValueError(
            "an extra's name has letters, digits and underscores, begins with a letter, has at most 64 characters, and is no "
            "field of a transaction and no column of a history"
        )
    return name


ExtraName = Annotated[str, AfterValidator(_extra_name)]
TextField = Annotated[Text, BeforeValidator(_column_alone)]
NumberField = Annotated[Number, BeforeValidator(_column_alone)]


class Mapping(_Part):
    """How a data set's rows become transactions: a field of `ml.schema.Transaction` a key, and the label and extras."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="what the data set is called; its labels' source")
    about: str = ""
    delimiter: str = Field(",", min_length=1, max_length=1)
    event_time: Annotated[Time, BeforeValidator(_column_alone)]
    customer_id: TextField
    amount: NumberField
    transaction_id: TextField | None = Field(None, description="without it, ids are made from name and row")
    currency: TextField | None = None
    merchant_id: TextField | None = None
    merchant_category: TextField | None = None
    country: TextField | None = None
    latitude: NumberField | None = None
    longitude: NumberField | None = None
    channel: TextField | None = None
    device_id: TextField | None = None
    label: Annotated[LabelColumn, BeforeValidator(_column_alone)] | None = None
    extra: Annotated[dict[ExtraName, str], BeforeValidator(_named_columns)] = Field(
        {}, description="numbers beside the contract's fields: an extra's name, and its column"
    )

    @property
    def number_columns(self) -> set[str]:
        """The columns that hold nothing but numbers."""
        fields = (self.amount, self.latitude, self.longitude)
        found = {field.column for field in fields if field is not None} | set(self.extra.values())
        found |= {self.event_time.column} if self.event_time.unit else set()
        return {column for column in found if column is not None} - self._text_columns

    @property
    def columns(self) -> set[str]:
        """All columns that are needed."""
        return self.number_columns | self._text_columns

    @property
    def _text_columns(self) -> set[str]:
        label = self.label
        parts = [getattr(self, name) for name in type(self).model_fields] + [label.scenario if label else None]
        columns = {part.column for part in parts if isinstance(part, Text) and part.column is not None}
        return (
            columns
            | ({label.column} if label else set())
            | (set() if self.event_time.unit else {self.event_time.column})
        )


def load_mapping(name: str) -> Mapping:
    """A format that comes with Scoreline, by its name, or a mapping file of one's own, by its path.

    Raises ReplayError where there is none, or where it is not a mapping: for each wrong key what was required and what came.
    """
    known = {file.stem: file for file in sorted(FORMATS.glob("*.yaml"))}
    file = known.get(name, Path(name))
    try:
        given = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ReplayError(
            f"--format has to be {', '.join(known)} or a mapping file, but {name} can't be read: {error}"
        ) from None
    except yaml.YAMLError as error:
        raise ReplayError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(given, dict):
        raise ReplayError(
            f"{file} has to hold keys such as event_time, customer_id and amount, but it is {given!r:.80}"
        )
    try:
        return Mapping.model_validate(given)
    except ValidationError as error:
        wrong = "; ".join(_in_words(problem) for problem in error.errors())
        raise ReplayError(f"{file} is not a mapping: {wrong}") from None


def _in_words(problem: Any) -> str:
    key = ".".join(str(step) for step in problem["loc"]) or "the whole"
    if problem["type"] == "missing":
        return f"the key {key} is missing"
    if problem["type"] == "extra_forbidden":
        return f"there is no key {key}"
    return f"{key}: {problem['msg']}, but it is {problem['input']!r:.80}"
