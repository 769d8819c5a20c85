"""Why something failed, found in an error of Spark, Java or Python: the cause at the bottom, in one line."""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

_DEEPEST: Final = 40
_MOST: Final = 400
# Whatever follows these in a message is a plan, a dump or a trace: many lines that name no cause.
_APPENDIX: Final = re.compile(
    r"(?:=== Streaming Query ===|== (?:Parsed|Analyzed|Optimized|Physical)[\w ]*Plan ==|Current Committed Offsets:"
    r"|(?:Logical )?Plan:\s*$|JVM stacktrace:|Driver stacktrace:|Thread State:|\"[^\"\n]+\" #\d+ .*prio=)",
    re.MULTILINE,
)
_TRACE_LINE: Final = re.compile(
    r"\s*(?:at [\w.$/<>]+\(|\.\.\. \d+ more|[+:]- |\+- |\*\(\d+\)|Traceback \(most|File \"|Thread State)"
)
# As Java prints a cause, and as py4j prints what Java threw.
_THROWN: Final = re.compile(r"^\s*(?:Caused by|): ((?:[A-Za-z_$][\w$]*\.)*[A-Z][\w$]*)(?:: (.*))?$")
_MESSAGE_LINES: Final = 10
_NAMELESS: Final = re.compile(r"\[_LEGACY_ERROR_\w+\] ")
_LOST_TASK: Final = re.compile(r"most recent failure: Lost task .*?\): ((?:\w+\.)+[A-Z][\w$]*): (.*)")
_TRACEBACK: Final = "Traceback (most recent call last):"
_ERROR_NAME: Final = re.compile(r"^((?:\w+\.)*[A-Za-z_]\w*)(?:: (.*))?$")


class Link(NamedTuple):
    """One error of a chain. kind: its class with its package; condition: Spark's name for it, where Spark has one."""

    kind: str
    condition: str | None
    message: str

    @property
    def name(self) -> str:
        """What a person looks for: Spark's name of the error, or its class."""
        condition = self.condition or ""
        return condition if condition and not condition.startswith("_") else re.split(r"[.$]", self.kind)[-1]

    def __str__(self) -> str:
        said = first_sentence(_NAMELESS.sub("", self.message))
        return f"{self.name}: {said}" if said and said != self.name else self.name


def links(error: BaseException) -> list[Link]:
    """The chain of an error, the outermost first: Python's causes, Java's, and those that are in texts only."""
    found: list[Link] = []
    seen: set[int] = set()
    here: BaseException | None = error
    while here is not None and id(here) not in seen and len(found) < _DEEPEST:
        seen.add(id(here))
        found += _of_python(here)
        here = here.__cause__
    return found


def _of_python(error: BaseException) -> Iterator[Link]:
    thrown = _thrown(error)
    if thrown is not None:
        yield from _of_java(thrown)
        return
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    text = getattr(error, "_desc", None) or _text_of(error)
    condition = error.getCondition() if isinstance(error, PySparkException) else None
    yield from _of_text(Link(kind, condition, text))
    inner = getattr(error, "_cause", None)
    if isinstance(inner, BaseException):
        yield from links(inner)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as unreadable:  # noqa: BLE001  # an error that cannot be printed is still an error
        return f"(its text cannot be read: {type(unreadable).__name__})"


def _thrown(error: BaseException) -> Any:
    """The Java throwable that Python's error stands for, if it does."""
    if isinstance(error, Py4JJavaError):
        return error.java_exception
    return getattr(error, "_origin", None)


def _of_java(thrown: Any) -> Iterator[Link]:
    for _ in range(_DEEPEST):
        condition = _condition(thrown)
        yield from _of_text(Link(thrown.getClass().getName(), condition, thrown.getMessage() or ""))
        inner = thrown.getCause()
        if inner is None or inner.equals(thrown):
            return
        thrown = inner


def _condition(thrown: Any) -> str | None:
    from py4j.java_gateway import is_instance_of
    from pyspark import SparkContext

    if not is_instance_of(SparkContext._gateway, thrown, "org.apache.spark.SparkThrowable"):
        return None
    name = thrown.getCondition()
    return None if name is None else str(name)


def _of_text(link: Link) -> Iterator[Link]:
    """The link, and the errors that its text names: Java's causes, and what Python raised in a task or a callback."""
    yield link
    if (lost := _LOST_TASK.search(link.message)) is not None:
        yield Link(lost[1], None, lost[2])
    yield from _of_tracebacks(link.message)
    lines = link.message.splitlines()
    for place, line in enumerate(lines):
        if (named := _THROWN.match(line)) is not None:
            yield Link(named[1], None, "\n".join([named[2] or "", *_more(lines[place + 1 :])]))


def _more(lines: list[str]) -> Iterator[str]:
    """The further lines of a message, up to the trace that follows it."""
    for line in lines[:_MESSAGE_LINES]:
        if _TRACE_LINE.match(line) or _THROWN.match(line):
            return
        yield line


def _of_tracebacks(text: str) -> Iterator[Link]:
    """What each Python traceback in a text ended with. A frame is indented, what was raised is not."""
    for block in text.split(_TRACEBACK)[1:]:
        lines = block.splitlines()
        for place, line in enumerate(lines):
            raised = _ERROR_NAME.match(line)
            if raised is not None and place and lines[place - 1].startswith(" "):
                rest = [other for other in lines[place + 1 : place + 20] if other.strip()]
                yield Link(raised[1], None, raised[2] or next(iter(rest), "").strip())
                break


def first_sentence(message: str) -> str:
    """What a message says before its plans, dumps and traces, on one line of at most 400 characters."""
    said = message[: found.start()] if (found := _APPENDIX.search(message)) else message
    lines = []
    for line in (line for line in said.splitlines() if line.strip()):
        if _TRACE_LINE.match(line):
            break
        lines.append(" ".join(line.split()))
    text = " ".join(lines)
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


# Errors that only carry another one. Their own text is reported where nothing better is known.
_CARRIERS: Final = re.compile(
    r"STREAM_FAILED|FOREACH_BATCH_USER_FUNCTION_ERROR|FOREACH_USER_FUNCTION_ERROR|TASK_WRITE_FAILED|PYTHON_EXCEPTION"
    r"|Py4J\w*|StreamingQueryException|UnknownException|ExecutionException|UncheckedExecutionException"
    r"|UndeclaredThrowableException|InvocationTargetException|RetryError|PythonException|SparkException"
    r"|SparkRuntimeException|WRITING_JOB_ABORTED|UDF_ERROR.*"
)


def carries(link: Link) -> bool:
    """Whether the link only carries another one."""
    return _CARRIERS.fullmatch(link.name) is not None


def cause(chain: list[Link]) -> Link:
    """The link of a chain that names what went wrong: the innermost that does not only carry another."""
    telling = [link for link in chain if not carries(link) and first_sentence(link.message)]
    spoken = [link for link in chain if first_sentence(link.message)]
    return (telling or spoken or chain)[-1]
