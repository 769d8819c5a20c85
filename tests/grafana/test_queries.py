"""Every InfluxQL query of the dashboards, sent to a real InfluxDB that the code of publish and of the lake has filled."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grafana.asking import Query, QueryFailed, Span, influx_queries, run, sent
from jobs.score_sums import BINS
from tests.grafana.conftest import Filled

QUERIES = influx_queries()
FILTERED = [query for query in QUERIES if "${" in query.text]
ALERTS = [query for query in QUERIES if query.kind == "panel" and 'FROM "alert"' in query.text]

_NAME = re.compile(r'"([^"]+)"')
_ALIAS = re.compile(r'AS "([^"]+)"')
_MEASUREMENT = re.compile(r'FROM "(\w+)"')


def _id(query: Query) -> str:
    return f"{query.board}, {query.place}"


@pytest.mark.parametrize("query", QUERIES, ids=_id)
def test_every_query_of_the_dashboard_returns_data(query: Query, filled: Filled) -> None:
    span = filled.range_of(query)
    assert run(query, filled.url, filled.database, span), sent(query, span)


@pytest.mark.parametrize("query", QUERIES, ids=_id)
def test_every_name_in_a_query_is_a_field_or_tag_that_publish_writes(query: Query, filled: Filled) -> None:
    [measurement] = set(_MEASUREMENT.findall(query.text))
    names = set(_NAME.findall(query.text)) - set(_ALIAS.findall(query.text)) - {measurement}
    written = _written("FIELD", "fieldKey", measurement, filled) | _written("TAG", "tagKey", measurement, filled)
    assert written, f"{query.place}: publish writes no measurement {measurement!r}"
    assert names <= written


def _written(kind: str, column: str, measurement: str, filled: Filled) -> set[str]:
    keys = Query("panel", measurement, f'SHOW {kind} KEYS FROM "{measurement}"', 0)
    return {str(row[column]) for row in run(keys, filled.url, filled.database, filled.span)}


@pytest.mark.parametrize("query", FILTERED, ids=_id)
def test_a_value_that_no_point_has_leaves_a_filtered_panel_empty(query: Query, filled: Filled) -> None:
    assert not run(
        query, filled.url, filled.database, filled.span, chosen={"merchant_category": ["none"], "model_name": ["none"]}
    )


@pytest.mark.parametrize("query", [q for q in QUERIES if "$timeFilter" in q.text], ids=_id)
def test_a_time_range_without_points_leaves_a_panel_empty(query: Query, filled: Filled) -> None:
    before = Span(filled.span.begin - 10**9, filled.span.begin - 10**9 + 1_000_000)
    assert not run(query, filled.url, filled.database, before)


def test_a_category_with_slashes_brackets_and_bars_can_be_chosen(filled: Filled) -> None:
    odd = "food/drink (all) | more"
    expected = sum(score.is_anomaly and score.merchant_category == odd for score in filled.scores)
    assert _alerts(filled, {"merchant_category": [odd]}) == expected > 0


def test_several_values_of_several_variables_narrow_the_alerts_together(filled: Filled) -> None:
    chosen = {"merchant_category": ["groceries", "fuel"], "country": ["DE"], "channel": ["online", "unknown"]}
    expected = sum(
        score.is_anomaly
        and score.merchant_category in ("groceries", "fuel")
        and score.country == "DE"
        and score.channel in ("online", None)
        for score in filled.scores
    )
    assert _alerts(filled, chosen) == expected > 0


def _alerts(filled: Filled, chosen: dict[str, list[str]]) -> int:
    [row] = run(_of("Alerts"), filled.url, filled.database, filled.span, chosen=chosen)
    return int(row["count"])


def test_the_figures_are_those_of_the_scores(filled: Filled) -> None:
    anomalies = [score for score in filled.scores if score.is_anomaly]
    [share] = run(_of("Alert share"), filled.url, filled.database, filled.span)
    assert share["share"] == pytest.approx(100 * len(anomalies) / len(filled.scores))
    bins: Counter[float] = Counter()
    for row in run(_of("Anomaly scores"), filled.url, filled.database, filled.span):
        bins.update({float(name): count for name, count in row.items() if name != "time" and count})
    assert bins == Counter(int(score.anomaly_score * BINS) / BINS for score in filled.scores)
    by_currency = run(_of("Amount by currency"), filled.url, filled.database, filled.span)
    for found in by_currency:
        amounts = [score.amount for score in filled.scores if score.currency == found["currency"]]
        alerted = [score.amount for score in anomalies if score.currency == found["currency"]]
        assert (found["scored"], found["alerted"]) == (pytest.approx(sum(amounts)), pytest.approx(sum(alerted)))
    assert {found["currency"] for found in by_currency} == {"EUR", "USD"}
    [dead] = run(_of("Dead letters"), filled.url, filled.database, filled.span)
    assert dead["sum"] == 60
    by_country = run(_of("Alerts by country"), filled.url, filled.database, filled.span)
    assert {row["country"]: row["alerts"] for row in by_country} == Counter(
        score.country or "unknown" for score in anomalies
    )
    highest = run(_of("Highest alerts"), filled.url, filled.database, filled.span)
    assert {row["transaction"] for row in highest} == {
        score.transaction_id for score in sorted(anomalies, key=lambda score: -score.anomaly_score)[:20]
    }
    latest = run(_of("Latest alerts"), filled.url, filled.database, filled.span)
    assert [row["transaction"] for row in latest] == [
        score.transaction_id for score in sorted(anomalies, key=lambda score: (score.kafka_time, score.offset))[:-21:-1]
    ]


def test_a_promotion_is_an_annotation(filled: Filled) -> None:
    [annotation] = [query for query in QUERIES if query.kind == "annotation"]
    assert [row["step"] for row in run(annotation, filled.url, filled.database, filled.span)] == [1]


def test_a_refused_query_names_its_place_and_the_reason(filled: Filled) -> None:
    broken = Query("panel", "panel 'Lag', query A", 'SELECT last("lag" FROM "throughput"', 0)
    with pytest.raises(QueryFailed, match=r"panel 'Lag', query A: .*error parsing query"):
        run(broken, filled.url, filled.database, filled.span)


def test_a_variable_that_nobody_defines_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"panel x: \$\{segment:regex\} is no variable"):
        sent(Query("panel", "panel x", "WHERE segment =~ /^${segment:regex}$/", 0), Span(0, 1))


def test_the_time_filter_in_braces_is_an_error_since_grafana_leaves_it_as_it_is() -> None:
    with pytest.raises(ValueError, match="timeFilter"):
        sent(Query("panel", "panel x", "WHERE ${timeFilter}", 0), Span(0, 1))


@given(st.lists(st.text(min_size=1), min_size=1, max_size=3))
def test_a_chosen_value_matches_itself_whatever_characters_it_has(values: list[str]) -> None:
    query = Query("panel", "panel x", "${country:regex}", 0)
    pattern = re.compile(sent(query, Span(0, 1), {"country": values}).replace("\\/", "/"))
    assert all(pattern.fullmatch(value) for value in values)
    assert not pattern.fullmatch("".join(values) + "?")


def _of(title: str) -> Query:
    [query] = [query for query in QUERIES if query.place == f"panel {title!r}, query A"]
    return query
