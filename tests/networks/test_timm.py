"""Networks of timm's, with random weights: prepared, embedded, saved and exported as timm itself does it."""

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dn2
from dn2.errors import BackboneError, MissingExtra, NotReproducible
from dn2.networks import timm as timm_backbone
from dn2.networks import timm_maps
from dn2.networks import torch as torch_network
from dn2.networks.opening import open_map_network, open_network
from dn2.networks.openvino import Network
from dn2.networks.pixels import READING_VERSION, Preprocessing, to_pixels
from dn2.networks.registry import get_backbone, get_map_backbone
from dn2.networks.torch import BatchSize, TorchNetwork

small_timm = pytest.importorskip("small_timm", reason="needs PyTorch and timm: `make test-torch`")

import timm  # noqa: E402
import torch  # noqa: E402

from forked import in_child  # noqa: E402
from test_docs import ROOT, blocks, cache, made, made_plates, parts  # noqa: E402, F401

# A ReLU network, one of LayerNorm and GELU, and a transformer: (size of the picture, dimension, normalisation).
NETWORKS = {
    "test_resnet": (160, 96, "root-unit"),
    "test_convnext": (160, 64, "unit"),
    "test_vit": (160, 64, "unit"),
}


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Return a function that makes a random network, and gives it with the file of its weights."""
    networks = {}

    def run(architecture):
        if architecture not in networks:
            network = small_timm.make(architecture)
            path = tmp_path_factory.mktemp("weights") / f"{architecture}.safetensors"
            networks[architecture] = network, small_timm.save(network, path)
        return networks[architecture]

    return run


@pytest.fixture(scope="session")
def named(weights):
    """Return a function that gives the name of a random backbone."""
    return lambda architecture: f"timm/{architecture}:{weights(architecture)[1]}"


@pytest.fixture(scope="session")
def pictures(photos, digits):
    """Return pictures of many shapes: wide, tall, square, tiny, grey."""
    photo, other = (Image.fromarray(one) for one in photos)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (286, 166, 3), np.uint8))
    return [
        photo,
        other.rotate(90, expand=True),
        photo.resize((900, 101)),
        other.resize((77, 500)),
        other.resize((257, 256)),
        photo.resize((160, 160)),
        photo.resize((19, 31)),
        other.resize((1, 7)),
        noise,
        noise.rotate(90, expand=True),
        photo.convert("L"),
        Image.fromarray(digits[3]),
    ]


@pytest.fixture
def no_download(monkeypatch):
    """Let timm make a small network with random weights wherever it would download some."""
    create = timm.create_model

    def run(architecture, pretrained=False, **options):
        torch.manual_seed(0)
        return create("test_resnet" if pretrained else architecture, **options)

    monkeypatch.setattr(timm, "create_model", run)


def relative(got, expected):
    return np.linalg.norm(got - expected, axis=1) / np.linalg.norm(expected, axis=1)


# Preparing pictures


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    ("mode", "share", "shape"),
    [
        ("center", 0.875, "crop"),
        ("center", 0.95, "crop"),
        ("center", 1.0, "crop"),
        ("squash", 1.0, "squash"),
        ("squash", 0.9, "squash"),
    ],
)
@pytest.mark.parametrize("size", [98, 224])
def test_pictures_are_prepared_to_the_very_pixels_of_timm(pictures, mode, share, shape, size, interpolation):
    config = {"input_size": (3, size, size), "crop_mode": mode, "crop_pct": share, "interpolation": interpolation}
    theirs = timm.data.create_transform(**config, is_training=False, normalize=False)
    ours = timm_backbone._preprocessing(config, "any")
    assert ours == Preprocessing(size, size, shape, share, interpolation)
    for picture in pictures:
        expected = theirs(picture.convert("RGB")).permute(1, 2, 0).numpy()
        assert np.array_equal(to_pixels(picture, ours), expected), picture.size


def test_a_border_of_grey_is_timms_to_one_level_of_grey(pictures):
    config = {"input_size": (3, 98, 98), "crop_mode": "border", "crop_pct": 1.0, "interpolation": "bicubic"}
    theirs = timm.data.create_transform(**config, mean=(0.5,) * 3, std=(0.5,) * 3, is_training=False, normalize=False)
    ours = timm_backbone._preprocessing(config, "any")
    for picture in pictures:
        expected = theirs(picture.convert("RGB")).permute(1, 2, 0).numpy().astype(int)
        assert np.abs(to_pixels(picture, ours) - expected).max() <= 1


@pytest.mark.parametrize(
    "change",
    [
        {"crop_pct": 1.15},
        {"crop_mode": "border", "crop_pct": 0.9},
        {"crop_mode": "corner"},
        {"interpolation": "random"},
        {"input_size": (1, 98, 98)},
    ],
)
def test_a_preprocessing_that_dn2_does_not_do_is_refused(change):
    config = {"input_size": (3, 98, 98), "crop_mode": "center", "crop_pct": 0.9, "interpolation": "bicubic"} | change
    with pytest.raises(BackboneError, match=r"timm/any needs pictures prepared in a way that dn2 does not"):
        timm_backbone._preprocessing(config, "any")


def test_nearly_all_of_timms_pretrained_networks_are_prepared_in_a_way_that_dn2_does():
    refused = []
    for name in timm.list_pretrained():
        config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
        try:
            timm_backbone._preprocessing(config, name)
        except BackboneError:
            refused.append(name)
    print(f"refused: {refused}")
    assert len(refused) <= 5


@pytest.fixture
def photos_of(pictures, tmp_path):
    """Return a folder of 12 pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        pictures[number % len(pictures)].rotate(number).save(folder / f"{number}.png")
    return folder


