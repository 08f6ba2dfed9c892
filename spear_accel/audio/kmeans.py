"""k-means on encoder features: fitting on a sample of many files, and the nearest centroid of a frame.

Knows vectors. Does not know speech, files or encoders.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spear_accel.errors import UserError

__all__ = ["Codebook", "fit_codebook"]


@dataclass(frozen=True)
class Codebook:
    """Centroids of normalised features.

    Features are normalised per dimension before they are compared, as in SPEAR-TTS (arXiv 2302.03540).
    """

    mean: Tensor
    """[D]"""
    scale: Tensor
    """One over the standard deviation [D]."""
    centroids: Tensor
    """In the normalised space [units, D]."""

    def nearest(self, features: Tensor) -> Tensor:
        """Unit of each feature vector: [..., D] -> int64 [...]."""
        normalised = (features - self.mean) * self.scale
        # |x - c|^2 without |x|^2, which is the same for every centroid.
        scores = normalised @ self.centroids.T - 0.5 * self.centroids.square().sum(dim=1)
        return scores.argmax(dim=-1)

    def tensors(self) -> dict[str, Tensor]:
        """What a file must hold to make the codebook again."""
        return {"mean": self.mean, "scale": self.scale, "centroids": self.centroids}


def fit_codebook(features: Tensor, units: int, *, seed: int = 0, epochs: int = 20) -> Codebook:
    """Mini-batch k-means (Sculley 2010; scikit-learn's) on `features` [frames, D].

    Raises:
        UserError: Fewer frames than `units`, or scikit-learn is not installed.
    """
    if len(features) < units:
        raise UserError(f"{units} units need at least as many frames, found {len(features)}; add recordings")
    try:
        from sklearn.cluster import MiniBatchKMeans
    except ImportError as error:
        raise UserError("k-means needs scikit-learn; install it with: pip install 'spear-accel[train]'") from error
    mean = features.mean(dim=0)
    scale = features.std(dim=0).clamp_min(1e-5).reciprocal()
    normalised = ((features - mean) * scale).numpy()
    fitted = MiniBatchKMeans(
        units, batch_size=max(4096, 4 * units), max_iter=epochs, n_init=3, random_state=seed, reassignment_ratio=0.001
    ).fit(normalised)
    return Codebook(mean, scale, torch.from_numpy(fitted.cluster_centers_).float())
