"""The quick scorecard: floors that a real loss falls through, and what it leaves for people and programs."""

import re

import pytest

from ml.detectors import DETECTORS
from scorecard.reasons import by_lot
from tests.scorecard.conftest import Made

pytestmark = pytest.mark.long
FIELDS = {"auc", "average_precision", "card_precision_at_100", "precision", "recall", "false_positive_rate"}
FIELDS |= {"decline_precision", "decline_recall"}


@pytest.mark.parametrize(
    ("detector", "auc", "average_precision", "recall"),
    [
        ("isolation_forest", 0.92, 0.42, 0.42),
        ("logistic_regression", 0.94, 0.50, 0.45),
        ("xgboost", 0.94, 0.58, 0.53),
        ("random_forest", 0.94, 0.56, 0.51),
        ("combined", 0.94, 0.60, 0.57),
    ],
)
def test_no_detector_falls_below_its_floor(
    made: Made, detector: str, auc: float, average_precision: float, recall: float
) -> None:
    figures = made.last_line["of_one_customer"][detector]
    assert figures["auc"] > auc
    assert figures["average_precision"] > average_precision
    assert figures["recall"] > recall
    assert made.card["standard"][detector]["figures"]["alert_share"]["value"] < 2 * 0.005


def test_the_traffic_is_neither_trivial_nor_hopeless(made: Made) -> None:
    figures = made.last_line
    assert figures["amount_and_hour"]["average_precision"] < 0.15
    assert figures["random_forest"]["average_precision"] > 2 * figures["amount_and_hour"]["average_precision"]


def test_chance_is_judged_as_chance(made: Made) -> None:
    chance = made.card["standard"]["chance"]
    assert abs(chance["figures"]["auc"]["value"] - 0.5) < 0.1
    assert chance["figures"]["average_precision"]["value"] < 3 * chance["prevalence"]


def test_the_wave_is_seen_and_calm_days_stay_calm(made: Made) -> None:
    for detector in DETECTORS:
        special = made.card["special"][detector]
        assert special["wave_caught"]["value"] > (0.4 if detector == "combined" else 0.1)
        assert special["calm_false"]["value"] < 0.01
        assert special["drift_false_before"]["value"] < 0.01


def test_every_figure_has_an_interval_and_lies_below_its_ceiling_or_says_why(made: Made) -> None:
    for judgement in made.card["standard"].values():
        for name, figure in judgement["figures"].items():
            if name.startswith("decline_") and figure["value"] is None:  # no threshold to decline by was found
                assert figure["low"] is figure["high"] is None
                continue
            assert figure["low"] <= figure["value"] <= figure["high"], name
        assert judgement["figures"]["card_precision_at_100"]["value"] <= judgement["ceilings"]["card_precision_at_100"]


def test_the_last_line_names_every_detector_and_every_scenario(made: Made) -> None:
    line = made.last_line
    scenarios, alone = line.pop("scenarios"), line.pop("of_one_customer")
    worlds, published = line.pop("worlds"), line.pop("published")
    assert alone.keys() == line.keys()
    assert worlds.keys() == {"standard", "handbook"}
    for of_world in worlds.values():
        assert of_world.keys() == {*line, "isolation_forest_no_labels"}
        assert all(set(figures) == FIELDS for figures in of_world.values())
    assert published["handbook"]["random_forest"]["auc"] == [0.867, 0.867]
    assert all(set(figures) == FIELDS for figures in alone.values())
    assert line.keys() == {*DETECTORS, "amount_and_hour", "chance"}
    assert all(set(figures) == FIELDS for figures in line.values())
    assert len(scenarios) >= 3
    assert all({"recall", "median_transactions_to_detection"} <= result.keys() for result in scenarios.values())


def test_the_combination_is_compared_with_the_best_single_detector_on_each_kind_of_data(made: Made) -> None:
    gains = made.card["gains"]
    assert gains.keys() == {"the customer's features alone", "standard, with profiles", "handbook, with profiles"}
    for data, results in (("standard", made.card["worlds"]["standard"]), ("handbook", made.card["worlds"]["handbook"])):
        reached = {name: results[name]["figures"]["average_precision"]["value"] for name in DETECTORS}
        combined = reached.pop("combined")
        one = gains[f"{data}, with profiles"]
        assert (one["single"], one["combined"]) == (max(reached.values()), combined)
    assert "The combination beside the best single detector" in (made.folder / "scorecard.html").read_text()


