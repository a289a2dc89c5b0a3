"""Obtains what a run needs before the first cluster is started, and refuses early what cannot work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile

from harness.containers import equip_containers
from harness.core.errors import CapabilityMissing, SetupError, UsageError
from harness.core.guarantee import Guarantee
from harness.distribution import (
    Jre,
    Release,
    obtain_jre,
    obtain_release,
    parse_java,
    parse_release,
    with_proxy,
)
from harness.foreign import adopt, obtain_kit
from harness.heed import check_jvm_opts, check_keys, check_keys_of_both
from harness.keep import Keeper
from harness.lodging import Equipment
from harness.options import naming
from harness.pool import Pool
from harness.request import check_order
from harness.runtime.base import NAMESPACES, Capabilities
from harness.runtime.probe import probe_capabilities
from harness.runtime.reaper import clean
from harness.settings import Settings
from harness.warm import warm
from harness.workloads.crew import ClientKit

MIN_FREE_DISK_BYTES = 2 << 30
MIN_MEMORY_BYTES = 2 << 30


def equip(
    settings: Settings,
    say: Callable[[str], None],
    judged: Iterable[Guarantee],
    *,
    clusters: int = 1,
    run: Sequence[Settings] = (),
) -> Equipment:
    """Release, JRE, client jars and capabilities. Raises SetupError or CapabilityMissing with one clear message.

    What can be seen on this machine is looked at first: nothing is downloaded for a run that cannot be. Of a missing
    capability that none of the guarantees to be `judged` needs, nothing is said. So many `clusters` will be up at once.
    What a `run` asks for beside `settings`, its first, differs from them in topology and client alone.
    """
    every = run or (settings,)
    proxies = any(each.topology.proxies for each in every)
    check_places(settings.reports, settings.state)
    check_room(settings, clusters)
    if settings.found is not None:
        return replace(adopt(settings, settings.found, say), kits=_kits(every))
    first = "rocketmq" if settings.upgrade_to is None else "upgrade-from"
    if settings.runtime != "docker":
        check_paths(settings.rocketmq, settings.java, settings.cache, option=first)
    if settings.upgrade_to is not None and settings.runtime != "docker":
        check_paths(settings.upgrade_to, settings.java, settings.cache, option="upgrade-to")
    for removed in clean(settings.state, later=say):
        say(f"left by a dead run, removed: {removed}")
    if settings.runtime == "docker":
        return replace(equip_containers(settings, say, judged), kits=_kits(every))
    capabilities = probe_capabilities(cache=settings.cache)
    reason = capabilities.get(NAMESPACES)
    if reason is not None:
        raise CapabilityMissing(NAMESPACES, reason)
    for line in missing(capabilities, judged):
        say(line)
    kits = _kits(every)  # before the jars of a whole release: a client may not be there for this machine
    say(f"RocketMQ {settings.rocketmq}, Java {settings.java}: obtaining and verifying")
    release, jre = obtain(settings.rocketmq, settings.java, settings.cache, option=first, proxies=proxies)
    if settings.upgrade_to is None:
        check_keys(settings, settings.rocketmq, release.version, say)
    check_jvm_opts(settings, jre)
    warm(release, jre, cache=settings.cache, state=settings.state, say=say)
    upgrade = _obtain_upgrade(settings, release, jre, say)
    keeper = Keeper(settings.state) if settings.keep else None
    pool = None if settings.keep or settings.fresh_clusters else Pool()
    return Equipment(
        release=release,
        jre=jre,
        kit=kits[settings.client],
        capabilities=capabilities,
        keeper=keeper,
        pool=pool,
        upgrade=upgrade,
        kits=kits,
    )


def _kits(every: Sequence[Settings]) -> dict[str, ClientKit]:
    """What the workers of every client are made of. Raises SetupError for one that cannot be had."""
    return {each.client: obtain_kit(each) for each in {s.client: s for s in every}.values()}


def _obtain_upgrade(settings: Settings, first: Release, jre: Jre, say: Callable[[str], None]) -> Release | None:
    """The release that nodes are moved to, if that was asked for. Raises UsageError where it is the one they have."""
    if settings.upgrade_to is None:
        return None
    say(f"to RocketMQ {settings.upgrade_to}: obtaining and verifying")
    with naming("upgrade-to", settings.upgrade_to):
        upgrade = obtain_release(settings.upgrade_to, settings.cache)
    if upgrade.own_jars == first.own_jars:
        raise UsageError(f"--upgrade-to {settings.upgrade_to!r} holds the very jars of {settings.rocketmq!r}")
    check_order((settings.rocketmq, first.version), (settings.upgrade_to, upgrade.version))
    check_keys_of_both(settings, (settings.rocketmq, first.version), (settings.upgrade_to, upgrade.version), say)
    # What does not start by itself must not look like a release that cannot start over another one's store.
    warm(upgrade, jre, cache=settings.cache, state=settings.state, say=say, must_start=True)
    return upgrade


def missing(capabilities: Capabilities, judged: Iterable[Guarantee]) -> list[str]:
    """One line for each capability that this machine lacks and that a guarantee to be judged needs."""
    rows = tuple(judged)
    lacking = ((name, why, sorted({g.id for g in rows if name in g.needs})) for name, why in capabilities.items())
    return [f"capability {n} is missing: {why}; needed by {', '.join(ids)}" for n, why, ids in lacking if why and ids]


def obtain(
    rocketmq: str, java: str, cache: Path, option: str = "rocketmq", *, proxies: bool = False
) -> tuple[Release, Jre]:
    """What the nodes are made of, downloaded if need be. Java comes first: most often it is there already."""
    with naming("java", java):
        jre = obtain_jre(java, cache)
    with naming(option, rocketmq):
        release = obtain_release(rocketmq, cache)
        return with_proxy(release, cache) if proxies else release, jre


def check_paths(rocketmq: str, java: str, cache: Path, option: str = "rocketmq") -> None:
    """Raises UsageError for a `path:DIR` that is not what it should be. Downloads nothing."""
    if parse_java(java).directory is not None:
        with naming("java", java):
            obtain_jre(java, cache)
    if parse_release(rocketmq).directory is not None:
        with naming(option, rocketmq):
            obtain_release(rocketmq, cache)


def check_places(reports: Path, state: Path) -> None:
    """Makes the directories that every cluster writes to.

    Raises SetupError for one that cannot be written to, UsageError for one that is something else.
    """
    for directory, elsewhere in ((reports, "another --reports directory"), (state, "another one (RMQ_HARNESS_STATE)")):
        if directory.exists() and not directory.is_dir():
            raise UsageError(f"{directory} is not a directory: use {elsewhere}")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=directory):
                pass
        except OSError as error:
            raise SetupError(
                f"{directory} cannot be written to ({error.strerror or error}): "
                f"make it a directory that this user may write to, or use {elsewhere}"
            ) from error


def check_room(settings: Settings, clusters: int = 1) -> None:
    """Raises SetupError when there is too little memory or disk for even the smallest cluster, or for so many."""
    free_bytes = shutil.disk_usage(settings.reports).free
    if free_bytes < MIN_FREE_DISK_BYTES:
        raise SetupError(
            f"{free_bytes / 2**30:.1f} GiB are free where reports are stored; a run needs "
            f"{MIN_FREE_DISK_BYTES >> 30} GiB: free some, or use --reports DIR on another disk"
        )
    available = available_memory_bytes()
    if available < clusters * MIN_MEMORY_BYTES:
        needs = f"{clusters} side by side need" if clusters > 1 else "a cluster needs"
        raise SetupError(
            f"{available / 2**30:.1f} GiB of memory are available; {needs} {clusters * MIN_MEMORY_BYTES >> 30} GiB: "
            f"stop something, {'use a smaller -n, ' * (clusters > 1)}or use a larger machine"
        )


def available_memory_bytes() -> int:
    """Memory that can be used without swapping, as the kernel estimates it."""
    with Path("/proc/meminfo").open(encoding="ascii") as file:
        for text in file:
            if text.startswith("MemAvailable:"):
                return int(text.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
