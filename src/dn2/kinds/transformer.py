"""Embedders as transformers of scikit-learn, which learn nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags

from dn2.arrays import Array
from dn2.store.cache import Cache
from dn2.system.processes import cached_property


class Embedder(ABC, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer of items such as pictures or texts to vectors; the base of each kind's embedder.

    cache : True for the user's cache, False or None to keep nothing."""

    cache: Cache | bool | None
    derived_attributes: tuple[str, ...] = ()  # attributes that are computed from the parameters at their first use

    @property
    @abstractmethod
    def dimension(self) -> int:
        """The length d of an embedding."""

    @cached_property
    def opened_cache(self) -> Cache | None:
        """The cache, opened at first use."""
        return Cache.of(self.cache)

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

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "opened_cache"}

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        return tags
