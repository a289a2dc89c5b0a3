"""What a cell's file says, and what it must not."""

from __future__ import annotations

import json
import socket

import pytest

from harness.core.errors import EvidenceError, UsageError
from harness.matrix.cells import CellSpec, exit_code_of, read_cell, stored, tidy, write_cell
from harness.report.rows import Control
from tests.matrix.fakes import INPUTS, cell, row


def test_a_cell_is_named_by_what_is_not_the_default():
    assert CellSpec(topology="2m-2s-sync", rocketmq="5.3.3").name == "2m-2s-sync-5.3.3"
    other = CellSpec(topology="1m", rocketmq="4.9.7", client="java:5.3.3", timers="documented", java="17")
    assert other.name == "1m-4.9.7-documented-java-5.3.3-java17"
    move = CellSpec(topology="2m-2s-sync", rocketmq="4.9.7", upgrade_to="5.3.3", client="java:4.4.0")
    assert move.name == "2m-2s-sync-4.9.7-to-5.3.3-java-4.4.0"


@pytest.mark.parametrize("word", ["path:/opt/rocketmq", "/opt/topology.yaml"])
def test_what_is_a_path_cannot_be_a_cell(word):
    with pytest.raises(UsageError, match="cannot be a cell"):
        CellSpec(topology="1m", rocketmq=word).checked()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"topology": "1n"}, "known are 1m"),
        ({"rocketmq": "9.9.9"}, "not a RocketMQ this harness can get"),
        ({"java": "99"}, "99"),
        ({"client": "foo"}, "--client 'foo'"),
        (
            {"client": "grpc", "topology": "2m-2s-sync-proxy", "rocketmq": "5.2.0", "upgrade_to": "5.3.3"},
            "has proxies, which no suite moves to another release",
        ),
        ({"client": "grpc"}, "--client grpc: it talks to proxies, and 1m has none"),
        (
            {"client": "grpc", "topology": "2m-2s-sync-proxy"},
            "has proxies, which RocketMQ has since 5.1.0, and not 4.9.7",
        ),
        (
            {"client": "grpc", "topology": "2m-2s-sync-proxy", "rocketmq": "5.1.4"},
            "the proxy of RocketMQ 5.1.4 is not in the package registry: choose one of",
        ),
        ({"topology": "controller-1m-2s", "rocketmq": "4.9.7"}, "needs RocketMQ 5.0.0"),
        ({"upgrade_to": "9.9.9"}, "not a RocketMQ this harness can get"),
        ({"upgrade_to": "4.9.7"}, "is not newer than 4.9.7"),
        ({"upgrade_to": "4.4.0"}, "is not newer than 4.9.7"),
        ({"upgrade_to": "path:/opt/next"}, "cannot be a cell"),
    ],
)
def test_a_cell_of_what_there_is_not_is_refused(wrong, told):
    with pytest.raises(UsageError, match=told):
        CellSpec(**{"topology": "1m", "rocketmq": "4.9.7", **wrong}).checked()


def test_a_file_that_is_no_text_is_no_cell(tmp_path):
    path = tmp_path / "1m-4.9.7.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EvidenceError, match=r"1m-4\.9\.7\.json is no cell"):
        read_cell(path)


def test_a_cell_is_read_back_as_it_was_written(tmp_path):
    path = tmp_path / "cells" / "1m-4.9.7.json"
    before = cell("1m", "4.9.7", row("single-master-outage-stops-service"))
    write_cell(path, before)
    assert read_cell(path) == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert read_cell(tmp_path / "nothing.json") is None


def test_a_file_that_is_no_cell_is_refused(tmp_path):
    path = tmp_path / "1m-4.9.7.json"
    path.write_text(json.dumps({"format": 2}))
    with pytest.raises(EvidenceError, match=r"1m-4\.9\.7\.json is no cell"):
        read_cell(path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "1m-4.9.7.json"
    old = cell("1m", "4.9.7", row("a-b"))
    write_cell(path, old)
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_cell(path, cell("1m", "4.9.7", row("c-d")))
    monkeypatch.undo()
    assert read_cell(path) == old
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_no_path_and_no_host_reaches_a_cell():
    text = f"node died: /home/someone/reports/x.log on {socket.gethostname()}, see /rmq/broker-a/logs/broker.log"
    assert tidy(text) == "node died: <path> on <host>, see /rmq/broker-a/logs/broker.log"
    assert len(tidy("x" * 1000)) == 300


def test_figures_are_numbers_and_words():
    figures = {"acked": 5210, "rto_max_s": 1.23456789, "each": [1, 2], "note": "at /tmp/a/b"}
    kept = stored(row("a-b", figures=figures), "c0ffee", INPUTS)
    assert kept.figures == {"acked": 5210, "rto_max_s": 1.235, "note": "at <path>"}


@pytest.mark.parametrize(
    ("verdict", "more", "code"),
    [
        ("held", {}, 0),
        ("broken", {}, 1),
        ("broken", {"known": "a defect of this release", "expected": "broken"}, 0),
        ("held", {"known": "a defect of this release", "expected": "broken"}, 1),
        ("inconclusive", {}, 6),
        ("held", {"infrastructure": True}, 6),
        ("not-tested", {"missing": "power-cut"}, 6),
        ("not-tested", {}, 6),
    ],
)
def test_the_exit_code_is_that_of_the_suites(verdict, more, code):
    rows = [row("a-b", verdict=verdict, **more)]
    assert exit_code_of(stored(r, "c0ffee", INPUTS) for r in rows) == code
    from harness.report.rows import exit_code

    assert exit_code(rows)[0] == code


def test_a_cell_keeps_what_the_control_showed_and_not_where_it_lay():
    control = Control(
        kind="product",
        expected="broken",
        observed="broken",
        ok=True,
        scenarios=("1m/kill--worse",),
        why="it must lose",
        reason="48 lost of 5,077, see /root/x/y " + "x" * 1000,
    )
    kept = stored(row("a").model_copy(update={"control": control}), "c0ffee", INPUTS).control
    assert kept is not None
    assert (kept.scenarios, kept.why) == ((), "it must lose")
    assert kept.reason.startswith("48 lost of 5,077, see <path>")
    assert len(kept.reason) == 300
    assert stored(row("a").model_copy(update={"control": None}), "c0ffee", INPUTS).control is None