# Embeddings


@pytest.mark.parametrize("architecture", NETWORKS)
def test_embeddings_equal_timms_own(weights, named, pictures, architecture, tmp_path):
    size, dimension, normalize = NETWORKS[architecture]
    backbone = get_backbone(named(architecture))
    assert backbone.normalize == normalize
    assert (backbone.preprocessing.height, backbone.preprocessing.width) == (size, size)
    paths = [tmp_path / f"{number}.png" for number in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        picture.save(path)
    headless = timm.create_model(architecture, num_classes=0).eval()
    headless.load_state_dict(weights(architecture)[0].state_dict(), strict=False)
    expected = small_timm.embed(headless, pictures)
    got = dn2.ImageEmbedder(named(architecture)).transform(paths)
    assert got.shape == (len(pictures), dimension)
    assert relative(got, expected).max() < 1e-5
    assert relative(expected[:-1], expected[1:]).min() > 0.01  # different pictures, different embeddings


@pytest.mark.parametrize(
    ("architecture", "size", "dimension", "normalize"),
    [
        ("resnet18.tv_in1k", 224, 512, "root-unit"),
        ("resnet50_clip_gap.openai", 224, 2048, "root-unit"),
        ("vit_small_patch14_dinov2.lvd142m", 518, 384, "unit"),
        ("mobilenetv3_small_050.lamb_in1k", 224, 1024, "unit"),
        ("test_efficientnet.r160_in1k", 160, 256, "unit"),
        ("test_nfnet.r160_in1k", 160, 192, "unit"),
    ],
)
def test_other_structures_come_with_their_own_size_and_the_normalisation_that_suits_them(
    tmp_path, architecture, size, dimension, normalize
):
    path = small_timm.save(timm.create_model(architecture), tmp_path / "w.safetensors")
    backbone = get_backbone(f"timm/{architecture}:{path}")
    assert (backbone.preprocessing.height, backbone.preprocessing.width) == (size, size)
    assert backbone.normalize == normalize
    network = open_network(backbone)
    assert (network.dimension, network.precision) == (dimension, "f32")
    if normalize == "root-unit":
        noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
        assert network.embed([noise]).min() >= 0


def test_a_network_that_adds_something_to_its_relu_is_not_taken_for_non_negative():
    class Shifted(torch.nn.Module):
        def __init__(self, by):
            super().__init__()
            self.relu, self.by = torch.nn.ReLU(), by

        def forward(self, x):
            return self.relu(x).mean(dim=(2, 3)) + self.by

    preprocessing = Preprocessing(8, 8)
    assert timm_backbone._averages_a_relu(Shifted(0), preprocessing)
    assert not timm_backbone._averages_a_relu(Shifted(-0.1), preprocessing)
    assert not timm_backbone._averages_a_relu(torch.nn.Flatten(), preprocessing)


@pytest.fixture
def network(named):
    """Return a small network on PyTorch."""
    return TorchNetwork(get_backbone(named("test_resnet")))


@pytest.fixture(scope="module")
def inputs():
    """Return 21 inputs of the small network, all different."""
    return list(np.random.default_rng(0).integers(0, 256, (21, 160, 160, 3), np.uint8))


@pytest.mark.parametrize("size", [1, 2, 8, 21, 100])
def test_every_picture_gets_its_own_embedding_whatever_the_batches(network, inputs, size):
    alone = np.concatenate([network.embed([one]) for one in inputs])
    network._batch = BatchSize(size, size)
    received = []
    for number, one in enumerate(inputs):
        network.start(one, lambda vector, number=number: received.append((number, vector)))
    network.wait()
    assert [number for number, _ in received] == list(range(21))
    assert relative(np.array([vector for _, vector in received]), alone).max() < 1e-5
    assert network.embed([]).shape == (0, 96)


def test_a_forked_child_and_a_copy_embed_as_the_network_does(network, inputs):
    expected = network.embed(inputs)
    assert np.array_equal(in_child(lambda: network.embed(inputs)), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(network)).embed(inputs), expected)  # noqa: S301


