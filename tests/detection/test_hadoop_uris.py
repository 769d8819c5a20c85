"""What names a file for the job names the same file for the service that looks at it."""

from pathlib import Path

import pytest

from detection.hadoop_uris import on_this_machine
from serving import judging


@pytest.mark.parametrize("uri", ["s3a://bucket/a", "hdfs:/a", "FILE:///a", "viewfs://x/a"])
def test_what_is_on_another_file_system_is_refused_in_words(uri: str) -> None:
    with pytest.raises(ValueError, match="has to be on this machine"):
        on_this_machine(uri)


@pytest.mark.parametrize("scheme", ["", "file:", "file://"])
def test_the_service_reads_a_table_of_profiles_where_the_job_announces_it(tmp_path: Path, scheme: str) -> None:
    folder = tmp_path / "a%20b #1" / "profiles-made"
    folder.mkdir(parents=True)
    (folder / "7.profiles").write_bytes(b"content")
    assert judging._read(f"{scheme}{folder}", "7.profiles") == b"content"
