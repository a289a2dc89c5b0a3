"""What --rocketmq accepts, and what it says about the rest."""

from __future__ import annotations

import hashlib
from zipfile import ZipFile

import pytest

from harness.core.errors import UsageError
from harness.core.version import Version
from harness.distribution import locks
from harness.distribution.release import (
    Release,
    obtain_client,
    obtain_release,
    parse_release,
    supported_clients,
    supported_releases,
    with_proxy,
)


def test_the_main_versions_are_supported():
    assert {Version(4, 9, 7), Version(5, 3, 3)} <= set(supported_releases())
    assert {Version(4, 9, 7), Version(5, 3, 3)} <= set(supported_clients())


@pytest.mark.parametrize("name", [locks.SERVER, locks.CLIENT, locks.PROXY])
def test_every_lock_is_whole(name):
    for version in locks.versions(name):
        lock = locks.load(name, version)
        names = [jar.filename for jar in lock.artifacts]
        assert len(set(names)) == len(names), f"{lock.label} names a jar twice"
        assert all(len(jar.sha256) == 64 and jar.size_bytes > 0 for jar in lock.artifacts)
        roles = {locks.SERVER: ("broker", "namesrv", "tools"), locks.PROXY: ("proxy",)}.get(name, ("client",))
        assert {f"rocketmq-{role}-{version}.jar" for role in roles} <= set(names)
        if name == locks.CLIENT:
            assert not [jar for jar in names if jar.startswith(("rocketmq-broker", "rocketmq-tools"))]


@pytest.mark.parametrize("spec", ["9.9.9", "latest", "", "path:", "image:", "5.3", "v5.3.3", "ftp:x"])
def test_an_unknown_release_lists_the_known(spec):
    with pytest.raises(UsageError, match=r"4\.9\.7.*5\.3\.3.*path:DIR"):
        parse_release(spec)


def test_specs_are_read():
    assert parse_release("5.3.3").version == (5, 3, 3)
    assert str(parse_release("path:/some/where").directory) == "/some/where"
    image = parse_release("image:host:5000/rocketmq:5.3.3")
    assert (image.image, image.version) == ("host:5000/rocketmq:5.3.3", Version(5, 3, 3))


@pytest.mark.parametrize("spec", ["image:host:5000/rocketmq", "image:rocketmq:latest"])
def test_an_image_without_a_version_is_refused(spec):
    with pytest.raises(UsageError, match="as tag"):
        parse_release(spec)


def test_an_image_has_no_jars_here(cache):
    release = obtain_release("image:rocketmq:5.3.3", cache)
    assert (release.jars, release.version) == ((), (5, 3, 3))


def unpacked(tmp_path, *names):
    lib = tmp_path / "candidate" / "lib"
    lib.mkdir(parents=True)
    for name in names:
        (lib / name).write_bytes(name.encode())
    return lib.parent


def whole(home, version):
    """The other parts of a release, as jars that hold nothing but their own name."""
    for part in ("broker", "namesrv", "remoting", "common", "store"):
        with ZipFile(home / "lib" / f"rocketmq-{part}-{version}.jar", "w") as jar:
            jar.writestr("name", part)
    return home


def test_a_candidate_is_taken_as_it_is(tmp_path, cache):
    home = whole(unpacked(tmp_path, "z.jar", "readme.txt"), "5.4.0-SNAPSHOT")
    release = obtain_release(f"path:{home}", cache)
    assert str(release.version) == "5.4.0-SNAPSHOT"
    assert [jar.name for jar in release.jars][::5] == ["rocketmq-broker-5.4.0-SNAPSHOT.jar", "z.jar"]
    assert "z.jar" not in release.own_jars
    assert len(release.own_jars) == 5
    assert release.sha256["z.jar"] == hashlib.sha256(b"z.jar").hexdigest()
    assert release.home == home
    assert not cache.exists()


def test_a_directory_without_jars_is_no_release(tmp_path, cache):
    with pytest.raises(UsageError, match="no lib/"):
        obtain_release(f"path:{unpacked(tmp_path)}", cache)
    with pytest.raises(UsageError, match="no lib/"):
        obtain_release("path:/nonexistent", cache)


def test_a_directory_without_or_with_two_broker_jars_is_no_release(tmp_path, cache):
    home = unpacked(tmp_path, "rocketmq-client-5.3.3.jar")
    with pytest.raises(UsageError, match="holds 0 jars"):
        obtain_release(f"path:{home}", cache)
    for version in ("5.3.3", "5.4.0"):
        (home / "lib" / f"rocketmq-broker-{version}.jar").touch()
    with pytest.raises(UsageError, match="holds 2 jars"):
        obtain_release(f"path:{home}", cache)


@pytest.mark.parametrize(("harm", "told"), [("gone", "has no rocketmq-store-5.4.0.jar"), ("torn", "or cut short")])
def test_a_release_that_is_not_whole_is_none(tmp_path, cache, harm, told):
    home = whole(unpacked(tmp_path, "z.jar"), "5.4.0")
    jar = home / "lib" / "rocketmq-store-5.4.0.jar"
    if harm == "gone":
        jar.unlink()
    else:
        jar.write_bytes(jar.read_bytes()[:-30])
    with pytest.raises(UsageError, match=told):
        obtain_release(f"path:{home}", cache)


def test_a_part_of_another_release_beside_its_own_is_told(tmp_path, cache):
    home = whole(unpacked(tmp_path, "rocketmq-store-4.9.7.jar", "rocketmq-slf4j-api-1.0.1.jar"), "5.4.0")
    with pytest.raises(UsageError, match=r"lib has rocketmq-store-4.9.7.jar beside those of 5.4.0"):
        obtain_release(f"path:{home}", cache)


def test_a_proxy_is_what_its_own_lock_says(cache, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "harness.distribution.release.obtain", lambda lock, *_, **__: asked.append(lock.label) or ("x",)
    )
    plain = Release("5.3.3", Version(5, 3, 3), (), {"a.jar": "1"})
    found = with_proxy(plain, cache)
    assert (asked, found.proxy, found.jars) == (["rocketmq-proxy-5.3.3"], ("x",), ())
    assert found.sha256["a.jar"] == "1"
    assert "rocketmq-proxy-5.3.3.jar" in found.sha256
    with pytest.raises(UsageError, match=r"the proxy of RocketMQ 4\.9\.7 is not .* choose one of 5\.2\.0, 5\.3\.3"):
        with_proxy(Release("4.9.7", Version(4, 9, 7)), cache)


def test_a_candidate_brings_its_own_proxy(tmp_path, cache):
    jars = tuple(tmp_path / f"rocketmq-{part}-5.9.0.jar" for part in ("broker", "proxy"))
    assert with_proxy(Release("path:x", Version(5, 9, 0), jars, home=tmp_path), cache).proxy == jars
    with pytest.raises(UsageError, match="has no rocketmq-proxy"):
        with_proxy(Release("path:x", Version(5, 9, 0), jars[:1], home=tmp_path), cache)


def test_an_unknown_client_lists_the_known(cache):
    with pytest.raises(UsageError, match=r"rocketmq-client 9\.9\.9 is not a supported version.*4\.9\.7"):
        obtain_client("9.9.9", cache)
