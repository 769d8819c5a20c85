"""The command `scoreline serve`, as a person meets it."""

import pytest
from typer.testing import CliRunner

from serving.__main__ import app
from settings import Settings


def test_its_help_lists_each_setting_of_the_service_and_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    for name, field in Settings.model_fields.items():
        assert (f"--{name.replace('_', '-')} " in shown.output) == name.startswith("serve_"), name
        if name.startswith("serve_") and field.default is not None:
            assert f"[{field.default}]" in shown.output
