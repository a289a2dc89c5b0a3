"""Every guarantee on every cluster, run after run: where it stands, what changed last, and what was never counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from harness.report.rows import Row, Run, Standing, standing
from harness.report.terminal import asked_for

GRAVITY: Final = (
    Standing.BROKEN,
    Standing.HELD_UNEXPECTEDLY,
    Standing.INCONCLUSIVE,
    Standing.NOT_TESTED,
    Standing.KNOWN_BROKEN,
    Standing.MEASURED,
    Standing.HELD,
)
"""Every standing, the gravest first."""
UNSURE: Final = (Standing.INCONCLUSIVE, Standing.NOT_TESTED)
"""Nothing was shown, neither good nor bad."""


@dataclass(frozen=True, slots=True)
class Past:
    """One stored run. `rows` are those that a suite function was run for; the others say nothing of their guarantee.

    `place` is its directory and `href` the link to its page (empty: it has none), both relative to the index.
    """

    place: str
    href: str
    at: datetime
    run: Run
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A run that is not counted, or not wholly, and why. `again`: all that it was to judge was judged again later.

    `at` is None where nothing says when it began.
    """

    place: str
    href: str
    at: datetime | None
    reason: str
    again: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Cluster:
    """What rows of different runs must have in common to be compared. `more` are settings that the user gave.

    The timers are those of the run: a row whose promise is a timer has the documented ones in every run.
    """

    topology: str
    rocketmq: str
    java: str
    client: str
    timers: str
    runtime: str = "local"
    more: str = ""

    @property
    def title(self) -> str:
        """All of it in words."""
        parts = [self.topology, f"RocketMQ {self.rocketmq}", f"Java {self.java}", f"client {self.client}"]
        parts += [f"{self.timers} timers"] + ([self.runtime] if self.runtime != "local" else [])
        return ", ".join(parts) + (f"; with {self.more}" if self.more else "")


@dataclass(frozen=True, slots=True)
class Judged:
    """A row as one run judged it."""

    past: Past
    row: Row
    standing: Standing


@dataclass(frozen=True, slots=True)
class Course:
    """One guarantee on one cluster in every run that judged it, the oldest first; there is at least one."""

    cluster: Cluster
    guarantee: str
    judged: tuple[Judged, ...]

    @property
    def last(self) -> Judged:
        """The newest."""
        return self.judged[-1]

    @property
    def before(self) -> Judged | None:
        """The one before the newest."""
        return self.judged[-2] if len(self.judged) > 1 else None

    @property
    def changed(self) -> bool:
        """It stands elsewhere than the time before. Judged once, it did not change."""
        return self.before is not None and self.before.standing is not self.last.standing

    @property
    def sure(self) -> Judged | None:
        """Where the time before the newest showed nothing: the newest before that which did, good or bad."""
        if self.before is None or self.before.standing not in UNSURE:
            return None
        return next((one for one in reversed(self.judged[:-1]) if one.standing not in UNSURE), None)

    @property
    def lasting(self) -> tuple[Judged, ...]:
        """The newest and all directly before it that stand where it does, the oldest first."""
        same: list[Judged] = []
        for one in reversed(self.judged):
            if one.standing is not self.last.standing:
                break
            same.append(one)
        return tuple(reversed(same))


def cluster_of(run: Run, row: Row) -> Cluster:
    """The cluster that a row of a run was judged on."""
    told = run.options.get("timers")
    timers = told if isinstance(told, str) else row.timers
    return Cluster(row.topology, row.rocketmq, row.java, row.client, timers, row.runtime, asked_for(run.options))


def courses(pasts: Iterable[Past], order: Sequence[str] = ()) -> tuple[Course, ...]:
    """Cluster by cluster, the guarantees as in `order`; what that does not name comes last, by name."""
    found: dict[tuple[Cluster, str], list[Judged]] = {}
    for past in sorted(pasts, key=lambda past: (past.at, past.run.id, past.place)):
        for row in past.rows:
            found.setdefault((cluster_of(past.run, row), row.id), []).append(Judged(past, row, standing(row)))
    places = {name: number for number, name in enumerate(order)}

    def where(course: Course) -> tuple[Cluster, int, str]:
        return course.cluster, places.get(course.guarantee, len(places)), course.guarantee

    return tuple(sorted((Course(*key, tuple(judged)) for key, judged in found.items()), key=where))


def changes(all_courses: Iterable[Course]) -> tuple[Course, ...]:
    """Those that stand elsewhere than the time before, the gravest first; of two alike, the one that was better."""
    return tuple(sorted((course for course in all_courses if course.changed), key=_grave))


def standing_still(all_courses: Iterable[Course]) -> tuple[Course, ...]:
    """Those that did not change and are not as expected, or showed nothing: the gravest first."""
    graver = GRAVITY[: GRAVITY.index(Standing.KNOWN_BROKEN)]
    return tuple(sorted((c for c in all_courses if not c.changed and c.last.standing in graver), key=_grave))


def unsteady(all_courses: Iterable[Course], most: int) -> tuple[Course, ...]:
    """Those that stand well now, and twice running, and did not in one of the `most` newest runs before."""
    graver = GRAVITY[: GRAVITY.index(Standing.KNOWN_BROKEN)]

    def fell(course: Course) -> bool:
        return any(judged.standing in graver for judged in course.judged[-most:])

    steady = (c for c in all_courses if not c.changed and c.last.standing not in graver)
    return tuple(course for course in steady if fell(course))


def _grave(course: Course) -> tuple[int, int]:
    """For a stable sort."""
    earlier = course.sure or course.before
    return GRAVITY.index(course.last.standing), -GRAVITY.index(earlier.standing) if earlier is not None else 0
