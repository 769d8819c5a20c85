"""docs/schemas says what the records are: as they are declared today, and as they are written."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from serving.description import EXAMPLE
from serving.schemas import files
from settings import Settings

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
NAMES = sorted(files())


def document(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_what_the_command_writes_today(name: str) -> None:
    assert (FOLDER / name).read_text() == files()[name], "run python -m serving.schemas"
    assert sorted(path.name for path in FOLDER.iterdir()) == NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".json")])
def test_a_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(document(name))


def test_a_transaction_fits_and_what_is_refused_does_not() -> None:
    validator = jsonschema.Draft202012Validator(document("transaction.json"))
    assert validator.is_valid(EXAMPLE)
    wrong = [
        {name: value for name, value in EXAMPLE.items() if name != "customer_id"},
        {**EXAMPLE, "amount": -1},
        {**EXAMPLE, "amount": "1"},
        {**EXAMPLE, "country": "NLD"},
        {**EXAMPLE, "latitude": 91},
    ]
    assert not any(validator.is_valid(each) for each in wrong)


def test_every_topic_is_described_under_its_name_and_each_payload_is_a_file() -> None:
    described = document("asyncapi.yaml")
    settings = Settings()
    names = {name.removesuffix("_topic"): getattr(settings, name) for name in Settings.model_fields if "_topic" in name}
    assert {key: channel["address"] for key, channel in described["channels"].items()} == names
    for channel in described["channels"].values():
        (message,) = channel["messages"].values()
        assert "payload" not in message or (FOLDER / message["payload"]["$ref"]).exists()
    for operation in described["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in described["channels"]


def test_the_files_are_json_and_yaml_for_any_reader() -> None:
    for name in NAMES:
        content = (FOLDER / name).read_bytes()
        assert msgspec.yaml.decode(content) if name.endswith(".yaml") else json.loads(content)
