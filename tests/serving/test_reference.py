"""The page at /docs: all of the description, and nothing from another host."""

import re
from html.parser import HTMLParser

from serving.description import EXAMPLES, description
from serving.reference import page, security_policy

DESCRIPTION = description("1.2.3")
PAGE = page(DESCRIPTION)


class _Elements(HTMLParser):
    """Which elements a page has, and what it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.targets: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.targets += [value or "" for name, value in attrs if name in ("href", "src", "action", "data")]
        self.ids |= {value or "" for name, value in attrs if name == "id"}


def elements() -> _Elements:
    found = _Elements()
    found.feed(PAGE)
    return found


def test_the_page_asks_no_other_host_for_anything() -> None:
    found = elements()
    assert not found.tags & {"link", "img", "iframe", "object", "embed", "base"}
    assert {target for target in found.targets if not target.startswith("#")} == {"openapi.json"}
    assert "://" not in PAGE
    assert "url(" not in PAGE
    assert security_policy().startswith("default-src 'none'; ")


def test_each_operation_and_record_is_on_the_page_and_each_link_leads_to_one() -> None:
    found = elements()
    operations = {
        operation["operationId"] for methods in DESCRIPTION["paths"].values() for operation in methods.values()
    }
    assert operations | {f"schema-{name}" for name in DESCRIPTION["components"]["schemas"]} <= found.ids
    assert {target[1:] for target in found.targets if target.startswith("#")} <= found.ids
    assert PAGE.count("<textarea") == sum(len(examples) for examples in EXAMPLES.values())


def test_a_field_is_shown_with_its_type_and_bounds() -> None:
    plain = " ".join(re.sub(r"<[^>]+>", " ", PAGE).split())
    assert "amount number, at least 0 required" in plain
    assert "decision approve, decline, review required" in plain
    assert "latitude number, at least -90, at most 90 or null" in plain.replace(".0", "")
