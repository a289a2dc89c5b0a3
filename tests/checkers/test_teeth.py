"""Every finder: a valid history, the planted anomaly it must find, the twin it must not flag, the empty history."""

import pytest

from harness.checkers.finders import FINDERS, find
from harness.checkers.judge import judge
from harness.checkers.metrics import measure
from harness.checkers.planting import plant, twin
from harness.checkers.plants import PLANTS
from harness.checkers.twins import TWINS
from harness.core.expectation import Forbid, Rules
from harness.core.history import History
from harness.core.verdict import Verdict
from tests.builder import MASTER, SLAVE, HistoryBuilder, healthy_run

KINDS = sorted(FINDERS)


def valid(kind: str) -> History:
    """A run in which nothing went wrong and every finder has something to look at, a refused send included."""
    h = healthy_run(power=kind == "torn")
    h.send("p1", "refused").fail(code=14)
    if kind == "reordered-key":
        h.hello("p1", role="producer", mode="orderly", keys=1)
    return h.history()


@pytest.mark.parametrize("kind", KINDS)
def test_a_valid_history_holds(kind, thin):
    judged = judge(valid(kind), Rules(gates=thin, expectations=(Forbid(anomaly=kind),)))
    assert judged.verdict is Verdict.HELD, judged.reason


@pytest.mark.parametrize("kind", KINDS)
def test_one_planted_anomaly_is_broken(kind, thin):
    demand = Forbid(anomaly=kind)
    bad = plant(valid(kind), demand)
    assert bad is not None
    judged = judge(bad, Rules(gates=thin, expectations=(demand,)))
    assert judged.verdict is Verdict.BROKEN, judged.reason
    assert judged.checks[0].finding is not None
    assert judged.checks[0].finding.count >= 1
    assert judged.checks[0].finding.examples


@pytest.mark.parametrize("kind", sorted(TWINS))
def test_what_only_looks_like_it_is_not_flagged(kind, thin):
    demand = Forbid(anomaly=kind)
    alike = twin(valid(kind), demand)
    assert alike is not None
    judged = judge(alike, Rules(gates=thin, expectations=(demand,)))
    assert judged.verdict is Verdict.HELD, judged.reason


@pytest.mark.parametrize("kind", KINDS)
def test_the_empty_history_is_inconclusive(kind):
    assert judge(History.empty(), Rules(expectations=(Forbid(anomaly=kind),))).verdict is Verdict.INCONCLUSIVE


def test_every_finder_has_a_planted_control():
    assert set(PLANTS) == set(FINDERS)


def test_an_anomaly_is_found_by_its_own_finder_alone():
    """A lost message is not called reordered, a duplicate is not called lost."""
    history = healthy_run().history()
    for planted, quiet in [
        ("lost", ("reordered", "phantom", "duplicate", "redelivered", "diverged", "undelivered")),
        ("undelivered", ("lost", "reordered", "phantom", "redelivered")),
        ("duplicate", ("lost", "phantom", "redelivered", "reordered-store")),
        ("redelivered", ("lost", "duplicate", "phantom", "reordered")),
        ("diverged", ("lost", "phantom", "duplicate", "reordered")),
        ("reordered-delivery", ("lost", "undelivered", "redelivered", "reordered-store")),
    ]:
        bad = plant(history, Forbid(anomaly=planted))
        assert bad is not None
        assert find(bad, planted, {}).count == 1, planted
        assert {kind: find(bad, kind, {}).count for kind in quiet} == dict.fromkeys(quiet, 0), planted


