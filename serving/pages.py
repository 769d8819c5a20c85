"""What the service answers besides judgements: health, readiness, metrics, its description, a customer's state."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from serving.answers import Refused
from serving.customers import CustomerState
from serving.http import RequestRefused, Scope
from serving.metrics import Metrics
from serving.reference import page, security_policy
from serving.service import State


async def _refused(_: Request, error: Any) -> Response:
    """A path or a method that there is not, in the form of all refusals."""
    refused = Refused(error.detail.lower(), error.status_code, "GET /docs says what is answered here")
    return _problem(refused, dict(error.headers or {}))


async def _request_refused(_: Request, error: Any) -> Response:
    return _problem(error.refused, error.headers)


async def _failed(_: Request, __: Exception) -> Response:
    return _problem(Refused("failed", 500, "an error of ours; it is in the log"), {})


def _problem(refused: Refused, headers: dict[str, str]) -> Response:
    return Response(msgspec.json.encode(refused), refused.status, headers, "application/problem+json")


_HANDLERS: Final[dict[int | type[Exception], Callable[..., Any]]] = {
    404: _refused,
    405: _refused,
    500: _failed,
    RequestRefused: _request_refused,
}


def pages(
    state: Callable[[], State],
    metrics: Metrics,
    refresh: Callable[[], None],
    description: dict[str, Any],
    customer: Callable[[Scope, str], CustomerState],
) -> FastAPI:
    """The application for all paths but the two that answer with judgements.

    refresh: brings the gauges up to date. customer: what is known of one; it may raise `RequestRefused`.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, exception_handlers=_HANDLERS)

    @app.get("/health")
    async def health() -> Response:
        return JSONResponse({"status": "alive"})

    @app.get("/ready")
    async def ready() -> Response:
        is_ready, words = state()
        return JSONResponse({"ready": is_ready, "state": words}, 200 if is_ready else 503)

    @app.get("/metrics")
    async def prometheus() -> Response:
        refresh()
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    about, headers = page(description), {"content-security-policy": security_policy()}

    @app.get("/docs")
    async def docs() -> Response:
        return HTMLResponse(about, headers=headers)

    @app.get("/openapi.json")
    async def openapi() -> Response:
        return JSONResponse(description)

    @app.get("/customers/{customer_id:path}")
    def known(request: Request, customer_id: str) -> Response:  # not async: it may wait for the states
        is_ready, words = state()
        if not is_ready:
            raise RequestRefused(Refused("not ready", 503, words), {"retry-after": "1"})
        found = customer(request.scope, customer_id)
        return Response(msgspec.json.encode(found), media_type="application/json")

    return app
