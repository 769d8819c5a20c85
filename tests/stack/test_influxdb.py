"""The InfluxDB server and what it keeps."""

import pytest
import urllib3
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS

from settings import Settings
from stack.local import Stack


def write(settings: Settings, lines: str) -> None:
    token = settings.influxdb_token.get_secret_value()
    with InfluxDBClient(settings.influxdb_url, token=token, org=settings.influxdb_org) as client:
        client.write_api(write_options=SYNCHRONOUS).write(settings.influxdb_bucket, record=lines)


def influxql(settings: Settings, query: str) -> list[list[object]]:
    database = settings.influxdb_bucket.split("/")[0]
    answer = urllib3.request("GET", f"{settings.influxdb_url}/query", fields={"db": database, "q": query})
    (result,) = answer.json()["results"]
    return result["series"][0]["values"]


def test_points_written_through_the_client_are_read_back_by_influxql(topics: Settings) -> None:
    write(topics, "alert,country=FR amount=1.5 1000000000\nalert,country=DE amount=2.5 1000000001")
    assert influxql(topics, "SELECT amount, country FROM alert") == [
        ["1970-01-01T00:00:01Z", 1.5, "FR"],
        ["1970-01-01T00:00:01.000000001Z", 2.5, "DE"],
    ]


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_points_survive_a_restart_on_the_same_port(stack: Stack, topics: Settings, ending: str) -> None:
    write(topics, "alert amount=1 1000000000")
    assert getattr(stack.influxdb, ending)()
    assert stack.influxdb.pid is None
    assert stack.influxdb.start()
    write(topics, "alert amount=2 2000000000")
    assert influxql(topics, "SELECT count(amount) FROM alert") == [["1970-01-01T00:00:00Z", 2]]