class TestLost:
    def test_on_the_slave_alone(self, h):
        h.send("p1", "m1").ok()
        h.send("p1", "m2").ok()
        h.read("m1", "m2", replica=MASTER)
        h.read("m1", replica=SLAVE)
        history = h.history()
        assert find(history, "lost", {}).count == 0
        assert find(history, "lost", {"replicas": "slave"}).count == 1
        assert find(history, "lost", {"replicas": [SLAVE]}).count == 1
        assert find(history, "lost", {"replicas": "master"}).count == 0

    def test_sent_before_and_after_a_fault(self, h):
        h.send("p1", "m1").ok()
        h.fault("cut", "inject", "observed")
        h.send("p1", "m2").ok()
        h.read()
        history = h.history()
        assert "id=m1" in find(history, "lost", {"sent_before": "cut"}).examples[0]
        assert "id=m2" in find(history, "lost", {"sent_after": "cut"}).examples[0]
        assert find(history, "lost", {}).count == 2

    def test_nothing_unacknowledged_counts(self, h):
        h.send("p1", "m1").info("FLUSH_SLAVE_TIMEOUT", code=12)
        h.send("p1", "m2").fail()
        h.send("p1", "m3")
        h.read()
        assert find(h.history(), "lost", {}).count == 0

    def test_of_n_gives_the_upper_bound(self):
        finding = find(healthy_run(30).history(), "lost", {})
        assert finding.of == 30
        assert finding.figures["upper_bound"] == pytest.approx(0.1)

    def test_examples_are_bounded_and_the_count_is_not(self, h):
        for n in range(20):
            h.send("p1", f"m{n}").ok()
        h.read()
        finding = find(h.history(), "lost", {})
        assert (finding.count, len(finding.examples)) == (20, 8)


class TestLacking:
    """Every replica owes every acknowledged message of its broker name, whatever the others have."""

    SECOND = "broker-a-2"

    def both(self, h, *ids):
        for id in ids:
            h.send("p1", id).ok()
        return ids

    def test_the_second_slave_alone(self, h):
        ids = self.both(h, *(f"m{n}" for n in range(10)))
        h.read(*ids, replica=MASTER)
        h.read(*ids, replica=SLAVE)
        h.read(*ids[:3], replica=self.SECOND)
        history = h.history()
        assert find(history, "lost", {"replicas": "slave"}).count == 0
        assert find(history, "diverged", {}).count == 0
        finding = find(history, "lacking", {})
        assert (finding.count, finding.of, finding.figures) == (7, 30, {f"on {self.SECOND}": 7})
        assert find(history, "lacking", {"replicas": "slave"}).count == 7
        assert find(history, "lacking", {"replicas": "master"}).count == 0

    def test_a_master_that_lost_what_its_slave_has(self, h):
        h.read(*self.both(h, "m1", "m2"), replica=SLAVE)
        h.read("m1", replica=MASTER)
        assert find(h.history(), "lost", {}).count == 0
        assert find(h.history(), "lacking", {}).count == 1

    def test_it_owes_nothing_of_other_brokers_and_nothing_unanswered(self, h):
        h.send("p1", "m1").ok(broker="broker-b")
        h.send("p1", "m2").info()
        h.send("p1", "m3").ok()
        h.read("m1", replica="broker-b-0")
        h.read("m3", "m2", replica=MASTER)
        h.read("m3", replica=SLAVE)
        finding = find(h.history(), "lacking", {})
        assert (finding.count, finding.of) == (0, 3)

    def test_what_is_not_asked_for_is_not_owed(self, h):
        h.send("p1", "early").ok()
        h.step("emptied")
        h.send("p1", "late").ok()
        h.read("early", "late", replica=MASTER)
        h.read("late", replica=SLAVE, first=1)
        assert find(h.history(), "lacking", {}).count == 1
        assert find(h.history(), "lacking", {"sent_before": "emptied"}).count == 1
        assert find(h.history(), "lacking", {"sent_after": "emptied"}).count == 0

    def test_another_place_is_not_absence(self, h):
        h.send("p1", "m1").ok(queue=0)
        h.read(queue=0)
        h.read("m1", queue=1)
        assert find(h.history(), "lacking", {}).count == 0

    def test_a_queue_that_one_replica_was_not_asked_for_is_unsound(self, thin):
        h = healthy_run()
        h.send("p1", "more").ok(queue=2)
        h.read("more", replica=MASTER, queue=2)
        judged = judge(h.history(), Rules(gates=thin, expectations=(Forbid(anomaly="lacking"),)))
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert SLAVE in judged.reason

    def test_the_defect_is_on_one_replica_alone(self):
        bad = plant(healthy_run().history(), Forbid(anomaly="lacking"))
        assert bad is not None
        assert find(bad, "lacking", {}).figures == {f"on {SLAVE}": 1}
        assert find(bad, "lost", {}).count == 0


