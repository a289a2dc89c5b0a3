"""Which RocketMQ is put to the test: a pinned release, an unpacked candidate, or an image."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal
from zipfile import is_zipfile

from harness.core.errors import UsageError
from harness.core.version import Version
from harness.distribution import locks
from harness.distribution.jre import Jre
from harness.distribution.registry import Fetcher, fetch_from_registry
from harness.distribution.store import obtain, sha256_of

_NEEDED = ("broker", "namesrv", "remoting", "common", "store")
"""Parts of every release that is supported, without which nothing starts."""
_BROKER_JAR = re.compile(r"rocketmq-broker-(\d+\.\d+\.\d+.*)\.jar")


@dataclass(frozen=True)
class ReleaseSpec:
    """What `--rocketmq` said: `kind` tells whether `version`, `directory` or `image` is meant."""

    kind: Literal["version", "path", "image"]
    text: str
    version: Version | None = None
    directory: Path | None = None
    image: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Inside:
    """What an image holds, as was seen in a container of it: all paths are the image's own."""

    scripts: str
    """Where mqnamesrv and mqbroker are."""
    home: str
    """The ROCKETMQ_HOME of the scripts."""
    jre: Jre


@dataclass(frozen=True)
class Release:
    """A RocketMQ that can be started.

    `jars` is the class path, sorted by file name, and `proxy` that of a proxy, if one is asked for (see `with_proxy`);
    `sha256` gives the checksum of each, by file name, as read in this run. `home` is the unpacked release (with its
    `conf/`) where there is one. An image has no jars here: `image` names it, and `inside` is what was seen in it.
    """

    label: str
    version: Version
    jars: tuple[Path, ...] = ()
    sha256: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    home: Path | None = None
    image: str = ""
    inside: Inside | None = None
    proxy: tuple[Path, ...] = ()

    @property
    def own_jars(self) -> Mapping[str, str]:
        """The checksums of RocketMQ's own jars: two releases with the same ones are one, whatever lies beside them."""
        return {name: digest for name, digest in self.sha256.items() if name.startswith("rocketmq-")}


def supported_releases() -> tuple[Version, ...]:
    """The server versions that can be named by number, oldest first."""
    return locks.versions(locks.SERVER)


def supported_proxies() -> tuple[Version, ...]:
    """The versions whose proxy can be had by number, oldest first."""
    return locks.versions(locks.PROXY)


def supported_clients() -> tuple[Version, ...]:
    """The Java client versions that can be named by number, oldest first."""
    return locks.versions(locks.CLIENT)


def parse_release(spec: str) -> ReleaseSpec:
    """Reads `5.3.3`, `path:DIR` or `image:REF`, without looking at any of them.

    Raises `UsageError` for anything else, and for a version that has no lock file: the message lists those
    that have. An image must carry its version as tag, for what is expected depends on it.
    """
    kind, colon, rest = spec.partition(":")
    if colon and kind == "path" and rest:
        return ReleaseSpec("path", spec, directory=Path(rest))
    if colon and kind == "image" and rest:
        return ReleaseSpec("image", spec, version=_tag_version(rest), image=rest)
    known = supported_releases()
    if re.fullmatch(r"\d+\.\d+\.\d+", spec) and Version.parse(spec) in known:
        return ReleaseSpec("version", spec, version=Version.parse(spec))
    raise UsageError(
        f"{spec!r} is not a RocketMQ this harness can get: name one of {', '.join(map(str, known))}, "
        "or path:DIR for an unpacked release, or, with --runtime docker, image:NAME:VERSION"
    )


def _tag_version(reference: str) -> Version:
    name = reference.partition("@")[0].rpartition("/")[2]
    tag = name.partition(":")[2]
    try:
        return Version.parse(tag)
    except UsageError:
        raise UsageError(
            f"the image {reference!r} does not say which RocketMQ it holds: give it a version as tag, "
            "such as image:NAME:5.3.3"
        ) from None


