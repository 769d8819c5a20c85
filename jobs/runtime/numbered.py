"""Which names of files are numbers: Spark and the ledger number theirs, and any other file may be beside them."""


def is_number(name: str) -> bool:
    """Whether `int` reads it: `str.isdigit` alone takes what `int` refuses.

    >>> is_number("12"), is_number("\N{SUPERSCRIPT TWO}"), is_number("12.tmp"), is_number("")
    (True, False, False, False)
    """
    return name.isascii() and name.isdigit()
