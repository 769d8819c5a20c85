"""The pinned jars."""

import hashlib
import tomllib
from pathlib import Path

import pyspark
import pytest

from stack.errors import StackError
from stack.jars import LOCK, admit, broker_jars, connector_jars


def test_jars_that_are_there_need_no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    connector_jars(), broker_jars()
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    jars = [*connector_jars(), *broker_jars()]
    assert all(jar.is_file() for jar in jars)


def test_every_jar_in_the_cache_is_the_locked_one() -> None:
    lock = tomllib.loads(LOCK.read_text())
    for jars, locked in ((connector_jars(), lock["connector"]), (broker_jars(), lock["broker"])):
        assert [hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars] == list(locked.values())


def test_the_connector_is_of_the_spark_that_runs() -> None:
    assert f"org.apache.spark:spark-sql-kafka-0-10_2.13:{pyspark.__version__}" in LOCK.read_text()


def test_a_jar_with_another_checksum_is_refused_and_forgotten(tmp_path: Path) -> None:
    jar = tmp_path / "ivy" / "jars" / "g_a-1.jar"
    jar.parent.mkdir(parents=True)
    jar.write_bytes(b"not what was promised")
    with pytest.raises(StackError, match=r"g_a-1\.jar has the SHA-256 \w{64}, but .*jars\.lock lists 00: try again"):
        admit(jar, "00", tmp_path)
    assert list(tmp_path.iterdir()) == []