def test_a_picture_may_be_changed_once_it_is_started(network, inputs):
    expected, picture, received = network.embed(inputs[:1]), inputs[0].copy(), []
    network.start(picture, received.append)
    picture[:] = 0
    network.wait()
    assert relative(np.array(received), expected).max() < 1e-5


def test_short_memory_halves_the_batches_and_loses_no_picture(network, inputs, monkeypatch):
    expected, sizes = network.embed(inputs), []
    forward = network._state.get().network.module.forward

    def short(x):
        sizes.append(len(x))
        if len(x) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(x)

    monkeypatch.setattr(network._state.get().network.module, "forward", short)
    network._batch = BatchSize(16, 64)
    assert relative(network.embed(inputs), expected).max() < 1e-5
    assert sizes[:4] == [16, 8, 4, 2]
    assert set(sizes[4:]) <= {1, 2}  # never again more


def test_memory_too_short_for_one_picture_is_an_error_and_leaves_nothing_behind(network, inputs, monkeypatch):
    forward = network._state.get().network.module.forward

    def fail(x):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(network._state.get().network.module, "forward", fail)
    with pytest.raises(BackboneError, match=r"too little memory for timm/test_resnet.*even for one picture"):
        network.embed(inputs)
    monkeypatch.setattr(network._state.get().network.module, "forward", forward)
    assert network.embed(inputs[:2]).shape == (2, 96)


def run_all(batch, rate, batches=40):
    sizes = []
    for _ in range(batches):
        sizes.append(batch.size)
        batch.ran(batch.size, batch.size / rate(batch.size))
    return sizes


def test_the_batch_size_doubles_as_long_as_that_is_faster():
    assert sorted(set(run_all(BatchSize(4, 64), lambda size: size))) == [4, 8, 16, 32, 64]
    sizes = run_all(BatchSize(4, 64), lambda size: min(size, 16))
    assert max(sizes) == 32  # tried, and no better
    assert set(sizes[-20:]) == {16}


def test_a_batch_size_of_which_only_parts_run_stays():
    batch = BatchSize(8, 64)
    for _ in range(10):
        batch.ran(5, 0.01)
    assert batch.size == 8