class TestWeakerStatuses:
    """What was answered with a status below SEND_OK is stored, too, and its absence is a loss if one asks for it."""

    STATUSES = ("FLUSH_SLAVE_TIMEOUT",)

    def test_absent_is_lost_only_where_it_is_asked_for(self, h):
        h.send("p1", "m0").ok()
        h.send("p1", "m1").info("FLUSH_SLAVE_TIMEOUT")
        h.send("p1", "m2").info("timeout")
        h.read("m0")
        assert find(h.history(), "lost", {}).count == 0
        found = find(h.history(), "lost", {"statuses": list(self.STATUSES)})
        assert (found.count, found.of) == (1, 1)

    def test_its_planted_control_is_seen(self, h):
        for n in range(3):
            h.send("p1", f"m{n}").info("FLUSH_SLAVE_TIMEOUT")
        h.read("m0", "m1", "m2")
        demand = Forbid(anomaly="lost", params={"statuses": list(self.STATUSES)})
        assert find(h.history(), "lost", demand.params).count == 0
        bad = plant(h.history(), demand)
        assert bad is not None
        assert find(bad, "lost", demand.params).count == 1


class TestLostInside:
    def test_a_suffix_is_no_hole(self, h):
        for n in range(5):
            h.send("p1", f"m{n}").ok()
        h.fault("power-cut")
        h.read("m0", "m1", "m2")
        assert find(h.history(), "lost", {}).count == 2
        assert find(h.history(), "lost-inside", {}).count == 0

    def test_what_no_fault_ended_has_no_tail(self, h):
        """After the cut the master is back, and broker-b was never cut: neither may lose the newest it acknowledged."""
        h.send("p1", "m0").ok()
        h.send("p1", "b0").ok(broker="broker-b")
        h.fault("power-cut")
        h.send("p1", "m1").ok()
        h.send("p1", "b1").ok(broker="broker-b")
        h.read("m0")
        h.read("b0", replica="broker-b-0")
        assert find(h.history(), "lost-inside", {}).count == 2

    def test_offsets_given_away_again_after_the_restart_prove_nothing(self, h):
        for n in range(4):
            h.send("p1", f"m{n}").ok(offset=n)
        h.fault("power-cut")
        h.send("p1", "m4").ok(offset=2)
        h.send("p1", "m5").ok(offset=3)
        h.read("m0", "m1", "m4", "m5")
        assert find(h.history(), "lost", {}).count == 2
        assert find(h.history(), "lost-inside", {}).count == 0
        assert find(h.history(), "reordered", {}).count == 0

    def test_a_survivor_lies_where_it_was_read_and_not_where_its_retry_was_acknowledged(self, h):
        """The first try of m2 is stored and its answer lost; its retry is acknowledged, and lost with the tail."""
        retried = h.send("p1", "m2", at_s=9.0)
        for n, at_s in enumerate((9.1, 9.2)):
            h.send("p2", f"m{n}", at_s=at_s).ok(offset=n)
        for n in (3, 4, 5):
            h.send("p2", f"m{n}", at_s=12 + n / 10).ok(offset=n)
        retried.ok(offset=6, at_s=13)
        h.fault("power-cut")
        h.read("m0", "m1", "m2")
        assert find(h.history(), "lost", {}).count == 3
        assert find(h.history(), "lost-inside", {}).count == 0
        h.read("m4", first=4)
        assert find(h.history(), "lost-inside", {}).count == 1

    def test_from_the_middle_of_a_queue(self, h):
        for n in range(4):
            h.send("p1", f"m{n}").ok(offset=n)
        h.fault("power-cut")
        h.read("m0", "m2", "m3")
        assert find(h.history(), "lost-inside", {}).count == 1

    def queues(self, h: HistoryBuilder, *lost: str, concurrent: bool = False) -> History:
        """Four messages in turn to two queues, then a power cut that takes some of them, and one message more."""
        for n in range(0, 4, 2):
            first, second = h.send("p1", f"m{n}"), None
            if concurrent:
                second = h.send("p2", f"m{n + 1}")
            first.ok(queue=0)
            (second or h.send("p2", f"m{n + 1}")).ok(queue=1)
        h.fault("power-cut")
        h.send("p1", "m8").ok(queue=0)
        h.send("p1", "m9").ok(queue=1)
        for queue in (0, 1):
            ids = [id for id, (_, stored, _) in h.stored.items() if stored == queue and id not in lost]
            h.read(*ids, queue=queue, offsets=tuple(h.stored[id][2] for id in ids))
        return h.history()

    def test_a_queue_that_is_gone_with_its_oldest_is_no_tail(self, h):
        """Nothing of queue 0 survived the cut; of queue 1 everything did."""
        assert find(self.queues(h, "m0", "m2"), "lost-inside", {}).count == 2

    def test_the_newest_of_the_log_is_a_tail_in_whatever_queue(self, h):
        assert find(self.queues(h, "m1", "m2", "m3"), "lost-inside", {}).count == 0

    def test_the_newest_of_a_queue_is_no_tail_if_newer_ones_of_another_survived(self, h):
        assert find(self.queues(h, "m2"), "lost-inside", {}).count == 1

    def test_of_two_that_were_under_way_at_once_nothing_is_known(self, h):
        history = self.queues(h, "m2", concurrent=True)
        assert find(history, "lost", {}).count == 1
        assert find(history, "lost-inside", {}).count == 0

    def test_what_another_broker_kept_proves_nothing(self, h):
        h.send("p1", "m0").ok()
        h.send("p1", "m1").ok(broker="broker-b")
        h.fault("power-cut")
        h.read()
        h.read("m1", replica="broker-b-0")
        assert find(h.history(), "lost-inside", {}).count == 0

    def test_a_copy_on_another_broker_is_no_survivor(self, h):
        """A send that was tried on another broker first: stored there, acknowledged here, lost here."""
        h.send("p1", "m0").ok()
        h.send("p1", "m1").ok()
        h.fault("power-cut")
        h.read()
        h.read("m1", replica="broker-b-0")
        assert find(h.history(), "lost", {}).count == 1
        assert find(h.history(), "lost-inside", {}).count == 0

    def test_acknowledged_after_the_heal_is_stored_after_it(self, h):
        """A send that waited for the broker, begun long before the heal, is no survivor of the cut."""
        h.send("p1", "m0").ok()
        waits = h.send("p2", "m1")
        h.fault("power-cut", "inject", "observed")
        h.fault("power-cut", "heal", "recovered")
        waits.ok(queue=1)
        h.read()
        h.read("m1", queue=1, first=0)
        assert find(h.history(), "lost-inside", {}).count == 0

    @pytest.mark.parametrize("fault", ["partition", "pause"])
    def test_a_fault_that_ends_no_process_starts_no_log_anew(self, h, fault):
        h.send("p1", "m0").ok()
        h.fault(fault)
        h.send("p1", "m1").ok(queue=1)
        h.read()
        h.read("m1", queue=1)
        assert find(h.history(), "lost-inside", {}).count == 1


