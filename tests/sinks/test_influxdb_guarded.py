from collections.abc import Iterator
from dataclasses import replace

import pytest

from sinks.influxdb import InfluxDBSink
from sinks.sink import SinkRejected, SinkUnavailable
from tests.sinks.guarded import PASSWORD, USER, GuardedInfluxDB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedInfluxDB]:
    server = GuardedInfluxDB(tmp_path_factory.mktemp("guarded"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sink(server: GuardedInfluxDB) -> InfluxDBSink:
    """A sink that the server trusts, and that trusts the server."""
    return InfluxDBSink(server.url, "guarded/autogen", "", token=f"{USER}:{PASSWORD}", ca=server.certificate)


def test_a_sink_with_the_authority_s_certificate_and_a_token_writes(sink: InfluxDBSink) -> None:
    with sink:
        sink.write(b"m n=1i 1\n")


def test_without_the_authority_s_certificate_nothing_is_sent_and_the_error_names_the_setting(
    sink: InfluxDBSink,
) -> None:
    with (
        replace(sink, ca=None) as stranger,
        pytest.raises(SinkUnavailable, match=r"certificate verify failed.*INFLUXDB_CA"),
    ):
        stranger.write(b"m n=1i 1\n")


@pytest.mark.parametrize("token", ["", f"{USER}:wrong"])
def test_a_token_that_may_not_write_is_rejected_with_the_setting_and_without_the_token(
    sink: InfluxDBSink, token: str
) -> None:
    with replace(sink, token=token) as stranger, pytest.raises(SinkRejected, match=r"401 .*INFLUXDB_TOKEN") as caught:
        stranger.write(b"m n=1i 1\n")
    assert "wrong" not in str(caught.value)