def test_a_device_of_each_kind_computes_in_what_it_is_good_at(monkeypatch):
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    for natively, precision in ((True, "bf16"), (False, "f16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda natively=natively, **_: natively)
        assert torch_network._default_precision(cuda) == precision
    assert torch_network._default_precision(cpu) == torch_network._default_precision(torch.device("mps")) == "f32"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert torch_network._device() == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert torch_network._device() == cuda


def test_f32_is_f32_also_on_cuda_and_leaves_the_settings_as_they_were():
    torch.set_float32_matmul_precision("high")
    try:
        before = torch.backends.cudnn.allow_tf32
        with torch_network._arithmetic(torch.device("cpu"), "f32"):
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32 == before
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize(("precision", "least", "most"), [("bf16", 1e-4, 0.05), ("f16", 1e-5, 0.01)])
def test_half_precision_is_recorded_and_differs_a_little(named, network, inputs, precision, least, most):
    coarse = TorchNetwork(get_backbone(named("test_resnet")), precision)
    assert (network.precision, coarse.precision) == ("f32", precision)
    assert least < relative(coarse.embed(inputs), network.embed(inputs)).max() < most


def test_an_unknown_precision_is_refused(named):
    with pytest.raises(BackboneError, match="must be one of auto, f32, bf16, f16, got 'int8'"):
        TorchNetwork(get_backbone(named("test_resnet")), "int8")


def test_a_network_that_gives_no_vector_is_refused(named, monkeypatch):
    backbone = get_backbone(named("test_resnet"))
    module = backbone.build().module
    monkeypatch.setattr(module, "forward", lambda x: x)
    with pytest.raises(BackboneError, match=r"must give one vector, \(1, d\), for a picture, it gives \(1, 3, 160"):
        TorchNetwork(backbone)
    monkeypatch.setattr(module, "forward", lambda x: 1 / 0)
    with pytest.raises(BackboneError, match="does not embed pictures: ZeroDivisionError"):
        TorchNetwork(backbone)


# Names and weights


def test_the_digest_changes_with_one_weight_and_not_with_the_file(weights, tmp_path):
    network, path = weights("test_resnet")
    digest = get_backbone(f"timm/test_resnet:{path}").digest
    again = small_timm.save(network, tmp_path / "again.safetensors")
    assert get_backbone(f"timm/test_resnet:{again}").digest == digest
    assert get_backbone(f"timm/test_resnet.r160_in1k:{path}").digest == digest
    bias = network.state_dict()["bn1.bias"].clone()
    bias[0] += 1e-6
    other = small_timm.save(network, tmp_path / "other.safetensors", **{"bn1.bias": bias})
    assert get_backbone(f"timm/test_resnet:{other}").digest != digest
    assert len(digest) == 64


def test_the_digest_changes_with_the_normalisation_of_the_input(weights):
    module = weights("test_resnet")[0]
    digests = {
        timm_backbone._digest(architecture, timm_backbone.TimmNetwork(module, mean, (1.0, 1.0, 1.0)))
        for architecture in ("a", "b")
        for mean in ((0.0, 0.0, 0.0), (0.0, 0.0, 0.1))
    }
    assert len(digests) == 4


def test_the_classifier_of_a_file_makes_no_difference(weights, tmp_path):
    network, path = weights("test_resnet")
    tensors = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("fc.")}
    assert len(tensors) == len(network.state_dict()) - 2
    small_timm.save(torch.nn.Module(), tmp_path / "w.safetensors", **tensors)
    assert get_backbone(f"timm/test_resnet:{tmp_path / 'w.safetensors'}").digest == (
        get_backbone(f"timm/test_resnet:{path}").digest
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timm/resnet_18", r"has no network 'resnet_18'; the nearest names are timm/resnet\w*, timm/"),
        ("timm/tf_efficientnet_b0_ns", r"has no network 'tf_efficientnet_b0_ns'; the nearest names are timm/"),
        ("timm/", r"has no network ''; timm\.list_models\(\) lists them"),
        ("timm/zzzzqqqq", r"has no network 'zzzzqqqq'; timm\.list_models\(\) lists them"),
        ("timm/test_resnet.in99k", r"has no 'test_resnet\.in99k'; it has timm/test_resnet\.r160_in1k"),
        ("timm/test_maxvit", r"no weights for test_maxvit; give them as a file: timm/test_maxvit:weights\.safetensors"),
        ("timm/test_resnet:w.pth", r"must be a \.safetensors file, got 'w\.pth'"),
        ("timm/test_resnet:none.safetensors", r"none\.safetensors cannot be read \(No such file"),
        ("resnet18", r"must be lite0, lite1, lite2, timm/NAME or the path of an \.onnx file.*, got 'resnet18'"),
    ],
)
def test_a_name_that_cannot_be_had_is_refused_in_one_line(name, words):
    with pytest.raises(BackboneError, match=words) as caught:
        get_backbone(name)
    assert len(str(caught.value).splitlines()) == 1