class TestBeforeASync:
    """Nothing that was acknowledged before the disks were synced may be lost."""

    DEMAND = Forbid(anomaly="lost", params={"replicas": "master", "sent_before": "synced"})

    def cut(self, *lost: str) -> History:
        h = HistoryBuilder()
        h.observe("healthy.before", True)
        for n in range(6):
            h.send("p1", f"m{n}").ok()
        h.step("synced")
        for n in range(6, 9):
            h.send("p1", f"m{n}").ok()
        h.send("p1", "open")
        h.fault("power-cut")
        h.observe("healthy.after", True)
        kept = [n for n in range(9) if f"m{n}" not in lost]
        h.read(*(f"m{n}" for n in kept), offsets=tuple(kept))
        return h.history()

    @pytest.mark.parametrize(
        ("lost", "verdict"),
        [((), Verdict.HELD), (("m6", "m7", "m8"), Verdict.HELD), (("m5", "m6", "m7", "m8"), Verdict.BROKEN)],
    )
    def test_what_was_lost(self, thin, lost, verdict):
        judged = judge(self.cut(*lost), Rules(gates=thin, expectations=(self.DEMAND,)))
        assert judged.verdict is verdict, judged.reason
        assert judged.figures["lost"] == len(lost), "the figure is of everything"
        assert judged.checks[0].finding is not None
        assert judged.checks[0].finding.of == 6

    def test_its_planted_control_is_seen(self, thin):
        bad = plant(self.cut("m7", "m8"), self.DEMAND)
        assert bad is not None
        assert judge(bad, Rules(gates=thin, expectations=(self.DEMAND,))).verdict is Verdict.BROKEN

    def test_what_was_sent_after_a_step_ended(self):
        found = find(self.cut("m2", "m7"), "lost", {"sent_after": "synced"})
        assert (found.count, found.of) == (1, 3)
        assert "id=m7" in found.examples[0]

    def test_a_step_that_never_was_is_inconclusive(self, thin):
        demand = Forbid(anomaly="lost", params={"sent_before": "sinked"})
        judged = judge(self.cut(), Rules(gates=thin, expectations=(demand,)))
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert "sinked" in judged.reason


