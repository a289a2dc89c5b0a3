"""The C++ client against a broker in memory, where its library is in the cache; nothing is downloaded here."""

from __future__ import annotations

import json

import pytest

from harness.clients.config import CppSetup, ProducerConfig
from harness.clients.handle import Worker
from harness.clients.spawn import PlainSpawner
from harness.core.errors import SetupError
from harness.distribution import default_cache, obtain_cpp
from harness.wire.codes import RequestCode
from tests.fakes.broker import FakeCluster

SEND = RequestCode.SEND_MESSAGE_V2


def unfetched(_wheel, _scratch):
    raise SetupError("the cpp client is not in the cache: --client=cpp brings it there")


@pytest.fixture(scope="module")
def setup():
    try:
        library = obtain_cpp(default_cache(), fetch=unfetched)
    except SetupError as missing:
        pytest.skip(str(missing))
    return CppSetup(str(library.home), library.version, library.library, "broker-a")


@pytest.fixture
def fake():
    with FakeCluster(["broker-a"]) as cluster:
        cluster.create_topic("T", 2)
        yield cluster


@pytest.fixture
def start(tmp_path):
    spawner, made = PlainSpawner(tmp_path), []

    def start_one(config):
        worker = Worker(spawner, config.process, tmp_path / "history" / f"{config.process}.jsonl")
        made.append(worker)
        worker.configure(config)
        return worker

    yield start_one
    for worker in made:
        worker.close()


@pytest.fixture
def producer(fake, setup):
    def make(**fields):
        fields = {"timeout_ms": 1000, "threads": 2, "max_messages": 20} | fields
        return ProducerConfig("p1", fake.nameserver, "T", client="cpp", cpp=setup, **fields)

    return make


def run(start, config):
    worker = start(config)
    worker.ready(10)
    worker.go()
    worker.done(30)
    return sends(worker)


def lines(worker, kind):
    return [d for d in map(json.loads, worker.history.read_text().splitlines()) if d["f"] == kind]


def sends(worker):
    return {d["c"]: d for d in lines(worker, "send") if d["y"] != "invoke"}


def stored(fake, *queues):
    store = fake.broker().store
    return [store.queue("T", q).at(o) for q in queues or (0, 1) for o in range(store.queue("T", q).end)]


def test_what_is_acknowledged_is_stored_and_names_its_broker_but_no_queue(fake, start, producer):
    done = run(start, producer(max_messages=200))
    assert {(d["y"], d["s"], d["b"], d.get("q"), d.get("o")) for d in done.values()} == {
        ("ok", "SEND_OK", "broker-a", None, None)
    }
    assert len(done) == len(stored(fake)) == 200
