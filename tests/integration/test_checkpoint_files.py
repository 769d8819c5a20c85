"""By which class a checkpoint's files are written, and that none of two writers is silently lost."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.runtime import file_systems
from jobs.runtime.checkpoint import scratch_folder
from jobs.runtime.claim import Holder
from jobs.runtime.lease import HadoopFiles, LeaseClaim, Times
from jobs.runtime.storage import DurableFolder
from jobs.status import local_checkpoint

BARE = "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem"


@pytest.fixture(params=[None, BARE], ids=["Hadoop's local files", "bare local files"])
def hadoop(request: pytest.FixtureRequest, spark: SparkSession) -> Any:
    """Hadoop's configuration, with either class for local files, as with and without `python -m jobs submit`."""
    jvm: Any = spark._jvm
    configuration = jvm.org.apache.hadoop.conf.Configuration(file_systems.configuration(jvm))
    if request.param is not None:
        configuration.set("fs.file.impl", request.param)
        configuration.setBoolean("fs.file.impl.disable.cache", True)
    return configuration


@pytest.mark.parametrize(
    ("uri", "default", "manager"),
    [
        ("checkpoint", "file:///", file_systems.LOCAL),
        ("/a/b c", "file:///", file_systems.LOCAL),
        ("file:///a", "hdfs://cluster", file_systems.LOCAL),
        ("hdfs://cluster/a", "file:///", file_systems.ELSEWHERE),
        ("s3a://bucket/a", "file:///", file_systems.ELSEWHERE),
        ("/a", "hdfs://cluster", file_systems.ELSEWHERE),
        ("a", "abfs://c@x", file_systems.ELSEWHERE),
    ],
)
def test_the_manager_is_chosen_by_the_file_system(spark: SparkSession, uri: str, default: str, manager: str) -> None:
    jvm: Any = spark._jvm
    configuration = jvm.org.apache.hadoop.conf.Configuration(False)
    configuration.set("fs.defaultFS", default)
    assert file_systems.manager(uri, configuration) == manager


@pytest.mark.parametrize("uri", ["relative/a", "/abs/b c", "file:/one", "file:///three", "/a%20b", "file:///a%20b"])
def test_a_local_path_is_what_hadoop_takes_it_for_with_java_and_without(hadoop: Any, uri: str) -> None:
    found = file_systems.local_path(uri, hadoop)
    assert found is not None
    assert file_systems.hadoop_path(uri, hadoop).toUri().getPath() == str(found)
    named = local_checkpoint(uri)
    assert named.absolute() == found
    assert scratch_folder(uri, "x") == scratch_folder(str(named), "x")


@pytest.mark.parametrize("manager", [file_systems.LOCAL, file_systems.ELSEWHERE])
def test_the_second_of_two_writers_of_one_file_is_told_and_the_first_ones_file_stays(
    spark: SparkSession, hadoop: Any, tmp_path: Path, manager: str
) -> None:
    jvm: Any = spark._jvm
    root = jvm.org.apache.hadoop.fs.Path(str(tmp_path))
    files = getattr(jvm, manager)(root, hadoop)
    path = jvm.org.apache.hadoop.fs.Path(root, "7")
    first, second = files.createAtomic(path, False), files.createAtomic(path, False)
    first.write(b"first")
    second.write(b"second")
    first.close()
    with pytest.raises(Exception, match=r"FAILED_RENAME_PATH|[Ee]xists"):
        second.close()
    assert (tmp_path / "7").read_bytes() == b"first"


def test_a_folder_of_small_files_is_written_on_a_local_disk_whatever_the_default(
    spark: SparkSession, tmp_path: Path
) -> None:
    folder = DurableFolder(spark, f"file://{tmp_path}/small")
    folder.write("a", b"1")
    assert folder.read("a") == b"1"
    with pytest.raises(Exception, match=r"FAILED_RENAME_PATH|[Ee]xists|there is a file"):
        folder.write("a", b"2")
    assert folder.read("a") == b"1"


def test_a_lease_works_on_hadoops_file_systems(spark: SparkSession, hadoop: Any, tmp_path: Path) -> None:
    times = Times(renew=0.1, lost=2, silence=3, settle=0.3)

    def claim(host: str) -> LeaseClaim:
        return LeaseClaim(HadoopFiles(spark._jvm, str(tmp_path), hadoop), "x", "detect", Holder(host, 1, 1, 0), times)

    first = claim("one")
    first.take()
    for _ in range(20):
        first.check()
    second = claim("two")
    second.take()  # the first is silent
    with pytest.raises(Exception, match="was taken over"):
        first.check()
    second.release()
    assert not list((tmp_path / "locks").glob("*.lease"))
