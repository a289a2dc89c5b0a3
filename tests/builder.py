"""Small histories written as they read: `h.send("p1", "m1").ok(offset=0)`, `h.deliver("c1", "m1")`.

A clock of its own ticks once a millisecond per line, so that what is written later happens later; `h.at_s(…)` jumps.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from harness.core.content import COMPARED, FORMAT
from harness.core.history import RAW_SCHEMA, History
from harness.core.op import OpName, OpType, line

TOPIC = "orders"
BROKER = "broker-a"
MASTER = "broker-a-0"
SLAVE = "broker-a-1"
MS = 1_000_000


@dataclass
class Send:
    """A send that was invoked; say what came of it, or leave it open."""

    builder: HistoryBuilder
    process: str
    call: int
    id: str
    topic: str

    def ok(self, *, broker: str = BROKER, queue: int = 0, offset: int | None = None, at_s: float | None = None) -> Send:
        if offset is None:
            offset = self.builder.next_offset(broker, queue)
        self.builder.offsets[broker, queue] = max(self.builder.offsets[broker, queue], offset + 1)
        self.builder.stored[self.id] = (broker, queue, offset)
        return self._done(OpType.OK, at_s, b=broker, q=queue, o=offset, s="SEND_OK")

    def info(
        self, status: str = "timeout", *, code: int | None = None, at_s: float | None = None, error: str | None = None
    ) -> Send:
        return self._done(OpType.INFO, at_s, s=status, k=code, e=error)

    def fail(self, status: str = "refused", *, code: int | None = None, at_s: float | None = None) -> Send:
        return self._done(OpType.FAIL, at_s, s=status, k=code)

    def _done(self, kind: OpType, at_s: float | None, **fields: Any) -> Send:
        t = self.builder.now(at_s)
        self.builder.add(self.process, line(OpName.SEND, kind, t, c=self.call, id=self.id, tp=self.topic, **fields))
        return self


@dataclass
class HistoryBuilder:
    """Collects lines; `history()` is what the loader would make of them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    time_ns: int = 1_000 * MS
    calls: Counter[str] = field(default_factory=Counter)
    offsets: Counter[tuple[str, int]] = field(default_factory=Counter)
    stored: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    compared: bool = True
    """whether readers look at what they read; older ones did not"""

    def now(self, at_s: float | None = None) -> int:
        if at_s is not None:
            self.time_ns = int(at_s * 1e9)
            return self.time_ns
        self.time_ns += MS
        return self.time_ns

    def next_offset(self, broker: str, queue: int) -> int:
        return self.offsets[broker, queue]

    def add(self, process: str, record: dict[str, Any]) -> None:
        self.rows.append({"p": process} | record)

    def hello(self, process: str, **config: Any) -> None:
        x = json.dumps({"client": "java", "config": config} | ({"body": FORMAT} if self.compared else {}))
        self.add(process, line(OpName.HELLO, OpType.INFO, self.now(), x=x))

    def consumer(self, process: str, group: str = "g", **config: Any) -> None:
        self.hello(process, role="consumer", group=group, **config)

    def send(self, process: str, id: str, *, topic: str = TOPIC, at_s: float | None = None) -> Send:
        self.calls[process] += 1
        call = self.calls[process]
        self.add(process, line(OpName.SEND, OpType.INVOKE, self.now(at_s), c=call, id=id, tp=topic))
        return Send(self, process, call, id, topic)

    def deliver(
        self,
        process: str,
        id: str,
        *,
        group: str = "g",
        offset: int | None = None,
        queue: int | None = None,
        broker: str | None = None,
        reconsume: int = 0,
        altered: str | None = None,
        refused: bool = False,
        at_s: float | None = None,
    ) -> None:
        known = self.stored.get(id, (BROKER, 0, 0))
        where = (broker or known[0], known[1] if queue is None else queue, known[2] if offset is None else offset)
        record = line(
            OpName.DELIVER,
            OpType.OK,
            self.now(at_s),
            id=id,
            tp=TOPIC,
            r=group,
            b=where[0],
            q=where[1],
            o=where[2],
            k=reconsume,
            s="refused" if refused else None,
            a=altered,
        )
        self.add(process, record)

    def read(
        self,
        *ids: str,
        replica: str = MASTER,
        queue: int = 0,
        phase: str = "final",
        first: int = 0,
        offsets: tuple[int, ...] | None = None,
        digests: tuple[str, ...] | None = None,
        altered: dict[str, str] | None = None,
        complete: bool = True,
        count: int | None = None,
        topic: str = TOPIC,
    ) -> None:
        """One queue of one replica, message by message, with its drain."""
        where = {"s": phase, "r": replica, "b": replica.rpartition("-")[0], "tp": topic, "q": queue}
        for n, id in enumerate(ids):
            offset = offsets[n] if offsets else first + n
            digest = digests[n] if digests else f"digest of {id}"
            self.add(
                "oracle",
                line(OpName.READ, OpType.OK, self.now(), **where, o=offset, id=id, e=digest, a=(altered or {}).get(id)),
            )
        y = OpType.OK if complete else OpType.FAIL
        count = len(ids) if count is None else count
        detail = None if complete else "no answer"
        content = COMPARED if self.compared else None
        self.add("oracle", line(OpName.DRAIN, y, self.now(), **where, k=count, e=detail, a=content))

    def fault(
        self,
        name: str,
        *actions: str,
        targets: tuple[str, ...] = (MASTER,),
        lasting: bool = False,
        at_s: float | None = None,
        **detail: Any,
    ) -> None:
        """The transitions of a fault, each a tick apart; without any named, all four."""
        about = {"fault": name, "targets": targets, "lasting": lasting, "detail": detail}
        for action in actions or ("inject", "observed", "heal", "recovered"):
            x = json.dumps(about) if action == "inject" else None
            self.add("nemesis", line(OpName.FAULT, OpType.INFO, self.now(at_s), id=name, s=action, x=x))

    def route(self, process: str, *brokers: str, at_s: float | None = None) -> None:
        x = json.dumps({"writable": dict.fromkeys(brokers, "10.0.0.1:10911"), "queues": 4 * len(brokers)})
        self.add(process, line(OpName.ROUTE, OpType.INFO, self.now(at_s), tp=TOPIC, x=x))

    def observe(self, name: str, value: Any) -> None:
        self.add("scenario", line(OpName.OBSERVE, OpType.INFO, self.now(), s=name, x=json.dumps(value)))

    def step(self, name: str, took_s: float = 1.0) -> None:
        self.add("scenario", line(OpName.STEP, OpType.INFO, self.now(), id=name, s="begin"))
        self.time_ns += int(took_s * 1e9)
        self.add("scenario", line(OpName.STEP, OpType.INFO, self.now(), id=name, s="end"))

    def raw(self) -> pl.DataFrame:
        return pl.DataFrame(self.rows, schema=RAW_SCHEMA)

    def history(self) -> History:
        return History.from_raw(self.raw())

    def write(self, directory: Path) -> Path:
        """The same as files, one per process."""
        (directory / "history").mkdir(parents=True, exist_ok=True)
        for row in self.rows:
            record = {key: value for key, value in row.items() if key != "p"}
            with (directory / "history" / f"{row['p']}.jsonl").open("a") as file:
                file.write(json.dumps(record) + "\n")
        return directory


