"""The application: its routes, its refusals, and what stands before it."""

from __future__ import annotations

import logging
import sqlite3
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

import dn2
from dn2.errors import Dn2Error
from dn2.serve import api, pages, v2
from dn2.serve.guarding import Guard
from dn2.serve.limits import Refused
from dn2.serve.service import Service

logger = logging.getLogger("dn2")

DESCRIPTION = (
    "Scores items by models of normal ones: a decision at a false-alarm rate that holds on your own data, a p-value "
    "and evidence for each. `/v1` is dn2's own; `/v2` is the Open Inference Protocol, of KServe and others."
)


def make_app(service: Service, is_local: bool) -> ASGIApp:
    """Return the application; is_local : whether nothing but this machine reaches it."""
    app = FastAPI(
        title="dn2",
        version=dn2.__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,  # these load more
    )
    app.include_router(api.routes(service))
    app.include_router(v2.routes(service))
    app.include_router(pages.routes(service))
    service.metrics.watch(service.models.by_name.values, service.store)

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
        if error.status in (408, 413):
            headers["connection"] = "close"  # what is left of the body is not read
        return JSONResponse({"error": error.why}, error.status, headers)

    @app.exception_handler(Dn2Error)
    async def wrong(_: Request, error: Dn2Error) -> Response:
        return JSONResponse({"error": str(error)}, 422)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first: Any = error.errors()[0]
        return JSONResponse({"error": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"}, 422)

    @app.exception_handler(HTTPException)
    async def other(_: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    @app.exception_handler(sqlite3.Error)
    async def unkept(request: Request, error: sqlite3.Error) -> Response:
        logger.error("what the service keeps cannot be read or written at %s: %s", request.url.path, error)
        return JSONResponse({"error": f"nothing can be kept now, or read: {error}"}, 503)

    @app.exception_handler(ClientDisconnect)
    async def left(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=499)  # for the metrics: nobody reads it

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        logger.error("a fault of dn2's at %s", request.url.path, exc_info=error)
        return JSONResponse({"error": "a fault of dn2's; its log says more"}, 500)

    @app.get("/", include_in_schema=False)
    async def begin() -> Response:
        return RedirectResponse("/review")

    return Guard(app, service.people, service.limits, service.metrics, is_local)
