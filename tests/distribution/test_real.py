"""The registry as it is."""

from __future__ import annotations

import pytest

from harness.core.errors import SetupError
from harness.distribution.locks import Artifact
from harness.distribution.registry import fetch_from_registry
from harness.distribution.release import obtain_client, obtain_release
from harness.distribution.store import sha256_of


@pytest.mark.real
def test_a_release_arrives_in_an_empty_cache(cache):
    release = obtain_release("4.9.7", cache, quiet=True)
    assert "rocketmq-broker-4.9.7.jar" in [jar.name for jar in release.jars]
    assert {jar.name: sha256_of(jar) for jar in release.jars} == dict(release.sha256)
    client = obtain_client("4.9.7", cache, quiet=True)
    assert "rocketmq-client-4.9.7.jar" in [jar.name for jar in client]


@pytest.mark.real
def test_what_the_registry_lacks_is_named(tmp_path):
    absent = Artifact("org.apache.rocketmq", "rocketmq-broker", "4.9.7777", "0" * 64, 1)
    with pytest.raises(SetupError, match=r"org\.apache\.rocketmq:rocketmq-broker:4\.9\.7777 is missing"):
        fetch_from_registry(absent, tmp_path)
