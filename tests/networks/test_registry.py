"""Backbones by name, on a machine with or without PyTorch."""

import sys

import pytest

import dn2
from dn2.errors import BackboneError, InputError, MissingExtra
from dn2.networks.registry import count_files, get_backbone, split_name, strip_folders


@pytest.mark.parametrize("missing", ["timm", "torch"])
@pytest.mark.parametrize("work", [get_backbone, lambda name: dn2.export_onnx(name, "net.onnx")])
def test_without_the_extra_a_network_of_timms_says_what_to_install(monkeypatch, tmp_path, missing, work):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtra, match=r"needs PyTorch and timm \(.*\); run: pip install 'dn2\[torch\]'") as caught:
        work("timm/resnet18")
    assert len(str(caught.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_torchvision_of_another_build_than_torch_is_named(monkeypatch, tmp_path):
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist\\nmore')")
    for name in [name for name in sys.modules if name.split(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackboneError, match=r"\(operator torchvision::nms does not exist\); .* must be of one build"):
        get_backbone("timm/resnet18")


def test_a_name_without_folders_names_the_files_alone():
    assert strip_folders("timm/resnet18:a/w.safetensors") == "timm/resnet18:w.safetensors"
    assert strip_folders("/a/b/net.onnx") == strip_folders("net.onnx") == "net.onnx"
    assert strip_folders("lite0+a/net.onnx+timm/resnet18:/b/w.safetensors") == (
        "lite0+net.onnx+timm/resnet18:w.safetensors"
    )
    for name in ("lite0", "timm/resnet18", "timm/resnet18.tv_in1k", "lite0+lite2-posterior@192"):
        assert strip_folders(name) == name
    assert strip_folders("a/caf\udce9.onnx") == r"caf\xe9.onnx"  # a byte that is no UTF-8 can be written


@pytest.mark.parametrize("name", ["a/lite0+net.onnx", "a/x.onnx+b.onnx", "a/net+timm.onnx", "timm/r:a/lite0+lite1.st"])
def test_a_name_without_folders_joins_as_many_networks_as_before(name):
    parts = split_name(name)
    assert len(split_name(strip_folders(name))) == len(parts)
    assert list(map(count_files, split_name(strip_folders(name)))) == list(map(count_files, parts))


def test_a_backbone_of_another_kind_is_not_exported(tmp_path):
    for name in ("lite0", "network.onnx", "resnet18"):
        with pytest.raises(BackboneError, match=f"only a backbone timm/NAME can be exported, got {name!r}"):
            dn2.export_onnx(name, tmp_path / "net.onnx")


@pytest.mark.parametrize("path", ["net.pb", "net"])
def test_an_export_goes_to_an_onnx_file(tmp_path, path):
    with pytest.raises(InputError, match=r"written to a file that ends in \.onnx, got .*net"):
        dn2.export_onnx("timm/resnet18", tmp_path / path)


# Variants of the built-in networks


@pytest.mark.parametrize(
    ("name", "side"),
    [("lite0", 224), ("lite1", 240), ("lite2", 260), ("lite0@192", 192), ("lite2@32", 32), ("lite1@1024", 1024)],
)
@pytest.mark.parametrize("posterior", ["", "-posterior"])
def test_a_built_in_network_takes_pictures_of_the_size_in_its_name(name, side, posterior):
    kind, at, size = name.partition("@")
    backbone = get_backbone(kind + posterior + at + size)
    assert (backbone.preprocessing.width, backbone.preprocessing.height) == (side, side)
    assert (backbone.name, backbone.normalize) == (kind + posterior + at + size, "root-unit")


def test_a_posterior_has_a_digest_of_its_own_and_a_size_has_not():
    names = ["lite0", "lite1", "lite2", "lite0-posterior", "lite1-posterior", "lite2-posterior"]
    assert len({get_backbone(name).digest for name in names}) == len(names)
    assert get_backbone("lite0@192").digest == get_backbone("lite0").digest  # its preprocessing tells
    assert get_backbone("lite0-posterior@192").digest == get_backbone("lite0-posterior").digest


@pytest.mark.parametrize("name", ["lite0@0", "lite0@31", "lite0@1025", "lite2-posterior@9999"])
def test_a_size_too_small_or_too_large_is_refused(name):
    with pytest.raises(BackboneError, match=f"the side of a picture must have 32 to 1024 pixels, got {name!r}"):
        get_backbone(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "lite3",
        "lite",
        "Lite0",
        "lite0@",
        "lite0@x",
        "lite0@-64",
        "lite0@12345",
        "lite0@192-posterior",
        "lite0-posteriors",
        "lite0 ",
        "lite0\n",
        "lite0+",
        "+lite0",
        "lite0+lite7",
        "lite0+resnet18",
    ],
)
def test_a_name_that_is_no_backbone_is_refused_with_what_is(name):
    with pytest.raises(BackboneError, match=r"the backbone must be lite0, lite1, lite2, timm/NAME or the path of an"):
        dn2.ImageEmbedder(name).specs  # noqa: B018


# Joined networks


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("lite0", ["lite0"]),
        ("lite0+lite2", ["lite0", "lite2"]),
        ("lite0-posterior+lite2-posterior@192", ["lite0-posterior", "lite2-posterior@192"]),
        ("lite0+lite1+lite2", ["lite0", "lite1", "lite2"]),
        ("lite0+lite0", ["lite0", "lite0"]),
        ("lite1-posterior+lite2-posterior@192+lite2", ["lite1-posterior", "lite2-posterior@192", "lite2"]),
        ("a.onnx+lite1-posterior@99+b.onnx", ["a.onnx", "lite1-posterior@99", "b.onnx"]),
        ("lite0+timm/resnet18", ["lite0", "timm/resnet18"]),
        ("timm/resnet18+lite0", ["timm/resnet18", "lite0"]),
        ("timm/a:w.pt+timm/b", ["timm/a:w.pt", "timm/b"]),
        ("net.onnx+lite0", ["net.onnx", "lite0"]),
        ("lite0+net.onnx", ["lite0", "net.onnx"]),
        ("lite0+c++/a.onnx+lite2-posterior@208+b.onnx", ["lite0", "c++/a.onnx", "lite2-posterior@208", "b.onnx"]),
        ("./lite0+net.onnx", ["./lite0+net.onnx"]),
        ("a.onnx+b.onnx", ["a.onnx", "b.onnx"]),
        ("a.onnx+b.onnx+timm/resnet18", ["a.onnx", "b.onnx", "timm/resnet18"]),
        # Files whose paths hold a +
        ("c++/net.onnx", ["c++/net.onnx"]),
        ("a+b.onnx", ["a+b.onnx"]),
        ("my+lite.onnx", ["my+lite.onnx"]),
        ("net+lite0.onnx", ["net+lite0.onnx"]),
        ("net+lite0/b.onnx+lite0", ["net+lite0/b.onnx", "lite0"]),
    ],
)
def test_a_name_lists_the_networks_that_it_joins(name, parts):
    assert split_name(name) == parts
