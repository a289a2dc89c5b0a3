"""Clusters of fakes, as those of tests/cluster."""

from tests.cluster.conftest import make_cluster

__all__ = ["make_cluster"]
