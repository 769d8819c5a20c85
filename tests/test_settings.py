"""A path setting takes a path or a URI, and hands it on as it came; one for this machine alone refuses other places."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from settings import Settings, local_path

ROOT = Path(__file__).parents[1]
PLACES = ("checkpoint", "initial_state", "replay_of")
LOCAL = ("log_dir", "points_file", "kafka_ssl_ca", "influxdb_ca")

schemes = st.sampled_from(
    ["", "/", "s3a://", "hdfs://namenode:8020/", "hdfs:/", "file:///", "file:/", "abfss://box@store/", "./"]
)
names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30)
places = st.builds(lambda scheme, name: scheme + name, schemes, names)


@hypothesis_settings(deadline=None)
@example(place="null", setting="checkpoint")
@example(place="null", setting="initial_state")
@example(place="None", setting="replay_of")
@given(place=places, setting=st.sampled_from(PLACES))
def test_what_goes_in_comes_out_by_flag_and_by_environment(place: str, setting: str) -> None:
    flag = "--" + setting.replace("_", "-")
    settings = Settings.from_command_line([f"{flag}={place}"])
    assert getattr(settings, setting) == place
    variables = settings.environment()
    assert variables[f"SCORELINE_{setting.upper()}"] == place
    assert getattr(Settings(**{setting: place}), setting) == place


@pytest.mark.parametrize("place", ["s3a://bucket/state", "hdfs:///a//b", "file:///a b", "relative//path/"])
def test_a_uri_is_not_taken_apart(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in PLACES:
        monkeypatch.setenv(f"SCORELINE_{setting.upper()}", place)
    settings = Settings.from_command_line([])
    assert [getattr(settings, setting) for setting in PLACES] == [place] * 3


@pytest.mark.parametrize("setting", LOCAL)
@pytest.mark.parametrize(
    "place", ["s3a://bucket/x", "hdfs:/x", "https://host/ca.pem", "file://elsewhere/x", "file:x", "FILE:x"]
)
def test_a_place_that_has_to_be_on_this_machine_is_refused_elsewhere(
    setting: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flag = "--" + setting.replace("_", "-")
    with pytest.raises(SystemExit):
        Settings.from_command_line([f"{flag}={place}"])
    said = capsys.readouterr().err
    assert said == (
        f"error: wrong settings: {flag} has to be a path on this machine, or a URI as in file:///path, but it is {place!r}\n"
    )


@pytest.mark.parametrize("setting", LOCAL)
@pytest.mark.parametrize(
    ("given_as", "path"),
    [
        ("file:///data/x", "/data/x"),
        ("file:/data/x", "/data/x"),
        ("file://localhost/data/a%20b", "/data/a b"),
        ("/data/x", "/data/x"),
        ("data/2026:01", "data/2026:01"),
        ("a b?c#d", "a b?c#d"),
    ],
)
def test_a_place_on_this_machine_is_a_path_or_a_file_uri(setting: str, given_as: str, path: str) -> None:
    settings = Settings.from_command_line([f"--{setting.replace('_', '-')}={given_as}"])
    assert getattr(settings, setting) == Path(path)


def test_a_variable_that_is_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SCORELINE_INITIAL_STATE", "SCORELINE_REPLAY_OF", "SCORELINE_POINTS_FILE", "KAFKA_SSL_CA"):
        monkeypatch.setenv(variable, "")
    settings = Settings.from_command_line([])
    assert (settings.initial_state, settings.replay_of) == (None, None)
    assert (settings.points_file, settings.kafka_ssl_ca) == (None, None)


@given(names)
def test_any_path_without_a_scheme_stays_as_it_is(name: str) -> None:
    assert local_path("/" + name) == Path("/" + name)


SECRETS = Settings.secrets()


def test_which_settings_are_secret() -> None:
    assert {"KAFKA_SASL_PASSWORD", "INFLUXDB_TOKEN", "SCORELINE_WAREHOUSE"} <= set(SECRETS.values())


@pytest.mark.parametrize(("flag", "variable"), SECRETS.items())
@pytest.mark.parametrize("form", ["{flag}=marked", "{flag} marked", "{underscored}=marked"])
def test_a_secret_is_never_taken_from_a_flag_which_a_list_of_processes_shows(
    flag: str, variable: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    underscored = "--" + flag[2:].replace("-", "_")
    with pytest.raises(SystemExit) as left:
        Settings.from_command_line(form.format(flag=flag, underscored=underscored).split())
    assert left.value.code == 2
    assert capsys.readouterr().err == (
        f"error: {flag} would show a secret in the list of processes: set {variable} in the environment, or "
        f"{variable}_FILE to a file that holds it\n"
    )


@pytest.mark.parametrize("written", [b"marked\n", b"\xef\xbb\xbfmarked\r\n"])
@pytest.mark.parametrize(("flag", "variable"), SECRETS.items())
def test_a_secret_comes_from_the_environment_or_from_a_file(
    flag: str,
    variable: str,
    written: bytes,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = flag[2:].replace("-", "_")
    file = tmp_path / "secret"
    file.write_bytes(written)
    monkeypatch.setenv(f"{variable}_FILE", str(file))
    for settings in (Settings(), Settings.from_command_line([])):
        assert getattr(settings, name).get_secret_value() == "marked"
        assert settings.environment()[variable] == "marked"
        assert "marked" not in repr(settings)
        with pytest.MonkeyPatch.context() as of_a_child:
            for each, value in settings.environment().items():
                of_a_child.setenv(each, value)
            assert getattr(Settings(), name).get_secret_value() == "marked"
    nowhere, empty = str(tmp_path / "none"), tmp_path / "empty"
    empty.write_text("\r\n")
    for path, both, said in (
        (nowhere, "", f"{variable}_FILE has to be a file that can be read, but {nowhere} is none: No such file"),
        (str(file), "other", f"{variable} and {variable}_FILE are both set: leave one of them out"),
        (sys.executable, "", "it is no text"),
        (str(tmp_path), "", "is none: Is a directory"),
        (str(empty), "", f"{variable}_FILE has to be a file that holds the secret, but {empty} is empty"),
    ):
        monkeypatch.setenv(variable, both)
        monkeypatch.setenv(f"{variable}_FILE", path)
        with pytest.raises(SystemExit):
            Settings.from_command_line([])
        assert said in capsys.readouterr().err


def test_what_a_command_makes_is_its_user_s_alone(tmp_path: Path) -> None:
    old = tmp_path / ".scoreline"
    old.mkdir(mode=0o755)
    old.chmod(0o755)
    for mask, folder, file in ((None, 0o700, 0o600), ("027", 0o750, 0o640)):
        made = "import pathlib; pathlib.Path('made').mkdir(); pathlib.Path('made/file').write_text('x')"
        environment = {name: value for name, value in os.environ.items() if name != "SCORELINE_UMASK"}
        subprocess.run(
            [sys.executable, "-c", f"from settings import private_files; private_files(); {made}"],
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": str(ROOT)} | ({} if mask is None else {"SCORELINE_UMASK": mask}),
            check=True,
        )
        assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == folder
        assert stat.S_IMODE((tmp_path / "made" / "file").stat().st_mode) == file
        assert stat.S_IMODE(old.stat().st_mode) == 0o700
        shutil.rmtree(tmp_path / "made")
