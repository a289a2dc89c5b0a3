"""Random correct executions are never broken; one acknowledged message less, and they always are."""

from dataclasses import replace

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.checkers import edit
from harness.checkers.finders import FINDERS
from harness.checkers.judge import judge
from harness.checkers.planting import plant, twin
from harness.core.expectation import Forbid, Gates, Rules
from harness.core.history import History
from harness.core.verdict import Verdict
from tests.builder import MASTER, SLAVE, HistoryBuilder

GATES = Gates(
    min_acked=1,
    min_acked_before_fault=0,
    in_flight_at_fault=False,
    faults_bite=False,
    healthy=False,
)
AT_LEAST_ONCE = ("lost", "undelivered", "phantom", "stored-though-failed", "lost-inside", "reordered")
QUICK = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def correct_executions(draw: st.DrawFn) -> History:
    """Sends of three producers that overlap at will; a broker that stores in the order of arrival, sometimes twice.

    Unknown sends may be stored or not, failed ones are not; each queue is consumed in order by one consumer after the
    other, each of which may begin again further back; the slave may lack the end of a queue.
    """
    h = HistoryBuilder()
    h.consumer("c0", "g", listener="orderly")
    queues: dict[int, list[str]] = {0: [], 1: []}
    open_: dict[str, tuple[object, str]] = {}
    number = 0
    for process in [*draw(st.lists(st.sampled_from(["p0", "p1", "p2"]), min_size=2, max_size=30)), "p0", "p1", "p2"]:
        if process not in open_:
            number += 1
            open_[process] = (h.send(process, f"{process}-{number}"), f"{process}-{number}")
            continue
        send, id = open_.pop(process)
        outcome = draw(st.sampled_from(["ok", "ok", "ok", "twice", "info-stored", "info", "fail", "never"]))
        queue = draw(st.sampled_from([0, 1]))
        if outcome in ("ok", "twice", "info-stored"):
            for _ in range(2 if outcome == "twice" else 1):
                queues[queue].append(id)
        match outcome:
            case "ok" | "twice":
                send.ok(queue=queue, offset=len(queues[queue]) - 1)
            case "info" | "info-stored":
                send.info()
            case "fail":
                send.fail()
            case "never":
                pass
    h.send("p3", "p3-last").ok(queue=0, offset=len(queues[0]))
    queues[0].append("p3-last")
    for queue, ids in queues.items():
        at = 0
        owner = 0
        while at < len(ids):
            h.deliver(f"c{owner}", ids[at], queue=queue, offset=at)
            at += 1
            if owner < 3 and draw(st.integers(0, 9)) == 9:
                owner += 1
                at = draw(st.integers(0, at))
        lag = draw(st.integers(0, len(ids)))
        h.read(*ids, replica=MASTER, queue=queue)
        h.read(*ids[: len(ids) - lag], replica=SLAVE, queue=queue)
    return h.history()


@QUICK
@given(correct_executions())
def test_a_correct_execution_is_never_broken(history):
    judged = judge(history, Rules(gates=GATES, expectations=tuple(Forbid(anomaly=kind) for kind in AT_LEAST_ONCE)))
    assert judged.verdict is Verdict.HELD, judged.reason
    # A slave that has nothing yet gives nothing to compare: no difference, and no proof of agreement.
    compared = judge(history, Rules(gates=GATES, expectations=(Forbid(anomaly="diverged"),)))
    assert compared.verdict is not Verdict.BROKEN, compared.reason


@QUICK
@given(correct_executions(), st.data())
def test_one_acknowledged_delivery_less_is_always_broken(history, data):
    acked = history.sends.filter(pl.col("outcome") == "ok").get_column("m").to_list()
    victim = data.draw(st.sampled_from(acked))
    bad = edit.without_deliveries(history, pl.col("m") == victim)
    judged = judge(bad, Rules(gates=GATES, expectations=(Forbid(anomaly="undelivered"),)))
    assert judged.verdict is Verdict.BROKEN


@QUICK
@given(correct_executions(), st.data())
def test_one_acknowledged_message_less_is_always_broken(history, data):
    acked = history.sends.filter(pl.col("outcome") == "ok").get_column("m").to_list()
    victim = data.draw(st.sampled_from(acked))
    bad = edit.without_reads(history, pl.col("m") == victim)
    judged = judge(bad, Rules(gates=GATES, expectations=(Forbid(anomaly="lost"),)))
    assert judged.verdict is Verdict.BROKEN


@QUICK
@given(correct_executions(), st.sampled_from(sorted(FINDERS)))
def test_what_is_planted_is_found_and_its_twin_is_not(history, kind):
    demand = Forbid(anomaly=kind)
    rules = Rules(gates=GATES, expectations=(demand,))
    bad = plant(history, demand)
    if bad is not None:
        assert judge(bad, rules).verdict is Verdict.BROKEN
    if judge(history, rules).verdict is Verdict.HELD and (alike := twin(history, demand)) is not None:
        assert judge(alike, rules).verdict is not Verdict.BROKEN


@QUICK
@given(correct_executions(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_says_nothing(history, random):
    """Files are read in any order: only instants and offsets may matter."""
    seed = random.randint(0, 2**31)
    shuffled = replace(
        history,
        sends=history.sends.sample(fraction=1, shuffle=True, seed=seed),
        deliveries=history.deliveries.sample(fraction=1, shuffle=True, seed=seed),
        reads=history.reads.sample(fraction=1, shuffle=True, seed=seed),
    )
    rules = Rules(gates=GATES, expectations=tuple(Forbid(anomaly=kind) for kind in FINDERS))
    before, after = judge(history, rules), judge(shuffled, rules)
    assert [c.finding.count for c in before.checks] == [c.finding.count for c in after.checks]
