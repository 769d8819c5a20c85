"""The command `scoreline`, as a person uses it: each command is that of the package that it names."""

import importlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import scoreline

ROOT = Path(__file__).parents[1]
NAMES = [command.name for command in scoreline.COMMANDS]


def run(folder: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """(exit status, standard output, standard error) of the command, called in a folder."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200", "TERM": "dumb"} | variables
    command = [sys.executable, "-m", "scoreline", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def test_help_lists_every_command_in_a_second_since_it_loads_no_package(tmp_path: Path) -> None:
    code = "import sys, scoreline\ntry: scoreline.main()\nfinally: print('loaded', *sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "dumb"}
    command = [sys.executable, "-c", code, "--help"]
    out = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    explained, _, loaded = out.partition("loaded ")
    first_words = {line.strip("│ ").split(" ")[0] for line in explained.splitlines()}
    assert first_words >= set(NAMES)
    assert not {"numpy", "pyspark", "mlflow", "kafka", "settings"} & set(loaded.split())


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_a_command_is_of_the_package_and_says_how_it_was_called(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["scoreline", name, "--help"])
    # As for a script: else the usage line says how pytest was called.
    monkeypatch.setattr(sys.modules["__main__"], "__package__", None)
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        scoreline.main()
    assert ended.value.code in (0, None)
    explained = capsys.readouterr().out
    assert f"Usage: scoreline {name}" in explained
    assert "--help" in explained


@pytest.mark.parametrize("package", ["jobs", "generator", "ml"])
def test_every_command_of_a_package_is_one_of_scoreline(package: str) -> None:
    app = importlib.import_module(f"{package}.__main__").app
    theirs = {name for name, command in typer.main.get_command(app).commands.items() if not command.hidden}
    assert theirs == {command.of for command in scoreline.COMMANDS if command.package == package}


def test_a_command_that_there_is_not_is_refused(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "nothing")
    assert (code, out) == (2, "")
    assert "No such command 'nothing'" in err


def test_the_version_is_printed(tmp_path: Path) -> None:
    assert run(tmp_path, "--version") == (0, f"{scoreline.__version__}\n", "")


def test_a_data_set_is_converted_and_its_rejected_rows_decide_the_exit_status(tmp_path: Path) -> None:
    sample = (ROOT / "generator" / "samples" / "ulb.csv").read_text().splitlines()
    (tmp_path / "sound.csv").write_text("\n".join(sample[:20]) + "\n")
    (tmp_path / "broken.csv").write_text("\n".join([*sample[:20], sample[20].replace(",", ",x", 1)]) + "\n")
    flags = "--format", "ulb", "--label-days", "0"
    code, out, _ = run(tmp_path, "convert", "sound.csv", "--out", "sound", *flags)
    assert (code, out.split()[:2]) == (0, ["19", "transactions"])
    assert list((tmp_path / "sound").glob("**/*.parquet"))
    code, _, _ = run(tmp_path, "convert", "broken.csv", "--out", "broken", *flags)
    assert code == 3


def test_a_history_is_simulated(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "history", "--out", "past", "--customers", "50", "--days", "1")
    assert (code, err) == (0, "")
    assert "transactions of 50 customers in 1 days" in out
    assert (tmp_path / "past" / "labels.parquet").exists()


def test_the_models_of_an_empty_registry_are_a_header_alone(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, "models", MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith("version\t")


def test_where_nothing_runs_stop_is_done_at_once_and_status_says_so(tmp_path: Path) -> None:
    assert run(tmp_path, "stop") == (0, "", "")
    assert run(tmp_path, "status") == (1, "No query has run on the checkpoint .scoreline/checkpoint.\n", "")
    code, out, _ = run(tmp_path, "stack", "status", "--json")
    assert code == 0
    assert "MLFLOW_TRACKING_URI" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("train", "past"), "error: "),
        (("evaluate", "past"), "error: "),
        (("register", "models/1"), "error: "),
        (("promote", "1"), "error: "),
        (("rollback",), "error: "),
        (("replay", "data.csv", "--format", "ulb"), "error: "),
        (("demo", "--data", "."), "error: --data has to be a folder of the demo's own"),
        (("generate", "--start", "tomorrow"), "error: --start takes a time in ISO 8601"),
        (("generate", "--count", "1"), "error: no Kafka broker answers at "),
    ],
)
def test_what_cannot_be_done_is_the_one_line_of_the_package(
    arguments: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "a file").touch()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        servers = {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{nobody.getsockname()[1]}",
            "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
        }
        code, out, err = run(tmp_path, *arguments, **servers)
    assert (code, out) == (1, "")
    assert err.strip().startswith(complaint)
    assert err.strip().count("\n") == 0


def test_a_job_that_there_is_not_is_refused_as_by_the_package(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "submit", "--job", "bake")
    assert (code, out) == (2, "")
    assert "Usage: scoreline submit" in err
    assert "a job is detect, publish, thresholds, profiles or archive, but 'bake' was asked for" in err