def test_weights_that_cannot_be_downloaded_are_an_error_with_the_way_out(monkeypatch):
    def fail(*_, **__):
        raise OSError("We cannot connect\nto the hub")

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(BackboneError, match=r"\(We cannot connect\); timm downloads.*timm/test_vit:weights\.safeten"):
        get_backbone("timm/test_vit")


def test_weights_of_a_file_lie_in_the_model(weights, named, tmp_path, photos_of):
    _, path = weights("test_resnet")
    copied = tmp_path / "w.safetensors"
    copied.write_bytes(Path(path).read_bytes())
    model = dn2.fit(photos_of, backbone=f"timm/test_resnet:{copied}", precision="f32")
    model.save(tmp_path / "m.dn2")
    copied.unlink()
    again = dn2.load(tmp_path / "m.dn2")
    assert again.embedder.backbone == "timm/test_resnet:w.safetensors"
    assert again.score(photos_of).rows == model.score(photos_of).rows


def test_a_saved_model_takes_timms_weights_from_its_cache_alone(weights, tmp_path, monkeypatch):
    def fail(*given, **_):
        raise AssertionError(f"a download of {given}")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("timm.models._hub.hf_hub_download", fail)
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", fail)
    name = "timm/test_resnet.r160_in1k"
    with pytest.raises(BackboneError, match=f"a saved model downloads nothing by itself; .* backbone=.*{name}"):
        get_backbone(name, ())
    _, path = weights("test_resnet")
    repository = tmp_path / "models--timm--test_resnet.r160_in1k"
    (repository / "snapshots" / "abc").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc" / "model.safetensors").write_bytes(Path(path).read_bytes())
    assert get_backbone(name, ()).digest == get_backbone(f"timm/test_resnet:{path}").digest


def test_a_file_of_other_weights_is_refused_with_what_is_wrong(weights, tmp_path):
    network, _ = weights("test_resnet")
    path = tmp_path / "w.safetensors"

    def refused(words, architecture="test_resnet"):
        with pytest.raises(BackboneError, match=words) as caught:
            get_backbone(f"timm/{architecture}:{path}")
        assert len(str(caught.value).splitlines()) == 1

    path.write_bytes(b"garbage")
    refused(r"w\.safetensors cannot be read \(")
    small_timm.save(network, path, **{"conv1.9.weight": torch.zeros(3)})
    refused(r"0 are missing, and 1 are of another network \(conv1\.9\.weight, \.\.\.\)")
    small_timm.save(network, path, **{"bn1.bias": torch.zeros(3)})
    refused(r"bn1\.bias must have the shape \(32,\), got \(3,\)")
    refused(r"of \d+ tensors \d+ are missing \(cls_token, \.\.\.\), and \d+ are of another", "test_vit")
    tensors = network.state_dict()
    del tensors["bn1.bias"]
    small_timm.save(torch.nn.Module(), path, **tensors)
    refused(r"of \d+ tensors 1 are missing \(bn1\.bias, \.\.\.\), and 0 are of another")


# Saved models


@pytest.fixture
def parts_folder(tmp_path, crops):
    """Return a folder of eight photographs."""
    (tmp_path / "good").mkdir()
    for number, crop in enumerate(crops):
        Image.fromarray(crop).save(tmp_path / "good" / f"{number}.png")
    return tmp_path / "good"


def test_a_saved_model_scores_alike_from_another_folder_and_refuses_other_weights(
    weights, parts_folder, tmp_path, monkeypatch
):
    network, path = weights("test_resnet")
    (tmp_path / "w.safetensors").write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    model = dn2.fit("good", backbone="timm/test_resnet:w.safetensors", false_alarm_rate=0.2)
    model.save("model.dn2")
    assert model.describe()["embedder"]["preprocessing"] == {
        "height": 160,
        "width": 160,
        "shape": "crop",
        "crop_share": 0.95,
        "interpolation": "bilinear",
        "reading": READING_VERSION,
    }
    expected = [row.anomaly_score for row in model.score("good")]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    loaded = dn2.load(tmp_path / "model.dn2")
    assert [row.anomaly_score for row in loaded.score(str(parts_folder))] == pytest.approx(expected, rel=1e-4, abs=1e-9)
    bias = network.state_dict()["bn1.bias"] + 0.01
    small_timm.save(network, tmp_path / "w.safetensors", **{"bn1.bias": bias})
    named = f"timm/test_resnet:{tmp_path / 'w.safetensors'}"
    with pytest.raises(NotReproducible, match="is not the one that the model was made with"):
        dn2.load(tmp_path / "model.dn2", backbone=named)
    (tmp_path / "w.safetensors").unlink()
    with pytest.raises(BackboneError, match=r"w\.safetensors cannot be read"):
        dn2.load(tmp_path / "model.dn2", backbone=named)
    assert len(dn2.load(tmp_path / "model.dn2").items) == len(expected)


