"""The cause of a failure in one line, whatever plans, dumps and traces stand around it."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runtime.cause_texts import KNOWN
from jobs.runtime.causes import Link, cause, first_sentence, links
from jobs.runtime.known_causes import explain

PLAN: Final = """
=== Streaming Query ===
Identifier: detect [id = 8b2c, runId = 1f]
Current Committed Offsets: {KafkaV2[Subscribe[transactions]]: {"transactions":{"0":12}}}
Current State: ACTIVE
Thread State: RUNNABLE

Logical Plan:
WriteToMicroBatchDataSource ForeachBatch, 8b2c
+- Project [cast(value#8 as string) AS value#21]
   +- LocalRelation <empty>, [value#8]
"""
DUMP: Final = """
"stream execution thread for detect" #88 daemon prio=5 os_prio=0 cpu=1ms tid=0x1 runnable
   java.lang.Thread.State: RUNNABLE
\tat java.base@17/sun.nio.ch.EPoll.wait(Native Method)
"""
TRACE: Final = """
\tat org.apache.spark.scheduler.Task.run(Task.scala:147)
\tat java.base/java.lang.Thread.run(Thread.java:840)
\t... 3 more
"""
words = st.text("abcdefghij KLM:0123456789_.'-", min_size=1, max_size=60).filter(lambda text: text.strip(" ."))
noise = st.lists(st.sampled_from([PLAN, DUMP, TRACE, "\n\nJVM stacktrace:\norg.x.Y: z" + TRACE]), max_size=4).map(
    "".join
)


def said_by(text: str) -> str:
    return str(explain(RuntimeError(text)))


@given(words, noise)
def test_what_stands_after_the_message_is_never_told(message: str, after: str) -> None:
    assert first_sentence(message + after) == " ".join(message.split())


@given(words, noise, noise)
def test_the_last_cause_of_a_trace_is_told(message: str, before: str, after: str) -> None:
    told = said_by(
        f"Query terminated with exception: Job aborted{before}\nCaused by: org.x.RealError: {message}{TRACE}{after}"
    )
    assert told == f"RealError: {' '.join(message.split())}"


@given(words, noise)
def test_what_a_traceback_in_a_text_ended_with_is_told(message: str, after: str) -> None:
    frames = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    g()\n'
    text = f"Job aborted\n{frames}mod.OddError: {message}\n{after}"
    assert said_by(text) == f"OddError: {' '.join(message.split())}"


@given(st.text(max_size=300))
def test_any_text_gives_one_line_that_is_not_long(text: str) -> None:
    told = said_by(text)
    assert told
    assert "\n" not in told
    assert len(told) < 1_000


def test_an_error_that_cannot_be_printed_is_told_all_the_same() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert "Broken" in str(explain(Broken()))


def test_a_circle_of_causes_ends() -> None:
    one, two = RuntimeError("one"), RuntimeError("two")
    one.__cause__, two.__cause__ = two, one
    assert [link.message for link in links(one)] == ["one", "two"]


def test_the_cause_is_not_what_only_carries_it() -> None:
    chain = [
        Link("org.apache.spark.SparkException", "STREAM_FAILED", "x"),
        Link("a.Real", None, "y"),
        Link("b.Silent", None, ""),
    ]
    assert str(cause(chain)) == "Real: y"


def test_a_name_that_spark_gave_for_want_of_a_better_one_is_not_told() -> None:
    link = Link("org.apache.spark.SparkException", "_LEGACY_ERROR_TEMP_3001", "EOFException occurred while reading")
    assert str(link) == "SparkException: EOFException occurred while reading"


REAL: Final = {
    "disk full": "java.io.IOException: No space left on device",
    "too many open files": "java.net.SocketException: Too many open files",
    "disk failed": "java.io.IOException: Input/output error",
    "no room for a process": "java.lang.OutOfMemoryError: unable to create native thread: possibly out of memory",
    "Python's memory": "pyarrow.lib.ArrowMemoryError: malloc of size 64 failed",
    "Kafka's disk": "org.apache.kafka.common.errors.CorruptRecordException: Record for partition t-0 at offset 5 is invalid",
    "no such file system": 'org.apache.hadoop.fs.UnsupportedFileSystemException: No FileSystem for scheme "s3a"',
    "file system unavailable": "java.net.ConnectException: Call From a to b:8020 failed on connection exception: refused",
    "Kafka timestamp": "org.apache.spark.SparkException: [KAFKA_MALFORMED_RECORD_TIMESTAMP] The record has a timestamp",
    "data loss": "org.apache.kafka.clients.consumer.OffsetOutOfRangeException: Fetch position is out of range",
    "concurrent update": "org.apache.spark.SparkException: [CONCURRENT_STREAM_LOG_UPDATE] Concurrent update to the log.",
    "topic is missing": "org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server does not host this.",
    "record too large": "org.apache.kafka.common.errors.RecordTooLargeException: The request included a message larger",
    "not allowed by Kafka": "org.apache.kafka.common.errors.TopicAuthorizationException: Not authorized to access topics: [a]",
    "login refused by Kafka": "org.apache.kafka.common.errors.SaslAuthenticationException: Authentication failed",
    "TLS refused": "javax.net.ssl.SSLHandshakeException: PKIX path building failed",
    "Kafka unavailable": "org.apache.kafka.common.errors.TimeoutException: Call(callName=describeTopics) timed out",
    "checkpoint gone": "java.io.FileNotFoundException: File file:/c/detect/offsets/7 does not exist",
    "checkpoint of another release": "java.lang.IllegalStateException: Incomplete log file in the offset log",
    "state store": "org.rocksdb.RocksDBException: Corruption: block checksum mismatch",
    "Python worker late": "org.apache.spark.SparkException: Python worker failed to connect back.",
    "Python worker gone": "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)",
    "Java gone": "py4j.protocol.Py4JError: org does not exist in the JVM",
    "Java's memory": "java.lang.OutOfMemoryError: Java heap space",
    "Python on an executor": 'java.io.IOException: Cannot run program "/opt/no/python": error=2, No such file or directory',
    "executor lost": "org.apache.spark.SparkException: ExecutorLostFailure (executor 2 exited caused by one of the tasks)",
    "no permission": "org.apache.hadoop.security.AccessControlException: Permission denied: user=x",
    "connection broken": "java.io.IOException: Broken pipe",
    "InfluxDB unavailable": "sinks.sink.SinkUnavailable: InfluxDB at http://localhost:8086 does not answer",
    "InfluxDB refuses": "sinks.sink.SinkRejected: InfluxDB refuses the points: 401 unauthorized",
    "registry unavailable": "ml.registry.model_store.RegistryUnavailable: MLflow does not answer",
}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (
            "Python worker gone",
            "org.apache.spark.SparkException: [_LEGACY_ERROR_TEMP_3001] EOFException: reading the port number from a daemon",
        ),
        (
            "Python worker late",
            "java.net.SocketTimeoutException: Timed out while waiting for the Python worker to connect back",
        ),
        (
            "Python on an executor",
            "org.apache.spark.SparkException: EOFException while reading the port number from a.b's stdout ... with code: 1.",
        ),
        ("Java gone", "py4j.protocol.Py4JNetworkError: Answer from Java side is empty"),
        ("Java gone", "py4j.Py4JException: Error while obtaining a new communication channel"),
    ],
)
def test_what_a_killed_process_leaves_behind_is_said_in_words(name: str, error: str) -> None:
    explanation = explain(RuntimeError(f"Job aborted{TRACE}Caused by: {error}{TRACE}"))
    assert explanation.known is not None
    assert explanation.known.name == name
    assert "_LEGACY" not in str(explanation)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("disk failed", "Read-only file system"),
        ("disk failed", "Input/output error"),
        ("disk failed", "Stale file handle"),
        ("disk full", "No space left on device"),
        ("disk full", "Disk quota exceeded"),
        ("too many open files", "Too many open files"),
        ("no permission", "Permission denied"),
        ("checkpoint gone", "No such file or directory"),
    ],
)
@pytest.mark.parametrize("file", ["offsets/.7.4f.tmp", "commits/7", "state/0/1/8.changelog", "metadata", "sources/0/0"])
def test_a_file_of_the_checkpoint_that_java_cannot_open_is_missing_only_where_the_system_says_so(
    name: str, reason: str, file: str
) -> None:
    """Java says FileNotFoundException to all of these; a checkpoint is built again only where files are missing."""
    explanation = explain(
        RuntimeError(f"Job aborted{TRACE}Caused by: java.io.FileNotFoundException: /c/detect/{file} ({reason})")
    )
    assert explanation.known is not None
    assert explanation.known.name == name
    assert explanation.known.lasting == (name == "checkpoint gone")


@pytest.mark.parametrize("reason", ["error=12, Cannot allocate memory", "error=11, Resource temporarily unavailable"])
def test_a_python_that_finds_no_room_is_not_one_that_lacks_its_packages(reason: str) -> None:
    explanation = explain(
        RuntimeError(f'x{TRACE}Caused by: java.io.IOException: Cannot run program "/v/bin/python": {reason}')
    )
    assert explanation.known is not None
    assert (explanation.known.name, explanation.known.lasting) == ("no room for a process", False)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_each_known_cause_is_found_at_the_bottom_of_a_trace_with_plans_about_it(known: object) -> None:
    name = known.name  # type: ignore[attr-defined]
    explanation = explain(RuntimeError(f"Job aborted{TRACE}Caused by: {REAL[name]}{TRACE}{PLAN}{DUMP}"))
    assert explanation.known is known
    assert REAL[name].split(": ")[1][:20] in str(explanation)
    assert explanation.known.fix in str(explanation)