def test_every_kind_of_fraud_is_compared_with_its_own_rule(made: Made) -> None:
    rules, kinds = made.card["rules"], made.card["standard"]["combined"]["scenarios"]
    assert rules.keys() == kinds.keys()
    assert 0.2 < sum(rule["value"] for rule in rules.values()) / len(rules) < 0.8
    page = (made.folder / "scorecard.html").read_text()
    assert all(f"<td>{kind}<small>" in page for kind in kinds)


@pytest.mark.parametrize("detector", DETECTORS)
def test_reasons_name_what_the_fraud_has_tampered_with(made: Made, detector: str) -> None:
    named = made.card["reasons"][detector]
    alerts = {kind: one["alerts"] for kind, one in named.items()}
    assert all(one["any"] >= 0.8 * one["alerts"] for one in named.values() if one["alerts"] >= 10)
    assert sum(one["any"] for one in named.values()) > 0.9 * sum(alerts.values())
    drawn = sum(by_lot(kind)[0] * count for kind, count in alerts.items())
    assert sum(one["first"] for one in named.values()) > 1.3 * drawn


@pytest.mark.parametrize("kind", ["fixed", "adaptive"])
def test_the_alerts_of_each_day_say_the_same_as_the_table(made: Made, kind: str) -> None:
    figures = made.card["thresholds"]["combined"]
    off = [abs(alerts - 1) for alerts in made.card["days"]["combined"]["standard"][kind]]
    suffix = "_fixed" if kind == "fixed" else ""
    assert sum(one <= 0.2 for one in off) / len(off) == figures[f"days_within{suffix}"]["value"]
    assert max(off) == figures[f"furthest_day{suffix}"]["value"]
    assert "<h2>Alerts a day</h2>" in (made.folder / "scorecard.html").read_text()


def test_adaptive_thresholds_keep_nearer_to_the_budget_and_a_drift_begins_where_it_is_drawn(made: Made) -> None:
    figures, days = made.card["thresholds"]["combined"], made.card["days"]["combined"]
    assert figures["furthest_day"]["value"] < figures["furthest_day_fixed"]["value"]
    assert figures["days_within"]["value"] >= figures["days_within_fixed"]["value"]
    assert days["standard"]["since"] is None
    since = days["drift"]["since"]
    assert since == 4.0
    assert days["drift"]["fixed"][:4] == days["standard"]["fixed"][:4]
    assert days["drift"]["fixed"][4:] != days["standard"]["fixed"][4:]


def test_the_page_sets_published_figures_and_promises_beside_what_is_reached(made: Made) -> None:
    page = (made.folder / "scorecard.html").read_text()
    handbook = page[page.index("<h2>The Fraud Detection Handbook") : page.index("<h2>What is promised")]
    assert "<td>published: isolation_forest</td><td>0.808–0.826</td><td>0.164–0.261</td>" in handbook
    promised = page[page.index("<h2>What is promised") : page.index("<h2>Attack, drift and calm")]
    assert promised.count("<td>handbook</td>") == 3
    assert "most of a massive attack" in promised


def test_in_the_handbooks_world_profiles_find_terminals_that_were_taken_over(made: Made) -> None:
    kinds = made.card["worlds"]["handbook"]["random_forest"]["scenarios"]
    assert kinds["terminal_taken_over"]["recall"]["value"] > 0.2


def test_progress_is_shown_apart_from_the_results(made: Made) -> None:
    assert "seeds" in made.err
    assert "fitting" not in made.out


def test_the_page_needs_no_network_and_says_in_words_what_was_found(made: Made) -> None:
    page = (made.folder / "scorecard.html").read_text()
    short = re.search(r'<p class="short">(.*?)</p>', page)
    assert short is not None
    assert len(re.findall(r"\. [A-Z0-9]|\.$", short[1])) == 3
    assert "unknown" not in short[1]
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
    assert page.count('class="plotly-graph-div"') == 6
    assert all(f"<td>{detector}</td>" in page for detector in DETECTORS)
    assert "NaN" not in page.split("</script>", 1)[1]


def test_the_markdown_holds_eight_tables(made: Made) -> None:
    lines = (made.folder / "scorecard.md").read_text().splitlines()
    widths = [line.count("|") for line in lines if line.startswith("|")]
    assert sum(line.startswith("| ---") for line in lines) == 8
    assert set(widths) == {12, 11, 9, 6}
