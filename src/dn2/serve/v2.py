"""The Open Inference Protocol, version 2, as KServe, Triton, OpenVINO Model Server and their clients speak it."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

import dn2
from dn2.errors import Dn2Error
from dn2.model.answering import Asked
from dn2.serve import describing
from dn2.serve.limits import Refused
from dn2.serve.received import aside, checked
from dn2.serve.served import ServedModel
from dn2.serve.service import Service, while_there
from dn2.serve.tensors import Inference, items_of, metadata, read_inference, write_outputs

JSON_LENGTH = "inference-header-content-length"


def routes(service: Service) -> APIRouter:
    """Return the routes of `/v2`."""
    router = APIRouter(tags=["open inference protocol"])

    def served_of(model: str, version: str | None) -> ServedModel:
        served = service.models.of(model)
        if version not in (None, served.version):
            raise Refused(404, f"the model {served.name} is in service as version {served.version} alone")
        return served

    @router.get("/v2", responses=describing.ANSWERS)
    async def server() -> Response:
        """Say what the server is."""
        return JSONResponse({"name": "dn2", "version": dn2.__version__, "extensions": ["binary_tensor_data"]})

    @router.get("/v2/health/live", responses=describing.ANSWERS)
    async def lives() -> Response:
        """Say that the server lives."""
        return JSONResponse({"live": True})

    @router.get("/v2/health/ready", responses=describing.ANSWERS)
    async def is_ready() -> Response:
        """Say that all models are ready."""
        return JSONResponse({"ready": True})

    @router.get("/v2/models/{model}", responses=describing.FOUND)
    @router.get("/v2/models/{model}/versions/{version}", responses=describing.FOUND)
    async def model_metadata(model: str, version: str | None = None) -> Response:
        """Describe a model: its inputs and outputs."""
        served = served_of(model, version)
        return JSONResponse(metadata(served.name, served.version, served.state))

    @router.get("/v2/models/{model}/ready", responses=describing.FOUND)
    @router.get("/v2/models/{model}/versions/{version}/ready", responses=describing.FOUND)
    async def model_is_ready(model: str, version: str | None = None) -> Response:
        """Say that a model is ready."""
        return JSONResponse({"name": served_of(model, version).name, "ready": True})

    @router.post("/v2/models/{model}/infer", openapi_extra=describing.INFER, responses=describing.INFERRED)
    @router.post(
        "/v2/models/{model}/versions/{version}/infer", openapi_extra=describing.INFER, responses=describing.INFERRED
    )
    async def infer(model: str, request: Request, version: str | None = None) -> Response:
        """Score the items in the inputs; nothing of them is kept, and one that cannot be read fails the request."""
        served = served_of(model, version)
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Refused(415, "the body must not be compressed")
        body, state = await request.body(), served.state

        def read() -> tuple[Inference, Asked]:
            inference = read_inference(body, request.headers.get(JSON_LENGTH))
            asked = items_of(inference, state, service.limits)
            return inference, checked(asked, state, service.limits, secrets.token_hex(6))

        inference, asked = await aside(len(body), read)
        try:
            answer = await while_there(request, served.ask(asked))
        except Dn2Error as error:
            raise Refused(400, str(error)) from error
        service.metrics.scored(served.name, answer.rows)
        for number, row in enumerate(answer.rows, 1):
            if row.error is not None:
                raise Refused(400, f"item {number} cannot be read: {row.error}")
        about = {"model_name": served.name, "model_version": answer.version}
        about |= {} if inference.id is None else {"id": inference.id}
        content, length = write_outputs(about, inference, answer.rows)
        if length is None:
            return Response(content, media_type="application/json")
        return Response(content, media_type="application/octet-stream", headers={JSON_LENGTH: str(length)})

    return router