def obtain_release(
    spec: ReleaseSpec | str, cache: Path, *, quiet: bool = False, fetch: Fetcher = fetch_from_registry
) -> Release:
    """The release itself, downloaded into `cache` if need be, every jar verified against its lock.

    Of `path:DIR` the checksums are recorded, not judged. Raises `SetupError` where something cannot be had,
    `UsageError` where DIR is no release.
    """
    wanted = parse_release(spec) if isinstance(spec, str) else spec
    if wanted.directory is not None:
        return _unpacked(wanted.directory)
    assert wanted.version is not None
    if wanted.image:
        return Release(label=wanted.text, version=wanted.version, image=wanted.image)
    lock = locks.load(locks.SERVER, wanted.version)
    jars = obtain(lock, cache, fetch, quiet=quiet)
    sums = {jar.filename: jar.sha256 for jar in sorted(lock.artifacts, key=lambda jar: jar.filename)}
    return Release(str(wanted.version), wanted.version, jars, MappingProxyType(sums))


def check_proxy(version: Version) -> None:
    """Raises `UsageError` for a release by number whose proxy is not pinned."""
    if version not in supported_proxies():
        known = ", ".join(map(str, supported_proxies()))
        raise UsageError(
            f"the proxy of RocketMQ {version} is not in the package registry: choose one of {known}, or path:DIR "
            "with an unpacked release"
        )


def with_proxy(release: Release, cache: Path, *, quiet: bool = False, fetch: Fetcher = fetch_from_registry) -> Release:
    """The release with what its proxies are started from, downloaded and verified as its other jars are.

    Of an unpacked release it is all its jars. Raises `SetupError` where a jar cannot be had, `UsageError` for a release
    that has no proxy.
    """
    if release.home is not None:
        if not any(jar.name.startswith("rocketmq-proxy-") for jar in release.jars):
            raise UsageError(f"{release.home.name}/lib has no rocketmq-proxy-*.jar: take a topology without proxies")
        return replace(release, proxy=release.jars)
    check_proxy(release.version)
    lock = locks.load(locks.PROXY, release.version)
    jars = obtain(lock, cache, fetch, quiet=quiet)
    sums = {jar.filename: jar.sha256 for jar in sorted(lock.artifacts, key=lambda jar: jar.filename)}
    return replace(release, proxy=jars, sha256=MappingProxyType({**sums, **release.sha256}))


def obtain_client(
    version: str, cache: Path, *, quiet: bool = False, fetch: Fetcher = fetch_from_registry
) -> tuple[Path, ...]:
    """The class path of the Java client of `version`, sorted by file name: the client and what it needs alone.

    Raises `UsageError` listing the versions there are, `SetupError` where a jar cannot be had.
    """
    lock = locks.load(locks.CLIENT, Version.parse(version))
    return obtain(lock, cache, fetch, quiet=quiet)


def misfit(names: Iterable[str], version: str) -> str:
    """What keeps these jars from being one whole RocketMQ of a version, in a few words; empty if nothing does."""
    there = frozenset(names)
    for part in _NEEDED:
        if f"rocketmq-{part}-{version}.jar" not in there:
            return f"has no rocketmq-{part}-{version}.jar: it is no whole RocketMQ {version}"
    parts = re.compile(rf"rocketmq-(?:{'|'.join(_NEEDED)})-(\d+\.\d+\.\d+.*)\.jar")
    others = (name for name in sorted(there) if (found := parts.fullmatch(name)) and found[1] != version)
    other = next(others, "")
    return f"has {other} beside those of {version}: which one runs would be chance" if other else ""


def _unpacked(directory: Path) -> Release:
    home = directory.expanduser().resolve()
    jars = tuple(sorted((home / "lib").glob("*.jar"), key=lambda jar: jar.name))
    if not jars:
        raise UsageError(f"{directory} is no unpacked RocketMQ: it has no lib/*.jar. Name the directory above lib/")
    found = [match for jar in jars if (match := _BROKER_JAR.fullmatch(jar.name))]
    if len(found) != 1:
        raise UsageError(
            f"{directory}/lib holds {len(found)} jars named rocketmq-broker-VERSION.jar instead of one: "
            "the version under test is read from that name"
        )
    version = Version.parse(found[0].group(1))
    if wrong := misfit((jar.name for jar in jars), found[0].group(1)):
        raise UsageError(f"{directory}/lib {wrong}")
    for part in _NEEDED:
        jar = home / "lib" / f"rocketmq-{part}-{found[0].group(1)}.jar"
        if not is_zipfile(jar):
            raise UsageError(f"{directory}/lib/{jar.name} is no jar, or cut short: unpack the release again")
    try:
        sums = {jar.name: sha256_of(jar) for jar in jars}
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read ({error.strerror}): check its permissions") from error
    return Release(f"path:{home.name}", version, jars, MappingProxyType(sums), home=home)
