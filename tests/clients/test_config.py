from __future__ import annotations

import json

import pytest

from harness.clients.config import ConsumerConfig, CppSetup, JavaSetup, Pin, ProducerConfig, from_json, to_json
from harness.core.errors import UsageError

JAVA = JavaSetup(("a.jar", "b.jar"), "libjvm.so", "4.9.7", ("-Xmx1g",))


@pytest.mark.parametrize(
    "config",
    [
        ProducerConfig("p1", "n:1", "T"),
        ProducerConfig("p1", "n:1", "T", java=JAVA, pins=(Pin("a", 1, "h:1"),), properties={"WAIT": "false"}, keys=3),
        ConsumerConfig("c1", "n:1", ("T", "U"), group="g", java=JAVA, batch=7),
        ProducerConfig("p1", "n:1", "T", client="cpp", mode="transaction", cpp=CppSetup("/lib", "1", "bundled", "a")),
    ],
)
def test_a_configuration_survives_the_pipe(config):
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"role": "nemesis"}, "neither producer nor consumer"),
        ({}, "neither producer nor consumer"),
        ({"role": "producer", "process": "p", "namesrv": "", "topic": "T", "ratee": 1}, "ratee"),
        ({"role": "producer", "process": "p", "namesrv": ""}, "topic"),
        (
            {"role": "producer", "process": "p", "namesrv": "", "topic": "T", "mode": "orderly", "threads": 9},
            "9 threads",
        ),
        ({"role": "producer", "process": "p", "namesrv": "", "topic": "T", "mode": "fast"}, "'fast'"),
        (
            {
                "role": "producer",
                "process": "p",
                "namesrv": "",
                "topic": "T",
                "mode": "transaction",
                "client": "remoting",
            },
            "the remoting client has no transactions; use the java client",
        ),
        ({"role": "producer", "process": "p", "namesrv": "", "topic": "T", "rate_per_s": 0}, "rate_per_s 0"),
        ({"role": "producer", "process": "p", "namesrv": "", "topic": "T", "window": 0}, "window 0"),
        ({"role": "consumer", "process": "c", "namesrv": "", "topics": []}, "no topics"),
        ({"role": "consumer", "process": "c", "namesrv": "", "topics": ["T"]}, "the java client needs one"),
        ({"role": "consumer", "process": "c", "namesrv": "", "topics": ["T"], "client": "cpp"}, "the cpp client needs"),
    ],
)
def test_what_cannot_be_is_refused_by_name(fields, message):
    with pytest.raises(UsageError, match=message):
        from_json(fields)


@pytest.mark.parametrize(
    ("fields", "once"),
    [({}, False), ({"retries": 0}, True), ({"mode": "oneway"}, True), ({"mode": "orderly"}, True)],
)
def test_what_is_an_only_attempt(fields, once):
    assert ProducerConfig("p", "n", "T", **fields).only_attempt is once
    assert ProducerConfig("p", "n", "T", pins=(Pin("a", 0),)).only_attempt
