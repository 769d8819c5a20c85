"""The page at /docs: the OpenAPI description for a person, from this service alone, without another host's files."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader

_HERE: Final = Path(__file__).parent


def page(description: dict[str, Any]) -> str:
    """The description as HTML. It loads nothing; its buttons send the examples to the service that it came from."""
    templates = Environment(loader=FileSystemLoader(_HERE), autoescape=True, trim_blocks=True)
    templates.filters["pretty"] = lambda value: json.dumps(value, indent=2)
    return templates.get_template("reference.html.j2").render(**description, script=_script())


def security_policy() -> str:
    """The page's Content-Security-Policy: its own style and script, and requests to where it came from."""
    digest = base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; connect-src 'self'"


def _script() -> str:
    return (_HERE / "reference.js").read_text()
