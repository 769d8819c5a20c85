"""Numbers as people write them: with separated thousands, a currency, brackets or a minus behind."""

import re
from typing import Any, Final

import pyarrow.compute

pc: Any = pyarrow.compute

_SPACES: Final = " \\x{00A0}\\x{202F}\\x{2009}"
_APART: Final = {".": f",'’{_SPACES}", ",": f".'’{_SPACES}"}
"""What may stand between thousands, by what stands before the decimals."""
_CURRENCY: Final = r"(?:[A-Z]{0,3}\p{Sc}|[A-Z]{3}|kr\.?|zł|Kč|Ft|Fr\.)"
_SIGN: Final = "[+−-]?"
_SIGN_AT_END: Final = r"^([^+−-].*?)\s*[−-]$"


def plain(column: Any, decimal: str) -> Any:
    """Texts (n,) as `float` reads them, null where they are no number. decimal: what stands before the decimals.

    Whether a separator parts thousands or decimals is never guessed from a value: with "." as decimal, "1.234" is little more
    than one, and "1,234" a thousand.

    >>> import pyarrow as pa
    >>> plain(pa.array(["$134.09", "1,000.00", "(12.50)", "-$5", "7 EUR", "1.234,56"]), ".").to_pylist()
    ['134.09', '1000.00', '-12.50', '-5', '7', None]
    >>> plain(pa.array(["12.50-", "12.50- EUR", "$12.50 −"]), ".").to_pylist()
    ['-12.50', '-12.50', '-12.50']
    >>> plain(pa.array(["1.234,56 €", "1.234", "1 000,5", "12.50"]), ",").to_pylist()
    ['1234.56', '1234', '1000.5', None]
    """
    apart, point = f"[{_APART[decimal]}]", re.escape(decimal)
    bracketed = pc.match_substring_regex(column, r"^\(.*\)$")
    text = pc.replace_substring_regex(column, r"^\((.*)\)$", r"\1")
    text = pc.replace_substring_regex(text, _SIGN_AT_END, r"-\1")
    text = pc.replace_substring_regex(text, rf"\s*{_CURRENCY}$", "")
    text = pc.replace_substring_regex(text, _SIGN_AT_END, r"-\1")
    text = pc.replace_substring_regex(text, rf"^({_SIGN})\s*{_CURRENCY}\s*({_SIGN})", r"\1\2")
    text = pc.utf8_trim_whitespace(text)
    grouped = rf"\d{{1,3}}(?:{apart}\d{{2,3}})*{apart}\d{{3}}"
    form = rf"^{_SIGN}(?:(?:{grouped}|\d+)(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?$"
    text = pc.if_else(pc.match_substring_regex(text, form), text, None)
    text = pc.replace_substring_regex(pc.replace_substring_regex(text, apart, ""), "−", "-")
    text = pc.replace_substring_regex(text, point, ".")
    signed = pc.match_substring_regex(text, "^[+-]")
    minus = pc.binary_join_element_wise("-", text, "")
    return pc.if_else(bracketed, pc.if_else(signed, None, minus), text)
