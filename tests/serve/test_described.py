"""What the interface's description says holds whatever is sent: schemathesis makes requests of it, good and bad."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from dn2.model.answering import Policy
from dn2.serve.app import make_app
from dn2.serve.limits import Limits
from dn2.serve.running import Settings, open_service
from serve_models import saved_vectors

__all__ = ["saved_vectors"]

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis: the extra dev")

FAULTS = 500


@pytest.fixture(scope="module")
def described(saved_vectors: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return the description of a service of a model of vectors."""
    data = tmp_path_factory.mktemp("described")
    service = open_service(Settings([saved_vectors], "127.0.0.1", 0, data, 1 << 30, None, Policy(), Limits()))
    app = make_app(service, is_local=False)
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    service.close()


schema = schemathesis.pytest.from_fixture("described")


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case: Any) -> None:
    if "model" in (case.path_parameters or {}):  # else hardly any request would reach one
        case.path_parameters["model"] = "points"
    if "model" in (case.query or {}):
        case.query["model"] = "points"
    response = case.call()
    assert response.status_code < FAULTS, response.text
    case.validate_response(
        response,
        excluded_checks=[
            schemathesis.checks.CHECKS.get_one(name)
            for name in ("positive_data_acceptance", "negative_data_rejection")  # a text is no vector
        ],
    )
