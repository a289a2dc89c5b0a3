"""What a run on containers needs: an engine of this machine, and an image in which RocketMQ was seen to be."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

from harness.core.errors import CapabilityMissing, UsageError
from harness.core.guarantee import Guarantee
from harness.core.version import Version
from harness.distribution import Inside, Jre, Release, misfit, obtain_jre, obtain_release, parse_release
from harness.distribution.image import pack
from harness.foreign import obtain_kit
from harness.heed import check_keys, check_keys_of_both
from harness.keep import Keeper
from harness.lodging import Equipment
from harness.pool import Pool
from harness.request import OFFICIAL, check_order
from harness.runtime.base import NAMESPACES
from harness.runtime.docker import DockerRuntime
from harness.runtime.engine import Engine, Image
from harness.runtime.probe import probe_capabilities
from harness.settings import Settings
from harness.topology import Role, layout
from harness.topology.logback import logback_files
from harness.warm import warm

BUILT: Final = "rmq-harness"
"""The name of images that the harness builds of locked releases; the version is their tag."""
CANDIDATE: Final = "rmq-harness-candidate"
"""The name of those of an unpacked candidate."""
_JAR: Final = re.compile(r"rocketmq-broker-(\d+\.\d+\.\d+.*)\.jar")
_LOOK: Final = """
home=$ROCKETMQ_HOME
[ -n "$home" ] && [ -d "$home/lib" ] || for home in /home/rocketmq/rocketmq-* /opt/rocketmq*; do
    [ -d "$home/lib" ] && break
done
echo "home $home"
for script in mqbroker mqnamesrv; do [ -f "$home/bin/$script" ] && echo "script $script"; done
for pair in mqbroker:runbroker.sh mqnamesrv:runserver.sh; do
    for file in "$home/bin/${pair%:*}" "$home/bin/${pair#*:}"; do
        [ -f "$file" ] && while IFS= read -r line || [ -n "$line" ]; do
            case $line in '#'*) ;; *JAVA_OPT_EXT*) echo "heeds ${pair%:*}" ;; esac
        done <"$file"
    done
done
for jar in "$home"/lib/rocketmq-*.jar; do [ -f "$jar" ] && sha256sum "$jar" 2>/dev/null; done
[ -x "$JAVA_HOME/bin/java" ] && java=$JAVA_HOME/bin/java || java=$(command -v java)
echo "java_home ${java%/bin/java}"
[ -n "$java" ] && "$java" "$@" -version 2>&1
for word in chroot sleep sha256sum; do command -v $word >/dev/null && echo "word $word"; done
echo looked
"""
_JAVA_SAYS: Final = re.compile(r'version "((?:1\.)?(\d+)[^"]*)"')


def equip_containers(settings: Settings, say: Callable[[str], None], judged: Iterable[Guarantee]) -> Equipment:
    """Image, client jars and capabilities. Raises SetupError or CapabilityMissing with one clear message."""
    engine = Engine.connect()
    try:
        engine.forget_lookers()
        say(f"{settings.rocketmq}: looking into it")
        release = look_into(engine, settings.rocketmq, "rocketmq" if settings.upgrade_to is None else "upgrade-from")
        upgrade = None if settings.upgrade_to is None else look_into(engine, settings.upgrade_to, "upgrade-to")
        for one in (release,) if upgrade is None else (release, upgrade):
            _check_jvm_opts(settings, engine, one)
    finally:
        engine.close()
    jre = _brought(release)
    say(f"{release.label} holds RocketMQ {release.version} and Java {jre.version}; its digest is {release.image}")
    if upgrade is None:
        check_keys(settings, settings.rocketmq, release.version, say)
    open_runtime = opener(release, engine.url)
    capabilities = probe_capabilities(open_runtime, release.image)
    if (reason := capabilities.get(NAMESPACES)) is not None:
        raise CapabilityMissing(NAMESPACES, reason)
    rows = tuple(judged)
    for name, why in capabilities.items():
        if why and (ids := sorted({g.id for g in rows if name in g.needs})):
            say(f"capability {name} is missing: {why}; needed by {', '.join(ids)}")
    if upgrade is not None and settings.upgrade_to is not None:
        check_order((settings.rocketmq, release.version), (settings.upgrade_to, upgrade.version))
        if upgrade.own_jars == release.own_jars:
            raise UsageError(f"--upgrade-to {settings.upgrade_to!r} holds the very jars of {settings.rocketmq!r}")
        check_keys_of_both(settings, (settings.rocketmq, release.version), (settings.upgrade_to, upgrade.version), say)
        places = {"cache": settings.cache, "state": settings.state}
        warm(upgrade, _brought(upgrade), say=say, must_start=True, open_runtime=open_runtime, **places)
    return Equipment(
        release=release,
        jre=jre,
        kit=obtain_kit(settings),
        capabilities=capabilities,
        open_runtime=open_runtime,
        keeper=Keeper(settings.state) if settings.keep else None,
        pool=None if settings.keep or settings.fresh_clusters else Pool(),
        upgrade=upgrade,
    )


def obtain_image(spec: str) -> tuple[Release, Jre, Callable[..., DockerRuntime]]:
    """A release in an image, its Java, and what opens runtimes for it. Raises as `look_into` and `Engine.connect`."""
    engine = Engine.connect()
    try:
        release = look_into(engine, spec)
        return release, _brought(release), opener(release, engine.url)
    finally:
        engine.close()


def opener(release: Release, url: str) -> Callable[..., DockerRuntime]:
    """Opens runtimes whose holder runs in the release's image."""
    return partial(DockerRuntime.open_with, release.image, url)


