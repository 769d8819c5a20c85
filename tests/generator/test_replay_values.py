"""The values of files that people have: unknown ones, amounts, times, labels, quotes, columns of one name."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from generator.replay.convert import Converter
from generator.replay.errors import ReplayError
from generator.replay.mapping import Mapping, load_mapping
from generator.replay.stream import DataSet
from generator.replay.values import times
from tests.generator.replay_data import PROMPT, converted, csv_file, mapping, transactions


def one(folder: Path, line: str, header: str = "at,who,amount,fraud", **changes: Any) -> dict[str, Any]:
    """The transaction that a line becomes."""
    file = csv_file(folder, line, header=header)
    (found,) = converted(DataSet(file, mapping(folder, **changes)), folder / "out").to_pylist()
    return dict(found)


def reasons(folder: Path, *lines: str, **changes: Any) -> list[str]:
    """Why lines do not fit; a line that fits goes before them."""
    file = csv_file(folder, "1,c,5,0", *lines)
    _, rejects = Converter(DataSet(file, mapping(folder, **changes)), folder / "out", PROMPT).run()
    return [reject.reason for reject in rejects.shown]


@pytest.mark.parametrize(
    "word", ["", "NULL", "null", "NA", "N/A", "n/a", "\\N", "nan", "NaN", " NULL ", "'NULL'", "None", "<NA>", "#N/A"]
)
def test_words_for_nothing_are_no_value_in_texts_numbers_and_required_fields(tmp_path: Path, word: str) -> None:
    header = "at,who,amount,fraud,shop,lat,risk"
    fields = {"merchant_id": "shop", "latitude": "lat", "extra": ["risk"]}
    made = one(tmp_path, f"1,c,5,0,{word},{word},{word}", header, **fields)
    assert (made["merchant_id"], made["latitude"], made["extra_risk"]) == (None, None, None)
    (tmp_path / "2").mkdir()
    assert reasons(tmp_path / "2", f"2,{word},5,0", f"3,c,{word},0", f"{word},c,5,0") == [
        "customer_id (column who) must have a value",
        "amount (column amount) must have a value",
        "event_time (column at) must have a value",
    ]


def test_namibia_is_a_country_unless_the_mapping_says_that_na_is_none(tmp_path: Path) -> None:
    header = "at,who,amount,fraud,land"
    assert one(tmp_path, "1,c,5,0,NA", header, country="land")["country"] == "NA"
    (tmp_path / "2").mkdir()
    assert one(tmp_path / "2", "1,c,5,0,NA", header, country="land", unknown=["NA"])["country"] is None


def test_a_mapping_says_which_words_mean_nothing_for_all_columns_and_for_one(tmp_path: Path) -> None:
    header = "at,who,amount,fraud,shop,risk"
    fields = {
        "merchant_id": {"column": "shop", "unknown": ["?"]},
        "extra": {"risk": {"column": "risk", "unknown": [-1]}},
    }
    made = one(tmp_path, "1,NULL,5,0,?,-1.0", header, unknown=["nil"], **fields)
    assert mapping(tmp_path, unknown=[None, "-"]).unknown == ["null", "-"]  # as YAML reads NULL without quotes
    assert (made["customer_id"], made["merchant_id"], made["extra_risk"]) == ("NULL", None, None)


def test_a_word_that_the_mapping_gives_a_meaning_has_that_meaning(tmp_path: Path) -> None:
    header = "at,who,amount,fraud,shop"
    fields = {"merchant_category": {"column": "shop", "values": {"NA": "not asked"}}}
    label = {"column": "fraud", "fraud": ["yes"], "honest": ["NULL"]}
    assert one(tmp_path, "1,c,5,NULL,NA", header, label=label, **fields)["merchant_category"] == "not asked"


@pytest.mark.parametrize(
    ("text", "decimal", "amount"),
    [
        ("$134.09", ".", 134.09),
        ('"1,000.00"', ".", 1000),
        ('"1,234"', ".", 1234),
        ("1.234", ".", 1.234),
        ('"$12,345,678.90"', ".", 12_345_678.9),
        ("USD 7", ".", 7),
        ("7.5 €", ".", 7.5),
        ("1'234.50", ".", 1234.5),
        ('"1.234,56"', ",", 1234.56),
        ("1.234", ",", 1234),
        ('"12,50 €"', ",", 12.5),
        ("'4.55'", ".", 4.55),
        ("1e3", ".", 1000),
        ("1e3", ",", 1000),
    ],
)
def test_an_amount_as_people_write_it(tmp_path: Path, text: str, decimal: str, amount: float) -> None:
    assert one(tmp_path, f"1,c,{text},0", amount={"column": "amount", "decimal": decimal})["amount"] == amount


@pytest.mark.parametrize(
    ("text", "decimal"),
    [('"1.234,56"', "."), ('"12,50"', "."), ("12.50", ","), ('"1,23,4"', "."), ("$", "."), ("x", ",")],
)
def test_what_the_columns_rule_does_not_allow_is_a_reject_and_no_guess(tmp_path: Path, text: str, decimal: str) -> None:
    file = csv_file(tmp_path, f"1,c,{text},0")
    with pytest.raises(ReplayError, match="must be a number"):
        converted(DataSet(file, mapping(tmp_path, amount={"column": "amount", "decimal": decimal})), tmp_path / "out")


@pytest.mark.parametrize(
    "text", ["(12.50)", "-12.50", "-$12.50", "$-12.50", "($12.50)", "12.50-", "12.50 €-", "12.50- €"]
)
def test_an_amount_below_zero_is_a_reject_or_counts_by_its_size_as_the_mapping_says(tmp_path: Path, text: str) -> None:
    (reason,) = reasons(tmp_path, f"2,c,{text},0")
    assert reason.startswith("amount (column amount) must be finite and at least 0, but is ")
    (tmp_path / "2").mkdir()
    made = one(tmp_path / "2", f"1,c,{text},0", amount={"column": "amount", "negative": "absolute"})
    assert made["amount"] == 12.5


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2016/04/20 10:12:10.123", {}),
        ("2016-04-20 10:12:10.123456789", {}),
        ("2016-04-20 10:12:10.123 UTC", {}),
        ("2016-04-20T10:12:10.123Z", {}),
        ('"2016-04-20T10:12:10,123+00:00"', {}),
        ("2016-4-20 10:12:10.123", {}),
        ("2016/04/20 12:12:10.123", {"zone": "Europe/Berlin"}),
        ("2016/04/20 12:12:10.123 +02:00", {}),
        ("1461147130.123", {"unit": "seconds"}),
        ("1461147130123", {"unit": "milliseconds"}),
        ("1461147130123000", {"unit": "microseconds"}),
        ("1461147130123000000", {"unit": "nanoseconds"}),
    ],
)
def test_a_time_as_files_have_it(tmp_path: Path, text: str, time: dict[str, str]) -> None:
    made = one(tmp_path, f"{text},c,5,0", event_time={"column": "at"} | time)
    assert made["event_time"] == datetime(2016, 4, 20, 10, 12, 10, 123_000, UTC)


@pytest.mark.parametrize("text", ["04/20/2016 10:12", "20.04.2016", "1461147130", "2016/13/01", "2016/04/20 25:00"])
def test_a_time_that_could_mean_two_things_or_none_is_a_reject(tmp_path: Path, text: str) -> None:
    ms, missing, wrong = times(pa.array([text]), mapping(tmp_path, event_time="at").event_time)
    assert (missing.tolist(), wrong.tolist()) == ([False], [True])
    assert ms.tolist() == [0]


def test_date_and_time_in_several_columns_are_one_time(tmp_path: Path) -> None:
    header, fields = "y,m,d,t,who,amount,fraud", ["y", "m", "d", "t"]
    made = one(tmp_path, "2002,9,1,06:21,c,5,0", header, event_time={"columns": fields, "format": "%Y %m %d %H:%M"})
    assert made["event_time"] == datetime(2002, 9, 1, 6, 21, tzinfo=UTC)
    (tmp_path / "2").mkdir()
    made = one(tmp_path / "2", "2002-09-01,06:21:05,c,5,0", "d,t,who,amount,fraud", event_time={"columns": ["d", "t"]})
    assert made["event_time"] == datetime(2002, 9, 1, 6, 21, 5, tzinfo=UTC)


def test_a_part_of_a_time_that_is_missing_is_a_reject(tmp_path: Path) -> None:
    file = csv_file(tmp_path, "2002-09-01,06:21,c,5,0", "2002-09-01,,c,5,0", header="d,t,who,amount,fraud")
    data = DataSet(file, mapping(tmp_path, event_time={"columns": ["d", "t"]}))
    _, rejects = Converter(data, tmp_path / "out", PROMPT).run()
    assert [reject.reason for reject in rejects.shown] == ["event_time (columns d, t) must have a value"]


def test_several_columns_are_one_id(tmp_path: Path) -> None:
    header = "at,bank,account,amount,fraud"
    fields = {"columns": ["bank", "account"], "joined": "/"}
    assert one(tmp_path, "1,010,8000,5,0", header, customer_id=fields)["customer_id"] == "010/8000"


@pytest.mark.parametrize("parquet", [False, True])
def test_the_second_of_two_columns_of_one_name_has_a_number(tmp_path: Path, parquet: bool) -> None:
    file = csv_file(tmp_path, "1,a,b,5,0", header="at,Account,Account,amount,fraud")
    if parquet:
        names = ["at", "Account", "Account", "amount", "fraud"]
        file = tmp_path / "data.parquet"
        pq.write_table(pa.Table.from_arrays([pa.array([v]) for v in ("1", "a", "b", "5", "0")], names), file)
    meant = mapping(tmp_path, customer_id="Account", merchant_id="Account.1")
    (made,) = converted(DataSet(file, meant), tmp_path / "out").to_pylist()
    assert (made["customer_id"], made["merchant_id"]) == ("a", "b")


@pytest.mark.parametrize("quoted", ["'C10'", "\"'C10'\"", '"""C10"""', "' C10 '"])
def test_ids_in_quotes_inside_quotes_are_the_ids(tmp_path: Path, quoted: str) -> None:
    assert one(tmp_path, f"1,{quoted},5,0")["customer_id"] == "C10"


@pytest.mark.parametrize("kept", ["O'Neil", "'n' sync 'n'", "'"])
def test_quotes_that_are_no_pair_around_a_text_stay(tmp_path: Path, kept: str) -> None:
    assert one(tmp_path, f"1,{kept},5,0")["customer_id"] == kept


@pytest.mark.parametrize(
    ("fraud", "honest"),
    [("1.0", "0.0"), ("Yes", "No"), ("t", "f"), ("TRUE", "FALSE"), ("Y", "N"), ("1", "0"), ("'1'", "'0'")],
)
def test_labels_as_files_have_them(tmp_path: Path, fraud: str, honest: str) -> None:
    file = csv_file(tmp_path, f"1,a,5,{fraud}", f"2,b,5,{honest}")
    what, rejects = Converter(DataSet(file, mapping(tmp_path)), tmp_path / "out", PROMPT).run()
    assert (what.frauds, rejects.count) == (1, 0)


def test_a_float_label_in_parquet_is_one_too(tmp_path: Path) -> None:
    columns = {"at": [1.0, 2.0], "who": ["a", "b"], "amount": [5.0, 5.0], "fraud": [1.0, 0.0]}
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    meant = mapping(tmp_path, label={"column": "fraud", "fraud": [1.0], "honest": [0]})
    assert Converter(DataSet(tmp_path / "data.parquet", meant), tmp_path / "out", PROMPT).run()[0].frauds == 1


def test_yaml_means_the_words_that_stand_there(tmp_path: Path) -> None:
    file = tmp_path / "plain.yaml"
    file.write_text(
        "name: plain\nevent_time: {column: at, unit: seconds, spread: true}\ncustomer_id: who\namount: amount\n"
        "country: {constant: NO}\nmerchant_category: {column: shop, values: {5411: groceries, 0742: vet}}\n"
        "label: {column: fraud, fraud: [Yes], honest: [No, off]}\n"
    )
    meant = load_mapping(str(file))
    assert meant.label is not None
    assert (meant.label.fraud, meant.label.honest) == (["yes"], ["no", "off"])
    assert meant.country is not None
    assert meant.country.constant == "NO"
    assert meant.merchant_category is not None
    assert meant.merchant_category.values == {"5411": "groceries", "0742": "vet"}
    made = converted(
        DataSet(csv_file(tmp_path, "1,c,5,Yes,0742", header="at,who,amount,fraud,shop"), meant), tmp_path / "out"
    )
    assert made["merchant_category"].to_pylist() == ["vet"]
    assert pq.read_table(tmp_path / "out" / "truth.parquet").num_rows == 1


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet_text_that_is_not_utf8_is_one_reject(tmp_path: Path, kind: pa.DataType) -> None:
    values = pa.array([b"a", b"b\xff", b"c", None], pa.binary())
    if pa.types.is_dictionary(kind):
        buffers = pa.array([b"a", b"b\xff", b"c"], pa.binary())
        texts = pa.Array.from_buffers(pa.string(), 3, buffers.buffers())
        column: Any = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None], pa.int32()), texts)
    elif pa.types.is_large_string(kind):
        wide = values.cast(pa.large_binary())
        column = pa.Array.from_buffers(kind, 4, wide.buffers())
    else:
        column = pa.Array.from_buffers(kind, 4, values.buffers())
    table = pa.table({"at": [1, 2, 3, 4], "who": ["w", "x", "y", "z"], "amount": [5.0] * 4, "shop": column})
    pq.write_table(table, tmp_path / "data.parquet")
    meant = mapping(tmp_path, label=None, merchant_id="shop")
    _, rejects = Converter(DataSet(tmp_path / "data.parquet", meant), tmp_path / "out", PROMPT).run()
    assert [(reject.row, reject.reason) for reject in rejects.shown] == [
        (2, "the column shop is not UTF-8 (byte 0xff)")
    ]
    made = transactions(tmp_path / "out")
    assert (made["customer_id"].to_pylist(), made["merchant_id"].to_pylist()) == (["w", "y", "z"], ["a", "c", None])
    (kept,) = (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()
    assert "b\\\\xff" in json.loads(kept)["text"]


def test_a_whole_float_is_the_same_id_in_every_block(tmp_path: Path) -> None:
    columns = {"at": [1, 2], "who": [1.0, 1.5], "amount": [5.0, 5.0]}
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    made = converted(DataSet(tmp_path / "data.parquet", mapping(tmp_path, label=None)), tmp_path / "out")
    assert made["customer_id"].to_pylist() == ["1", "1.5"]


def test_the_words_are_part_of_what_a_conversion_is_known_by(tmp_path: Path) -> None:
    file = csv_file(tmp_path, "1,c,5,0")
    assert DataSet(file, mapping(tmp_path)).identity != DataSet(file, mapping(tmp_path, unknown=["-"])).identity
    assert isinstance(mapping(tmp_path), Mapping)
