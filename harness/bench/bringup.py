"""From the first exec to a proved write: the recipe beside all nodes at once with the product's defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.bench.lab import Lab
from harness.bench.tables import Table, ratio, spread
from harness.cluster import BringUp
from harness.core.errors import SetupError

TOPOLOGY = "2m-2s-sync"
Haste = Literal["fast", "naive"]
DEADLINE_S = 420.0
NOTE = (
    f"{TOPOLOGY}, from the first step of the bring-up until every broker is registered with every nameserver and one "
    "write per master was acknowledged with SEND_OK, read back and copied. `recipe` is what every scenario uses; "
    "`naive` starts all nodes at once with the product's defaults and creates topics afterwards, and the same "
    "readiness is waited for. Rounds interleave releases and both ways, the order reversed every other round. "
    "CPU is that of all six JVMs. `after the last port` is the part of wall in which every node was listening already, "
    "so what is left is timers of the product. min / median / max, seconds."
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One bring-up."""

    wall_s: float
    cpu_s: float
    idle_s: float


Samples = dict[tuple[str, Haste], list[Sample | None]]


def measure(lab: Lab) -> list[Table]:
    """One table; a bring-up that makes start caches is not counted."""
    for version in lab.versions:
        if once(lab, version, "fast")[0].trained:
            lab.say(f"{version}: start caches made, not counted")
    found: Samples = {}
    for number in range(lab.rounds):
        ways: tuple[Haste, ...] = ("fast", "naive") if number % 2 == 0 else ("naive", "fast")
        for version in lab.versions:
            for haste in ways:
                lab.say(f"round {number + 1} {version} {haste}: {_try(lab, version, haste, found)}")
    return [rendered(lab.versions, found)]


def _try(lab: Lab, version: str, haste: Haste, found: Samples) -> str:
    """One more sample, or None for a cluster that did not come up; what is to be said of it."""
    mine = found.setdefault((version, haste), [])
    try:
        _, sample = once(lab, version, haste)
    except SetupError as error:
        mine.append(None)
        return f"not ready: {str(error).splitlines()[0]}"
    mine.append(sample)
    return f"{sample.wall_s:.2f} s wall, {sample.cpu_s:.1f} s CPU"


def once(lab: Lab, version: str, haste: Haste) -> tuple[BringUp, Sample]:
    """Brings a cluster up and takes it down."""
    with lab.cluster(TOPOLOGY, version, haste=haste, deadline_s=DEADLINE_S) as cluster:
        seen = cluster.start()
    return seen, Sample(seen.wall_s, seen.cpu_s or 0.0, after_last_port_s(seen))


def after_last_port_s(seen: BringUp) -> float:
    """Seconds between the last port that opened and readiness. Raises nothing: 0 if no port was waited for."""
    opened = [step.began_s + step.wall_s for step in seen.steps if step.name.startswith("listening")]
    return max(0.0, seen.wall_s - max(opened)) if opened else 0.0


def rendered(versions: tuple[str, ...], found: Samples) -> Table:
    """The table of all samples."""
    rows = []
    raw: dict[str, list[float]] = {}
    for version in versions:
        walls: dict[Haste, list[float]] = {}
        for haste in ("fast", "naive"):
            tried = found.get((version, haste), [])
            samples = [s for s in tried if s is not None]
            n = f"{len(samples)}" + (f" ({len(tried) - len(samples)} not ready)" if None in tried else "")
            walls[haste] = [s.wall_s for s in samples]
            name = "recipe" if haste == "fast" else "naive"
            cpu, idle = [s.cpu_s for s in samples], [s.idle_s for s in samples]
            rows.append((version, name, n, spread(walls[haste]), spread(cpu, 1), spread(idle), ""))
            raw |= {f"{version}.{name}.wall_s": walls[haste], f"{version}.{name}.cpu_s": cpu}
        rows[-1] = (*rows[-1][:-1], ratio(walls["naive"], walls["fast"]))
    heads = ("RocketMQ", "way", "n", "wall s", "CPU s", "after the last port s", "naive / recipe, medians")
    return Table("Bring-up of a cluster", NOTE, heads, tuple(rows), raw)
