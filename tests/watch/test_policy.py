"""The policy file: the built-in one and the example of the document are good, and whatever is not is refused in one line."""

import re
from pathlib import Path

import pytest

from ml.yaml_file import plain
from watch.policy import WatchPolicy, WatchPolicyError

DOCUMENT = Path(__file__).parents[2] / "docs" / "watch.md"


def test_the_built_in_policy_says_what_the_code_takes_where_nothing_is_said() -> None:
    assert WatchPolicy.read() == WatchPolicy()


def test_the_policy_of_the_document_is_one(tmp_path: Path) -> None:
    example = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[0]
    file = tmp_path / "policy.yaml"
    file.write_text(example)
    assert WatchPolicy.read(file).retrain.new_frauds == plain(example)["retrain"]["new_frauds"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("retrain: {detectors: [oracle]}", "there is 'oracle'"),
        ("promote: {ramp: [0.5, 0.1]}", "has to rise"),
        ("promote: {ramp: [1.5]}", "< 1.0"),
        ("rollback: {alert_times: 0.5}", "> 1.0"),
        ("every_seconds: .inf", "every_seconds"),
        ("cooldown_days: many", "cooldown_days"),
        ("what: 1\nis: this", "unknown field `what`"),
        ("- 1", "object"),
        ("{" * 2_000, "can't be used"),
        ("\x00", "can't be used"),
    ],
)
def test_what_is_no_policy_is_refused_in_one_line(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(WatchPolicyError) as error:
        WatchPolicy.read(file)
    assert why in str(error.value)
    assert "\n" not in str(error.value)
