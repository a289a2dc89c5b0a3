"""Probes over a stage that is told what to show: what they record, above all when it is never seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from harness.core.errors import UsageError, WaitTimeout
from harness.runtime.base import DiskUsage, FileEntry
from harness.waiting import pause_s
from harness.workloads.probes import (
    AgeCommitLog,
    AnyProbe,
    AwaitAnswer,
    AwaitCommitLog,
    AwaitCount,
    AwaitDelivered,
    AwaitDropped,
    AwaitGone,
    AwaitHealthy,
    AwaitKnown,
    AwaitLeader,
    AwaitRoute,
    AwaitRoutes,
    CommitLog,
    Elapse,
    ExactlyDeleted,
    Probe,
    Registered,
    Routed,
    Same,
    SendDirect,
    Snapshot,
    Watch,
)


class Files:
    """The commit log of one broker."""

    def __init__(self) -> None:
        self.names = ["00000000000000000000", "00000000001073741824", "00000000002147483648"]
        self.aged: list[tuple[str, float]] = []
        self.dead: set[str] = set()

    def list_files(self, node: str, subdir: str = "") -> tuple[FileEntry, ...]:
        return tuple(FileEntry(f"{subdir}/{name}", 1, 0) for name in reversed(self.names))

    def disk_usage(self, node: str) -> DiskUsage:
        return DiskUsage(30, 70)

    def set_mtime(self, node: str, pattern: str, age_s: float) -> int:
        self.aged.append((pattern, age_s))
        return 1

    def state(self, node: str) -> Any:
        return SimpleNamespace(kind="exited" if node in self.dead else "running")


class Cluster:
    """Two brokers and two nameservers; `registered` holds the pairs that are, `silent` those that answer nothing."""

    def __init__(self) -> None:
        self.runtime = Files()
        self.registered = {(ns, b) for ns in self.nameservers() for b in ("broker-a-0", "broker-b-0")}
        self.routed = {("namesrv-1", "t")}
        self.tables: dict[str, Any] = {}
        self.unwell: str | None = None
        self.silent: set[str] = set()
        self.takes_s: dict[str, float] = {}

    def nameservers(self) -> list[str]:
        return ["namesrv-1", "namesrv-2"]

    def masters(self) -> list[str]:
        return ["broker-a-0", "broker-b-0"]

    def slaves(self) -> list[str]:
        return []

    def brokers(self) -> list[str]:
        return self.masters()

    def clients(self) -> list[str]:
        return []

    def broker_names(self) -> tuple[str, ...]:
        return ("broker-a", "broker-b")

    def is_registered(self, nameserver: str, node: str) -> bool | None:
        pause_s(self.takes_s.get(nameserver, 0))
        return None if nameserver in self.silent else (nameserver, node) in self.registered

    def queues(self, nameserver: str, topic: str) -> dict[str, int] | None:
        routed = {"a": 4} if (nameserver, topic) in self.routed else {}
        return None if nameserver in self.silent else self.tables.get(nameserver, routed)

    def roles(self, nameserver: str) -> dict[str, dict[int, str]] | None:
        return None if nameserver in self.silent else {"broker-a": {0: "x"}}

    def permissions(self, nameserver: str, broker: str) -> Mapping[str, int] | None:
        return None if nameserver in self.silent else {"t": 6}

    def wait_healthy(self, timeout_s: float) -> None:
        if self.unwell is not None:
            raise WaitTimeout(self.unwell)


class Stage:
    """What a probe may ask of the real one."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.said: list[str] = []
        self.sent: list[tuple[int | str, int]] = []
        self.remarks: dict[int, str] = {}
        self.counts = {"ok": 10}
        self.step = 0
        self.missing = [3, 2, 0]
        self.answers: list[int | None] = [14, None, 0]
        self.seen: dict[str, Any] = {}
        self.waited: list[float] = []
        self.observed: dict[str, tuple[int, Any]] = {}

    def observe(self, name: str, value: Any) -> None:
        assert name not in self.observed
        self.observed[name] = (time.monotonic_ns(), value)

    def say(self, text: str) -> None:
        self.said.append(text)

    now_ns = staticmethod(time.monotonic_ns)

    def instant(self, fault: str, *, heal: bool = False) -> int:
        """Every fault was a second ago."""
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

    def send_direct(
        self, node: str, topic: int | str, number: int, timeout_s: float, body_bytes: int = 100
    ) -> tuple[Any, float]:
        self.sent.append((topic, body_bytes))
        code = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if code is None:
            return None, 0.5
        remark = self.remarks.get(code)
        stored = code in (0, 10, 11, 12)
        return SimpleNamespace(code=code, acknowledged=code == 0, stored=stored, remark=remark), 0.1


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
            "sent": 4, "answered": 3, "accepted": 1, "stored": 2, "codes": {"0": 1, "10": 1, "14": 1, "none": 1},
            "slowest_s": 0.5,
        }  # fmt: skip

    def test_a_refusal_for_a_moments_wait_is_no_answer(self, stage: Stage) -> None:
        """Neither another code than a slave's own refusal nor, where that is code 2 as well, a sign of it."""
        stage.answers = [14, 2, 14]
        stage.remarks = {2: "[TIMEOUT_CLEAN_QUEUE]broker busy, period in queue: 208ms, size of queue: 4"}
        seen = run(SendDirect(target="master/0", count=3, among=(14,)), stage)
        assert (seen["answered"], seen["codes"]) == (2, {"14": 2, "none": 1, "other": 0})

    def test_it_may_be_of_any_topic_and_size(self, stage: Stage) -> None:
        run(SendDirect(target="master/0", count=1), stage)
        run(SendDirect(target="master/0", count=1, topic_name="nowhere", body_bytes=5000), stage)
        assert stage.sent == [(0, 100), ("nowhere", 5000)]

    @pytest.mark.parametrize(
        ("answers", "answered", "other"),
        [([14, 14, 14], 3, 0), ([14, None, 14], 2, 0), ([14, 2, 14], 3, 1), ([None], 0, 0), ([0, 14], 3, 1)],
    )
    def test_no_answer_is_no_other_answer(
        self, stage: Stage, answers: list[int | None], answered: int, other: int
    ) -> None:
        stage.answers = answers
        seen = run(SendDirect(target="master/0", count=3, among=(14,)), stage)
        assert (seen["sent"], seen["answered"], seen["codes"]["other"]) == (3, answered, other)
        assert seen["codes"]["14"] == answered - other