def look_into(engine: Engine, spec: str, option: str = "rocketmq") -> Release:
    """The RocketMQ that an image holds, as a container of it shows. `spec` is `image:REF`, its tag a version.

    Raises `SetupError` for an image that cannot be had, `UsageError` for one without RocketMQ or with another version.
    """
    wanted = parse_release(spec)
    assert wanted.version is not None
    try:
        image = engine.image(wanted.image)
    except UsageError as error:
        raise UsageError(f"--{option} {spec!r}: {error}") from None
    try:
        seen = engine.output_of(image.id, _LOOK).splitlines()
    except UsageError as error:
        raise UsageError(f"--{option} {spec!r} holds no RocketMQ that could be started: {error}") from None
    return _described(image, wanted.version, seen, f"--{option} {spec!r}")


def _described(image: Image, version: Version, seen: list[str], said: str) -> Release:
    fields = [line.split(maxsplit=1) for line in seen if line.strip()]
    told = {words[0]: words[1].strip() for words in fields if len(words) == 2}
    sums = {Path(words[1]).name: words[0] for words in fields if len(words) == 2 and len(words[0]) == 64}
    scripts = [words[1] for words in fields if words[0] == "script"]
    found = [match.group(1) for name in sums if (match := _JAR.fullmatch(name))]
    words = {words[1] for words in fields if words[0] == "word"}
    if lacking_words := {"chroot", "sleep", "sha256sum"} - words:
        raise UsageError(f"{said} lacks {', '.join(sorted(lacking_words))}, with which it is looked into and set up")
    if len(scripts) < 2 or len(found) != 1:
        lacking = "bin/mqbroker and bin/mqnamesrv" if len(scripts) < 2 else "one lib/rocketmq-broker-VERSION.jar"
        raise UsageError(
            f"{said} holds no RocketMQ as the official images have it: {lacking} was not seen below ROCKETMQ_HOME or "
            "/home/rocketmq/rocketmq-VERSION; name another, or build one with `make docker-image`"
        )
    if Version.parse(found[0]) != version:
        raise UsageError(f"{said} says {version} by its tag and holds RocketMQ {found[0]}: give it the right tag")
    if deaf := {"mqbroker", "mqnamesrv"} - {words[1] for words in fields if words[0] == "heeds"}:
        raise UsageError(
            f"{said} has a bin/{min(deaf)} that takes no JAVA_OPT_EXT: its nodes would run with other heaps and "
            "options than the harness and --jvm-opt say; have its scripts add $JAVA_OPT_EXT to Java's options"
        )
    if wrong := misfit(sums, found[0]):
        raise UsageError(f"{said} {wrong}; name another, or build one with `make docker-image`")
    java = next((match for line in seen if (match := _JAVA_SAYS.search(line))), None)
    if java is None:
        raise UsageError(f"{said} has no Java that tells its version: set JAVA_HOME in it")
    home = told["home"]
    jre = Jre("image", int(java.group(2)), java.group(1), image.id, Path(told["java_home"]), Path(), Path())
    return Release(
        label=f"image:{image.reference}",
        version=version,
        sha256=MappingProxyType({**sums, f"image:{image.reference}": image.id.removeprefix("sha256:")}),
        image=image.id,
        inside=Inside(f"{home}/bin", home, jre),
    )


