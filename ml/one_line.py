"""What an error says, in one line, whatever stands in the file that it quotes."""


def one_line(error: Exception) -> str:
    r"""The text of an error without line breaks.

    >>> one_line(ValueError("unknown field `a\nb`"))
    'unknown field `a b`'
    """
    return " ".join(str(error).split())
