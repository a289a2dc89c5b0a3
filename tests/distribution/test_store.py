"""The cache never holds, and never gives out, a file that does not match its checksum."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.core.errors import SetupError
from harness.distribution import store
from harness.distribution.store import default_cache, exclusive, obtain, sha256_of


def files_under(cache):
    return sorted(file.name for part in ("jars", "releases") for file in (cache / part).rglob("*") if file.is_file())


def test_an_empty_cache_is_filled_and_then_only_read(lock, cache, registry):
    jars = obtain(lock, cache, registry, quiet=True)
    assert [jar.name for jar in jars] == ["alpha-1.0.jar", "beta-1.0.jar", "gamma-1.0.jar"]
    assert {jar.name: sha256_of(jar) for jar in jars} == {jar.filename: jar.sha256 for jar in lock.artifacts}
    assert len({jar.parent for jar in jars}) == 1
    assert obtain(lock, cache, registry, quiet=True) == jars
    assert sorted(registry.served) == ["alpha", "beta", "gamma"]
    assert not list((cache / "tmp").iterdir())


def test_a_wrong_checksum_names_the_jar_and_leaves_nothing_of_it(lock, cache, registry):
    registry.altered = {"beta"}
    with pytest.raises(SetupError, match=r"org\.example:beta:1\.0 has the wrong checksum: expected sha256 .* got "):
        obtain(lock, cache, registry, quiet=True)
    assert "beta-1.0.jar" not in files_under(cache)
    assert not (cache / "releases").exists()
    assert not list((cache / "tmp").iterdir())
    registry.altered = set()
    assert len(obtain(lock, cache, registry, quiet=True)) == 3


def test_a_missing_artifact_is_named_and_no_release_appears(lock, cache, registry):
    registry.absent = {"gamma"}
    with pytest.raises(SetupError, match=r"org\.example:gamma:1\.0 is missing"):
        obtain(lock, cache, registry, quiet=True)
    assert not (cache / "releases").exists()


def test_a_cached_jar_that_was_altered_is_downloaded_again(lock, cache, registry):
    jars = obtain(lock, cache, registry, quiet=True)
    stamp_ns = jars[0].stat().st_mtime_ns
    altered = jars[0].read_bytes()[:-1] + b"!"
    jars[0].chmod(0o644)
    jars[0].write_bytes(altered)
    registry.served.clear()
    assert obtain(lock, cache, registry, quiet=True) == jars
    assert registry.served == ["alpha"]
    assert sha256_of(jars[0]) == next(jar.sha256 for jar in lock.artifacts if jar.artifact == "alpha")
    assert jars[0].stat().st_mtime_ns == stamp_ns  # else every class-data archive would be stale


def test_a_cache_that_is_no_directory_is_one_clear_error(lock, tmp_path, registry):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="RMQ_HARNESS_CACHE"):
        obtain(lock, tmp_path / "file" / "cache", registry, quiet=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a read-only directory")
def test_a_read_only_cache_is_one_clear_error(lock, tmp_path, registry):
    (tmp_path / "cache").mkdir(mode=0o500)
    with pytest.raises(SetupError, match="cannot be used"):
        obtain(lock, tmp_path / "cache", registry, quiet=True)


def test_a_full_disk_is_one_clear_error(lock, cache, registry, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_assemble", full)
    with pytest.raises(SetupError, match="No space left on device"):
        obtain(lock, cache, registry, quiet=True)


def test_an_occupied_cache_is_waited_for_and_then_named(cache):
    with exclusive(cache, "held"):
        with ThreadPoolExecutor(1) as other, pytest.raises(SetupError, match="another process has been filling held"):
            other.submit(_hold_briefly, cache).result()
        with exclusive(cache, "another"):
            pass


def _hold_briefly(cache):
    with exclusive(cache, "held", timeout_s=0.1):
        pytest.fail("the lock was given twice")


def test_two_at_once_download_each_jar_once(lock, cache, registry):
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: obtain(lock, cache, registry, quiet=True), range(2)))
    assert both[0] == both[1]
    assert sorted(registry.served) == ["alpha", "beta", "gamma"]


def test_the_default_cache_follows_xdg(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "rmq-harness"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(default_cache()) == "/home/someone/.cache/rmq-harness"
