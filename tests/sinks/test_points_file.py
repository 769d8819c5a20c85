from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from sinks.points_file import PointsFileSink
from tests.sinks.database import Database


def write_many(path: Path, writer: int) -> None:
    with PointsFileSink(path) as sink:
        for batch in range(20):
            sink.write(b"".join(b"m,t=%d n=%di %d\n" % (writer, batch, batch * 1000 + row) for row in range(1000)))


def test_several_processes_append_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "points.lp"
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(write_many, [path] * 2, range(2)))
    lines = path.read_bytes().splitlines()
    assert len(set(lines)) == len(lines) == 40_000
    assert all(line.startswith(b"m,t=") and line.count(b" ") == 2 for line in lines)


def test_half_a_line_that_a_killed_process_left_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "points.lp"
    path.write_bytes(b"m n=1i 1\nm n=2")
    with PointsFileSink(path) as sink:
        sink.write(b"m n=3i 3\n")
    assert path.read_bytes().splitlines()[1:] == [b"m n=2", b"m n=3i 3"]


def test_the_file_can_be_loaded_into_influxdb_and_a_retry_s_points_become_one(
    tmp_path: Path, database: Database
) -> None:
    path = tmp_path / "points.lp"
    with PointsFileSink(path) as sink:
        for _ in range(2):
            sink.write(b"m n=1i 1\nm n=2i 2\n")
    with database.sink() as influxdb:
        influxdb.write(path.read_bytes())
    assert database.query("SELECT count(n) FROM m")[0]["count"] == 2
