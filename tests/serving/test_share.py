"""Partitions shared out over several machines: who serves a customer, and where he is served else."""

from pathlib import Path

import pytest

from serving.errors import ServiceError
from serving.share import Elsewhere, Share


def test_a_machine_with_no_partitions_named_serves_every_customer() -> None:
    assert Share.read("", None).elsewhere("c-1", 6) is None
    assert Share.read("", None).has(5)


def test_each_customer_is_served_by_one_of_the_machines_and_the_others_know_by_which(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("http://second:8089: 3-5\n")
    second.write_text("http://first:8089: 0-1,2\n")
    one, two = Share.read("0-2", first), Share.read("3,4,5", second)
    for number in range(200):
        customer = f"c-{number}"
        of_one, of_two = one.elsewhere(customer, 6), two.elsewhere(customer, 6)
        assert (of_one is None) != (of_two is None)
        if of_one is not None:
            assert of_one == Elsewhere(of_one.partition, "http://second:8089")
            assert two.has(of_one.partition)
    assert one.name == "0-1-2"


def test_a_machine_that_nobody_named_is_without_an_address() -> None:
    assert Share(frozenset()).elsewhere("c-1", 1) == Elsewhere(0, None)


@pytest.mark.parametrize("spans", ["a", "1-", "-1", "0,,1", "0-9999999"])
def test_what_is_no_span_of_partitions_is_refused(spans: str) -> None:
    with pytest.raises(ServiceError, match="partitions"):
        Share.read(spans, None)


@pytest.mark.parametrize("content", ["- 1", "a: [1]", "\x00", "http://x: q"])
def test_a_file_that_names_no_machines_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "elsewhere.yaml"
    file.write_text(content)
    with pytest.raises(ServiceError) as refused:
        Share.read("0", file)
    assert "\n" not in str(refused.value)