def _brought(release: Release) -> Jre:
    assert release.inside is not None
    return release.inside.jre


def _check_jvm_opts(settings: Settings, engine: Engine, release: Release) -> None:
    """Raises UsageError for options with which the image's Java does not even tell its version."""
    for role, options in settings.jvm_opts.items():
        split = [option for option in options if len(option.split()) != 1]
        if split:
            raise UsageError(f"--jvm-opt {split[0]!r} (of the {role}): an image's scripts take no option with a blank")
        if options and not any(_JAVA_SAYS.search(line) for line in _java_says(engine, release, options)):
            said = next((line for line in _java_says(engine, release, options) if "java_home" not in line), "nothing")
            raise UsageError(
                f"--jvm-opt {' '.join(options)} (of the {role}): the Java of {release.label} does not start with it "
                f"and says {said!r}; correct it or leave it out"
            )


def _java_says(engine: Engine, release: Release, options: Iterable[str]) -> list[str]:
    java = f"{_brought(release).home}/bin/java"
    try:
        return engine.output_of(release.image, '"$@" -version 2>&1; :', [java, *options]).splitlines()
    except UsageError as error:
        return [str(error)]


def _check_name(name: str, version: Version | None) -> None:
    """Raises UsageError for a name by which the image could not be run, or would be taken for another one."""
    told = parse_release(f"image:{name}").version
    if (version is not None and told != version) or "@" in name:
        raise UsageError(f"--tag {name!r}: the tag must be the version that is in it: write NAME:{version}")
    if name.rpartition(":")[0].removeprefix("docker.io/") == OFFICIAL:
        raise UsageError(
            f"--tag {name!r} is the name of the official image: choose another, that neither is taken for the other"
        )


def build_image(version: str, java: str, reference: str | None, *, cache: Path, say: Callable[[str], None]) -> Image:
    """Makes an image of a locked release and a Java that the harness gets anyway; nothing is pulled.

    Raises `UsageError` for a release that is none, `SetupError` where something cannot be had.
    """
    spec = parse_release(version)
    if spec.kind == "image":
        raise UsageError(f"{version!r} is an image already: name a version, or path:DIR")
    if reference is not None:
        _check_name(reference, spec.version)
    engine = Engine.connect()
    try:
        release, jre = obtain_release(version, cache), obtain_jre(java, cache)
        mains = {
            "mqnamesrv": layout.main_class(Role.NAMESERVER, release.version),
            "mqbroker": layout.main_class(Role.MASTER, release.version),
            "mqadmin": layout.mqadmin_class(release.version),
        }
        # A candidate may have the version of a release, and is not to be taken for it.
        name = reference or f"{BUILT if release.home is None else CANDIDATE}:{release.version}"
        _check_name(name, release.version)
        with tempfile.TemporaryDirectory(prefix="rmq-image-") as scratch:
            archive = Path(scratch) / "image.tar"
            packed = pack(release, jre, logback_files(release.version), mains, archive)
            say(f"RocketMQ {release.version} and Java {jre.version}: {archive.stat().st_size >> 20} MiB")
            return engine.import_image(archive, name, packed.changes)
    finally:
        engine.close()