def healthy_run(
    messages: int = 12,
    *,
    slaves: int = 1,
    group: str | None = "g",
    orderly: bool = True,
    compared: bool = True,
    power: bool = False,
) -> HistoryBuilder:
    """Two producers, two queues, a fault that bit and healed; all is stored on every replica and delivered once."""
    fault = "cut-power" if power else "kill"
    h = HistoryBuilder(compared=compared)
    h.observe("healthy.before", True)
    if group:
        h.consumer("c1", group, listener="orderly" if orderly else "concurrent", model="clustering")
    queues: dict[int, list[str]] = {0: [], 1: []}

    def one(n: int) -> None:
        process = f"p{n % 2}"
        id = f"{process}-{n}"
        h.send(process, id).ok(queue=n % 4 // 2)
        queues[n % 4 // 2].append(id)
        if group:
            h.deliver("c1", id, group=group)

    for n in range(messages // 2):
        one(n)
    open_send = h.send("p2", "p2-open")
    h.fault(fault, "inject", "observed")
    open_send.info()
    for n in range(messages // 2, messages):
        one(n)
    h.fault(fault, "heal", "recovered")
    h.observe("healthy.after", True)
    for replica in [MASTER, SLAVE][: 1 + slaves]:
        for queue, ids in queues.items():
            h.read(*ids, replica=replica, queue=queue)
    return h
