"""The service's own interface: `/v1`, and what watches a service asks for."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool

from dn2.serve import describing
from dn2.serve.limits import Refused
from dn2.serve.received import parse_json, read_asked
from dn2.serve.served import ServedModel
from dn2.serve.service import AUDIT, Service
from dn2.serve.shown import crop_of, map_of, picture_of
from dn2.serve.store import Kept

MOST_LISTED = 500
LONGEST_VERDICT = 10_000  # bytes


def routes(service: Service) -> APIRouter:
    """Return the routes of `/v1`, of health and of metrics."""
    router = APIRouter()
    models, store = service.models, service.store

    @router.post("/v1/score", openapi_extra=describing.SCORE, responses=describing.SCORED, tags=["score"])
    async def score(request: Request, model: str | None = None, keep: bool = False) -> Response:
        """Score one item or many: a decision, a p-value and evidence for each."""
        served = models.of(model)
        asked = await read_asked(request, served.state, service.limits, secrets.token_hex(6))
        return JSONResponse(await service.score(request, served, asked, keep))

    @router.get("/v1/models", responses=describing.ANSWERS, tags=["models"])
    async def list_models() -> Response:
        """List the models in service."""
        return JSONResponse({"models": [await run_in_threadpool(about, one) for one in models.by_name.values()]})

    @router.get("/v1/models/{model}", responses=describing.FOUND, tags=["models"])
    async def one_model(model: str) -> Response:
        """Say what a model is, and whether its stream has changed."""
        return JSONResponse(await run_in_threadpool(about, models.of(model)))

    def about(served: ServedModel) -> dict[str, Any]:
        to_judge, judged = store.counts(served.name)
        return {**served.about(), "to_judge": to_judge, "judged": judged}

    @router.get("/v1/items", responses=describing.FOUND, tags=["review"])
    async def to_judge(model: str | None = None) -> Response:
        """List the items that nobody has judged: audits first, then the newest."""
        kept = await run_in_threadpool(store.to_judge, models.of(model).name, MOST_LISTED)
        return JSONResponse({"items": [record_of(one) for one in kept]})

    @router.get("/v1/items/{id}", responses=describing.FOUND, tags=["review"])
    async def one_item(id: str) -> Response:
        """Return an item that is kept for people, and what was said of it."""
        return JSONResponse(record_of(await run_in_threadpool(kept_item, id)))

    def kept_item(id: str) -> Kept:
        kept = store.item(id)
        if kept is None:
            raise Refused(404, f"no item {id!r:.100} is kept; kept are alarms, audits, and what is sent with keep=true")
        return kept

    @router.get("/v1/items/{id}/picture", responses=describing.PICTURE, tags=["review"])
    async def picture(id: str) -> Response:
        """Return the picture of an item."""
        return await run_in_threadpool(lambda: _image(picture_of(service, kept_item(id))))

    @router.get("/v1/items/{id}/map.png", responses=describing.PICTURE, tags=["review"])
    async def anomaly_map(id: str) -> Response:
        """Return where the picture of an item is strange, as a PNG to lay over it."""
        return await run_in_threadpool(lambda: _image(map_of(service, kept_item(id))))

    @router.get("/v1/items/{id}/crops/{number}", responses=describing.PICTURE, tags=["review"])
    async def crop(id: str, number: int) -> Response:
        """Return the surroundings of a region of an item."""
        return await run_in_threadpool(lambda: _image(crop_of(service, kept_item(id), number)))

    @router.post(
        "/v1/items/{id}/verdict", openapi_extra=describing.VERDICT, responses=describing.FOUND, tags=["review"]
    )
    async def say(id: str, request: Request) -> Response:
        """Say what an item is: normal, defect or unsure; null takes it back."""
        body = await request.body()
        said = parse_json(body) if len(body) <= LONGEST_VERDICT else None
        if not isinstance(said, dict) or "verdict" not in said or set(said) - {"verdict", "kind"}:
            raise Refused(422, "a verdict is an object with verdict, and perhaps the kind of a defect")
        verdict, kind = said["verdict"], said.get("kind") or ""
        if not isinstance(verdict, str | None) or not isinstance(kind, str):
            raise Refused(422, "verdict and kind must be texts, or null")
        await run_in_threadpool(kept_item, id)
        await run_in_threadpool(store.say, id, request.state.person, verdict, kind)
        return JSONResponse(record_of(await run_in_threadpool(kept_item, id)))

    @router.get("/healthz", response_class=PlainTextResponse, responses=describing.TEXT, tags=["health"])
    async def lives() -> Response:
        """Say that the service lives."""
        return PlainTextResponse("ok")

    @router.get("/readyz", response_class=PlainTextResponse, responses=describing.TEXT, tags=["health"])
    async def is_ready() -> Response:
        """Say that the models are loaded; a service has no port before they are."""
        return PlainTextResponse("ok")

    @router.get("/metrics", response_class=PlainTextResponse, responses=describing.TEXT, tags=["health"])
    async def metrics() -> Response:
        """Return what is counted, as Prometheus reads it."""
        text = await run_in_threadpool(service.metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4")

    return router


def _image(data: bytes) -> Response:
    return Response(data, media_type="image/png" if data.startswith(b"\x89PNG") else "image/jpeg")


def record_of(kept: Kept) -> dict[str, Any]:
    """Return an item that is kept as JSON; nothing that tells how it was scored of an audit that nobody has judged."""
    is_unseen = kept.why == AUDIT and kept.verdict is None
    record = {"item": kept.record["item"]} if is_unseen else dict(kept.record)
    return {**record, **{name: value for name, value in kept._asdict().items() if name != "record"}}