class TestBroadcast:
    def test_each_member_must_be_given_everything(self, h):
        h.consumer("c1", "b", model="broadcasting")
        h.consumer("c2", "b", model="broadcasting")
        h.send("p1", "m1").ok()
        h.deliver("c1", "m1", group="b")
        assert find(h.history(), "undelivered", {"group": "b"}).count == 1
        h.deliver("c2", "m1", group="b")
        history = h.history()
        assert find(history, "undelivered", {"group": "b"}).count == 0
        assert find(history, "redelivered", {"group": "b"}).count == 0

    def test_a_clustering_group_shares(self, h):
        h.consumer("c1", "g", model="clustering")
        h.consumer("c2", "g", model="clustering")
        h.send("p1", "m1").ok()
        h.deliver("c1", "m1")
        h.deliver("c2", "m1")
        assert find(h.history(), "undelivered", {}).count == 0
        assert find(h.history(), "redelivered", {}).count == 1

    @pytest.mark.parametrize(("given", "missing"), [(True, 0), (False, 1)])
    def test_a_group_is_owed_its_own_topics_only(self, h, given, missing):
        h.consumer("c1", "g", topics=["orders"])
        h.consumer("c2", "other", topics=["payments"])
        h.send("p1", "m1", topic="orders").ok()
        h.send("p1", "m2", topic="payments").ok(broker="broker-b")
        h.deliver("c2", "m2", group="other")
        if given:
            h.deliver("c1", "m1")
        finding = find(h.history(), "undelivered", {})
        assert (finding.count, finding.of) == (missing, 2)
        assert measure(h.history(), "least_delivered_ratio", {"group": "g"}) == (1 if given else 0)

    def test_a_group_of_two_topics_is_owed_both(self, h):
        h.consumer("c1", "g", topics=["orders"])
        h.consumer("c2", "g", topics=["payments"])
        h.send("p1", "m1", topic="payments").ok()
        assert find(h.history(), "undelivered", {}).count == 1

    def test_a_group_that_was_given_nothing_is_known_by_its_consumers(self, h):
        h.consumer("c1", "silent")
        h.send("p1", "m1").ok()
        assert find(h.history(), "undelivered", {}).count == 1


