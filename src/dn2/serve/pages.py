"""The pages on which people judge items and look after models, and who may see them."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from dn2.serve import describing
from dn2.serve.changing import take_back, take_in
from dn2.serve.guarding import COOKIE, session_of
from dn2.serve.model_page import login_page, model_page, overview_page
from dn2.serve.people import SESSION_SECONDS
from dn2.serve.queue_page import queue_page
from dn2.serve.service import Service

LONGEST_FORM = 10_000  # bytes
OF_PAGES = {"content-security-policy": "frame-ancestors 'none'"}  # a page says the rest itself


def routes(service: Service) -> APIRouter:
    """Return the routes of the pages, and of the changes that are made on them."""
    router = APIRouter()
    models = service.models

    @router.get("/review", include_in_schema=False)
    async def overview(request: Request) -> Response:
        return await _page(lambda: overview_page(service, request.state.person))

    @router.get("/review/{model}", include_in_schema=False)
    async def queue(model: str, request: Request, open: str | None = None) -> Response:
        served = models.of(model)
        return await _page(lambda: queue_page(service, served, request.state.person, open))

    @router.get("/review/{model}/model", include_in_schema=False)
    async def one_model(model: str, request: Request) -> Response:
        served = models.of(model)
        return await _page(lambda: model_page(service, served, request.state.person))

    @router.post("/v1/models/{model}/feedback", responses=describing.FOUND, tags=["review"])
    async def feedback(model: str, request: Request) -> Response:
        """Take the verdicts that people gave into a model, as a new version."""
        return JSONResponse(await run_in_threadpool(take_in, service, models.of(model), request.state.person))

    @router.post("/v1/models/{model}/undo", responses=describing.FOUND, tags=["review"])
    async def back(model: str, request: Request) -> Response:
        """Take the last change of a model back."""
        return JSONResponse(await run_in_threadpool(take_back, service, models.of(model), request.state.person))

    @router.get("/login", include_in_schema=False)
    async def login(wrong: bool = False) -> Response:
        return await _page(lambda: login_page(wrong))

    @router.post("/login", include_in_schema=False)
    async def sign_in(request: Request) -> Response:
        body = await request.body()
        token = parse_qs(body.decode("ascii", "replace")).get("token", [""])[0] if len(body) <= LONGEST_FORM else ""
        key = service.people.sign_in(token.strip())
        if key is None:
            return RedirectResponse("/login?wrong=true", 303)
        response = RedirectResponse("/review", 303)
        is_safe = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
        response.set_cookie(COOKIE, key, SESSION_SECONDS, httponly=True, samesite="strict", secure=is_safe)
        return response

    @router.post("/logout", include_in_schema=False)
    async def sign_out(request: Request) -> Response:
        service.people.sign_out(session_of(request.headers))
        return RedirectResponse("/login", 303)

    return router


async def _page(make: Callable[[], str]) -> Response:
    return HTMLResponse(await run_in_threadpool(make), headers=OF_PAGES)
