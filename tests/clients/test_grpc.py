"""Workers of the gRPC client over a stand-in of its library: what they record of each answer, and what they tell it."""

from __future__ import annotations

import json
import time

import pytest

from harness.clients.client import make
from harness.clients.config import ConsumerConfig, GrpcSetup, Pin, ProducerConfig
from harness.clients.decisions import decision_of
from harness.clients.grpc_binding import place_of
from harness.clients.record import Recorder
from harness.core.content import body_of
from harness.core.errors import ClientError, UsageError
from harness.waiting import wait_for
from tests.fakes import grpcsdk


@pytest.fixture
def lib(tmp_path):
    return tmp_path / "lib"


@pytest.fixture
def start(start):
    def start_one(config):
        worker = start(config)
        worker.ready(20)
        return worker

    return start_one


def setup(lib, broker=""):
    return GrpcSetup(str(lib), "5.1.2", "10.0.0.1:8081;10.0.0.2:8081", broker)


def producer(lib, **fields):
    fields = {"max_messages": 4, "grpc": setup(lib)} | fields
    return ProducerConfig("p-1", "unasked:1", "T", client="grpc", **fields)


def consumer(lib, **fields):
    fields = {"threads": 1, "grpc": setup(lib)} | fields
    return ConsumerConfig("c-1", "unasked:1", ("T",), group="g", client="grpc", **fields)


def run(start, config):
    worker = start(config)
    worker.go()
    worker.done(20)
    return {d["c"]: d for d in lines(worker, "send") if d["y"] != "invoke"}


def lines(worker, kind):
    return [d for d in map(json.loads, worker.history.read_text().splitlines()) if d["f"] == kind]


def said(lib, what):
    return [entry for entry in grpcsdk.log(lib) if entry["what"] == what]


def test_every_answer_comes_to_what_it_surely_means(start, lib):
    grpcsdk.lay(
        lib,
        answers={"1": "ProxyTimeoutException", "2": "unavailable", "3": "no-route", "4": "TooManyRequestsException"},
    )
    done = run(start, producer(lib, max_messages=5))
    assert [done[n]["y"] for n in range(5)] == ["ok", "info", "info", "fail", "info"]
    assert [done[n]["s"] for n in range(3)] == ["SEND_OK", "ProxyTimeoutException", "AioRpcError"]
    assert (done[1]["k"], done[2]["k"], done[2]["e"]) == (50402, 14, "failed to connect")
    assert not any(key in done[0] for key in ("b", "q", "o")), "a receipt tells an offset and neither broker nor queue"


@pytest.mark.parametrize("mode", ["sync", "async", "orderly", "transaction"])
def test_what_came_back_without_a_receipt_is_no_acknowledgement(start, lib, mode):
    grpcsdk.lay(lib, answers={"0": "nothing", "1": "no-id"})
    done = run(start, producer(lib, mode=mode, max_messages=3))
    assert [(done[n]["y"], done[n]["s"]) for n in (0, 1)] == [("info", "NO_RECEIPT")] * 2
    assert done[2]["y"] == "ok"
    assert not said(lib, "commit"), "nothing is known of the half message"


def test_of_one_broker_name_the_broker_is_known(start, lib):
    grpcsdk.lay(lib)
    done = run(start, producer(lib, grpc=setup(lib, "broker-a")))
    assert {d["b"] for d in done.values()} == {"broker-a"}


def test_it_is_told_every_proxy_and_whole_seconds(start, lib):
    grpcsdk.lay(lib)
    run(start, producer(lib, timeout_ms=3001, body_bytes=700))
    assert said(lib, "startup")[0]["told"] == ["10.0.0.1:8081;10.0.0.2:8081", 4]
    assert {entry["size"] for entry in said(lib, "send")} == {700}


def test_what_is_ordered_goes_by_its_message_group(start, lib):
    grpcsdk.lay(lib)
    run(start, producer(lib, mode="orderly", keys=2))
    assert [(e["id"], e["group"]) for e in said(lib, "send")] == [
        ("p-1-0", "0"),
        ("p-1-1", "1"),
        ("p-1-2", "0"),
        ("p-1-3", "1"),
    ]


