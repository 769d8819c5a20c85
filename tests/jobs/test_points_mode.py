"""Which scores become points, by the rate in Kafka's times: a retry decides alike, before and after a restart."""

from hypothesis import given
from hypothesis import strategies as st

from detection.durable_folder import DurableFolder, Files
from jobs.points_mode import Points, PointsMode
from jobs.throughput import Tally


class InMemory(Files):
    """A folder that is lost with the test."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}

    def read(self, name: str) -> bytes | None:
        return self.content.get(name)

    def write(self, name: str, content: bytes) -> None:
        self.content[name] = content

    def names(self) -> list[str]:
        return list(self.content)

    def delete(self, name: str) -> None:
        self.content.pop(name, None)


def mode(folder: DurableFolder) -> PointsMode:
    return PointsMode(folder, most=2_000, seconds=5)


def held(scored: int, seconds: float = 5) -> Tally:
    return Tally(scored=scored, first_time=1_000_000, last_time=1_000_000 + round(seconds * 1000))


def test_a_micro_batch_after_a_fast_one_is_sampled_and_one_after_a_slow_one_is_written_whole() -> None:
    modes = mode(DurableFolder(InMemory()))
    seen = []
    for number, tally in enumerate([held(10_000), held(10_001), held(300_000), held(5), held(5)]):
        seen.append(modes.of(number))
        modes.learn(number, tally)
    assert seen == ["all", "all", "sampled", "sampled", "all"]


def test_what_waited_for_long_is_judged_by_its_own_times_and_not_by_how_much_it_is() -> None:
    modes = mode(DurableFolder(InMemory()))
    modes.learn(0, held(800_000, seconds=800))
    assert modes.of(1) == "all"


def test_a_burst_of_a_few_scores_is_no_rate() -> None:
    modes = mode(DurableFolder(InMemory()))
    modes.learn(0, held(500, seconds=0.01))
    assert modes.of(1) == "all"


def test_another_checkpoint_that_counts_from_its_beginning_writes_all() -> None:
    folder = DurableFolder(InMemory())
    mode(folder).learn(70, held(300_000))
    assert [mode(folder).of(number) for number in (0, 69, 70, 71)] == ["all", "all", "all", "sampled"]


@given(
    counts=st.lists(st.sampled_from([10, 9_000, 11_000, 400_000]), min_size=1, max_size=12),
    kills=st.lists(st.tuples(st.integers(0, 11), st.booleans()), max_size=5),
)
def test_a_retry_after_a_restart_at_any_step_has_the_mode_of_the_first_attempt(
    counts: list[int], kills: list[tuple[int, bool]]
) -> None:
    undisturbed = mode(DurableFolder(InMemory()))
    expected: list[Points] = []
    for number, count in enumerate(counts):
        expected.append(undisturbed.of(number))
        undisturbed.learn(number, held(count))

    folder = DurableFolder(InMemory())
    modes = mode(folder)
    for number, count in enumerate(counts):
        for _, learned in [kill for kill in kills if kill[0] == number]:
            assert modes.of(number) == expected[number]
            if learned:  # killed between that and Spark's own commit
                modes.learn(number, held(count))
            modes = mode(folder)
        assert modes.of(number) == expected[number]
        modes.learn(number, held(count))
