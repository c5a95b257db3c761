"""Pictures to the vectors of their patches, as a scikit-learn transformer."""

from __future__ import annotations

from dn2.kinds.image.patches.embedder import PatchEmbedder
from dn2.kinds.image.transformer import ImageEmbedder


class PatchTransformer(ImageEmbedder, PatchEmbedder):
    """What embeds the pictures of a model of patches, each as the mean of its patches."""
