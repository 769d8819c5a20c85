"""What is shown to who is not signed in: nothing of the queue, nor of what works."""

from typing import Any

from fastapi.responses import HTMLResponse

from page.rendering import templates


def render_outside(template: str, /, status: int = 200, **values: Any) -> HTMLResponse:
    """A page made of a template and its own values alone."""
    return HTMLResponse(templates().get_template(template).render(**values), status)
