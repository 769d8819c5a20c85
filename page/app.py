"""The ASGI application: every answer's security headers, errors as pages, static files, and the parts of the page."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles

from page.access import Access, SignInNeeded, access_of, identity_of
from page.bodies import Bodies
from page.errors import Refused
from page.outside import render_outside
from page.parts import Parts
from page.rendering import HERE, render
from page.routes import assignment, audit, bulk, case, events, merchants, overview, queue, search, signin
from page.routes.signin import sent_to_sign_in

SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Scripts, styles and pictures of the page itself alone; nothing inline, and no other host."""

HEADERS: Final = {
    "content-security-policy": SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def build(parts: Parts) -> FastAPI:
    """The application; it starts and closes the parts. Raises `PageError` where nobody may sign in as the settings are."""
    access = Access(parts.settings, parts.database)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        parts.start()
        yield
        parts.close()

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan, exception_handlers=_HANDLERS)
    app.state.parts = parts
    app.state.access = access
    app.middleware("http")(_secure)
    app.add_middleware(Bodies)
    app.mount("/static", StaticFiles(directory=HERE / "static"), "static")
    for part in (queue, overview, merchants, case, bulk, assignment, search, audit, events, signin):
        app.include_router(part.router)

    @app.get("/health")
    def health() -> Response:
        return JSONResponse({"status": "alive", "in_trouble": [part.name for part in parts.health.troubles()]})

    return app


async def _secure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers.update(HEADERS)
    if access_of(request).secure:
        response.headers["strict-transport-security"] = "max-age=31536000"
    if not request.url.path.startswith("/static/"):
        response.headers["cache-control"] = "no-store"
    return response


def _page(request: Request, status: int, text: str) -> Response:
    found = identity_of(request)
    if found is None:
        return render_outside("outside.html.j2", status, text=text)
    return render(request, "error.html.j2", found.user, status, text=text)


def _refused(request: Request, error: Any) -> Response:
    return _page(request, error.status, str(error))


def _http_error(request: Request, error: Any) -> Response:
    return _page(request, error.status_code, str(error.detail))


def _nobody(request: Request, _: Any) -> Response:
    return sent_to_sign_in(request)


def _not_a_form(request: Request, error: Any) -> Response:
    wrong = "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in error.errors()[:5])
    return _page(request, 422, f"what was asked for can't be read: {wrong}")


def _failed(_: Request, __: Any) -> Response:
    """An error of ours, or of the store: then no template can be relied on."""
    text = "This was not done: an error of the page, or its store is unavailable. It is in the page's log."
    return PlainTextResponse(text, 500, HEADERS)


_HANDLERS: Final[dict[Any, Any]] = {
    404: _http_error,
    405: _http_error,
    500: _failed,
    Refused: _refused,
    SignInNeeded: _nobody,
    RequestValidationError: _not_a_form,
}
