"""What the interface's description, OpenAPI, says beside what its functions show."""

from __future__ import annotations

from typing import Any

Described = dict[str, Any]

_ERROR: Described = {
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string", "description": "What is wrong, and the way out."}},
            }
        }
    }
}
_WORDS = {
    400: "The request cannot be read.",
    401: "A token is needed.",
    403: "It comes from another site's page.",
    404: "There is no such thing.",
    405: "Nothing answers this method here.",
    408: "It took too long to arrive.",
    409: "The model cannot be changed as it is now.",
    410: "It is not kept any more.",
    413: "It is too large.",
    415: "The model compares data of another form.",
    421: "The service is of this machine alone.",
    422: "It asks for what cannot be.",
    429: "Too many requests wait; come again after Retry-After seconds.",
    500: "A fault of the service.",
    503: "The service is about to end.",
}


def _refusals(*statuses: int) -> dict[int | str, Described]:
    return {status: {"description": _WORDS[status], **_ERROR} for status in statuses}


ANSWERS = _refusals(400, 401, 421)
TEXT: dict[int | str, Described] = {
    200: {"description": "A text.", "content": {"text/plain": {"schema": {"type": "string"}}}},
    **ANSWERS,
}
FOUND = _refusals(400, 401, 403, 404, 408, 409, 413, 421, 422, 429)
_BYTES: Described = {"schema": {"type": "string", "format": "binary"}}
PICTURE: dict[int | str, Described] = {
    200: {"description": "The picture.", "content": {"image/jpeg": _BYTES, "image/png": _BYTES}},
    **_refusals(400, 401, 404, 410, 421, 422),
}

_LABELS = {
    name: {"type": "array", "items": {"type": "string"}, "description": f"The {name} of each item, if not by rule."}
    for name in ("part", "per")
}
_CELL: Described = {"type": ["string", "number", "boolean", "null"]}
_ROW: Described = {"type": "object", "additionalProperties": _CELL}
_VECTOR: Described = {"type": "array", "items": {"type": "number"}}
_ITEMS: Described = {
    "type": "object",
    "required": ["items"],
    "additionalProperties": False,
    "properties": {
        "items": {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "string"}, _ROW, _VECTOR]}},
        "names": {"type": "array", "items": {"type": "string"}, "description": "What the items are called."},
        **_LABELS,
    },
}
_COLUMNS: Described = {
    "type": "object",
    "required": ["columns"],
    "additionalProperties": False,
    "properties": {
        "columns": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "array", "items": _CELL},
            "description": "Rows, or the points of series, by column: lists of one length.",
        },
        **_LABELS,
    },
}
SCORE: Described = {
    "requestBody": {
        "required": True,
        "description": "Pictures as a form of files, or one as its bytes; rows, messages and vectors as JSON.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        **_LABELS,
                    },
                }
            },
            "application/octet-stream": _BYTES,
            "application/json": {
                "schema": {"anyOf": [_ITEMS, _COLUMNS]},
                "examples": {
                    "rows": {"summary": "Rows of a table", "value": {"items": [{"amount": 12.5, "currency": "EUR"}]}},
                    "messages": {
                        "summary": "Messages, with names",
                        "value": {"items": ["The door does not close"], "names": ["ticket 17"]},
                    },
                    "vectors": {"summary": "Vectors", "value": {"items": [[0.1, 0.2, 0.3]]}},
                    "points": {
                        "summary": "Series, by column",
                        "value": {"columns": {"time": [1, 2, 3], "pressure": [2.0, 2.1, 2.0]}},
                    },
                },
            },
        },
    }
}
_OPTIONAL_NUMBER: Described = {"type": ["number", "null"]}
SCORED: dict[int | str, Described] = {
    200: {
        "description": "The items, scored; one that cannot be read has an error.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["model", "version", "results"],
                    "properties": {
                        "model": {"type": "string"},
                        "version": {"type": "string"},
                        "results": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["item", "anomaly_score", "p_value", "is_anomaly", "decision", "error"],
                                "properties": {
                                    "item": {"type": "string"},
                                    "anomaly_score": _OPTIONAL_NUMBER,
                                    "p_value": _OPTIONAL_NUMBER,
                                    "is_anomaly": {"type": ["boolean", "null"]},
                                    "decision": {"enum": ["accept", "warn", "reject", "undecided", "error"]},
                                    "neighbors": {"type": "array", "items": {"type": "object"}},
                                    "error": {"type": ["string", "null"]},
                                    "id": {"type": "string", "description": "Where it is kept for people."},
                                    "links": {"type": "object"},
                                },
                            },
                        },
                    },
                },
                "example": {
                    "model": "parts",
                    "version": "5f0c1a2b3c4d5e6f",
                    "results": [
                        {
                            "item": "part 17.png",
                            "anomaly_score": 0.91,
                            "p_value": 0.005,
                            "is_anomaly": True,
                            "neighbors": [{"item": "good/part 3.png", "distance": 0.94}],
                            "error": None,
                            "decision": "reject",
                            "id": "8f3a5b7c9d1e2f30",
                            "links": {"item": "/v1/items/8f3a5b7c9d1e2f30"},
                        }
                    ],
                },
            }
        },
    },
    **_refusals(400, 401, 403, 404, 408, 413, 415, 421, 422, 429, 503),
}
VERDICT: Described = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["verdict"],
                    "additionalProperties": False,
                    "properties": {
                        "verdict": {"enum": ["normal", "defect", "unsure", None]},
                        "kind": {"type": "string", "description": "Of a defect, such as scratch."},
                    },
                },
                "example": {"verdict": "defect", "kind": "scratch"},
            }
        },
    }
}
_TENSOR: Described = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}},
        "datatype": {"type": "string"},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    },
}
_TENSORS: Described = {"type": "array", "minItems": 1, "items": _TENSOR}
INFER: Described = {
    "requestBody": {
        "required": True,
        "description": "JSON, after which binary data may follow: the extension binary_tensor_data.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "properties": {
                        "id": {"type": "string"},
                        "parameters": {"type": "object"},
                        "inputs": _TENSORS,
                        "outputs": {"type": "array", "items": {"type": "object", "required": ["name"]}},
                    },
                },
                "example": {
                    "inputs": [{"name": "input", "shape": [1, 3], "datatype": "FP32", "data": [0.1, 0.2, 0.3]}]
                },
            }
        },
    }
}
INFERRED: dict[int | str, Described] = {
    200: {
        "description": "The outputs.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["model_name", "outputs"],
                    "properties": {"model_name": {"type": "string"}, "outputs": _TENSORS},
                }
            },
            "application/octet-stream": _BYTES,
        },
    },
    **_refusals(400, 401, 403, 404, 408, 413, 415, 421, 422, 429, 503),
}
