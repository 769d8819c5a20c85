"""The file that declares extras: what is in it, and what is refused, with the file, the extra and what came."""

from pathlib import Path

import pytest

from ml.features.declared import MOST, DeclarationError, Extra, names, read

WHOLE = """
[account_age]
lowest = 0
highest = 36_500
about = "days since the account was opened"

[device_risk]
lowest = 0.0
highest = 1.0
about = "risk of the device"
unknown = 0.5
"""


def declared(folder: Path, text: str) -> tuple[Extra, ...]:
    file = folder / "extras.toml"
    file.write_text(text, "utf-8")
    return read(file)


def test_a_declaration_names_each_extra_with_its_range(tmp_path: Path) -> None:
    found = declared(tmp_path, WHOLE)
    assert names(found) == ("account_age", "device_risk")
    assert found[0] == Extra("account_age", 0, 36_500, "days since the account was opened")
    assert found[1].unknown == 0.5
    assert read(None) == ()


ONE = 'lowest = 0, highest = 1, about = "a"'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "must declare 1 to 64 extras, each as a table, but it has 0"),
        ("\n".join(f"e{k} = {{{ONE}}}" for k in range(MOST + 1)), "but it has 65"),
        (f"a = {{{ONE}}}\na = {{{ONE}}}", "is not TOML"),
        ("a = {" * 5_000, "is not TOML"),
        (f"amount = {{{ONE}}}", "declares an extra 'amount'"),
        (f"count_1h = {{{ONE}}}", "declares an extra 'count_1h'"),
        (f"extra_a = {{{ONE}}}", "declares an extra 'extra_a'"),
        (f'"a b" = {{{ONE}}}', "declares an extra 'a b'"),
        (f"2nd = {{{ONE}}}", "declares an extra '2nd'"),
        (f"{'a' * 65} = {{{ONE}}}", "has at most 64 characters"),
        ("a = 5", "the extra a in .* must have lowest and highest .*: Expected `object`, got `int`"),
        ('a = {lowest = 0, about = "a"}', "missing required field `highest`"),
        ("a = {lowest = 0, highest = 1}", "missing required field `about`"),
        (f"a = {{{ONE}, hihgest = 1}}", "unknown field `hihgest`"),
        ('a = {lowest = "0", highest = 1, about = "a"}', r"Expected `float`, got `str` - at `\$.lowest`"),
        ('a = {lowest = true, highest = 1, about = "a"}', "Expected `float`, got `bool`"),
        ('a = {lowest = 0, highest = inf, about = "a"}', "must have finite numbers, lowest below highest"),
        ('a = {lowest = nan, highest = 1, about = "a"}', "must have finite numbers"),
        ('a = {lowest = 1, highest = 1, about = "a"}', "lowest below highest, but they are 1 and 1"),
        (f"a = {{{ONE}, unknown = nan}}", "must have finite numbers"),
        (f'a = {{lowest = 0, highest = {10**400}, about = "a"}}', "the extra a in"),
        (f"a = {{lowest = 0, highest = {'1' * 5_000}}}", "can't be read"),
        (f'a = {{{ONE}, "b\\nc" = 1}}', "unknown field"),
        (f'a = {{{ONE}, "b\\u2028c" = 1}}', "unknown field"),
    ],
)
def test_what_is_no_declaration_is_refused_in_words(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(DeclarationError, match=complaint) as refused:
        declared(tmp_path, text)
    assert len(str(refused.value).splitlines()) == 1


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="can't be read"):
        read(tmp_path / "none.toml")
    with pytest.raises(DeclarationError, match="can't be read"):
        read(tmp_path / "no\0name")
    (tmp_path / "extras.toml").write_bytes(b"\xff")
    with pytest.raises(DeclarationError, match="can't be read"):
        read(tmp_path / "extras.toml")
