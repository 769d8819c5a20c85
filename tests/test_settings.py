"""A path setting takes a path or a URI, and hands it on as it came; one for this machine alone refuses other places."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from settings import Settings, local_path

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