class TestRefused:
    """What a consumer refused is owed to its group again."""

    def test_once_and_never_again_is_undelivered(self, h):
        h.consumer("c1", "g", model="clustering")
        h.send("p1", "m1").ok()
        h.deliver("c1", "m1", refused=True)
        finding = find(h.history(), "undelivered", {})
        assert (finding.count, finding.of, finding.figures) == (1, 1, {"refused": 1})

    def test_given_again_it_is_delivered(self, h):
        h.consumer("c1", "g")
        h.consumer("c2", "g")
        h.send("p1", "m1").ok()
        h.deliver("c1", "m1", refused=True)
        h.deliver("c2", "m1", reconsume=1)
        assert find(h.history(), "undelivered", {}).count == 0

    @pytest.mark.parametrize(
        ("config", "attempt", "missing"),
        [
            ({"max_reconsume": 2}, 1, 1),
            ({"max_reconsume": 2}, 2, 0),
            ({"max_reconsume": -1}, 15, 1),
            ({"max_reconsume": -1}, 16, 0),
            ({"max_reconsume": -1, "listener": "orderly"}, 16, 1),
            ({"max_reconsume": -1, "model": "broadcasting"}, 0, 0),
            ({"max_reconsume": -1, "model": "broadcasting", "listener": "orderly"}, 3, 1),
        ],
    )
    def test_the_last_refusal_ends_it(self, h, config, attempt, missing):
        """Then it is a dead letter; what a broadcasting member refuses is not given again."""
        h.consumer("c1", "g", **config)
        h.send("p1", "m1").ok()
        h.deliver("c1", "m1", reconsume=attempt, refused=True)
        assert find(h.history(), "undelivered", {}).count == missing

    @pytest.mark.parametrize(("who", "missing"), [("c1", 0), ("c2", 1)])
    def test_the_limit_is_that_of_the_one_who_refuses(self, h, who, missing):
        h.consumer("c1", "g", max_reconsume=1)
        h.consumer("c2", "g", max_reconsume=5)
        h.send("p1", "m1").ok()
        h.deliver(who, "m1", reconsume=1, refused=True)
        assert find(h.history(), "undelivered", {}).count == missing

    @pytest.mark.parametrize(("given", "late"), [("m2 m3 m4", 0), ("m3 m4 m2", 1)])
    def test_nothing_behind_it_is_consumed_before(self, h, given, late):
        """In an orderly group: what was refused blocks its queue until it is consumed."""
        h.consumer("c1", "g", listener="orderly")
        for name in ("m1", "m2", "m3", "m4"):
            h.send("p1", name).ok()
        h.deliver("c1", "m1")
        h.deliver("c1", "m2", refused=True)
        for name in given.split():
            h.deliver("c1", name, reconsume=int(name == "m2"))
        assert find(h.history(), "reordered-delivery", {"group": "g"}).count == late

    def test_other_groups_are_none_of_it(self, h):
        h.consumer("c1", "g")
        h.consumer("c2", "other")
        h.send("p1", "m1").ok()
        h.deliver("c1", "m1", refused=True)
        h.deliver("c2", "m1", group="other")
        assert find(h.history(), "undelivered", {"group": "g"}).count == 1
        assert find(h.history(), "undelivered", {"group": "other"}).count == 0


class TestDiverged:
    def test_lag_is_apart(self, h):
        h.read("m1", "m2", "m3", replica=MASTER)
        h.read("m1", "m2", replica=SLAVE)
        finding = find(h.history(), "diverged", {})
        assert (finding.count, finding.figures["lag"]) == (0, 1)

    def test_a_hole_on_one_side(self, h):
        h.read("m1", "m2", "m3", replica=MASTER)
        h.read("m1", "m3", replica=SLAVE, offsets=(0, 2))
        assert find(h.history(), "diverged", {}).count == 1

    def test_two_messages_at_one_offset_on_both_sides_are_the_same(self, h):
        for replica in (MASTER, SLAVE):
            h.read("m1", "m2", "m3", replica=replica, offsets=(0, 0, 1))
        assert find(h.history(), "diverged", {}).count == 0
        assert find(h.history(), "offset-reuse", {}).count == 2

    def test_another_message_at_the_same_offset(self, h):
        h.read("m1", "m2", "m3", replica=MASTER)
        h.read("m1", "mX", "m3", replica=SLAVE)
        assert find(h.history(), "diverged", {}).count == 1

    def test_an_empty_slave_is_behind_not_different(self, h):
        h.read("m1", "m2", replica=MASTER)
        h.read(replica=SLAVE)
        finding = find(h.history(), "diverged", {})
        assert (finding.count, finding.figures["lag"]) == (0, 2)

    def test_a_third_replica_that_is_far_behind_hides_nothing(self, h):
        ids = [f"m{n}" for n in range(12)]
        good = tuple(f"d{n}" for n in range(12))
        bad = tuple("other" if n in (7, 9) else d for n, d in enumerate(good))
        h.read(*ids, replica="broker-a-0", digests=good)
        h.read(*ids, replica="broker-a-1", digests=bad)
        h.read(*ids[:3], replica="broker-a-2", digests=good[:3])
        finding = find(h.history(), "diverged", {})
        assert (finding.count, finding.of, finding.figures["lag"]) == (2, 12, 9)

    def test_three_replicas_of_different_length_agree(self, h):
        ids = [f"m{n}" for n in range(12)]
        for number, length in enumerate((12, 10, 3)):
            h.read(*ids[:length], replica=f"broker-a-{number}")
        assert find(h.history(), "diverged", {}).count == 0

    def test_one_replica_alone_cannot_be_compared(self, h, thin):
        for n in range(6):
            h.send("p1", f"m{n}").ok()
        h.read(*(f"m{n}" for n in range(6)))
        gates = thin.model_copy(
            update={"faults_bite": False, "in_flight_at_fault": False, "healthy": False, "min_acked_before_fault": 0}
        )
        judged = judge(h.history(), Rules(gates=gates, expectations=(Forbid(anomaly="diverged"),)))
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert "two replicas" in judged.reason