# Export


@pytest.mark.parametrize("architecture", NETWORKS)
def test_an_exported_network_embeds_alike_on_openvino(named, pictures, architecture, tmp_path):
    error = dn2.export_onnx(named(architecture), tmp_path / "net.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.json", "net.onnx"]
    ours, theirs = get_backbone(str(tmp_path / "net.onnx")), get_backbone(named(architecture))
    assert (ours.preprocessing, ours.normalize) == (theirs.preprocessing, theirs.normalize)
    inputs = [to_pixels(picture, ours.preprocessing) for picture in pictures]
    exported = open_network(ours, "f32")
    assert isinstance(exported, Network)
    errors = relative(exported.embed(inputs), open_network(theirs).embed(inputs))
    assert max(error, errors.max()) < 1e-4


def test_an_export_replaces_both_files(named, tmp_path):
    for name in ("net.onnx", "net.json"):
        (tmp_path / name).write_text("old")
    dn2.export_onnx(named("test_resnet"), tmp_path / "net.onnx")
    assert json.loads((tmp_path / "net.json").read_text())["shape"] == "crop"
    assert get_backbone(str(tmp_path / "net.onnx"))


def test_an_export_that_embeds_otherwise_is_not_kept(named, tmp_path, monkeypatch):
    monkeypatch.setattr("dn2.networks.export._difference", lambda *_: float("nan"))
    (tmp_path / "net.onnx").write_text("old")
    with pytest.raises(BackboneError, match=r"a relative difference of nan, at most 0\.001 is accepted"):
        dn2.export_onnx(named("test_resnet"), tmp_path / "net.onnx")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_what_cannot_be_expressed_in_onnx_is_an_error_in_one_line(named, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no such operator\nand much more")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(BackboneError, match=r"cannot be exported to ONNX: .*no such operator") as caught:
        dn2.export_onnx(named("test_resnet"), tmp_path / "net.onnx")
    assert len(str(caught.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtra, match=r"run: pip install 'dn2\[torch\]'"):
        dn2.export_onnx(named("test_resnet"), tmp_path / "net.onnx")


# Maps

# The numbers of the maps that are taken, and their strides.
MAPS = {
    "test_resnet": ([2, 3, 4], [8, 16, 32]),
    "test_convnext": ([1, 2, 3], [8, 16, 32]),
    "test_vit": ([4, 5], [16, 16]),
}


def maps_by_hand(network, pixels, numbers):
    """Average the maps of a network over each place and the 8 around it: (height, width, d) each."""
    config = timm.data.resolve_model_data_config(network)
    pictures = (torch.from_numpy(pixels / 255) - torch.tensor(config["mean"])) / torch.tensor(config["std"])
    kept = {"norm": True} if isinstance(network, timm.models.VisionTransformer) else {}
    with torch.inference_mode():
        maps = network.forward_intermediates(
            pictures.permute(2, 0, 1)[None].float(), numbers, intermediates_only=True, output_fmt="NCHW", **kept
        )
    for (level,) in maps:
        depth, height, width = level.shape
        padded = np.zeros((depth, height + 2, width + 2), np.float32)
        padded[:, 1:-1, 1:-1] = level
        shifted = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
        yield (sum(shifted) / 9).transpose(1, 2, 0)


@pytest.mark.parametrize("architecture", MAPS)
def test_maps_are_those_of_timm_whatever_sizes_come_in_a_batch(named, weights, architecture):
    numbers, strides = MAPS[architecture]
    backbone = get_map_backbone(named(architecture), 96)
    assert (backbone.preprocessing.shape, backbone.preprocessing.multiple) == ("area", max(strides))
    network = open_map_network(backbone, "f32")
    rng = np.random.default_rng(0)
    inputs = [rng.integers(0, 256, (*size, 3), np.uint8) for size in ((96, 96), (64, 128), (96, 96), (128, 64))]
    received = {}
    for place, pixels in enumerate(inputs):
        network.start(pixels, lambda maps, place=place: received.update({place: maps}))
    network.wait()
    any_size = {"dynamic_img_size": True} if architecture == "test_vit" else {}
    theirs = timm.create_model(architecture, **any_size).eval()
    theirs.load_state_dict(weights(architecture)[0].state_dict())
    for place, pixels in enumerate(inputs):
        expected = list(maps_by_hand(theirs, pixels, numbers))
        assert [one.shape[2] for one in expected] == network.dimensions
        for got, wanted in zip(received[place], expected, strict=True):
            assert got.shape == wanted.shape
            assert np.linalg.norm(got - wanted) < 1e-3 * np.linalg.norm(wanted)


def test_a_network_of_one_size_sees_whole_pictures_squashed(named, monkeypatch):
    takes = timm_maps._takes
    monkeypatch.setattr(timm_maps, "_takes", lambda network, *size: size == (160, 160) and takes(network, *size))
    backbone = get_map_backbone(named("test_vit"), 96)
    assert (backbone.preprocessing.shape, backbone.preprocessing.width) == ("squash", 160)
    (maps,) = open_map_network(backbone, "f32").embed([np.zeros((160, 160, 3), np.uint8)])
    assert [level.shape for level in maps] == [(10, 10, 64)] * 2


def test_a_network_without_maps_is_refused(named, monkeypatch):
    name = named("test_resnet")
    with monkeypatch.context() as patch:
        patch.setattr(timm_maps, "_takes", lambda *_: False)
        with pytest.raises(BackboneError, match="does not give its maps as"):
            get_map_backbone(name, 96)
    monkeypatch.setattr(timm_maps, "STRIDES", (4096,))
    with pytest.raises(BackboneError, match="has no maps of strides 4096, nor blocks of patches"):
        get_map_backbone(name, 96)


def test_a_model_of_patches_of_timm_is_saved_and_told_how_to_export(named, photos_of, tmp_path, monkeypatch):
    monkeypatch.setattr("dn2.kinds.image.patches.finding.MOST_PIXELS", 0)
    monkeypatch.setattr("dn2.kinds.image.patches.finding.LEAST_PLANTED", 4)
    model = dn2.fit(photos_of, patches=True, resolution=64, bank=20, backbone=named("test_resnet"), cache=False)
    model.save(tmp_path / "m.dn2")
    loaded = dn2.load(tmp_path / "m.dn2", cache=False)
    frame = np.zeros((60, 90, 3), np.uint8)
    assert loaded.score_one(frame).anomaly_score == pytest.approx(model.score_one(frame).anomaly_score)
    with pytest.raises(dn2.InputError, match=r"a network on PyTorch is not exported .* dn2.export_onnx\('timm/test_"):
        loaded.export(tmp_path / "out")


# The documents

ON_BACKBONES = ROOT / "docs" / "backbones.md"


def lines_on_timm():
    lines = [line for block in blocks(ON_BACKBONES, "console") for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ dn2") and "timm/" in line]


def test_the_documents_name_networks_that_timm_has_weights_for():
    import re

    text = ON_BACKBONES.read_text(encoding="utf-8")
    names = set(re.findall(r"`timm/(\w+\.\w+)`", text))
    assert len(names) >= 6
    assert names <= set(timm.list_pretrained())


@pytest.fixture
def page():
    """The page whose commands run."""
    return ON_BACKBONES


def test_the_commands_of_the_documents_run(parts, no_download, weights, monkeypatch, capsys):  # noqa: F811
    import shlex

    from dn2.cli import main

    small_timm.save(timm.create_model("resnet18"), Path("weights.safetensors"))
    for name in ("network.onnx", "network.json"):
        Path(name).unlink()
    commands = lines_on_timm()
    assert len(commands) >= 2
    assert any("export" in command for command in commands)
    for command in [*commands, "dn2 fit good_parts/ -o parts.dn2 --backbone network.onnx"]:
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code, f"{command}: {capsys.readouterr().err}"
        assert not capsys.readouterr().out  # exporters like to print
