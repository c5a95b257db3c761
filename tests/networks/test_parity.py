"""The proof: the networks equal the ones that their authors publish, run by PyTorch."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dn2.networks.lite import SPECS
from dn2.networks.openvino import Network
from dn2.networks.registry import get_backbone

REASON = "needs PyTorch and efficientnet_lite_pytorch: `make test-torch`"
torch = pytest.importorskip("torch", reason=REASON)
theirs = pytest.importorskip("efficientnet_lite_pytorch", reason=REASON)


@pytest.mark.parametrize("name", SPECS)
def test_embeddings_equal_pytorchs_to_one_in_ten_thousand(name, photos, crops, digits):
    spec = SPECS[name]
    pictures = [Image.fromarray(picture) for picture in photos + crops + digits]
    resized = [picture.convert("RGB").resize((spec.size, spec.size), Image.Resampling.BICUBIC) for picture in pictures]
    pixels = [np.asarray(picture) for picture in resized]

    package = importlib.import_module(spec.package)
    weights = Path(package.__file__).parent / "models" / spec.filename
    network = theirs.EfficientNet.from_pretrained(f"efficientnet-{name}", weights_path=str(weights)).eval()
    x = (torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.no_grad():
        expected = network.extract_features(x).mean(dim=(2, 3)).numpy()

    got = Network(get_backbone(name), "f32").embed(pixels)
    assert got.shape == expected.shape
    error = np.abs(got - expected).max() / np.abs(expected).max()
    print(f"{name}: {error:.1e}")
    assert error <= 1e-4