class TestOffsets:
    def test_the_deleted_head_is_no_hole(self, h):
        h.read("m1", "m2", first=100)
        assert find(h.history(), "offset-gap", {}).count == 0

    def test_every_missing_offset_counts(self, h):
        h.read("m1", "m2", offsets=(0, 5))
        assert find(h.history(), "offset-gap", {}).count == 4

    def test_stored_elsewhere_than_acknowledged(self, h):
        h.send("p1", "m1").ok(offset=7)
        h.read("m1", first=8)
        finding = find(h.history(), "offset-reuse", {})
        assert finding.figures["misplaced"] == 1

    def test_a_second_copy_elsewhere_is_not_misplaced(self, h):
        h.send("p1", "m1").ok(offset=1)
        h.read("m1", "m1", first=0)
        assert find(h.history(), "offset-reuse", {}).figures["misplaced"] == 0
        assert find(h.history(), "duplicate", {}).count == 1


class TestMisplaced:
    """Acknowledged at one place and stored at another."""

    def misplaced(self, h):
        return find(h.history(), "offset-reuse", {}).figures["misplaced"]

    def test_in_another_queue(self, h):
        for n in range(10):
            h.send("p1", f"m{n}").ok(queue=0)
        h.read(queue=0)
        h.read(*(f"m{n}" for n in range(10)), queue=1)
        assert find(h.history(), "lost", {}).count == 0
        assert self.misplaced(h) == 10

    def test_on_another_broker(self, h):
        h.send("p1", "m1").ok()
        h.read()
        h.read("m1", replica="broker-b-0")
        assert self.misplaced(h) == 1

    def test_its_place_holds_another_message(self, h):
        h.send("p1", "m1").ok(offset=0)
        h.send("p1", "m2").info()
        h.read("m2")
        h.read("m1", queue=1)
        assert self.misplaced(h) == 1

    def test_the_same_wrong_place_on_every_replica_is_one(self, h):
        h.send("p1", "m1").ok()
        for replica in (MASTER, SLAVE):
            h.read(replica=replica)
            h.read("m1", replica=replica, queue=1)
        assert self.misplaced(h) == 1

    def test_a_send_that_was_tried_again_is_stored_twice(self, h):
        h.send("p1", "m1").ok(broker="broker-b")
        h.read("m1")
        h.read("m1", replica="broker-b-0")
        assert self.misplaced(h) == 0

    def test_at_two_places_elsewhere_it_is_ambiguous(self, h):
        h.send("p1", "m1").ok()
        h.read()
        h.read("m1", queue=1)
        h.read("m1", replica="broker-b-0")
        assert self.misplaced(h) == 0

    def test_lost_and_its_place_given_away_again(self, h):
        h.send("p1", "m1").ok(offset=0)
        h.fault("power-cut")
        h.send("p1", "m2").ok(offset=0)
        h.read("m2")
        assert self.misplaced(h) == 0

    def test_unanswered_it_may_lie_anywhere(self, h):
        h.send("p1", "m1").info()
        h.read("m1", queue=3)
        assert self.misplaced(h) == 0


