import polars as pl
import pytest

from harness.core.errors import EvidenceError
from harness.core.history import RAW_SCHEMA, History
from harness.core.op import OpName, OpType, line
from harness.core.tables import PACKED_SCHEMA, pack
from tests.builder import HistoryBuilder


def test_pairs_an_invoke_with_its_completion(h):
    h.send("p1", "m1").ok(offset=3, queue=2)
    h.send("p1", "m2")
    rows = h.history().sends.sort("call").to_dicts()
    assert [(r["id"], r["outcome"], r["offset"], r["completions"]) for r in rows] == [
        ("m1", "ok", 3, 1),
        ("m2", "info", None, 0),
    ]
    assert rows[0]["complete_ns"] > rows[0]["invoke_ns"]
    assert rows[1]["complete_ns"] is None


def test_the_same_call_number_in_two_processes_is_two_calls(h):
    h.send("p1", "m1").ok()
    h.send("p2", "m2").fail()
    assert sorted(h.history().sends.select("process", "outcome").rows()) == [("p1", "ok"), ("p2", "fail")]


def test_messages_have_the_same_number_everywhere(h):
    h.send("p1", "m1").ok()
    h.send("p1", "m2").ok()
    h.deliver("c1", "m2")
    h.deliver("c1", "stray")
    h.read("m2", "m1")
    history = h.history()
    number = dict(history.sends.select("id", "m").rows())
    assert dict(history.deliveries.select("id", "m").rows()) == {"m2": number["m2"], "stray": None}
    assert dict(history.reads.select("id", "m").rows()) == number


def test_two_sends_of_one_id_share_its_number(h):
    h.send("p1", "m1").info()
    h.send("p1", "m1").ok()
    assert h.history().sends.get_column("m").n_unique() == 1


@pytest.mark.parametrize(
    ("said", "outcome"),
    [(("ok", "ok"), "ok"), (("ok", "fail"), "ok"), (("fail", "ok"), "ok"), (("fail", "info"), "info")],
)
def test_a_send_that_completed_twice_counts_as_the_strongest(h, said, outcome):
    send = h.send("p1", "m1")
    for what in said:
        getattr(send, what)()
    sends = h.history().sends
    assert sends.select("outcome", "completions").rows() == [(outcome, 2)]


def test_a_completion_without_an_invoke_is_not_ours(h):
    h.send("p1", "m1").ok()
    del h.rows[0]
    with pytest.raises(EvidenceError, match="never invoked"):
        h.history()


def test_a_call_number_used_twice_is_not_ours(h):
    h.send("p1", "m1").ok()
    h.rows.append(dict(h.rows[0]))
    with pytest.raises(EvidenceError, match="used twice"):
        h.history()


def test_a_line_without_an_instant_is_not_ours():
    with pytest.raises(EvidenceError, match="no f or no t"):
        History.from_raw(pl.DataFrame([{"p": "p1", "f": "send"}], schema=RAW_SCHEMA))


def test_packing_keeps_one_row_per_operation(h):
    h.send("p1", "m1").ok()
    h.deliver("c1", "m1")
    h.read("m1")
    packed = pack(h.raw())
    assert dict(packed.schema) == dict(PACKED_SCHEMA)
    assert sorted(packed.get_column("f").to_list()) == ["deliver", "drain", "read", "send"]


def test_windows_keep_what_was_seen_and_when(h):
    h.fault("kill", "inject", "observed", targets=("broker-a-0",), at_s=5.0)
    x = '{"at_ns": 6000000000, "detail": {"how": "started"}}'
    h.add("nemesis", line(OpName.FAULT, OpType.INFO, int(7e9), id="kill", s="heal", x=x))
    window = h.history().window("kill")
    assert (window.bit, window.recovered, window.heal_ns) == (True, False, 6_000_000_000)
    assert window.detail == {"how": "started"}
    assert window.targets == ("broker-a-0",)


def test_the_last_window_of_a_name_counts(h):
    h.fault("kill", at_s=1.0)
    h.fault("kill", "inject", at_s=9.0)
    history = h.history()
    assert len(history.windows) == 2
    assert history.window("kill").inject_ns == 9_000_000_000


@pytest.mark.parametrize("action", ["heal", "observed", "recovered"])
def test_a_fault_cannot_end_before_it_began(h, action):
    h.fault("kill", action)
    with pytest.raises(EvidenceError, match="without an injection"):
        h.history()


def test_an_unknown_action_is_not_ours(h):
    h.fault("kill", "inject", "explode")
    with pytest.raises(EvidenceError, match="explode"):
        h.history()


def test_observations_reach_into_objects(h):
    h.observe("a", {"b": {"c": 1}})
    h.observe("a.x", 7)
    history = h.history()
    assert history.observed("a.b.c") == 1
    assert history.observed("a.x") == 7
    for name in ("a.z", "a.b.c.d", "b"):
        with pytest.raises(KeyError):
            history.observed(name)


def test_steps_and_what_they_came_to(h):
    h.step("good")
    h.add("scenario", line(OpName.STEP, OpType.INFO, h.now(), id="bad", s="begin"))
    h.add("scenario", line(OpName.STEP, OpType.INFO, h.now(), id="bad", s="failed"))
    h.add("scenario", line(OpName.STEP, OpType.INFO, h.now(), id="open", s="begin"))
    assert [(s.name, s.ok, s.end_ns is None) for s in h.history().steps] == [
        ("good", True, False),
        ("bad", False, False),
        ("open", False, True),
    ]


def test_processes_are_what_they_said(h):
    h.consumer("c1", "g")
    assert h.history().processes["c1"]["config"]["group"] == "g"


def test_a_history_of_nothing_has_every_table():
    empty = History.empty()
    assert (empty.sends.height, empty.deliveries.height, empty.reads.height, empty.drains.height) == (0, 0, 0, 0)
    full = HistoryBuilder()
    full.send("p1", "m1").ok()
    assert dict(empty.sends.schema) == dict(full.history().sends.schema)


def test_a_line_has_known_keys_only():
    with pytest.raises(KeyError):
        line(OpName.SEND, OpType.INVOKE, 1, nonsense=1)
    assert line(OpName.SEND, OpType.INVOKE, 1, c=2, b=None) == {"f": "send", "y": "invoke", "t": 1, "c": 2}
