"""Clusters by name, and what is refused before any is asked."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import dn2
from dn2.errors import InputError, MissingExtra
from dn2.system.workers import working


@pytest.mark.parametrize("on", ["spark", "ray://", "ray://host:port", "ray:8000", "ray?cpus=two", "ray?speed=9", 3])
def test_only_clusters_of_ray_are_known(on):
    with pytest.raises(InputError, match=r"on must be ray or ray://HOST:PORT"), working(on):
        pass


def test_without_ray_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'dn2\[ray\]'"), working("ray"):
        pass


def test_maps_are_written_here_or_not_at_all(tmp_path):
    model = dn2.fit(np.random.default_rng(0).normal(size=(50, 4)))
    with pytest.raises(InputError, match="workers of a cluster write no maps: leave out maps, or on"):
        model.score(np.zeros((2, 4)), maps=tmp_path, on="ray")
