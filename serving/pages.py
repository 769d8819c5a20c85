"""What the service answers besides judgements: health, readiness, metrics, its description, a customer's state."""

from collections.abc import Callable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serving.metrics import Metrics
from serving.service import State


def pages(
    state: Callable[[], State], metrics: Metrics, refresh: Callable[[], None], description: dict[str, Any]
) -> Starlette:
    """The application for all paths but the two that answer with judgements. refresh: brings the gauges up to date."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_: Request) -> Response:
        is_ready, words = state()
        return JSONResponse({"ready": is_ready, "state": words}, 200 if is_ready else 503)

    async def prometheus(_: Request) -> Response:
        refresh()
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def openapi(_: Request) -> Response:
        return JSONResponse(description)

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/ready", ready),
            Route("/metrics", prometheus),
            Route("/openapi.json", openapi),
        ]
    )