def test_a_delay_level_becomes_a_time_that_is_never_early(start, lib):
    grpcsdk.lay(lib)
    before = time.time_ns()
    run(start, producer(lib, max_messages=1, delay_level=3))
    (sent,) = said(lib, "send")
    assert 10 * 10**9 <= sent["due"] * 10**9 - before <= 20 * 10**9


def test_asynchronous_sends_are_answered_like_others(start, lib):
    grpcsdk.lay(lib, answers={"1": "unavailable", "2": "no-route"})
    done = run(start, producer(lib, mode="async", window=1))
    assert [done[n]["y"] for n in range(4)] == ["ok", "info", "fail", "ok"]


def test_a_transaction_is_recorded_before_the_broker_is_told_and_asks_for_what_it_was_not_told(start, lib):
    grpcsdk.lay(lib, asks=True, forgets=True)
    done = run(start, producer(lib, mode="transaction", max_messages=4))
    commits = [decision_of(f"p-1-{n}").commits for n in range(4)]
    assert [done[n]["y"] == "ok" for n in range(4)] == commits
    assert {(d["y"], d["s"]) for d in done.values()} == {("ok", "COMMIT_MESSAGE"), ("fail", "ROLLBACK_MESSAGE")}
    assert [entry["answer"] == "COMMIT" for entry in said(lib, "checked")] == commits
    told = [(e["what"], e["id"]) for e in grpcsdk.log(lib) if e["what"] in ("commit", "rollback")]
    assert told == [("commit", "p-1-0"), ("rollback", "p-1-1")], "the other two are for the broker to ask about"


@pytest.mark.parametrize("forgets", [True, False])
def test_that_a_transaction_ended_is_told_only_where_it_was_confirmed(start, lib, forgets):
    grpcsdk.lay(lib, forgets=forgets)
    worker = start(producer(lib, mode="transaction", max_messages=4))
    worker.go()
    worker.done(20)
    told = [json.loads(d["x"])["id"] for d in lines(worker, "event") if d["s"] == "told"]
    assert told == ([] if forgets else ["p-1-0", "p-1-1"]), "of the other two the broker must ask"


def test_a_half_message_that_failed_is_nothing_else(start, lib):
    grpcsdk.lay(lib, answers={"0": "unavailable"})
    done = run(start, producer(lib, mode="transaction", max_messages=1))
    assert (done[0]["y"], done[0]["s"]) == ("info", "AioRpcError")


STORED = [["p-1-0", body_of("p-1-0", 60).decode(), 1], ["p-1-1", body_of("p-1-2", 60).decode(), 3]]


@pytest.mark.parametrize("listener", ["concurrent", "orderly", "simple"])
def test_a_delivery_says_where_its_message_lies_and_how_often_it_came(start, lib, listener):
    grpcsdk.lay(lib, stored=STORED, stumbles=True)
    worker = start(consumer(lib, listener=listener))
    worker.wait_progress(lambda p: p.delivered == 2, "given both", 20)
    first, second = lines(worker, "deliver")
    assert (first["id"], first["b"], first["q"], first["o"], first["k"], first.get("a")) == (
        "p-1-0",
        "broker-b",
        3,
        0,
        0,
        None,
    )
    assert (second["o"], second["k"]) == (1, 2)
    assert second["a"], "another key than the body's"
    worker.stop(5)
    what = {"simple": "ack"}.get(listener, "answer")
    assert {entry.get("answer", "SUCCESS") for entry in said(lib, what)} == {"SUCCESS"}
    assert len(said(lib, what)) == 2
    assert said(lib, "shutdown")


def test_what_is_refused_is_said_so_and_not_acknowledged(start, lib):
    grpcsdk.lay(lib, stored=STORED)
    worker = start(consumer(lib, listener="simple", fail_every=1, fail_attempts=1))
    worker.wait_progress(lambda p: p.delivered == 2, "given both", 20)
    assert [line.get("s") for line in lines(worker, "deliver")] == ["refused", None]
    wait_for(lambda: said(lib, "ack"), what="the acknowledgement", timeout_s=5)
    assert [entry["id"] for entry in said(lib, "ack")] == ["p-1-1"]


