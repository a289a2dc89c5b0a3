"""How far a slave is behind its master while the load runs, in time and in bytes.

Both brokers are asked over and over where their own commit log ends. An answer was true at some instant between
question and answer, and no more is known of when. From that follow two bounds for the age of the oldest byte a slave
lacks, and both are given: what the product did lies between them, however slow the machine was.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from threading import Event
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from harness.core.errors import MetricUnavailable
from harness.faults.select import select
from harness.waiting import pause_s, wait_for
from harness.workloads.probes.base import Probe

if TYPE_CHECKING:
    from harness.cluster.looks import Looks
    from harness.workloads.stage import Stage

LEAST_SAMPLES: Final = 100
"""Of fewer samples the 99th percentile is the largest."""
LEAST_MOVING: Final = 0.5
"""The share of looks before which the master's log must have grown: a slave is not behind while nothing comes."""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where a commit log ended at some instant from `began_ns` to `ended_ns` (one clock for all)."""

    began_ns: int
    ended_ns: int
    offset: int


@dataclass(frozen=True, slots=True)
class Lag:
    """One sample: the oldest byte that the slave lacked was of an age between the two; 0 if it lacked none.

    `at_most_bytes` is what the master had more by the next look that began after the slave's answer.
    """

    at_least_ms: float
    at_most_ms: float
    at_most_bytes: int


class ReplicationLag(Probe):
    """Samples for `seconds` how far the slave `target` is behind its master. Under load, and before any fault.

    An ASYNC_MASTER wakes nobody when it stores, and an idle link looks every 100 ms (WriteSocketService at 4.9.7 and
    5.3.3): a median of some 50 ms is the product's own.

    It begins when the slave has what the master had at first: the lag of a slave that was already behind, one cannot
    tell in time. Raises WaitTimeout if it does not come so far within `catch_up_s`, and MetricUnavailable where nothing
    was measured: the load did not move, a broker did not answer, a log went back, there were too few samples.
    """

    SEEN: ClassVar[frozenset[str] | None] = frozenset(
        {
            "slave",
            "seconds",
            "samples",
            "p50_ms",
            "p99_ms",
            "max_ms",
            "p50_at_least_ms",
            "p99_at_least_ms",
            "error_p99_ms",
            "p99_bytes",
            "moving_ratio",
        }
    )
    kind: Literal["replication-lag"] = "replication-lag"
    target: str
    seconds: float = 10.0
    interval_ms: float = 15.0
    catch_up_s: float = 10.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """See `summary`; and `slave`, `seconds`."""
        (slave,) = select(self.target, stage.cluster)
        master = stage.cluster.master(stage.cluster.broker_name(slave))
        of_master, of_slave = self._sample(
            *(partial(log_end, node, asker(stage.cluster.looks, node), stage.now_ns) for node in (master, slave))
        )
        seconds = (of_slave[-1].ended_ns - of_slave[0].began_ns) / 1e9
        return {"slave": slave, "seconds": round(seconds, 3), **summary(of_master, of_slave)}

    def _sample(self, master: Callable[[], LogEnd], slave: Callable[[], LogEnd]) -> tuple[list[LogEnd], list[LogEnd]]:
        """The master is looked at from before the first look at the slave until after the last."""
        of_master, over = [master()], Event()
        of_slave: list[LogEnd] = []
        with ThreadPoolExecutor(1, thread_name_prefix="replication-lag") as pool:
            watching = pool.submit(self._watch, master, of_master, over.is_set)
            try:
                self._await_first(slave, of_master[0].offset)
                self._watch(slave, of_slave, lambda: self._enough(of_slave))
            finally:
                over.set()
            watching.result()
        of_master.append(master())
        return of_master, of_slave

    def _await_first(self, slave: Callable[[], LogEnd], offset: int) -> None:
        last: list[int] = []

        def there() -> bool:
            last.append(slave().offset)
            return last[-1] >= offset

        what = f"the slave to have the {offset:,} bytes that its master had"
        wait_for(there, what=what, timeout_s=self.catch_up_s, last_seen=lambda: f"{last[-1]:,}")

    def _enough(self, of_slave: Sequence[LogEnd]) -> bool:
        return bool(of_slave) and of_slave[-1].ended_ns - of_slave[0].began_ns >= self.seconds * 1e9

    def _watch(self, look: Callable[[], LogEnd], seen: list[LogEnd], over: Callable[[], bool]) -> None:
        while not over():
            seen.append(look())
            pause_s(self.interval_ms / 1e3 - (seen[-1].ended_ns - seen[-1].began_ns) / 1e9)