class TestRouted:
    @pytest.mark.parametrize(
        ("topic", "silent", "seen"),
        [
            ("t", set(), {"yes": 1, "no": 1, "silent": []}),
            ("u", set(), {"yes": 0, "no": 2, "silent": []}),
            ("u", {"namesrv-1"}, {"yes": None, "no": None, "silent": ["namesrv-1"]}),
        ],
    )
    def test_only_an_answer_counts(self, stage: Stage, topic: str, silent: set[str], seen: dict[str, Any]) -> None:
        stage.cluster.silent = silent
        assert run(Routed(topic=topic), stage).items() >= seen.items()

    @pytest.mark.parametrize(
        ("queues", "brokers", "least", "most"),
        [
            ({"namesrv-1": {"a": 4, "b": 8}, "namesrv-2": {"a": 4}}, 1, 4, 8),
            ({"namesrv-1": {}, "namesrv-2": {}}, 0, None, None),
            ({"namesrv-1": {"a": 4}, "namesrv-2": None}, None, None, None),
        ],
    )
    def test_the_fewest_brokers_that_any_nameserver_has(
        self, stage: Stage, queues: dict[str, Any], brokers: int | None, least: int | None, most: int | None
    ) -> None:
        stage.cluster.tables = queues
        seen = run(Routed(topic="t"), stage)
        assert (seen["brokers_least"], seen["queues_least"], seen["queues_most"]) == (brokers, least, most)
        assert set(seen) == Routed.SEEN


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

    @pytest.mark.parametrize("present", [False, True])
    def test_no_answer_at_all_is_neither_gone_nor_there(self, stage: Stage, present: bool) -> None:
        stage.cluster.silent = {"namesrv-1", "namesrv-2"}
        seen = run(AwaitRoute(target="master/0", present=present, since="kill", timeout_s=0.05), stage)
        assert seen == {
            "namesrv-1": None, "namesrv-2": None, "all": None,
            "slowest_s": None, "fastest_s": None, "slowest_at_least_s": 0.0,
        }  # fmt: skip
        assert "namesrv-1 did not answer" in stage.said[0]

    def test_one_that_is_silent_leaves_it_open_whether_all_followed(self, stage: Stage) -> None:
        stage.cluster.silent = {"namesrv-1"}
        seen = run(AwaitRoute(target="master/0", present=True, since="kill", timeout_s=0.05), stage)
        assert seen["all"] is None
        assert seen["namesrv-2"] is not None

    def test_one_that_certainly_did_not_follow_is_not_excused_by_a_silent_one(self, stage: Stage) -> None:
        stage.cluster.silent = {"namesrv-1"}
        seen = run(AwaitRoute(target="master/0", present=False, since="kill", timeout_s=0.05), stage)
        assert seen["all"] is False

    def test_of_two_targets_one_that_is_otherwise_settles_it(self, stage: Stage) -> None:
        stage.cluster.registered = {(ns, "broker-b-0") for ns in stage.cluster.nameservers()}
        seen = run(AwaitRoute(target="master/*", present=False, since="kill", timeout_s=0.05), stage)
        assert seen["all"] is False

    def test_silence_before_the_answer_is_not_the_products_delay(self, stage: Stage) -> None:
        """The fault was a second ago; the nameserver was of the contrary, then silent, then it followed unseen."""
        really, looks = stage.cluster.is_registered, [0]

        def is_registered(nameserver: str, node: str) -> bool | None:
            looks[0] += 1
            return {1: True, 2: None, 3: None}.get(looks[0], False) if nameserver == "namesrv-1" else really("x", node)

        stage.cluster.is_registered = is_registered  # type: ignore[method-assign]
        seen = run(AwaitRoute(target="master/0", on="nameserver/0", present=False, since="kill"), stage)
        assert seen["all"] is True
        assert 1.0 <= seen["slowest_at_least_s"] < 1.1
        assert seen["slowest_s"] >= 1.3


