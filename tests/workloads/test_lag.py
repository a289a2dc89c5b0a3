"""The replication lag: bounds that enclose the truth, and looks that measured nothing and say so."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checkers.timing import REPLICATION_LAG
from harness.cluster.looks import Looks
from harness.core.errors import MetricUnavailable, WaitTimeout
from harness.wire.codes import RequestCode
from harness.wire.sync import Admin
from harness.workloads.probes.lag import LogEnd, ReplicationLag, lags, percentile, summary
from tests.fakes.broker import FakeCluster

MS = 1_000_000
MASTER, SLAVE = "broker-a-0", "broker-a-1"


def look(began_ms: float, offset: int, took_ms: float = 2) -> LogEnd:
    return LogEnd(int(began_ms * MS), int((began_ms + took_ms) * MS), offset)


class TestOneSample:
    MASTER = (look(0, 100), look(10, 200), look(20, 300), look(30, 400))

    def lag(self, slave: LogEnd) -> Any:
        return lags(self.MASTER, [slave])[0]

    def test_a_slave_that_has_less_than_the_master_showed(self) -> None:
        """The master passed 200 after 10, when a look that showed 200 began, and before 22, when one had shown 300."""
        lag = self.lag(look(25, 200))
        assert (lag.at_least_ms, lag.at_most_ms, lag.at_most_bytes) == (3, 17, 200)

    def test_a_slave_that_has_what_the_master_showed_last_may_still_lack_what_came_since(self) -> None:
        lag = self.lag(look(25, 300))
        assert (lag.at_least_ms, lag.at_most_ms) == (0, 7)

    def test_a_slave_that_has_what_the_master_shows_later_lacks_nothing(self) -> None:
        lag = self.lag(look(25, 400))
        assert (lag.at_least_ms, lag.at_most_ms, lag.at_most_bytes) == (0, 0, 0)

    def test_slow_looks_widen_the_bounds_and_never_move_them_past_the_truth(self) -> None:
        lag = self.lag(look(19, 200, took_ms=9))
        assert (lag.at_least_ms, lag.at_most_ms) == (0, 18)

    @pytest.mark.parametrize("slave", [look(25, 50), look(29.5, 300)])
    def test_what_the_looks_at_the_master_do_not_enclose_is_refused(self, slave: LogEnd) -> None:
        with pytest.raises(MetricUnavailable, match="enclose"):
            self.lag(slave)

    def test_a_log_that_goes_back_is_refused(self) -> None:
        with pytest.raises(MetricUnavailable, match="master's commit log went back"):
            lags([*self.MASTER, look(40, 100)], [look(25, 200)])
        with pytest.raises(MetricUnavailable, match="slave's commit log went back"):
            lags(self.MASTER, [look(5, 200), look(15, 100)])


GAPS = st.lists(st.integers(1, 30), min_size=5, max_size=60)
TOOK = st.tuples(st.integers(0, 10), st.integers(0, 10))


@given(gaps=GAPS, delays=st.lists(st.integers(0, 50), min_size=60, max_size=60), took=st.data())
def test_the_truth_lies_between_the_bounds(gaps: list[int], delays: list[int], took: st.DataObject) -> None:
    """Message n is stored by the master at `at[n]` and by the slave later, in order; looks come at any time."""
    at = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    there = [max(t + d for t, d in zip(at[: n + 1], delays, strict=False)) for n in range(len(at))]
    ends = {"master": lambda t: bisect_right(at, t), "slave": lambda t: bisect_right(there, t)}

    def looks(who: str, begin: int, end: int) -> list[tuple[int, LogEnd]]:
        seen, now = [], begin
        while now <= end:
            before, after = took.draw(TOOK)
            seen.append((now + before, LogEnd(now * MS, (now + before + after) * MS, ends[who](now + before))))
            now += before + after + 7
        return seen

    of_slave = looks("slave", 0, there[-1] + 20)
    of_master = [seen for _, seen in looks("master", 0, of_slave[-1][1].ended_ns // MS + 1)]
    of_master = [LogEnd(0, 0, 0), *of_master, LogEnd(10**12, 10**12, len(at))]
    for (t, _), lag in zip(of_slave, lags(of_master, [seen for _, seen in of_slave]), strict=True):
        has = ends["slave"](t)
        lacks = ends["master"](t) > has
        assert lag.at_least_ms <= (t - at[has] if lacks else 0) <= lag.at_most_ms
        assert ends["master"](t) - has <= lag.at_most_bytes


class TestSummary:
    def steady(self, behind: int, count: int = 200) -> tuple[list[LogEnd], list[LogEnd]]:
        """Looks of 1 ms every 10 ms at a log that grows by 100 between two; the slave is `behind` such steps."""
        master = [look(10 * n, 100 * n, 1) for n in range(count + 30)]
        return master, [look(10 * n + 5, 100 * (n - behind), 1) for n in range(20, 20 + count)]

    def test_of_a_steady_lag(self) -> None:
        seen = summary(*self.steady(behind=3))
        assert seen == {
            "samples": 200, "p50_ms": 36, "p99_ms": 36, "max_ms": 36, "p50_at_least_ms": 24,
            "p99_at_least_ms": 24, "error_p99_ms": 12, "p99_bytes": 400, "moving_ratio": 1.0,
        }  # fmt: skip

    def test_of_a_slave_that_stands_still_it_is_all_that_time(self) -> None:
        master, slave = self.steady(behind=0)
        seen = summary(master, [LogEnd(at.began_ns, at.ended_ns, slave[0].offset) for at in slave])
        assert seen["p99_at_least_ms"] > 1900
        assert seen["p99_ms"] > seen["p50_ms"] > 900

    def test_a_load_that_does_not_move_measures_nothing(self) -> None:
        master, slave = self.steady(behind=0)
        stopped = [LogEnd(at.began_ns, at.ended_ns, min(at.offset, 5000)) for at in master]
        with pytest.raises(MetricUnavailable, match="not moving: the master's log had grown at 29 of"):
            summary(stopped, [LogEnd(at.began_ns, at.ended_ns, min(at.offset, 5000)) for at in slave])

    def test_a_percentile_of_a_few_is_none(self) -> None:
        with pytest.raises(MetricUnavailable, match="99 samples"):
            summary(*self.steady(behind=1, count=99))

    def test_percentiles_are_values_that_were_seen(self) -> None:
        values = [float(n) for n in range(200)]
        assert [percentile(values, q) for q in (0.0, 0.5, 0.99, 1.0)] == [0, 99, 197, 199]


class Pair:
    """A master and its slave behind the protocol; messages are appended by a thread of the test."""

    def __init__(self, fake: FakeCluster) -> None:
        self.fake = fake
        self.master, self.slave = fake.broker("broker-a"), fake.broker("broker-a", 1)
        self.addresses = {MASTER: self.master.address, SLAVE: self.slave.address}
        self.admin = Admin()
        self.looks = Looks(self.admin, SimpleNamespace(address=self.addresses.__getitem__))  # type: ignore[arg-type]
        self.over = threading.Event()
        self.stamped = 0

    def nameservers(self) -> list[str]:
        return []

    clients = proxies = nameservers

    def masters(self) -> list[str]:
        return [MASTER]

    def slaves(self) -> list[str]:
        return [SLAVE]

    def brokers(self) -> list[str]:
        return [MASTER, SLAVE]

    def broker_name(self, node: str) -> str:
        return node.rpartition("-")[0]

    def master_of(self, broker: str) -> str:
        return f"{broker}-0"

    def now_ns(self) -> int:
        self.stamped += 1
        return time.monotonic_ns()

    def load(self, delay_s: float | None, follows: int | None = None) -> None:
        """A message every 2 ms; the slave has it `delay_s` later, or (None) never.

        With `follows` it has none any more once so many times were stamped by what measures it.
        """
        ends: list[tuple[float, int]] = [(0.0, 0)]
        while not self.over.wait(0.002):
            self.master.store.log_end += 100
            ends.append((time.monotonic(), self.master.store.log_end))
            if follows is not None and self.stamped >= follows:
                continue
            while delay_s is not None and ends and ends[0][0] + delay_s <= time.monotonic():
                self.slave.store.log_end = ends.pop(0)[1]

    @contextmanager
    def under_load(self, delay_s: float | None, follows: int | None = None) -> Iterator[None]:
        thread = threading.Thread(target=self.load, args=(delay_s, follows))
        thread.start()
        try:
            yield
        finally:
            self.over.set()
            thread.join()


@pytest.fixture
def pair() -> Iterator[Pair]:
    with FakeCluster(["broker-a"], slaves=True) as fake:
        made = Pair(fake)
        yield made
        made.admin.close()


def measure(pair: Pair, **settings: Any) -> dict[str, Any]:
    names = ("nameservers", "clients", "masters", "slaves", "brokers", "broker_name", "looks")
    cluster = SimpleNamespace(master=pair.master_of, **{name: getattr(pair, name) for name in names})
    stage: Any = SimpleNamespace(cluster=cluster, now_ns=pair.now_ns)
    probe = ReplicationLag(target="slave/0", **({"seconds": 2.0, "interval_ms": 3.0} | settings))
    return probe.run(stage)


class TestProbe:
    def test_a_slave_that_is_late(self, pair: Pair) -> None:
        with pair.under_load(0.05):
            seen = measure(pair)
        assert seen["slave"] == SLAVE
        assert seen["samples"] >= 100
        assert seen["seconds"] >= 2.0
        assert 45 <= seen["p50_ms"] <= seen["p99_ms"] <= seen["max_ms"]
        assert 0 < seen["p99_at_least_ms"] <= seen["p99_ms"]
        assert seen["p99_bytes"] > 0

    def test_without_load_nothing_is_measured(self, pair: Pair) -> None:
        with pytest.raises(MetricUnavailable, match="not moving"):
            measure(pair)

    def test_a_slave_that_never_comes_is_waited_for_a_while(self, pair: Pair) -> None:
        pair.master.store.log_end = 1000
        with pytest.raises(WaitTimeout, match=r"the slave to have the 1,\d00 bytes"), pair.under_load(None):
            measure(pair, catch_up_s=0.1)

    def test_a_slave_that_stops_following_is_as_far_behind_as_it_is(self, pair: Pair) -> None:
        with pair.under_load(0.0, follows=60):
            seen = measure(pair)
        assert seen["p99_at_least_ms"] > 500

    def test_releases_that_have_no_ha_status_tell_it_in_their_runtime_info(self, pair: Pair) -> None:
        for broker in (pair.master, pair.slave):
            broker.misbehaviour.answers[RequestCode.GET_BROKER_HA_STATUS] = (3, "request type 907 not supported")
        with pair.under_load(0.02):
            assert measure(pair)["p50_ms"] >= 15

    @pytest.mark.parametrize("broker_id", [0, 1])
    def test_a_broker_that_is_gone(self, pair: Pair, broker_id: int) -> None:
        pair.fake.stop_broker("broker-a", broker_id)
        with pytest.raises(MetricUnavailable, match=f"broker-a-{broker_id} did not tell"):
            measure(pair)

    def test_its_name_is_the_one_that_metrics_look_for(self) -> None:
        assert ReplicationLag(target="slave/0").kind == REPLICATION_LAG
