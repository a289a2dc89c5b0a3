"""What a crew says of groups, without any worker."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.clients.config import ConsumerConfig, CppSetup, ProducerConfig
from harness.core.errors import UsageError
from harness.core.names import REFUSED
from harness.core.op import OpName, OpType, line
from harness.distribution import CppLibrary
from harness.topology import load_topology
from harness.workloads.crew import ClientKit, Crew
from harness.workloads.load import consume, produce


def test_a_group_that_nobody_joined_is_not_given_everything(tmp_path: Path) -> None:
    """It is owed nothing, and nothing missing would look like all of it."""
    nothing: Any = None
    crew = Crew(SimpleNamespace(runtime=None), nothing, "fast", tmp_path, lambda name, detail: None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no consumer of group 'g' was started so far; the groups are none"):
        crew.undelivered("g")


@pytest.mark.parametrize(("doomed", "missing"), [((), 2), (("c-2",), 0)])
def test_every_member_of_a_broadcasting_group_is_waited_for(
    tmp_path: Path, doomed: tuple[str, ...], missing: int
) -> None:
    """What one of them was given the others are owed all the same; one that a fault killed is owed nothing."""
    nothing: Any = None
    crew = Crew(SimpleNamespace(runtime=None), nothing, "fast", tmp_path, lambda name, detail: None)  # type: ignore[arg-type]
    lines: dict[str, list[dict[str, Any]]] = {"p-1": [], "c-1": [], "c-2": []}
    for n in range(3):
        lines["p-1"].append(line(OpName.SEND, OpType.INVOKE, n, c=n, id=f"p-1-{n}", tp="t"))
        lines["p-1"].append(line(OpName.SEND, OpType.OK, n, c=n, id=f"p-1-{n}", b="broker-a"))
        lines["c-1"].append(line(OpName.DELIVER, OpType.OK, n, id=f"p-1-{n}", tp="t", r="g"))
    lines["c-2"] = lines["c-1"][:1]
    for name, text in lines.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in text))
        crew._workers[name] = SimpleNamespace(history=tmp_path / f"{name}.jsonl")  # type: ignore[assignment]
    crew._producers["p-1"] = "t"
    crew._consumed["g"] = [ConsumerConfig("c-1", "", ("t",), group="g")]
    assert crew.undelivered("g") == 0
    crew._consumed["g"].append(ConsumerConfig("c-2", "", ("t",), group="g"))
    crew._broadcast["g"] = ["c-1", "c-2"]
    crew._doomed |= set(doomed)
    assert crew.undelivered("g") == missing


@pytest.mark.parametrize(("attempts", "missing"), [(0, 3), (1, 2), (2, 0)])
def test_what_was_refused_is_waited_for(tmp_path: Path, attempts: int, missing: int) -> None:
    """One refused at first and one refused twice, which ends it, are given in the end; until then they are owed."""
    nothing: Any = None
    crew = Crew(SimpleNamespace(runtime=None), nothing, "fast", tmp_path, lambda name, detail: None)  # type: ignore[arg-type]
    sent = [line(OpName.SEND, y, 1, c=n, id=f"p-1-{n}", tp="t") for n in range(3) for y in (OpType.INVOKE, OpType.OK)]
    given = [
        line(
            OpName.DELIVER,
            OpType.OK,
            2,
            id=f"p-1-{n}",
            tp="t",
            r="g",
            k=attempt,
            s=None if n <= attempt - 1 else REFUSED,
        )
        for attempt in range(attempts + 1)
        for n in range(3)
        if n >= attempt - 1
    ]
    for name, rows in {"p-1": sent, "c-1": given}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        crew._workers[name] = SimpleNamespace(history=tmp_path / f"{name}.jsonl")  # type: ignore[assignment]
    crew._producers["p-1"] = "t"
    crew._consumed["g"] = [ConsumerConfig("c-1", "", ("t",), group="g", max_reconsume=2)]
    assert crew.undelivered("g") == missing


def test_what_the_cpp_client_is_recorded_to_have_been_told_is_what_it_does(tmp_path: Path) -> None:
    """Its timers and retries cannot be set, and of its answers nobody learns the broker name: that is the cluster's."""
    home, jre = tmp_path / "rocketmq-client-python-1", tmp_path / "jre"
    java: Any = SimpleNamespace(home=jre, libjvm=jre / "libjvm.so", version="25")
    kit = ClientKit(client="cpp", version="4.9.7", jars=(), jre=java, cpp=CppLibrary(home, "1", "bundled"))
    cluster = SimpleNamespace(
        runtime=SimpleNamespace(provide=lambda _directory, name: f"/rmq/.lib/{name}"),
        nameserver_list=lambda: "n:1",
        plan=SimpleNamespace(topology=load_topology("1m-1s-sync"), prefix=""),
    )
    crew = Crew(cluster, kit, "fast", tmp_path, lambda name, detail: None)  # type: ignore[arg-type]
    (sends,), (takes,) = crew._configs(produce(1), ["t"]), crew._configs(consume(1), ["t"])
    told = CppSetup("/rmq/.lib/rocketmq-client-python-1", "1", "bundled", "broker-a")
    assert (sends.client, takes.client, sends.cpp, takes.cpp) == ("cpp", "cpp", told, told)
    assert {c.poll_nameserver_ms for c in (sends, takes)} == {c.heartbeat_ms for c in (sends, takes)} == {30_000}
    assert isinstance(sends, ProducerConfig)
    assert sends.retries == 4
