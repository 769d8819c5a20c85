"""Raw rows as transactions with their labels, and why the others do not fit."""

from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from generator.arrays import Array
from generator.replay.mapping import Mapping
from generator.replay.parts import WHOLE_NUMBER, LabelColumn, Number, Text, Time, whole
from generator.replay.source import Block, Position, Reject
from generator.replay.values import Column, numbers, pc, shown, texts, times
from ml.schema import EXTRA_PREFIX, REQUIRED_FIELDS, TRANSACTION_ARROW

ROW, TIME, FRAUD, SCENARIO = "row", "time", "is_fraud", "scenario"
_LONGEST_ID: Final = 256
_LIMITS: Final = {"amount": (0.0, np.inf), "latitude": (-90.0, 90.0), "longitude": (-180.0, 180.0)}
_TEXT_FIELDS: Final = (
    "transaction_id",
    "customer_id",
    "currency",
    "merchant_id",
    "merchant_category",
    "country",
    "channel",
    "device_id",
)
_ROW_DIGITS: Final = 10


class Fitted(NamedTuple):
    """What a block came to.

    table: in the file's order, `fitted_schema(mapping)`; rejects: the rows that do not fit; position, last, done: the block's.
    """

    table: pa.Table
    rejects: list[Reject]
    position: Position
    last: int
    done: int


def converted_schema(mapping: Mapping) -> pa.Schema:
    """TRANSACTION_ARROW and, as float64, the extra columns."""
    return pa.schema([*TRANSACTION_ARROW, *(pa.field(EXTRA_PREFIX + name, pa.float64()) for name in mapping.extra)])


def extra_columns(table: pa.Table, mapping: Mapping) -> pa.Table | None:
    """The extras of a fitted table, each under its own name; None where the mapping has none."""
    if not mapping.extra:
        return None
    return table.select([EXTRA_PREFIX + name for name in mapping.extra]).rename_columns(list(mapping.extra))


def fitted_schema(mapping: Mapping) -> pa.Schema:
    """The converted schema; the row's number, and its time in the file (ms since the epoch), which together are its place;
    and the label where there is one: is_fraud, scenario (null if honest)."""
    place = [pa.field(ROW, pa.int64()), pa.field(TIME, pa.int64())]
    label = [pa.field(FRAUD, pa.bool_()), pa.field(SCENARIO, pa.string())]
    return pa.schema([*converted_schema(mapping), *place, *(label if mapping.label else [])])


def fit(block: Block, mapping: Mapping) -> Fitted:
    """A block's rows as transactions: those that fit, and the others as rejects with a reason for a person each."""
    fitting = _Fitting(block, mapping)
    columns: dict[str, Any] = {"event_time": fitting.time(mapping.event_time)}
    for name in _LIMITS:
        columns[name] = fitting.number(name, getattr(mapping, name))
    by_row = {"transaction_id": Text(row=f"{mapping.name}-")}
    for name in _TEXT_FIELDS:
        columns[name] = fitting.text(name, getattr(mapping, name) or by_row.get(name))
    for name, number in mapping.extra.items():
        columns[EXTRA_PREFIX + name] = fitting.number(EXTRA_PREFIX + name, number)
    columns[ROW], columns[TIME] = pa.array(block.rows), columns["event_time"].cast(pa.int64())
    if mapping.label:
        columns |= fitting.label(mapping.label)
    schema = fitted_schema(mapping)
    fits = fitting.fits
    raw = pa.table([columns[name] for name in schema.names], names=schema.names)
    table = (raw if fits.all() else raw.filter(pa.array(fits))).cast(schema)
    rejects = sorted([*block.rejects, *fitting.rejects()], key=lambda reject: reject.row)
    return Fitted(table, rejects, block.position, block.last, block.done)