class TestAwaitRoutes:
    def watches(self, **more: Any) -> AwaitRoutes:
        watches = {
            "gone": Watch(target="master/0", present=False, since="kill"),
            "there": Watch(target="master/1", present=True, since="kill"),
        }
        return AwaitRoutes(watches=watches, **more)

    def test_a_watch_that_is_late_delays_no_other(self, stage: Stage) -> None:
        began_ns = time.monotonic_ns()
        assert run(self.watches(timeout_s=0.8), stage) == {"gone": False, "there": True}
        (at_ns, there), (_, gone) = stage.observed["there"], stage.observed["gone"]
        assert (there["all"], gone["all"]) == (True, False)
        assert there["slowest_s"] < 1.4, "it was there at the first look, whatever became of the other"
        assert (at_ns - began_ns) / 1e9 < 0.4, "and was recorded then"
        assert gone["slowest_s"] is None
        assert gone["slowest_at_least_s"] > 1.5, "it was certainly still there until then"

    def test_a_nameserver_that_is_late_delays_no_other(self, stage: Stage) -> None:
        stage.cluster.takes_s["namesrv-1"] = 0.5
        run(self.watches(timeout_s=0.6), stage)
        _, there = stage.observed["there"]
        assert there["namesrv-1"] >= 1.5
        assert there["namesrv-2"] < 1.4

    def test_each_is_stamped_when_it_happened(self, stage: Stage) -> None:
        stage.cluster.registered.discard(("namesrv-2", "broker-b-0"))
        later = threading.Timer(0.5, stage.cluster.registered.clear)
        later.start()
        assert run(self.watches(timeout_s=1.5), stage) == {"gone": True, "there": False}
        later.join()
        (at_ns, gone), (end_ns, there) = stage.observed["gone"], stage.observed["there"]
        assert 1.2 <= gone["slowest_at_least_s"] <= gone["slowest_s"] < 2.0
        assert there["namesrv-1"] < 1.4
        assert end_ns - at_ns > 5e8, "the last one is awaited, and the other was recorded when it had happened"

    def test_silence(self, stage: Stage) -> None:
        stage.cluster.silent = {"namesrv-1"}
        assert run(self.watches(timeout_s=0.05), stage) == {"gone": False, "there": None}


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

    def test_slow_is_not_never(self, stage: Stage) -> None:
        stage.missing = list(range(1000, 0, -1))
        seen = run(AwaitDelivered(timeout_s=1.2), stage)
        assert seen["progressing"] is True
        assert seen["all"] is None


class TestAwaitAnswer:
    def test_until_the_code_comes(self, stage: Stage) -> None:
        seen = run(AwaitAnswer(target="master/0", codes=(0,), poll_s=0.01, timeout_s=5), stage)
        assert (seen["reached"], seen["last_code"], seen["sent"]) == (True, 0, 3)

    @pytest.mark.parametrize(("code", "reached"), [(14, False), (None, None)])
    def test_never(self, stage: Stage, code: int | None, reached: bool | None) -> None:
        stage.answers = [code]
        seen = run(AwaitAnswer(target="master/0", codes=(0,), poll_s=0.01, timeout_s=0.1), stage)
        assert (seen["reached"], seen["last_code"]) == (reached, code)

    @pytest.mark.parametrize(("waited_ms", "reached"), [(208, None), (10_004, True)])
    def test_a_refusal_for_a_moments_wait_is_no_answer(
        self, stage: Stage, waited_ms: int, reached: bool | None
    ) -> None:
        stage.answers = [2]
        stage.remarks = {2: f"[TIMEOUT_CLEAN_QUEUE]broker busy, period in queue: {waited_ms}ms, size of queue: 4"}
        seen = run(AwaitAnswer(target="master/0", codes=(2,), poll_s=0.01, timeout_s=0.1), stage)
        assert seen["reached"] is reached


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
    assert run(Registered(target="master/*"), stage) == {"yes": 3, "no": 1, "unknown": 0, "silent": []}