def asker(looks: Looks, node: str) -> Callable[[], int | None]:
    """How to ask a node for the end of its log at the least cost (see `Looks.log_end`), settled once for many looks."""
    if looks.ha_status(node) is None:
        return partial(looks.log_end_of_runtime, node)
    return lambda: None if (status := looks.ha_status(node)) is None else status.max_offset


def log_end(node: str, ask: Callable[[], int | None], now_ns: Callable[[], int]) -> LogEnd:
    """One look at one broker. Raises MetricUnavailable if it does not tell."""
    began_ns = now_ns()
    offset = ask()
    if offset is None or offset < 0:
        raise MetricUnavailable(f"{node} did not tell where its log ends; the replication lag was not measured")
    return LogEnd(began_ns, now_ns(), offset)


def lags(master: Sequence[LogEnd], slave: Sequence[LogEnd]) -> list[Lag]:
    """The lag at every look at the slave, each list in the order of its looks.

    The slave had `offset` and no more at some instant of its look. The master went beyond it after the begin of its own
    last look that showed no more than that, and before the end of its first look that showed more.
    """
    ends = [look.offset for look in master]
    begins = [look.began_ns for look in master]
    for name, looks in (("master", master), ("slave", slave)):
        if any(before.offset > after.offset for before, after in pairwise(looks)):
            raise MetricUnavailable(f"the {name}'s commit log went back; the replication lag was not measured")
    if not master or not slave or slave[0].offset < ends[0] or slave[-1].ended_ns > begins[-1]:
        raise MetricUnavailable("the looks at the master do not enclose those at the slave")
    return [_lag(look, master, ends, begins) for look in slave]


def _lag(look: LogEnd, master: Sequence[LogEnd], ends: Sequence[int], begins: Sequence[int]) -> Lag:
    beyond = bisect_right(ends, look.offset)  # the master's first look that showed more
    at_most_ns = look.ended_ns - begins[beyond - 1]
    at_least_ns = look.began_ns - master[beyond].ended_ns if beyond < len(master) else 0
    after = master[bisect_left(begins, look.ended_ns)]
    return Lag(max(0, at_least_ns) / 1e6, max(0, at_most_ns) / 1e6, max(0, after.offset - look.offset))


def summary(master: Sequence[LogEnd], slave: Sequence[LogEnd]) -> dict[str, Any]:
    """Percentiles over the looks at the slave; raises MetricUnavailable where they would mean nothing.

    `{"p50_ms", "p99_ms", "max_ms"}` are upper bounds, `{"p50_at_least_ms", "p99_at_least_ms"}` lower ones, and
    `error_p99_ms` is how far the two bounds of one sample are apart, in all but the worst hundredth. `p99_bytes` is an
    upper bound. `moving_ratio` is the share of looks at the master before which its log had grown.
    """
    found = lags(master, slave)
    during = [look for look in master if look.ended_ns >= slave[0].began_ns]
    grown = sum(before.offset < after.offset for before, after in pairwise(during))
    moving = grown / max(1, len(during) - 1)
    if moving < LEAST_MOVING:
        raise MetricUnavailable(
            f"the load was not moving: the master's log had grown at {grown} of {len(during) - 1} looks; "
            "a replication lag without load is none"
        )
    if len(found) < LEAST_SAMPLES:
        raise MetricUnavailable(f"{len(found)} samples of the replication lag; {LEAST_SAMPLES} are needed for its p99")
    at_most, at_least = [lag.at_most_ms for lag in found], [lag.at_least_ms for lag in found]
    return {
        "samples": len(found),
        "p50_ms": round(percentile(at_most, 0.5), 3),
        "p99_ms": round(percentile(at_most, 0.99), 3),
        "max_ms": round(max(at_most), 3),
        "p50_at_least_ms": round(percentile(at_least, 0.5), 3),
        "p99_at_least_ms": round(percentile(at_least, 0.99), 3),
        "error_p99_ms": round(percentile([lag.at_most_ms - lag.at_least_ms for lag in found], 0.99), 3),
        "p99_bytes": int(percentile([lag.at_most_bytes for lag in found], 0.99)),
        "moving_ratio": round(moving, 3),
    }


def percentile(values: Sequence[float], quantile: float) -> float:
    """The smallest value that is no less than that share of all of them (nearest rank)."""
    return sorted(values)[max(0, math.ceil(quantile * len(values)) - 1)]
