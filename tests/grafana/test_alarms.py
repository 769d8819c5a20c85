"""Grafana's own alarm rules: those for Prometheus, firing when they do."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from grafana.alarms import FILE, text
from grafana.asking import datasource
from tests.prometheus.test_rules import ILL, RULES, case, said_of

PROVISIONED: Final[dict[str, dict[str, Any]]] = {
    rule["title"]: rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]
}


def asked(rule: dict[str, Any], name: str) -> str:
    """What a query asks once Grafana has read the file, which it does as a shell would read variables."""
    [query] = [query for query in rule["data"] if query["refId"] == name]
    assert not re.search(r"(?<!\$)\$(?!\$)", query["model"]["expr"])
    return str(query["model"]["expr"]).replace("$$", "$")


@pytest.fixture
def as_prometheus(tmp_path: Path) -> Path:
    """Each rule's condition as a rule of Prometheus, which fires where it is not 0 as Grafana does."""
    rules = [
        {"alert": name, "expr": f"({asked(rule, rule['condition'])}) != 0", "for": rule["for"]}
        for name, rule in PROVISIONED.items()
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "of Grafana", "rules": rules}]}))
    return file


def test_the_file_is_what_the_rules_for_prometheus_make() -> None:
    assert FILE.read_text() == text(), f"{FILE.name} is not current: make dashboards"
    assert list(PROVISIONED) == list(RULES)


def test_each_fires_by_what_it_is_for_and_no_other_does(as_prometheus: Path, tmp_path: Path) -> None:
    cases = [case(ill, "79m", [name]) for name, ills in ILL.items() for ill in ills]
    assert said_of([case({}, "79m", []), *cases], tmp_path, [as_prometheus]) == ""


@pytest.mark.parametrize("name", PROVISIONED)
def test_a_rule_is_as_grafana_takes_it(name: str) -> None:
    rule = PROVISIONED[name]
    assert re.fullmatch("[a-z-]{1,40}", rule["uid"])
    assert {query["datasourceUid"] for query in rule["data"]} == {datasource("prometheus")["uid"]}
    assert (rule["for"], rule["labels"]) == (RULES[name].get("for", "0s"), RULES[name]["labels"])
    assert asked(rule, "A").removesuffix(" + 0") == asked(rule, "B").removesuffix(" ^ 0") == f"({RULES[name]['expr']})"


@pytest.mark.parametrize("name", PROVISIONED)
def test_a_text_has_the_value_as_grafana_has_it(name: str) -> None:
    notes = " ".join(PROVISIONED[name]["annotations"].values())
    assert notes.replace("$values.A.Value", "$value") == " ".join(RULES[name]["annotations"].values())
    assert not re.search(r"\$value\b", notes)


def test_uids_are_unique() -> None:
    assert len({rule["uid"] for rule in PROVISIONED.values()}) == len(PROVISIONED)
