"""From a plan to what each node is given: its configuration file, its logging files, its command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.imaged import image_process
from harness.cluster.plan import ClusterPlan, jvm_role
from harness.cluster.roster import Roster
from harness.core.errors import SetupError
from harness.core.version import Version
from harness.distribution.archive import ArchivePlan, archive_flags
from harness.distribution.jre import Jre
from harness.distribution.release import Release
from harness.runtime.base import Process, Runtime
from harness.topology import NodeSpec, Role, layout
from harness.topology.jvm import jvm_flags
from harness.topology.links import advertised
from harness.topology.logback import logback_files
from harness.topology.render import Rendered, render_broker, render_nameserver, render_proxy
from harness.topology.tuning import bring_up

TRAINED = "store/start-cache"
"""Where a node that makes a start cache writes it, below its home."""


@dataclass(frozen=True, slots=True)
class Outfit:
    """What one node runs: it may differ from the plan's release while an upgrade is under way."""

    release: Release
    jre: Jre
    rendered: Rendered

    @property
    def version(self) -> Version:
        """The release's version."""
        return self.release.version


class Provision:
    """Outfits the nodes of one plan and writes their files."""

    def __init__(self, plan: ClusterPlan, roster: Roster, runtime: Runtime, addresses: Mapping[str, str]) -> None:
        self._plan = plan
        self._roster = roster
        self._runtime = runtime
        self._addresses = addresses
        self._archives: dict[tuple[str, str, str], ArchivePlan] = {}
        self.outfits: dict[str, Outfit] = {}
        self.worn: list[tuple[str, Outfit]] = []
        """What nodes ran before they were given another release."""

    def outfit(
        self, node: str, release: Release | None = None, jre: Jre | None = None, *, hasten: bool = True
    ) -> Outfit:
        """Renders and writes a node's configuration for a release; its store is left alone.

        Without `hasten` a 4.x slave attaches to its master as the product has it, not as a bring-up wants it. Raises
        `SetupError` for a release without jars (an image, which this runtime cannot start), or without those of a
        proxy.
        """
        spec = self._roster.spec(node)
        wanted = release or self._plan.release
        if not wanted.jars and wanted.inside is None:
            raise SetupError(f"{wanted.label} has no jars to start {node} from: use --runtime docker for an image")
        if spec.role is Role.PROXY and not wanted.proxy:
            raise SetupError(f"of {wanted.label} no jars of a proxy were obtained, and {node} is one: see `with_proxy`")
        rendered = self._render(spec, wanted.version, hasten=hasten)
        home = layout.home(spec)
        self._runtime.write_file(node, rendered.path.removeprefix(f"{home}/"), rendered.text.encode())
        for name, text in logback_files(wanted.version).items():
            self._runtime.write_file(node, f"conf/{name}", text.encode())
        brought = wanted.inside.jre if wanted.inside is not None else None
        made = Outfit(wanted, jre or brought or self._plan.jre, rendered)
        self.outfits[node] = made
        return made

    def _render(self, spec: NodeSpec, version: Version, *, hasten: bool) -> Rendered:
        plan = self._plan
        if spec.role is Role.PROXY:
            return render_proxy(spec, plan.topology, self._addresses)
        if not spec.is_broker:
            return render_nameserver(spec, plan.topology, version, self._addresses, plan.namesrv_conf)
        overrides = dict(plan.broker_conf)
        # What a bring-up of 5.x hastens touches no replication, and costs a core if it is not done.
        if plan.haste == "naive" or not (hasten or version.major >= 5):
            hastened = bring_up(spec, plan.topology, version, self._addresses)
            overrides = {setting.key: "" for setting in hastened} | overrides
        seen = advertised(spec, plan.topology, plan.links, self._addresses)
        return render_broker(spec, plan.topology, version, self._addresses, plan.timers, overrides, seen)

    def process(self, node: str, *, train: bool = False) -> tuple[Process, ArchivePlan]:
        """The node's command line, and what its start cache needs at its end (nothing, unless `train`)."""
        spec = self._roster.spec(node)
        outfit = self.outfits[node]
        role = jvm_role(spec.role)
        main = layout.main_class(spec.role, outfit.version)
        naive = self._plan.haste == "naive"
        extra = (*(("-Dtls.server.mode=permissive",) if naive else ()), *self._plan.jvm_opts.get(role, ()))
        flags = jvm_flags(
            spec,
            outfit.jre.major,
            stock=naive,
            short_run=self._plan.short_run,
            extra=extra,
        )
        if outfit.release.inside is not None:
            return image_process(spec, outfit.release, flags), ArchivePlan()
        proxy = spec.role is Role.PROXY
        jars = outfit.release.proxy if proxy else outfit.release.jars
        archive = self._archive(outfit, jars, main, flags, train)
        cache_flags = tuple(self._shown(flag) for flag in archive.flags)
        if archive.scratch is not None:
            # A node can write nowhere but in its home; its store goes with the cluster, evidence stays.
            inside = f"{layout.home(spec)}/{TRAINED}"
            cache_flags = tuple(self._shown(flag.replace(str(archive.scratch), inside)) for flag in archive.flags)
        class_path = ":".join(shown_jars(self._runtime, jars))
        conf = ("-pc" if proxy else "-c", layout.conf_path(spec))
        argv = (
            f"{shown_jre(self._runtime, outfit.jre)}/bin/java",
            *cache_flags,
            *flags,
            "-cp",
            class_path,
            main,
            *conf,
        )
        home = {"RMQ_PROXY_HOME" if proxy else "ROCKETMQ_HOME": layout.home(spec)}
        return Process(argv=argv, env=home, cwd=layout.home(spec)), archive

    def _shown(self, flag: str) -> str:
        """A start cache's flag with the cache's directory as nodes see it."""
        archives = self._plan.cache / "archives" if self._plan.cache is not None else None
        if archives is None or str(archives) not in flag:
            return flag
        return flag.replace(str(archives), self._runtime.provide(archives, "archives"))

    def _archive(
        self, outfit: Outfit, jars: Sequence[Path], main: str, flags: tuple[str, ...], train: bool
    ) -> ArchivePlan:
        if self._plan.cache is None or self._plan.haste == "naive":
            return ArchivePlan()
        key = " ".join(("/rmq/.lib", main, *(flag for flag in flags if flag.startswith(("-X", "--")))))
        name = (outfit.release.label, outfit.jre.build, key)
        archive = self._archives.get(name)
        if archive is None:
            archive = archive_flags(outfit.jre, key, jars, self._plan.cache)
        if archive.trains:
            return archive if train else ArchivePlan()
        # Finding one means reading it whole: once for all nodes of a kind is enough.
        self._archives[name] = archive
        return archive


def shown_jars(runtime: Runtime, jars: Sequence[Path]) -> list[str]:
    """The jars as nodes see them: under a path that is the same on every machine and in every run."""
    return [f"{runtime.provide(jar.parent, _word(jar.parent))}/{jar.name}" for jar in jars]


def shown_jre(runtime: Runtime, jre: Jre) -> str:
    """The home of the JRE as nodes see it."""
    return runtime.provide(jre.home, f"java-{_word(Path(jre.version))}")


def _word(path: Path) -> str:
    """The last part of a path that tells one release from another, as one plain word."""
    name = path.parent.name if path.name == "lib" else path.name
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name).strip(".") or "directory"
