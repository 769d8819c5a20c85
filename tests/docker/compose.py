"""docker-compose.yml and .env.example, read as Docker Compose reads them; no engine is needed."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "docker-compose.yml"
OWN_IMAGE: Final = "scoreline"
APP: Final = "/opt/scoreline/app"

VARIABLE: Final = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<word>[^}]*))?\}")

Service = dict[str, Any]


@cache
def compose() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())  # type: ignore[no-any-return]


def services() -> dict[str, Service]:
    return compose()["services"]  # type: ignore[no-any-return]


def own() -> dict[str, Service]:
    """The services that run Scoreline's own image."""
    return {name: service for name, service in services().items() if image(service)[0] == OWN_IMAGE}


def one_shots() -> dict[str, Service]:
    """The services that do one thing and end."""
    return {name: service for name, service in services().items() if service["restart"] == "no"}


def image(service: Service) -> tuple[str, str]:
    """(name, tag); the tag is empty where there is none."""
    name, _, tag = service["image"].rpartition(":")
    return (name, tag) if name else (tag, "")


def example() -> dict[str, str]:
    """.env.example: variable → value, empty for a secret."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def resolved(text: str, values: Mapping[str, str]) -> str:
    """The text with its ${…} replaced. Raises KeyError for one that has neither a value nor a default."""

    def replace(match: re.Match[str]) -> str:
        if values.get(match["name"]):
            return values[match["name"]]
        if match["kind"] == "-":
            return str(match["word"])
        raise KeyError(match["name"])

    return VARIABLE.sub(replace, text)


def environment(service: Service) -> dict[str, str]:
    """A service's environment, with the examples' values and "secret" for each secret."""
    values = {name: value or "secret" for name, value in example().items()}
    return {name: resolved(value, values) for name, value in service.get("environment", {}).items()}


def command(service: Service) -> list[str]:
    return [resolved(word, example()) for word in service["command"]]


def strings(value: Any) -> Iterator[str]:
    """Every string in a piece of the file, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)


def mounts(service: Service) -> list[tuple[str, str]]:
    """(a path of this repository or a volume's name, where it is seen in the container)."""
    parts = [mount.split(":") for mount in service.get("volumes", [])]
    return [(source, target) for source, target, *_ in parts]


def mebibytes(size: str) -> int:
    [(number, unit)] = re.findall(r"^(\d+)([mg])$", size)
    return int(number) * {"m": 1, "g": 1024}[unit]


def seconds(duration: str) -> int:
    [(number, unit)] = re.findall(r"^(\d+)([smh])$", duration)
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]