def test_what_a_silent_nameserver_has_is_not_known(stage: Stage) -> None:
    stage.cluster.silent = {"namesrv-2"}
    seen = run(Registered(target="master/*"), stage)
    assert seen == {"yes": None, "no": None, "unknown": 2, "silent": ["namesrv-2"]}
    assert run(Registered(target="master/*", on="nameserver/0"), stage)["yes"] == 2, "a living one is to be asked alone"


def test_a_snapshot_is_the_same_only_if_it_is(stage: Stage) -> None:
    stage.seen["before"] = run(Snapshot(), stage)
    stage.seen["after"] = run(Snapshot(), stage)
    assert run(Same(first="before", second="after"), stage) is True
    stage.seen["after"] = {"roles": {"namesrv-1": {}}}
    assert run(Same(first="before", second="after"), stage) is False
    with pytest.raises(UsageError):
        run(Same(first="before", second="never"), stage)


def test_a_snapshot_names_who_did_not_answer(stage: Stage) -> None:
    stage.cluster.silent = {"namesrv-2"}
    seen = run(Snapshot(), stage)
    assert seen["silent"] == ["namesrv-2"]
    assert set(seen["roles"]) == set(seen["permissions"]) == {"namesrv-1"}
    stage.cluster.runtime.dead.add("namesrv-1")
    assert run(Snapshot(), stage) == {"roles": {}, "permissions": {}, "silent": ["namesrv-1", "namesrv-2"]}
    assert run(Snapshot(on="nameserver/0"), stage)["silent"] == ["namesrv-1"]


WHOLE = {"roles": {"n": {"broker-a": {0: "x"}}}, "permissions": {"n": {"broker-a": {"t": 6}}}, "silent": []}
NOBODY: dict[str, Any] = {"roles": {}, "permissions": {}, "silent": ["n"]}
UNSAID: dict[str, Any] = {"roles": {}, "permissions": {}}
"""As it was recorded of nobody before anybody was named."""
EMPTY: dict[str, Any] = {"roles": {"n": {}}, "permissions": {"n": {"broker-a": {}}}, "silent": []}
"""Every nameserver answered, and has nothing."""
PARTIAL = WHOLE | {"silent": ["m"]}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (WHOLE, WHOLE, True),
        (WHOLE, WHOLE | {"permissions": {"n": {"broker-a": {"t": 4}}}}, False),
        (WHOLE, EMPTY, False),
        (NOBODY, NOBODY, None),
        (UNSAID, UNSAID, None),
        (EMPTY, EMPTY, None),
        (PARTIAL, PARTIAL, None),
        (WHOLE, PARTIAL, None),
        (WHOLE, WHOLE | {"roles": {"n": None}}, None),
        ({}, {}, None),
        (None, None, None),
        (0, 0, True),
        (False, True, False),
        (["a"], ["b"], False),
    ],
)
def test_what_was_not_seen_is_neither_the_same_nor_another(
    stage: Stage, first: Any, second: Any, same: bool | None
) -> None:
    stage.seen = {"first": first, "second": second}
    assert run(Same(first="first", second="second"), stage) is same
    stage.seen = {"first": second, "second": first}
    assert run(Same(first="first", second="second"), stage) is same


def test_a_cluster_that_stays_unwell_is_a_value(stage: Stage) -> None:
    assert run(AwaitHealthy(timeout_s=1), stage)["healthy"] is True
    stage.cluster.unwell = "broker-a-0 is not running"
    seen = run(AwaitHealthy(timeout_s=1), stage)
    assert (seen["healthy"], seen["wrong"]) == (False, ["broker-a-0 is not running"])


def test_time_passes_while_the_load_goes_on(stage: Stage) -> None:
    assert run(Elapse(seconds=7), stage) == 7
    assert stage.waited == [7]


@pytest.mark.parametrize(
    ("probe", "waits"),
    [
        (AwaitCount(who="p", what="ok"), True),
        (AwaitCount(who="p", what="ok", from_start=True), False),
        (Snapshot(), False),
    ],
    ids=repr,
)
def test_what_counts_as_waiting_for_the_product(probe: Probe, waits: bool) -> None:
    assert probe.waits_for_product() is waits


def test_every_kind_says_whether_it_waits() -> None:
    """Its name does not decide; these are all that wait, but for the one for which it depends."""
    kinds = get_args(get_args(AnyProbe)[0])
    assert {kind for kind in kinds if kind.WAITS} == {
        AwaitAnswer, AwaitCommitLog, AwaitDelivered, AwaitDropped, AwaitGone, AwaitHealthy, AwaitKnown, AwaitLeader,
        AwaitRoute, AwaitRoutes, Elapse,
    }  # fmt: skip
