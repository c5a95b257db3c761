"""Backbones by name, on a machine with or without PyTorch."""

import sys

import pytest

import dn2
from dn2.embed.registry import from_any_folder, get_backbone
from dn2.errors import BackboneError, InputError, MissingExtra


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


def test_the_path_in_a_name_is_made_absolute_and_nothing_else(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert from_any_folder("timm/resnet18:w.safetensors") == f"timm/resnet18:{tmp_path / 'w.safetensors'}"
    assert from_any_folder("net.onnx") == str(tmp_path / "net.onnx")
    for name in ("lite0", "timm/resnet18", "timm/resnet18.tv_in1k"):
        assert from_any_folder(name) == name


def test_a_backbone_of_another_kind_is_not_exported(tmp_path):
    for name in ("lite0", "network.onnx", "resnet18"):
        with pytest.raises(BackboneError, match=f"only a backbone timm/NAME can be exported, got {name!r}"):
            dn2.export_onnx(name, tmp_path / "net.onnx")


@pytest.mark.parametrize("path", ["net.pb", "net", "none/net.onnx"])
def test_an_export_goes_to_an_onnx_file_in_a_folder_that_exists(tmp_path, path):
    with pytest.raises(InputError, match=r"written to a file \.onnx in a folder that exists, got .*net"):
        dn2.export_onnx("timm/resnet18", tmp_path / path)
