"""dn2, deep nearest neighbours: show it what normal looks like, it finds the rest."""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # typing's own takes as long to import as all the rest
if TYPE_CHECKING:
    from dn2.embed.embedder import ImageEmbedder
    from dn2.embed.export import export_onnx
    from dn2.embed.texts import TextEmbedder
    from dn2.errors import (
        BackboneError,
        Dn2Error,
        InputError,
        MissingExtra,
        ModelError,
        NotReproducible,
        ReferenceTooSmall,
        UnreadableItem,
    )
    from dn2.fitting import fit, score_self
    from dn2.model import Model, load
    from dn2.neighbors.conformal import Calibration
    from dn2.neighbors.detector import KNNDetector
    from dn2.store.cache import Cache
    from dn2.store.points import Points
    from dn2.store.results import Results
    from dn2.store.rows import Contribution, Curve, Member, Neighbor, Row, Wording

# Loaded at first use, so that `import dn2` and `dn2 --help` do not wait for scikit-learn.
_HOMES = {
    "BackboneError": "dn2.errors",
    "Cache": "dn2.store.cache",
    "Calibration": "dn2.neighbors.conformal",
    "Contribution": "dn2.store.rows",
    "Curve": "dn2.store.rows",
    "Dn2Error": "dn2.errors",
    "ImageEmbedder": "dn2.embed.embedder",
    "InputError": "dn2.errors",
    "KNNDetector": "dn2.neighbors.detector",
    "Member": "dn2.store.rows",
    "MissingExtra": "dn2.errors",
    "Model": "dn2.model",
    "ModelError": "dn2.errors",
    "Neighbor": "dn2.store.rows",
    "NotReproducible": "dn2.errors",
    "Points": "dn2.store.points",
    "ReferenceTooSmall": "dn2.errors",
    "Results": "dn2.store.results",
    "Row": "dn2.store.rows",
    "TextEmbedder": "dn2.embed.texts",
    "UnreadableItem": "dn2.errors",
    "Wording": "dn2.store.rows",
    "export_onnx": "dn2.embed.export",
    "fit": "dn2.fitting",
    "load": "dn2.model",
    "score_self": "dn2.fitting",
}

__all__ = [
    "BackboneError",
    "Cache",
    "Calibration",
    "Contribution",
    "Curve",
    "Dn2Error",
    "ImageEmbedder",
    "InputError",
    "KNNDetector",
    "Member",
    "MissingExtra",
    "Model",
    "ModelError",
    "Neighbor",
    "NotReproducible",
    "Points",
    "ReferenceTooSmall",
    "Results",
    "Row",
    "TextEmbedder",
    "UnreadableItem",
    "Wording",
    "export_onnx",
    "fit",
    "load",
    "score_self",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'dn2' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
