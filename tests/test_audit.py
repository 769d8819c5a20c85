"""`make audit`: what is found is said and fails; what could not be asked is said."""

import json
from typing import Any

import pytest

from tests import audit
from tests.audit import BASELINE, Found, found_in, unknown, vulnerabilities

LISTED: list[dict[str, Any]] = [
    {"name": "good", "version": "1", "vulns": []},
    {"name": "skipped", "version": "1", "skip_reason": "not found"},
    {
        "name": "bad",
        "version": "2",
        "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}, {"id": "X-2", "fix_versions": []}],
    },
]
REPORT = {"generated_at": "now", "results": {"a.py": [{"hashed_secret": "h", "line_number": 3, "type": "Basic Auth"}]}}


def test_each_vulnerability_is_a_line() -> None:
    assert vulnerabilities(LISTED) == ["bad 2: PYSEC-1 (fixed in 3)", "bad 2: X-2 (fixed in no version)"]


def test_a_secret_that_has_moved_is_known_and_one_in_another_file_is_not() -> None:
    moved, copied = Found("a.py", "h", 90, "Basic Auth"), Found("b.py", "h", 3, "Basic Auth")
    assert unknown([moved, copied], found_in(REPORT)) == [copied]


@pytest.mark.parametrize(
    ("audit_says", "arguments", "status"),
    [
        (([], 2, 3), [], 0),
        (([], 0, 0), [], 0),
        (([], 0, 0), ["--required"], 1),
        ((["bad 2: PYSEC-1"], 2, 3), [], 1),
    ],
)
def test_it_fails_by_what_was_found_and_by_silence_only_where_that_is_asked_for(
    audit_says: tuple[list[str], int, int],
    arguments: list[str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = json.loads(BASELINE.read_text())
    monkeypatch.setattr(audit, "audited", lambda lock: audit_says)
    monkeypatch.setattr(audit, "look_like_secrets", lambda: (known, found_in(known)))
    assert audit.main(arguments) == status
    said = capsys.readouterr().out
    assert ("could not be audited" in said) is (audit_says[1] == 0)
    monkeypatch.setattr(audit, "look_like_secrets", lambda: (REPORT, found_in(REPORT)))
    assert audit.main(arguments) == 1
    assert "a.py:3: Basic Auth" in capsys.readouterr().out
