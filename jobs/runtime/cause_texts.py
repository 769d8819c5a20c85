"""Each known cause of a failure: how it is recognised, what it means here, and how to fix it."""

import re
from typing import Final, NamedTuple


class Known(NamedTuple):
    """A cause that has a text of its own. pattern: searched in "condition kind: message" of each link of a chain.

    lasting: further attempts will hardly succeed, so the query is not started again for ever.
    """

    name: str
    pattern: "re.Pattern[str]"
    means: str
    fix: str
    lasting: bool = False


def _known(name: str, pattern: str, means: str, fix: str) -> Known:
    return Known(name, re.compile(pattern), means, fix)


def _lasting(name: str, pattern: str, means: str, fix: str) -> Known:
    return Known(name, re.compile(pattern), means, fix, lasting=True)


_REBUILD: Final = (
    "Restore the folder from a copy, or start with another --checkpoint, --starting-offsets earliest and, where there was "
    "one, --initial-state"
)
_BROKERS: Final = (
    "Nothing is lost: it goes on by itself when Kafka answers. See whether the brokers run, and KAFKA_BOOTSTRAP_SERVERS"
)

KNOWN: Final = (
    _known(
        "disk full",
        r"No space left on device|Disk quota exceeded|\bENOSPC\b|DSQuotaExceeded|DiskOutOfSpaceException",
        "a disk is full",
        "Free some space on the disk of the checkpoint, of the logs and of Spark's temporary files (spark.local.dir)",
    ),
    _known(
        "too many open files",
        r"Too many open files",
        "the limit of open files is reached",
        "Raise it (ulimit -n), or find with lsof what holds so many",
    ),
    _known(
        "disk failed",
        r"Read-only file system|Input/output error|Stale (?:NFS )?file handle|Transport endpoint is not connected"
        r"|Structure needs cleaning|\bE(?:ROFS|IO|STALE)\b",
        "a disk, or what is mounted there, can't be read or written",
        "Nothing is lost that was on it: see the machine's kernel log (dmesg) and its mounts; the job goes on by itself once "
        "the disk takes files again",
    ),
    _known(
        "no room for a process",
        r"Cannot allocate memory|Resource temporarily unavailable|unable to create (?:new )?native thread"
        r"|can't start new thread|\bENOMEM\b",
        "the machine's memory is full, or the limit of its processes is reached",
        "Give the machine more memory, or raise the limit (ulimit -u; of a container, its limit of pids)",
    ),
    _known(
        "Python's memory",
        r"(?<!OutOf)MemoryError\b|std::bad_alloc",
        "a Python process found no more memory",
        "Give the machine more memory, or the micro-batch fewer records (--max-offsets-per-trigger)",
    ),
    _known(
        "Kafka timestamp",
        r"KAFKA_MALFORMED_RECORD_TIMESTAMP|KafkaRecordToRowConverter.*long overflow",
        "a record has a Kafka timestamp that Spark cannot hold",
        "Let the topic refuse such records: message.timestamp.before.max.ms and message.timestamp.after.max.ms",
    ),
    _lasting(
        "data loss",
        r"KAFKA_DATA_LOSS|Some data may have been lost|failOnDataLoss|OffsetOutOfRange"
        r"|RESOLVED_START_OFFSET_GREATER_THAN_END_OFFSET",
        "Kafka no longer has records that were not read yet",
        "To go on with what is left, start with --accept-data-loss true",
    ),
    _lasting(
        "concurrent update",
        r"CONCURRENT_STREAM_LOG_UPDATE|CONCURRENT_QUERY|FAILED_RENAME_PATH"
        r"|ConcurrentModificationException.*[Ll]og|Concurrent update to the",
        "another application writes to the same checkpoint",
        "End the other one, or give one of them another --checkpoint; `python -m jobs status` says who holds it",
    ),
    _known(
        "topic is missing",
        r"UnknownTopicOrPartition|UnknownTopicId|START_OFFSET_DOES_NOT_MATCH_ASSIGNED|InvalidTopicException",
        "a topic that the job reads or writes was deleted, or some of its partitions",
        "Create it again (`make stack` does so on this machine), or name another one",
    ),
    _known(
        "record too large",
        r"RecordTooLarge|MessageSizeTooLarge|RecordBatchTooLarge",
        "a record is larger than the topic or the producer takes",
        "Raise max.message.bytes of the output topics: 1 MiB more than the transactions topic has",
    ),
    _known(
        "not allowed by Kafka",
        r"(?:Topic|Group|Cluster|TransactionalId)Authorization(?:Exception|FailedError)|Not authorized to access",
        "Kafka does not allow this user to do that",
        "Give the user the right: READ and DESCRIBE on what the job reads, WRITE on what it writes",
    ),
    _known(
        "login refused by Kafka",
        r"SaslAuthentication\w*|AuthenticationFailed|LoginException|UnsupportedSaslMechanism",
        "Kafka refuses the login",
        "See KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM",
    ),
    _known(
        "TLS refused",
        r"SslAuthentication\w*|SSLHandshake|SSLError|CERTIFICATE_VERIFY_FAILED|PKIX path",
        "the encrypted connection was refused",
        "See KAFKA_SSL_CA (or INFLUXDB_CA): it names the authority that signed the server's certificate. Where that is right, "
        "the certificate has expired, or is for another name than the one in KAFKA_BOOTSTRAP_SERVERS (or INFLUXDB_URL)",
    ),
    _known(
        "Kafka unavailable",
        r"kafka\.\S*(?:TimeoutException|TimeoutError|DisconnectException|NetworkException|ConnectionError|NoBrokersAvailable"
        r"|NodeNotReady|BrokerNotAvailable|CoordinatorNotAvailable|NotLeaderOrFollower|NotEnoughReplicas|LeaderNotAvailable)"
        r"|No resolvable bootstrap urls|Failed to construct kafka|not present in metadata after|KafkaTimeoutError"
        r"|Cannot fetch offset .*Timeout|Timeout of \d+ms expired before the",
        "the brokers do not answer in time",
        _BROKERS,
    ),
    _known(
        "Kafka's disk",
        r"CorruptRecordException|fetching the next record from|KafkaStorageException",
        "records are damaged on a broker's disk, or can't be read from it",
        "See the broker's log; where another replica is whole, let that one lead",
    ),
    _lasting(
        "Python on an executor",
        r"reading the port number from .*code: 1\b|Cannot run program \"[^\"]*python"
        r"|No module named '(?:detection|jobs|messaging|ml|settings|sinks)\b",
        "an executor's Python can't start what the job sends it",
        "It needs the packages of requirements.lock (PYSPARK_PYTHON names it) and Scoreline's code: start by "
        "`python -m jobs submit`, or with --py-files (docs/cluster.md). The executor's stderr says what is missing",
    ),
    _known(
        "no permission",
        r"AccessControlException|PermissionError|AccessDeniedException|Permission denied",
        "a file or folder may not be read or written",
        "Give the job's user the right to do so",
    ),
    _lasting(
        "no such file system",
        r"No FileSystem for scheme|UnsupportedFileSystemException|Class org\.apache\.hadoop\.fs\.\S+ not found",
        "Spark lacks the classes of the file system that a path or URI names",
        "Add them by spark.jars.packages (of s3a: org.apache.hadoop:hadoop-aws, in the version of Spark's own Hadoop), or "
        "name a folder elsewhere",
    ),
    _known(
        "file system unavailable",
        r"Call From \S+ to \S+ failed on|SafeModeException|StandbyException|NoRouteToHost|UnknownHostException",
        "a server does not answer, or its name is not known",
        "See whether the servers of the checkpoint's file system run, and how the setting names them; the job goes on "
        "when they answer",
    ),
    _lasting(
        "checkpoint gone",
        r"STREAMING_CHECKPOINT_MISSING_METADATA_FILE|MISSING_STATE_DIRECTORY|the streaming checkpoint lacks"
        r"|(?:batch|Batch) \d+ doesn't exist"
        r"|FileNotFoundException(?!.*\((?!No such file)).*/(?:offsets|commits|sources|metadata|state)\b"
        r"|metadata for batch \d+ (?:does not|doesn't) exist|CANNOT_READ_(?:DELTA_FILE_NOT_EXISTS|MISSING_SNAPSHOT_FILE)",
        "files of the checkpoint are missing: it was deleted, in part or whole",
        _REBUILD,
    ),
    _lasting(
        "checkpoint of another release",
        r"UNSUPPORTED_LOG_VERSION|MALFORMED_LOG|[Ll]og file was malformed|Incomplete log file|UnsupportedLogVersion"
        r"|SCHEMA_NOT_COMPATIBLE|STATE_STORE_INVALID_CONFIG_AFTER_RESTART|STATE_STORE_INVALID_VARIABLE_TYPE_CHANGE"
        r"|STATE_STORE_VALUE_SCHEMA|NOT_MATCH_IN_STATE_METADATA|maximum supported log version",
        "the checkpoint is damaged, or of another release of Scoreline or Spark",
        _REBUILD,
    ),
    _known(
        "state store",
        r"CANNOT_LOAD_STATE_STORE|CANNOT_WRITE_STATE_STORE|STATE_STORE_|RocksDBException|CHECKSUM_VERIFICATION_FAILED"
        r"|the state log lacks its chunk",
        "the customers' state cannot be read or written",
        f"Check the checkpoint's file system; if this goes on: {_REBUILD[0].lower()}{_REBUILD[1:]}",
    ),
    _known(
        "Python worker late",
        r"Python worker to connect back|Python worker failed to connect back",
        "a Python worker was not up within the 10 s that Spark waits for one: the machine is too busy, or out of memory",
        "The job tries again by itself; give it a core of its own, or end what else takes the machine's CPU",
    ),
    _known(
        "Python worker gone",
        r"Python worker exited unexpectedly|reading the port number from|PYTHON_WORKER\w*"
        r"|python worker.*(?:crash|killed)|worker(?:s)? .*SIGKILL",
        "a Python worker was killed, mostly because the machine's memory was full, or it crashed",
        "Give the machine more memory, or the micro-batch fewer records (--max-offsets-per-trigger); see workers.log",
    ),
    _known(
        "Java gone",
        r"does not exist in the JVM|Py4JNetworkError|Answer from Java side is empty"
        r"|Error while (?:sending|receiving|obtaining)",
        "the application's Java process, or its Python process, is gone, mostly because it was killed",
        "Nothing is lost: start it again. Where it was not killed by hand, the machine's memory was full; see spark.log",
    ),
    _known(
        "Java's memory",
        r"OutOfMemoryError|OUT_OF_MEMORY|UNABLE_TO_ACQUIRE_MEMORY|GC overhead limit",
        "Java's memory is full",
        "Start with more (--driver-memory 3g), or give the micro-batch fewer records (--max-offsets-per-trigger)",
    ),
    _known(
        "executor lost",
        r"ExecutorLostFailure|executor .* (?:lost|exited)|Executor heartbeat timed out",
        "an executor is gone",
        "The work is done again; if this goes on, see the executor's log, and give it more memory",
    ),
    _known(
        "connection broken",
        r"(?:IOException|SocketException|BrokenPipeError)\S*: .*Broken pipe",
        "the process at the other end, mostly a Python worker or its daemon, is gone",
        "Nothing is lost: it is started again. If this goes on, see workers.log and the machine's memory",
    ),
    _known(
        "InfluxDB unavailable",
        r"\bSinkUnavailable\b",
        "the points cannot be written now",
        "Nothing is lost: they are written when it is back",
    ),
    _known(
        "InfluxDB refuses",
        r"\b(?:SinkRejected|PointsRefused)\b",
        "the points are refused",
        "See INFLUXDB_TOKEN, INFLUXDB_ORG and INFLUXDB_BUCKET, and the retention of the bucket",
    ),
    _known(
        "registry unavailable",
        r"RegistryUnavailable|MlflowException",
        "the model registry does not answer",
        "The job goes on with the model that it has. See whether MLflow runs, and MLFLOW_TRACKING_URI",
    ),
)
"""In the order in which they are searched."""