@pytest.mark.parametrize("clumsy", [False, True])
def test_a_client_that_does_not_start_says_why(start, lib, clumsy):
    grpcsdk.lay(lib, refuses="failed to receive initial settings", clumsy=clumsy)
    with pytest.raises(
        ClientError, match=r"the grpc producer did not start with 10\.0.*: Exception: failed to receive"
    ):
        start(producer(lib))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (lambda lib: producer(lib, mode="oneway"), "has no mode oneway"),
        (lambda lib: producer(lib, pins=(Pin("broker-a", 0),)), "has no pins"),
        (lambda lib: consumer(lib, model="broadcasting"), "has no broadcasting"),
        (lambda lib: consumer(lib, retry_level=3, max_reconsume=2), "has no retry_level, max_reconsume"),
    ],
)
def test_what_it_cannot_be_told_is_refused(tmp_path, lib, config, words):
    with pytest.raises(UsageError, match=words):
        make(config(lib), Recorder(str(tmp_path / "history")))


def test_without_a_proxy_or_a_library_it_is_not_made(tmp_path, lib):
    with pytest.raises(ClientError, match="has no proxy to talk to"):
        make(producer(lib, grpc=GrpcSetup(str(lib), "5.1.2")), Recorder(str(tmp_path / "history")))
    with pytest.raises(ClientError, match="is not at"):
        make(producer(lib), Recorder(str(tmp_path / "history")))


@pytest.mark.parametrize("handle", ["", "0 1 2", "0 1 2 3 4 broker-a x 7"])
def test_a_handle_that_says_no_place_is_an_error(handle):
    with pytest.raises(ClientError, match="does not say where its message lies"):
        place_of(handle)


def raises(call, *words):
    """The worker's own end, with what was raised in its last words, and with it the scenario's: nothing goes on."""
    with pytest.raises(ClientError) as died:
        call()
    for word in (*words, "code 70"):
        assert word in str(died.value)


def test_a_check_that_raises_is_no_decision_and_ends_the_worker(start, lib):
    grpcsdk.lay(lib, asks=True, asks_of="nobody-knows")
    worker = start(producer(lib, mode="transaction", max_messages=1))
    worker.go()
    raises(lambda: worker.done(20), "ValueError", "'knows'")
    assert said(lib, "checked") == []


def test_an_answer_that_cannot_be_recorded_ends_the_worker_though_the_client_would_swallow_it(start, lib):
    grpcsdk.lay(lib, answers={"1": "unheard-of"})
    worker = start(producer(lib, mode="async", max_messages=4))
    worker.go()
    raises(lambda: worker.done(20), "no text of it")


def test_what_is_delayed_is_due_after_it_is_recorded_however_long_the_window_was_full(start, lib):
    grpcsdk.lay(lib, slow_s=1.2)
    worker = start(producer(lib, mode="async", window=1, max_messages=3, delay_level=1))
    worker.go()
    worker.done(20)
    begun = {d["id"]: d["t"] for d in lines(worker, "send") if d["y"] == "invoke"}
    shift = time.time_ns() - time.monotonic_ns()
    early = {e["id"]: (e["due"] * 10**9 - shift - begun[e["id"]]) / 1e9 for e in said(lib, "send")}
    assert min(early.values()) >= 1, "it would come sooner than a second after it was sent"


def test_a_group_that_is_not_made_for_order_is_no_orderly_consumer(start, lib):
    grpcsdk.lay(lib, stored=STORED, fifo=False)
    with pytest.raises(ClientError, match="do not give group g its messages in order"):
        start(consumer(lib, listener="orderly"))


def test_what_a_consumer_asked_in_vain_is_recorded_once_in_a_row(start, lib):
    grpcsdk.lay(lib, stored=STORED, stumbles=3, unacked=True, sulks=True)
    worker = start(consumer(lib, listener="simple"))
    worker.wait_progress(lambda p: p.delivered == 2, "given both", 20)
    worker.stop(5)
    raised = [json.loads(d["x"]) for d in lines(worker, "event") if d["s"] == "raised"]
    assert [(x["call"], x["error"], x["code"]) for x in raised] == [
        ("receive", "AioRpcError", 14),
        ("ack", "ClientException", 40015),
        ("shutdown", "ClientException", None),
    ]