class _Fitting:
    """Works on one block. Each method gives a column of all n rows, and notes the rows that do not fit."""

    def __init__(self, block: Block, mapping: Mapping) -> None:
        self._block, self._words = block, mapping.unknown_words
        self._n = len(block.rows)
        self._reasons: dict[int, str] = {}
        self.fits = np.ones(self._n, bool)

    def rejects(self) -> list[Reject]:
        """The rows that do not fit, each with the first reason."""
        rows, text = self._block.rows, self._block.text
        return [Reject(int(rows[n]), reason, text(n)) for n, reason in self._reasons.items()]

    def time(self, time: Time) -> Column:
        words = self._words("event_time")
        column = self._column(time.column) if time.column else self._joined(time.read, " ", words, all_of_them=True)
        ms, missing, wrong = times(column, time, words)
        of = _of("event_time", time.read)
        what = f"a number of {time.unit}" if time.unit else "ISO 8601" if time.format == "iso" else f"as {time.format}"
        self._refuse(missing, f"{of} must have a value", None)
        self._refuse(wrong, f"{of} must be {what}, in the years 1 to 9999", column)
        return pa.array(ms).cast(pa.timestamp("ms", tz="UTC"))

    def number(self, name: str, field: Number | None) -> Column:
        if field is None:
            return pa.nulls(self._n, pa.float64())
        if field.column is None:
            raw: Any = pa.array(np.full(self._n, field.constant))
            of = name
        else:
            raw, of = self._column(field.column), f"{name} (column {field.column})"
        values, wrong = numbers(raw, self._words(name, field), field.decimal)
        values = values * field.scale
        values = np.abs(values) if field.negative == "absolute" else values
        missing = np.isnan(values) & ~wrong
        if name in REQUIRED_FIELDS:
            self._refuse(missing, f"{of} must have a value", None)
        least, most = _LIMITS.get(name, (-np.inf, np.inf))
        how = "" if field.decimal == "." else ", with a comma before the decimals"
        self._refuse(wrong, f"{of} must be a number{how}", raw)
        outside = ~((values >= least) & (values <= most) & np.isfinite(values)) & ~missing & ~wrong
        what = (
            "finite" if least == -np.inf else "finite and at least 0" if name == "amount" else f"{least:g} to {most:g}"
        )
        self._refuse(outside, f"{of} must be {what}", raw)
        return pa.array(values, mask=missing | wrong)

    def text(self, name: str, field: Text | None) -> Column:
        values = self._raw_text(name, field)
        required = name in REQUIRED_FIELDS
        if field is None or not field.read:
            return values
        of = _of(name, field.read)
        missing = values.is_null().to_numpy(zero_copy_only=False)
        if required:
            self._refuse(missing, f"{of} must have a value", None)
        length = pc.utf8_length(values).fill_null(2).to_numpy(zero_copy_only=False)
        if required:
            self._refuse(length > _LONGEST_ID, f"{of} must have at most {_LONGEST_ID} characters", values)
        elif name == "country":
            self._refuse(length != 2, f"{of} must be a code of two letters", values)
        return values

    def label(self, label: LabelColumn) -> dict[str, Column]:
        raw = texts(self._column(label.column), self._words("label") - {*label.fraud, *label.honest})
        values = pc.replace_substring_regex(pc.utf8_lower(raw), WHOLE_NUMBER, r"\1")
        fraud = pc.is_in(values, pa.array([whole(value) for value in label.fraud]))
        honest = pc.is_in(values, pa.array([whole(value) for value in label.honest]))
        known = pc.or_(fraud, honest).to_numpy(zero_copy_only=False)
        what = f"one of {', '.join([*label.fraud, *label.honest])}"
        self._refuse(~known, f"the label (column {label.column}) must be {what}", raw)
        scenario = self._raw_text("label.scenario", label.scenario)
        return {FRAUD: fraud, SCENARIO: pc.if_else(fraud, scenario, None)}

    def _raw_text(self, name: str, field: Text | None) -> Column:
        if field is None:
            return pa.nulls(self._n, pa.string())
        if field.constant is not None:
            return pa.repeat(field.constant, self._n)
        if field.row is not None:
            digits = pc.utf8_lpad(pa.array(self._block.rows).cast(pa.string()), _ROW_DIGITS, "0")
            return pc.binary_join_element_wise(field.row, digits, "")
        words = self._words(name, field) - {value.lower() for value in field.values}
        values = (
            texts(self._column(field.column), words) if field.column else self._joined(field.read, field.joined, words)
        )
        return self._renamed(name, values, field) if field.values else values

    def _renamed(self, name: str, values: Column, field: Text) -> Column:
        places = pc.index_in(values, value_set=pa.array(list(field.values)))
        renamed = pa.array(list(field.values.values())).take(places)
        if field.otherwise == "keep":
            return pc.coalesce(renamed, values)
        if field.otherwise == "reject":
            strange = pc.and_(places.is_null(), values.is_valid()).to_numpy(zero_copy_only=False)
            self._refuse(strange, f"{_of(name, field.read)} must be one of {', '.join(field.values)}", values)
        return renamed

    def _joined(self, names: list[str], between: str, words: frozenset[str], all_of_them: bool = False) -> Column:
        """Columns' texts put together, null where none of them has a value, or where not all of them have one."""
        parts = [texts(self._column(name), words) for name in names]
        known = np.stack([part.is_valid().to_numpy(zero_copy_only=False) for part in parts])
        text = pc.binary_join_element_wise(*(pc.fill_null(part, "") for part in parts), between)
        enough = known.sum(axis=0) >= (len(parts) if all_of_them else 1)
        return pc.if_else(pa.array(enough), text, None)

    def _column(self, name: str) -> Column:
        return self._block.columns[name].combine_chunks()

    def _refuse(self, wrong: Array, reason: str, came: Column | None) -> None:
        self.fits &= ~wrong
        for n in np.flatnonzero(wrong):
            self._reasons.setdefault(
                int(n), reason if came is None else f"{reason}, but is {shown(came[int(n)])!r:.80}"
            )


def _of(name: str, columns: list[str]) -> str:
    return f"{name} (column{'s' if len(columns) > 1 else ''} {', '.join(columns)})"