class TestOrder:
    def test_overlapping_sends_may_be_stored_either_way(self, h):
        first = h.send("p1", "m1")
        second = h.send("p1", "m2")
        second.ok(offset=0)
        first.ok(offset=1)
        assert find(h.history(), "reordered-store", {}).count == 0

    def test_an_early_overlap_does_not_hide_a_later_violation(self, h):
        first = h.send("p1", "m1")
        second = h.send("p1", "m2")
        second.ok(offset=0)
        first.ok(offset=5)
        h.send("p1", "m3").ok(offset=3)
        finding = find(h.history(), "reordered-store", {})
        assert finding.count == 1
        assert "id=m3" in finding.examples[0]

    def test_two_producers_owe_each_other_no_order(self, h):
        h.send("p1", "m1").ok(offset=1)
        h.send("p2", "m2").ok(offset=0)
        assert find(h.history(), "reordered-store", {}).count == 0

    def test_a_concurrent_listener_may_see_any_order(self, h):
        h.consumer("c1", "g", listener="concurrent")
        for n in (0, 1):
            h.send("p1", f"m{n}").ok()
        h.deliver("c1", "m1")
        h.deliver("c1", "m0")
        assert find(h.history(), "reordered", {}).count == 0
        assert find(h.history(), "reordered", {"group": "g"}).count == 1

    def test_a_new_owner_starts_again_from_an_older_offset(self, h):
        h.consumer("c1", "g", listener="orderly")
        for n in range(4):
            h.send("p1", f"m{n}").ok()
        for process, n in [("c1", 0), ("c1", 1), ("c1", 2), ("c2", 1), ("c2", 2), ("c2", 3)]:
            h.deliver(process, f"m{n}")
        assert find(h.history(), "reordered", {}).count == 0
        assert find(h.history(), "redelivered", {}).count == 2


class TestFailed:
    def test_refused_and_read(self, h):
        h.send("p1", "m1").fail(code=14)
        h.read("m1")
        assert find(h.history(), "stored-though-failed", {}).count == 1
        assert find(h.history(), "phantom", {}).count == 0

    def test_refused_and_nowhere(self, h):
        h.send("p1", "m1").fail(code=14)
        h.read()
        assert find(h.history(), "stored-though-failed", {}).count == 0

    def test_it_is_of_the_sends_that_surely_failed_however_much_was_read(self, h):
        h.send("p1", "m1").ok()
        h.send("p1", "m2").info()
        h.read("m1", "m2")
        h.deliver("c1", "m1")
        assert find(h.history(), "stored-though-failed", {}).of == 0
        h.send("p1", "m3").fail(code=14)
        finding = find(h.history(), "stored-though-failed", {})
        assert (finding.count, finding.of, finding.figures["searched"]) == (0, 1, 3)


def test_a_callback_that_fires_again_is_counted_and_its_acknowledgement_stands(h):
    send = h.send("p1", "m1")
    send.ok()
    send.fail()
    history = h.history()
    assert find(history, "completed-twice", {}).count == 1
    assert history.sends.get_column("outcome").to_list() == ["ok"]


def test_a_send_of_which_nobody_was_told_is_counted_unless_its_producer_was_killed(h):
    h.send("p1", "m1").ok()
    h.send("p1", "m2")
    h.send("p2", "m3")
    h.fault("kill", targets=("p2",))
    finding = find(h.history(), "never-completed", {})
    assert (finding.count, finding.of) == (1, 2)
    assert "m2" in finding.examples[0]


def test_an_answer_that_says_nothing_for_sure_is_an_answer(h):
    h.send("p1", "m1").info()
    assert find(h.history(), "never-completed", {}).count == 0


def test_retries_are_no_redeliveries(h):
    h.send("p1", "m1").ok()
    h.deliver("c1", "m1")
    h.deliver("c1", "m1", reconsume=1)
    assert find(h.history(), "redelivered", {}).count == 0


@pytest.mark.parametrize(("told", "count"), [({"fail_every": 0}, 2), ({"fail_every": 3}, 0), ({}, 0)])
def test_another_attempt_that_nobody_asked_for_is_a_redelivery(h, told, count):
    """Nor is anything called one of a group of which it is not known whether it refuses."""
    h.consumer("c1", **told)
    h.consumer("c2", **told)
    h.send("p1", "m1").ok()
    for process, attempt in (("c1", 0), ("c2", 1), ("c1", 2)):
        h.deliver(process, "m1", reconsume=attempt)
    assert find(h.history(), "redelivered", {}).count == count


def test_a_copy_elsewhere_does_not_hold_up_the_place_that_was_lost(h):
    """Offset 7 was lost and 6 given again; that the message of 7 lies on another broker as well is no order there."""
    h.send("p1", "m6").ok(offset=6)
    h.send("p1", "m7").ok(offset=7)
    h.send("p1", "again").ok(offset=6)
    h.read("again", offsets=(6,))
    h.read("m7", replica="broker-b-0")
    assert find(h.history(), "reordered-store", {}).count == 0
    h.read("m7", offsets=(7,), phase="other")
    assert find(h.history(), "reordered-store", {"phase": "other"}).count == 0
