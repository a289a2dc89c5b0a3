"""Probes over a stage that is told what to show: what they record, above all when it is never seen."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.errors import UsageError, WaitTimeout
from harness.runtime.base import DiskUsage, FileEntry
from harness.workloads.probes import (
    AgeCommitLog,
    AwaitAnswer,
    AwaitCommitLog,
    AwaitCount,
    AwaitDelivered,
    AwaitGone,
    AwaitHealthy,
    AwaitRoute,
    CommitLog,
    Elapse,
    ExactlyDeleted,
    Probe,
    Registered,
    Same,
    SendDirect,
    Snapshot,
)


class Files:
    """The commit log of one broker."""

    def __init__(self) -> None:
        self.names = ["00000000000000000000", "00000000001073741824", "00000000002147483648"]
        self.aged: list[tuple[str, float]] = []

    def list_files(self, node: str, subdir: str = "") -> tuple[FileEntry, ...]:
        return tuple(FileEntry(f"{subdir}/{name}", 1, 0) for name in reversed(self.names))

    def disk_usage(self, node: str) -> DiskUsage:
        return DiskUsage(30, 70)

    def set_mtime(self, node: str, pattern: str, age_s: float) -> int:
        self.aged.append((pattern, age_s))
        return 1

    def state(self, node: str) -> Any:
        return SimpleNamespace(kind="running")


class Cluster:
    """Two brokers and two nameservers; `registered` holds the pairs that are."""

    def __init__(self) -> None:
        self.runtime = Files()
        self.registered = {(ns, b) for ns in self.nameservers() for b in ("broker-a-0", "broker-b-0")}
        self.unwell: str | None = None

    def nameservers(self) -> list[str]:
        return ["namesrv-1", "namesrv-2"]

    def masters(self) -> list[str]:
        return ["broker-a-0", "broker-b-0"]

    def slaves(self) -> list[str]:
        return []

    def clients(self) -> list[str]:
        return []

    def broker_names(self) -> tuple[str, ...]:
        return ("broker-a", "broker-b")

    def is_registered(self, nameserver: str, node: str) -> bool:
        return (nameserver, node) in self.registered

    def roles(self, nameserver: str) -> dict[str, dict[int, str]]:
        return {"broker-a": {0: "x"}}

    def permissions(self, nameserver: str, broker: str) -> Mapping[str, int]:
        return {"t": 6}

    def wait_healthy(self, timeout_s: float) -> None:
        if self.unwell is not None:
            raise WaitTimeout(self.unwell)


class Stage:
    """What a probe may ask of the real one."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.said: list[str] = []
        self.counts = {"ok": 10}
        self.step = 0
        self.missing = [3, 2, 0]
        self.answers: list[int | None] = [14, None, 0]
        self.seen: dict[str, Any] = {}
        self.waited: list[float] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    now_ns = staticmethod(time.monotonic_ns)

    def instant(self, fault: str, *, heal: bool = False) -> int:
        return time.monotonic_ns() - 1_000_000_000

    def count(self, who: str, what: str) -> int:
        self.counts[what] += self.step
        return self.counts[what]

    def undelivered(self, group: str, of: str | None = None) -> int:
        return self.missing.pop(0) if len(self.missing) > 1 else self.missing[0]

    def recall(self, name: str) -> Any:
        if name not in self.seen:
            raise UsageError(name)
        return self.seen[name]

    def wait(self, seconds: float, sleep: Any) -> None:
        self.waited.append(seconds)

    def send_direct(self, node: str, topic: int, number: int, timeout_s: float) -> tuple[Any, float]:
        code = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if code is None:
            return None, 0.5
        return SimpleNamespace(code=code, acknowledged=code == 0, stored=code in (0, 10, 11, 12)), 0.1


@pytest.fixture
def stage() -> Stage:
    return Stage()


def run(probe: Probe, stage: Stage) -> Any:
    return probe.run(stage)  # type: ignore[arg-type]


class TestSendDirect:
    def test_codes_are_counted_and_a_weak_answer_is_stored_but_not_accepted(self, stage: Stage) -> None:
        stage.answers = [0, 10, 14, None]
        seen = run(SendDirect(target="master/0", count=4), stage)
        assert seen == {
            "sent": 4, "accepted": 1, "stored": 2, "codes": {"0": 1, "10": 1, "14": 1, "none": 1}, "slowest_s": 0.5,
        }  # fmt: skip


class TestAwaitRoute:
    def test_seen_on_all(self, stage: Stage) -> None:
        seen = run(AwaitRoute(target="master/0", present=True, since="kill"), stage)
        assert seen["all"] is True
        assert 1.0 <= seen["fastest_s"] <= seen["slowest_s"] < 3

    def test_one_that_never_follows_is_null_and_not_all(self, stage: Stage) -> None:
        stage.cluster.registered.discard(("namesrv-2", "broker-a-0"))
        seen = run(AwaitRoute(target="master/0", present=False, since="kill", timeout_s=0.1), stage)
        assert seen["all"] is False
        assert seen["namesrv-1"] is None
        assert seen["namesrv-2"] >= 1.0
        assert seen["slowest_s"] == seen["namesrv-2"]
        assert "namesrv-1 did not follow" in stage.said[0]

    def test_nobody_follows(self, stage: Stage) -> None:
        seen = run(AwaitRoute(target="master/0", present=False, since="kill", timeout_s=0.05), stage)
        assert (seen["all"], seen["slowest_s"], seen["fastest_s"]) == (False, None, None)


