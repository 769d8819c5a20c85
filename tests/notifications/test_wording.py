"""What messages say; and that no text of others breaks one, whatever its form."""

import html.parser
import json
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.schema import Event, Score
from notifications import defaults
from notifications.books import Message, Tally
from notifications.errors import PolicyError
from notifications.items import Item, of_event, of_score
from notifications.wording import FORMATS, LONGEST_BODY, LONGEST_TITLE, Wording

BUILT_IN = Wording(None, None)
HOSTILE = (
    "</li><script>alert(1)</script>\r\nSubject: x\x00\u202e**b** [a](http://evil) @channel <!here> {{ 7*7 }} {% raw %}"
)


def score(**changes: object) -> Score:
    fields = {
        "transaction_id": "t",
        "event_time": datetime(2026, 1, 1, tzinfo=UTC),
        "customer_id": "c",
        "amount": 5.0,
        "schema_version": 2,
        "partition": 1,
        "offset": 2,
        "features": [],
        "anomaly_score": 0.9,
        "is_anomaly": True,
        "threshold": 0.5,
        "model_name": "m",
        "model_digest": "",
        "feature_set": "",
        "lane": "spark",
        **dict.fromkeys(("late", "key_mismatch", "order_undefined"), False),
        **dict.fromkeys(("kafka_time", "model_version", "threshold_version", "fold_version", "micro_batch"), 1),
        **dict.fromkeys(("profile_version", "scored_at"), 1),
    }
    return Score(**(fields | changes))  # type: ignore[arg-type]


def case(item: Item, kind: str = "case") -> Message:
    firing = (item.kept(),) if item.record == "event" else ()
    group = {"customer_id": item.names.customer_id}
    new, total = Tally.of(item), Tally(9)
    return Message("7-2", "desk", "large", kind, 0.0, "critical", "7", 2, group, new, total, firing)  # type: ignore[arg-type]


class Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_case_says_what_is_at_stake_why_and_where_to_look() -> None:
    title, body = BUILT_IN.of(next(defaults.samples("desk")), "text", page_url="https://page.bank/")
    assert title == "⚠️ 1 alert, 1,240 EUR, c-17"
    assert "1,240 EUR, score 0.83" in body
    assert "2,000 km/h since the place before, usually at most 120 km/h" in body
    assert "https://page.bank/?customer=c-17" in body
    assert body.endswith("Case 1, message 1 · sample · delivery desk/1-1")


@pytest.mark.parametrize("form", FORMATS)
def test_each_kind_of_message_has_a_title_and_a_body_in_each_form(form: str) -> None:
    for message in defaults.samples():
        title, body = BUILT_IN.of(message, form)
        assert "\n" not in title
        assert "Scoreline" in title or "alert" in title
        assert "delivery sample/" in body.replace("\\", "")
        assert "  \n\n\n" not in body


texts = st.one_of(st.just(HOSTILE), st.text(max_size=300))


@hypothesis_settings(max_examples=150)
@given(texts, texts, st.sampled_from(FORMATS), st.floats(0), st.booleans())
def test_no_text_of_others_breaks_a_message(first: str, second: str, form: str, amount: float, is_event: bool) -> None:
    if is_event:
        item = of_event(
            Event(
                at=datetime(2026, 1, 1, tzinfo=UTC),
                kind="drift",
                severity="warning",
                subject=first or "x",
                words=second or "y",
            ),
            "0/1",
        )
    else:
        item = of_score(
            score(transaction_id=first, customer_id=second, merchant_id=first, currency=second, amount=amount), "0/1"
        )
    title, body = BUILT_IN.of(case(item), form, page_url="https://page.bank")
    assert len(title) <= LONGEST_TITLE
    assert len(body) <= LONGEST_BODY
    assert not [c for c in title + body.replace("\n", "") if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert "\u202e" not in title + body
    json.dumps([title, body]).encode()
    if form == "html":
        tags = Tags()
        tags.feed(body)
        tags.close()
        assert not tags.open
        assert tags.seen <= {"ul", "li", "b", "br", "p", "a", "small"}
    without_link = body.replace("https://page.bank", "")
    assert "://" not in without_link
    assert "@channel" not in without_link
    assert "<!" not in without_link


def test_markdown_of_others_stays_text() -> None:
    item = of_score(score(customer_id="**bold** [x](y) `z` _u_ #1"), "0/1")
    _, body = BUILT_IN.of(case(item), "markdown")
    assert r"\*\*bold\*\* \[x\]\(y\) \`z\` \_u\_ \#1" in body


def test_a_long_message_has_fewer_details_and_never_more_than_the_receiver_takes() -> None:
    item = of_score(score(customer_id="c" * 300), "0/1")
    tally = Tally()
    for _ in range(50):
        tally.add(item)
    message = case(item)
    message = Message(**{name: getattr(message, name) for name in message.__struct_fields__} | {"new": tally})
    for longest in (200, 700, 2_000):
        for form in FORMATS:
            assert len(BUILT_IN.of(message, form, longest)[1]) <= longest


def test_own_templates_are_tried_when_the_policy_is_read() -> None:
    own = Wording("{{ count }} of {{ route }}", "{% for item in items %}{{ item.names.customer_id }}{% endfor %}")
    item = of_score(score(customer_id="<b>"), "0/1")
    assert own.of(case(item), "html") == ("1 of large", "‹b›")
    for wrong in (
        "{{ nothing }}",
        "{% for %}",
        "{{ message.__class__.__mro__ }}",
        "{{ 1 / 0 }}",
        "{{ items[99].key }}",
    ):
        with pytest.raises(PolicyError, match="can't be used"):
            Wording(wrong, None)


def test_the_templates_are_in_the_package() -> None:
    assert {path.stem for path in Path(defaults.__file__).parent.glob("templates/*.j2")} == {"title", *FORMATS}
