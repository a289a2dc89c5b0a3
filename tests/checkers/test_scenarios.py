"""Small histories on which a known queue and order checker is wrong or silent, and what is true of them."""

from harness.checkers.finders import find
from tests.builder import HistoryBuilder

KINDS = ("lost", "undelivered", "phantom", "duplicate", "redelivered", "reordered")
CLEAN = dict.fromkeys(KINDS, 0)


def found(h: HistoryBuilder) -> dict[str, int]:
    return {kind: find(h.history(), kind, {}).count for kind in KINDS}


def start() -> HistoryBuilder:
    h = HistoryBuilder()
    h.consumer("c1", "g", listener="orderly")
    return h


def test_a_timed_out_send_that_was_stored_and_delivered_once_is_legal():
    h = start()
    h.send("p1", "m1").info()
    h.deliver("c1", "m1")
    h.read("m1")
    assert found(h) == CLEAN


def test_an_ambiguous_failure_that_was_delivered_is_no_duplicate():
    h = start()
    h.send("p1", "m1").info("MQBrokerException")
    h.deliver("c1", "m1")
    h.read("m1")
    assert found(h) == CLEAN


def test_a_sure_failure_that_was_delivered_is_a_kind_of_its_own():
    h = start()
    h.send("p1", "m1").fail()
    h.deliver("c1", "m1")
    h.read("m1")
    assert found(h) == CLEAN
    assert find(h.history(), "stored-though-failed", {}).count == 1


def test_delivered_and_never_sent_is_a_phantom():
    h = start()
    h.send("p1", "m1").ok()
    h.deliver("c1", "m1")
    h.deliver("c1", "m9", offset=1)
    h.read("m1")
    assert found(h) == CLEAN | {"phantom": 1}


def test_a_loss_is_a_loss_and_no_disorder():
    h = start()
    for n in range(3):
        h.send("p1", f"m{n}").ok()
    h.deliver("c1", "m0")
    h.deliver("c1", "m2")
    h.read("m0", "m2", offsets=(0, 2))
    assert found(h) == CLEAN | {"lost": 1, "undelivered": 1}


def two_in_order() -> HistoryBuilder:
    h = start()
    h.send("p1", "m1").ok()
    h.send("p1", "m2").ok()
    return h


def test_two_before_one():
    h = two_in_order()
    h.deliver("c1", "m2")
    h.deliver("c1", "m1")
    h.read("m1", "m2")
    assert found(h) == CLEAN | {"reordered": 1}


def test_a_swap_is_not_hidden_by_a_redelivery():
    h = two_in_order()
    h.send("p1", "m3").ok()
    for id in ("m2", "m1", "m2", "m3"):
        h.deliver("c1", id)
    h.read("m1", "m2", "m3")
    assert found(h) == CLEAN | {"reordered": 1, "redelivered": 1}


def test_the_order_of_acknowledgements_is_not_the_order_of_the_store():
    h = start()
    one, two = h.send("p1", "m1"), h.send("p2", "m2")
    two.ok(offset=1)
    one.ok(offset=0)
    h.deliver("c1", "m1")
    h.deliver("c1", "m2")
    h.read("m1", "m2")
    assert found(h) == CLEAN


def test_acknowledged_again_after_its_delivery_loses_nothing():
    h = start()
    send = h.send("p1", "m1")
    send.ok(offset=0)
    h.deliver("c1", "m1")
    send.ok(offset=0)
    h.read("m1")
    assert found(h) == CLEAN


def test_stored_and_delivered_twice_is_counted_as_the_copies_it_is():
    """Two copies of one message: what a client's own retry leaves. Whether it is allowed is the scenario's business."""
    h = start()
    h.send("p1", "m1").ok(offset=0)
    h.deliver("c1", "m1")
    h.deliver("c1", "m1", offset=1)
    h.read("m1", "m1")
    assert found(h) == CLEAN | {"duplicate": 1, "redelivered": 1}


def test_delivered_before_its_acknowledgement_was_seen():
    h = start()
    send = h.send("p1", "m1")
    h.deliver("c1", "m1", offset=0)
    send.ok(offset=0)
    h.read("m1")
    assert found(h) == CLEAN


def test_a_redelivery_before_the_acknowledgement_is_one_redelivery():
    h = start()
    send = h.send("p1", "m1")
    h.deliver("c1", "m1", offset=0)
    h.deliver("c1", "m1", offset=0)
    send.ok(offset=0)
    h.read("m1")
    assert found(h) == CLEAN | {"redelivered": 1}


def test_an_unknown_send_that_is_nowhere():
    h = start()
    h.send("p1", "m0").ok()
    h.send("p1", "m1").info()
    h.deliver("c1", "m0")
    h.read("m0")
    assert found(h) == CLEAN


def test_the_lines_of_a_fault_are_no_operations():
    h = two_in_order()
    h.fault("kill")
    h.deliver("c1", "m1")
    h.deliver("c1", "m2")
    h.read("m1", "m2")
    assert found(h) == CLEAN
