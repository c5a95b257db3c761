"""Embedders as transformers of scikit-learn, which learn nothing."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags

from dn2.arrays import Array
from dn2.kinds.embedder import Embedder


class Transformer(TransformerMixin, BaseEstimator, Embedder):  # type: ignore[misc]
    """What makes an embedder a transformer: the other base of each kind's public one."""

    @classmethod
    def sharing(cls, embedder: Embedder) -> Self:
        """Make a transformer of an embedder; it shares what has been opened."""
        if isinstance(embedder, cls):
            return embedder
        made = cls.__new__(cls)
        made.__dict__.update(vars(embedder))
        return made

    @property
    def n_features_out_(self) -> int:
        """The number of columns that `transform` gives, d."""
        return self.dimension

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Do nothing: the embedder is trained already.

        Parameters
        ----------
        X : object, default=None
            Anything; it is not looked at.
        y : object, default=None
            As scikit-learn gives it; it is not looked at.

        Returns
        -------
        self : the embedder
        """
        return self

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Name the columns that `transform` gives.

        Parameters
        ----------
        input_features : object, default=None
            As scikit-learn gives it; embedded items have no columns.

        Returns
        -------
        names : ndarray of shape (d,), object
            The class in lower case, and a number from 0 on.
        """
        name = type(self).__name__.lower()
        return np.array([f"{name}{number}" for number in range(self.dimension)], dtype=object)

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; attributes computed from them are computed anew at their next use.

        Parameters
        ----------
        **params : dict
            Parameters of the constructor.

        Returns
        -------
        self : the embedder
        """
        super().set_params(**params)
        for name in (*self.derived_attributes, "opened_cache"):
            self.__dict__.pop(name, None)
        return self

    def __sklearn_clone__(self) -> Self:
        return self.fresh_copy()

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        return tags
