"""dn2, deep nearest neighbours: show it what normal looks like, it finds the rest."""

from __future__ import annotations

from dn2.system import quota as _quota

__version__ = "0.1.0"

TYPE_CHECKING = False  # typing's own takes as long to import as all the rest
if TYPE_CHECKING:
    from dn2.errors import (
        BackboneError,
        ClusterError,
        Dn2Error,
        InputError,
        MissingExtra,
        ModelError,
        NotReproducible,
        ReferenceTooSmall,
        UnreadableItem,
    )
    from dn2.inputs.verdicts import Verdict
    from dn2.kinds.image.evidence import Member
    from dn2.kinds.image.transformer import ImageEmbedder
    from dn2.kinds.series.evidence import Curve
    from dn2.kinds.series.points import Points
    from dn2.kinds.table.evidence import Contribution
    from dn2.kinds.text.evidence import Wording
    from dn2.kinds.text.transformer import TextEmbedder
    from dn2.model.fitting import fit, score_self
    from dn2.model.heard import Feedback
    from dn2.model.loading import load
    from dn2.model.model import Model
    from dn2.monitor.drift import DriftMonitor
    from dn2.neighbors.calibration import Calibration
    from dn2.neighbors.estimator import KNNDetector
    from dn2.networks.export import export_onnx
    from dn2.results.results import Results
    from dn2.results.rows import Neighbor, Row
    from dn2.store.cache import Cache

# Loaded at first use, so that `import dn2` and `dn2 --help` do not wait for scikit-learn.
_HOMES = {
    "BackboneError": "dn2.errors",
    "Cache": "dn2.store.cache",
    "Calibration": "dn2.neighbors.calibration",
    "ClusterError": "dn2.errors",
    "Contribution": "dn2.kinds.table.evidence",
    "Curve": "dn2.kinds.series.evidence",
    "Dn2Error": "dn2.errors",
    "DriftMonitor": "dn2.monitor.drift",
    "Feedback": "dn2.model.heard",
    "ImageEmbedder": "dn2.kinds.image.transformer",
    "InputError": "dn2.errors",
    "KNNDetector": "dn2.neighbors.estimator",
    "Member": "dn2.kinds.image.evidence",
    "MissingExtra": "dn2.errors",
    "Model": "dn2.model.model",
    "ModelError": "dn2.errors",
    "Neighbor": "dn2.results.rows",
    "NotReproducible": "dn2.errors",
    "Points": "dn2.kinds.series.points",
    "ReferenceTooSmall": "dn2.errors",
    "Results": "dn2.results.results",
    "Row": "dn2.results.rows",
    "TextEmbedder": "dn2.kinds.text.transformer",
    "UnreadableItem": "dn2.errors",
    "Verdict": "dn2.inputs.verdicts",
    "Wording": "dn2.kinds.text.evidence",
    "export_onnx": "dn2.networks.export",
    "fit": "dn2.model.fitting",
    "load": "dn2.model.loading",
    "score_self": "dn2.model.fitting",
}

__all__ = [
    "BackboneError",
    "Cache",
    "Calibration",
    "ClusterError",
    "Contribution",
    "Curve",
    "Dn2Error",
    "DriftMonitor",
    "Feedback",
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
    "Verdict",
    "Wording",
    "export_onnx",
    "fit",
    "load",
    "score_self",
]

_quota.limit_libraries(_quota.QUOTA)  # before any of them loads


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'dn2' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
