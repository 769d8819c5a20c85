"""Mapping files: which column of a data set is which field of a transaction, and in which unit."""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Self

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from generator.replay.errors import ReplayError
from generator.replay.parts import (
    UNKNOWN_WORDS,
    LabelColumn,
    Number,
    NumberField,
    Part,
    Text,
    TextField,
    Time,
    Words,
    column_alone,
)
from ml.schema import is_extra_name

FORMATS: Final = Path(__file__).parent / "formats"
_NAMIBIA: Final = "na"


def _named_columns(given: Any) -> Any:
    """A list of columns means each under its own name."""
    return {column: column for column in given} if isinstance(given, list) else given


def _extra_name(name: str) -> str:
    if not is_extra_name(name):
        raise ValueError(
            "an extra's name has letters, digits and underscores, begins with a letter, has at most 64 characters, and is no "
            "field of a transaction and no column of a history"
        )
    return name


ExtraName = Annotated[str, AfterValidator(_extra_name)]


class Mapping(Part):
    """How a data set's rows become transactions: a field of `ml.schema.Transaction` a key, and the label and extras."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="what the data set is called; its labels' source")
    about: str = ""
    delimiter: str = Field(",", min_length=1, max_length=1)
    unknown: Words = Field(list(UNKNOWN_WORDS), description="what means that there is no value, in any column")
    event_time: Annotated[Time, BeforeValidator(column_alone)]
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
    label: Annotated[LabelColumn, BeforeValidator(column_alone)] | None = None
    extra: Annotated[dict[ExtraName, NumberField], BeforeValidator(_named_columns)] = Field(
        {}, description="numbers beside the contract's fields: an extra's name, and its column"
    )

    @model_validator(mode="after")
    def _extras_from_columns(self) -> Self:
        for name, number in self.extra.items():
            if number.column is None:
                raise ValueError(f"the extra {name} needs a column")
        return self

    def unknown_words(self, field: str, part: Text | Number | None = None) -> frozenset[str]:
        """What means that a field has no value. In country NA is Namibia, unless the mapping itself says that it is not."""
        words = set(self.unknown) | set(part.unknown if part else ())
        if (
            field == "country"
            and "unknown" not in self.model_fields_set
            and _NAMIBIA not in (part.unknown if part else ())
        ):
            words.discard(_NAMIBIA)
        return frozenset(words)

    @property
    def number_columns(self) -> set[str]:
        """The columns that hold nothing but numbers, with a decimal point."""
        fields = [field for field in (self.amount, self.latitude, self.longitude) if field is not None]
        found = {field.column for field in (*fields, *self.extra.values()) if field.decimal == "."}
        found |= set(self.event_time.read) if self.event_time.unit else set()
        return {column for column in found if column is not None} - self._text_columns

    @property
    def columns(self) -> set[str]:
        """All columns that are needed."""
        return self.number_columns | self._text_columns

    @property
    def _text_columns(self) -> set[str]:
        label = self.label
        parts = [getattr(self, name) for name in type(self).model_fields] + [label.scenario if label else None]
        columns = {column for part in parts if isinstance(part, Text) for column in part.read}
        numbers = (self.amount, self.latitude, self.longitude, *self.extra.values())
        columns |= {number.column for number in numbers if number and number.column and number.decimal != "."}
        columns |= {label.column} if label else set()
        return columns | (set() if self.event_time.unit else set(self.event_time.read))


class _Loader(yaml.SafeLoader):
    """YAML as it is written: Yes, NO and On are texts, as is 0123; a truth value is true or false."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in found if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:int")]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|false|False)$"), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))


def load_mapping(name: str, option: str = "--format") -> Mapping:
    """A format that comes with Scoreline, by its name, or a mapping file of one's own, by its path. option: what names it.

    Raises ReplayError where there is none, or where it is not a mapping: for each wrong key what was required and what came.
    """
    known = {file.stem: file for file in sorted(FORMATS.glob("*.yaml"))}
    file = known.get(name, Path(name))
    try:
        text = file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ReplayError(
            f"{option} has to be {', '.join(known)} or a mapping file, but {name} can't be read: {error}"
        ) from None
    try:
        given = yaml.load(text, _Loader)  # a SafeLoader
    except RecursionError:
        raise ReplayError(f"{file} is not a mapping: it is nested too deeply") from None
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