class TestAwaitCount:
    def test_counts_from_where_the_step_began(self, stage: Stage) -> None:
        stage.step = 1
        seen = run(AwaitCount(who="p", what="ok", at_least=3, timeout_s=2), stage)
        assert seen["reached"] is True
        assert seen["count"] >= 3

    def test_not_reached_is_a_value(self, stage: Stage) -> None:
        seen = run(AwaitCount(who="p", what="ok", at_least=3, timeout_s=0.1), stage)
        assert (seen["reached"], seen["count"]) == (False, 0)

    def test_unless_it_insists(self, stage: Stage) -> None:
        with pytest.raises(WaitTimeout, match=r"3 more ok of p; last seen: 0"):
            run(AwaitCount(who="p", what="ok", at_least=3, timeout_s=0.1, insist=True), stage)

    def test_from_the_start(self, stage: Stage) -> None:
        assert run(AwaitCount(who="p", what="ok", at_least=10, timeout_s=1, from_start=True), stage)["reached"] is True


class TestAwaitDelivered:
    def test_all(self, stage: Stage) -> None:
        assert run(AwaitDelivered(timeout_s=5), stage)["all"] is True

    def test_what_is_missing_at_the_end_is_said(self, stage: Stage) -> None:
        stage.missing = [3]
        seen = run(AwaitDelivered(timeout_s=0.1), stage)
        assert (seen["all"], seen["missing"]) == (False, 3)


class TestAwaitAnswer:
    def test_until_the_code_comes(self, stage: Stage) -> None:
        seen = run(AwaitAnswer(target="master/0", codes=(0,), poll_s=0.01, timeout_s=5), stage)
        assert (seen["reached"], seen["last_code"], seen["sent"]) == (True, 0, 3)

    @pytest.mark.parametrize("code", [14, None])
    def test_never(self, stage: Stage, code: int | None) -> None:
        stage.answers = [code]
        seen = run(AwaitAnswer(target="master/0", codes=(0,), poll_s=0.01, timeout_s=0.1), stage)
        assert (seen["reached"], seen["last_code"]) == (False, code)


class TestCommitLog:
    def test_files_oldest_first(self, stage: Stage) -> None:
        seen = run(CommitLog(target="master/0"), stage)
        assert seen == {"files": stage.cluster.runtime.names, "count": 3, "ratio": 0.3}

    def test_the_oldest_are_aged(self, stage: Stage) -> None:
        assert (
            run(AgeCommitLog(target="master/0", files=2, age_h=80), stage)["files"] == stage.cluster.runtime.names[:2]
        )
        assert stage.cluster.runtime.aged == [
            (f"store/commitlog/{name}", 80 * 3600) for name in stage.cluster.runtime.names[:2]
        ]

    def test_waiting_for_a_number_of_them(self, stage: Stage) -> None:
        assert run(AwaitCommitLog(target="master/0", at_least=3, timeout_s=1), stage)["reached"] is True
        seen = run(AwaitCommitLog(target="master/0", at_most=2, timeout_s=0.1), stage)
        assert (seen["reached"], seen["count"]) == (False, 3)

    def test_waiting_for_the_aged_ones_to_go(self, stage: Stage) -> None:
        stage.seen = {"gone": {"files": ["00000000000000000001"]}, "there": {"files": ["00000000000000000000"]}}
        assert run(AwaitGone(target="master/0", files="gone", timeout_s=1), stage)["reached"] is True
        seen = run(AwaitGone(target="master/0", files="there", timeout_s=0.1), stage)
        assert (seen["reached"], seen["left"]) == (False, ["00000000000000000000"])

    @pytest.mark.parametrize(
        ("after", "exact", "young"),
        [(["c", "d"], True, 1), (["b", "c", "d"], False, 1), (["d"], False, 0), (["a", "b", "c", "d"], False, 1)],
    )
    def test_exactly_the_aged_ones_went(self, stage: Stage, after: list[str], exact: bool, young: int) -> None:
        stage.seen = {"x": {"files": ["a", "b", "c", "d"]}, "y": {"files": ["a", "b"]}, "z": {"files": after}}
        seen = run(ExactlyDeleted(before="x", aged="y", after="z"), stage)
        assert (seen["exact"], seen["young_kept"]) == (exact, young)


def test_registrations_are_counted(stage: Stage) -> None:
    stage.cluster.registered.discard(("namesrv-2", "broker-a-0"))
    assert run(Registered(target="master/*"), stage) == {"yes": 3, "no": 1}


def test_a_snapshot_is_the_same_only_if_it_is(stage: Stage) -> None:
    stage.seen["before"] = run(Snapshot(), stage)
    stage.seen["after"] = run(Snapshot(), stage)
    assert run(Same(first="before", second="after"), stage) is True
    stage.seen["after"] = {"roles": {}}
    assert run(Same(first="before", second="after"), stage) is False
    with pytest.raises(UsageError):
        run(Same(first="before", second="never"), stage)


def test_a_cluster_that_stays_unwell_is_a_value(stage: Stage) -> None:
    assert run(AwaitHealthy(timeout_s=1), stage)["healthy"] is True
    stage.cluster.unwell = "broker-a-0 is not running"
    seen = run(AwaitHealthy(timeout_s=1), stage)
    assert (seen["healthy"], seen["wrong"]) == (False, ["broker-a-0 is not running"])


def test_time_passes_while_the_load_goes_on(stage: Stage) -> None:
    assert run(Elapse(seconds=7), stage) == 7
    assert stage.waited == [7]


@pytest.mark.parametrize(
    ("probe", "waits"), [(Elapse(seconds=1), True), (AwaitHealthy(), True), (Snapshot(), False)], ids=repr
)
def test_what_counts_as_waiting_for_the_product(probe: Probe, waits: bool) -> None:
    assert probe.waits_for_product() is waits
