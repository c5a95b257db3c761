"""What `dn2 export` writes of a model of pictures: the network that decides, and what it takes to use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from dn2.errors import InputError
from dn2.kinds.exchange import Judge
from dn2.kinds.image.embedder import PlainImageEmbedder
from dn2.kinds.image.exporting import of_patches, of_pictures
from dn2.kinds.image.exporting.proof import Expected, Proof, Run, Sample, check_sides, draw_samples
from dn2.kinds.image.exporting.table import as_table
from dn2.networks.decoding import JPEG_OVERSAMPLING
from dn2.networks.maps import largest_uncut
from dn2.networks.pixels import EVEN_MEAN, EVEN_SPREAD, LEAST_SPREAD, Preprocessing
from dn2.system.interface import command, option

SCALED = {
    "squash": "is scaled to width x height",
    "pad": "is scaled to fit into width x height, its middle on grey (127, 127, 127)",
    "crop": "is scaled and cut to width x height as torchvision's Resize and CenterCrop do",
    "area": "is scaled to round(side * scale / multiple) * multiple pixels a side, at least a multiple, where scale = "
    "sqrt(width * height / (its own width * its own height))",
    "full": "is scaled to round(side / multiple) * multiple pixels a side, at least a multiple",
}
LARGEST_REFERENCE = 1 << 30  # bytes of reference rows in a file: Protocol Buffers end at 2 GiB


@dataclass(frozen=True, eq=False)
class Decision:
    """A decision to be exported.

    kind, judge : of the model; embedder : in f32; graph : the network, an `openvino.Model`; names : of its inputs, by
    how a picture becomes each."""

    kind: Any
    judge: Judge
    embedder: PlainImageEmbedder
    graph: Any
    names: Mapping[Preprocessing, str]

    @classmethod
    def of(cls, kind: Any, judge: Judge) -> Self:
        """Build the network of a model.

        Raises InputError, BackboneError for a model whose decision is no network."""
        _check(kind, judge)
        as_table(judge.calibration, judge.calibration.smallest_rate, judge.items)  # refused before the work
        embedder = _in_f32(kind.embedder)
        if kind.learns_beside:
            graph = of_patches.build(embedder.specs, kind.patches, kind.embedder.looked_at())
        else:
            graph = of_pictures.build(embedder, judge.detector)
        given = list(dict.fromkeys(spec.preprocessing for spec in embedder.specs))
        names = dict(zip(given, (one.get_any_name() for one in graph.inputs), strict=True))
        return cls(kind, judge, embedder, graph, names)

    @property
    def rate(self) -> float:
        """The false-alarm rate to decide at."""
        return self.judge.calibration.rate(self.judge.detector.steps.false_alarm_rate)

    def prove(self, runs: Mapping[str, Run]) -> dict[str, Any]:
        """Try exported networks, by file name, on pictures, and say how far they differ from dn2.

        Raises BackboneError for one that decides otherwise."""
        kind, threshold = self.kind, self.judge.calibration.threshold(self.rate)
        samples = draw_samples(self.embedder, self.judge.items, kind.thumbnails, self.names)
        if kind.learns_beside:
            check_sides(samples, {name: largest_uncut(one) for one, name in self.names.items()})
        proofs = {name: Proof() for name in runs}
        own = kind.embedder.networks if kind.embedder is not self.embedder else None
        of_model = Proof()
        for sample in samples:
            expected = self._expected(sample.parts)
            for name, run in runs.items():
                outputs = run(sample.inputs)
                got = Expected(float(outputs["score"].item()), outputs.get("anomaly_map"))
                proofs[name].add(sample, got, expected, threshold)
            if own is not None:
                of_model.add(sample, expected, self._expected(self._parts(own, sample)), threshold)
        for name, proof in proofs.items():
            proof.check(name)
        about: dict[str, Any] = {name: proof.as_dict() for name, proof in proofs.items()}
        if own is not None:
            about[f"the model in {kind.embedder.as_dict()['precision']}"] = of_model.as_dict()
        return about

    def _parts(self, networks: Any, sample: Sample) -> list[Any]:
        inputs = [sample.inputs[self.names[network.backbone.preprocessing]][0] for network in networks]
        return [network.embed([pixels])[0] for network, pixels in zip(networks, inputs, strict=True)]

    def _expected(self, parts: Any) -> Expected:
        """Return what dn2 makes of a picture."""
        if not self.kind.learns_beside:
            return Expected(float(self.judge.detector.anomaly_score(self.embedder.join(parts)[None])[0]))
        patches, region = self.kind.patches, self.kind.embedder.looked_at()
        anomaly_map = patches.anomaly_map(patches.compare(parts), region)
        return Expected(patches.score(anomaly_map, region), anomaly_map)

    def about(self) -> dict[str, Any]:
        """Return what a program needs to use the network, as the JSON has it."""
        recorded = self.kind.embedder.as_dict()
        about: dict[str, Any] = {
            "compares": "patches" if self.kind.learns_beside else "pictures",
            "inputs": [self._input(name, preprocessing) for preprocessing, name in self.names.items()],
            "outputs": OUTPUTS_OF_PATCHES if self.kind.learns_beside else OUTPUTS_OF_PICTURES,
            "networks": {"backbone": recorded["backbone"], "digest": recorded["digest"]},
            "arithmetic": {"model": recorded["precision"], "exported": "f32"},
            "decision": as_table(self.judge.calibration, self.rate, self.judge.items),
            "reference": [item.name for item in self.judge.items],
        }
        if self.kind.learns_beside:
            banks = self.kind.patches.banks
            about["map_threshold"] = self.kind.learnt.threshold(self.judge.detector.steps.false_alarm_rate)
            about["patches"] = np.concatenate([bank.owners for bank in banks]).tolist()
            about["places"] = [one for bank in banks for one in bank.places.astype(np.float64).round(4).tolist()]
        return about

    def _input(self, name: str, preprocessing: Preprocessing) -> dict[str, Any]:
        said_below = ("even_light", "region", "turned")
        fields = asdict(preprocessing)
        about: dict[str, Any] = {"name": name, **{key: fields[key] for key in fields if key not in said_below}}
        scaled = preprocessing.scaled
        if scaled is not None:
            about["draft"] = JPEG_OVERSAMPLING * max(scaled)
        if self.kind.learns_beside:
            about["largest_side"] = largest_uncut(preprocessing)
        if self.kind.embedder.white is not None:
            about["white"] = self.kind.embedder.white
        scaled_by = f"It {SCALED[preprocessing.shape]}, by Pillow's {preprocessing.interpolation}."
        how = [*HOW_READ, scaled_by]
        if preprocessing.even_light:
            about["light"] = {"mean": EVEN_MEAN, "spread": EVEN_SPREAD, "least_spread": LEAST_SPREAD}
            how.append(HOW_LIT)
        if preprocessing.region is not None:
            about["region"] = {"file": REGION, "grey": EVEN_MEAN}
            how.append(HOW_LOOKED_AT)
        return about | {"how": how}

    def files(self) -> dict[str, bytes]:
        """Return what else a program needs, by file name."""
        region = self.kind.embedder.region if self.kind.learns_beside else None
        return {} if region is None else {REGION: region}


HOW_READ = (
    "The first frame is decoded by Pillow; a JPEG first has draft(mode, (draft, draft)) called where `draft` is given.",
    "It is turned upright by its EXIF orientation, laid over white where it is transparent, and becomes RGB.",
    "Grey pictures of more than 8 bits are scaled from 0 ... white to 0 ... 255 first; by default white is 65,535.",
    "The input is (1, height, width, 3) uint8.",
)
HOW_LIT = (
    "Scaled, it is brought to one light: with the mean and the deviation of all its values, each value v becomes "
    "(v - mean) * spread / max(deviation, least_spread) + light.mean, rounded, in 0 ... 255; `light` has the numbers."
)
HOW_LOOKED_AT = (
    "Where the region's file, scaled to the picture without interpolation, is black, the picture is not looked at: "
    "there it is painted over, before it is scaled, with the rounded mean of each colour of all that is looked at. "
    "Scaled, what is black in the region does not count for the light, and becomes `grey`."
)
REGION = "region.png"
OUTPUTS_OF_PATCHES = {
    "anomaly_map": "(h, w) float32: how far each place is from normal, 1 where it is as usual; a place above "
    "map_threshold belongs to a region that is shown as anomalous, and a place that is not looked at is 0",
    "score": "(1,) float32: the mean over the strangest share of the map, of the places that are looked at",
    "nearest": "(h, w) int64: the normal patch that is nearest at each place, in the bank from which the place is "
    "farthest; its picture is reference[patches[number]], and it lies at places[number] of it, down and across, as "
    "shares of its sides",
}
OUTPUTS_OF_PICTURES = {
    "score": "(1,) float32: the mean squared distance to the nearest reference pictures",
    "distances": "(k,) float32: the L2 distances to these, nearest first",
    "nearest": "(k,) int64: which these are, places in `reference`",
}


def _in_f32(embedder: PlainImageEmbedder) -> PlainImageEmbedder:
    if {network.precision for network in embedder.networks} == {"f32"}:
        return embedder
    again = embedder.fresh_copy()
    again.precision = "f32"
    return again


def _check(kind: Any, judge: Judge) -> None:
    """Raise InputError for a model whose decision is no network."""
    if getattr(kind, "has_masks", False):
        raise InputError("a model with a mask for each picture is not exported: its files would not know where to look")
    if kind.pooling is not None:
        raise InputError("models of single pictures are exported, and this one compares groups of pictures")
    for spec in kind.embedder.specs:
        if spec.runs_on != "openvino":
            export = command(
                f"dn2 export --backbone {spec.name} -o net.onnx", f"dn2.export_onnx({spec.name!r}, 'net.onnx')"
            )
            raise InputError(
                f"a network on PyTorch is not exported with a decision: {export} writes it as ONNX, with which you fit "
                f"a model ({option('backbone', 'net.onnx')}) that is"
            )
    if kind.learns_beside:
        return
    reference, learnt = judge.detector.reference, judge.detector.learnt
    searches_all = reference.plan.method.name == "exact" or (learnt is None and reference.plan.method.name != "kmeans")
    if (learnt is not None and learnt.search is not None) or not searches_all:
        found = judge.detector.describe_search()["method"]
        raise InputError(
            f"a model that compares each picture with all others is exported, and this one searches by {found}; fit "
            f"with {option('index', 'exact')}"
        )
    if reference.plan.storage != "float32":
        raise InputError(
            f"a reference set stored as float32 is exported, got {reference.plan.storage}; fit with "
            f"{option('storage', 'float32')}"
        )
    if (size := 4 * len(reference) * judge.detector.dimension) > LARGEST_REFERENCE:
        raise InputError(
            f"a reference set of at most {LARGEST_REFERENCE >> 20:,} MiB is exported, got {size >> 20:,} MiB; fit with "
            "fewer pictures"
        )
