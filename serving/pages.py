"""What the service answers besides judgements: health, readiness, metrics, its description, a customer's state."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from serving.metrics import Metrics
from serving.service import State


def pages(
    state: Callable[[], State], metrics: Metrics, refresh: Callable[[], None], description: dict[str, Any]
) -> FastAPI:
    """The application for all paths but the two that answer with judgements. refresh: brings the gauges up to date."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

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

    @app.get("/openapi.json")
    async def openapi() -> Response:
        return JSONResponse(description)

    return app
