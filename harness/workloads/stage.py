"""A scenario while it runs: the cluster, the workers, the recorders, and what probes may ask of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.clients.outcome import of_code
from harness.cluster import Cluster, Oracle
from harness.core.content import body_of
from harness.core.errors import HarnessError, UsageError
from harness.core.names import READ_ALL
from harness.core.op import OpName, OpType, line
from harness.evidence import Recorder
from harness.faults.select import select
from harness.wire.replies import SendReply
from harness.workloads.crew import Crew
from harness.workloads.load import Load
from harness.workloads.probes.base import PROBE_BYTES

Say = Callable[[str], None]


class Stage:
    """Everything a step may touch. One thread drives it."""

    def __init__(self, cluster: Cluster, crew: Crew, recorder: Recorder, say: Say) -> None:
        self.cluster = cluster
        self.oracle = Oracle(cluster, recorder.read_rows)
        self.crew = crew
        self.recorder = recorder
        self.topics = tuple(topic.name for topic in cluster.plan.topics)
        self.say = say
        self._observations: dict[str, Any] = {}
        self._instants: dict[tuple[str, str], int] = {}
        self._probe_calls = 0

    @staticmethod
    def now_ns() -> int:
        """CLOCK_MONOTONIC, as every recorder and worker stamps."""
        return time.monotonic_ns()

    def fault(
        self,
        name: str,
        action: str,
        *,
        fault: str | None = None,
        targets: Iterable[str] = (),
        lasting: bool = False,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Records one transition of a fault; the `Record` of the injector."""
        self._instants[name, action] = self.now_ns()
        self.say(f"{name}: {action}" + (f" ({fault} of {', '.join(targets)})" if fault else ""))
        self.recorder.fault(
            name, action, fault=fault, targets=tuple(targets), lasting=lasting, detail=dict(detail or {})
        )

    def observe(self, name: str, value: Any) -> None:
        """Records an observation and remembers it for later steps."""
        self._observations[name] = value
        self.recorder.observe(name, value)

    def recall(self, name: str) -> Any:
        """An earlier observation of this scenario. Raises UsageError naming those there are."""
        if name not in self._observations:
            raise UsageError(f"no observation {name!r} so far; there are {', '.join(self._observations) or 'none'}")
        return self._observations[name]

    def instant(self, fault: str, *, heal: bool = False) -> int:
        """When the fault was injected (or healed), monotonic ns. Raises UsageError if it was not."""
        try:
            return self._instants[fault, "heal" if heal else "inject"]
        except KeyError:
            raise UsageError(f"fault {fault!r} was not {'healed' if heal else 'injected'} before this step") from None

    def wait(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Lets time pass, looking twice a second that no worker died unasked."""
        end_ns = self.now_ns() + int(seconds * 1e9)
        while (left_s := (end_ns - self.now_ns()) / 1e9) > 0:
            self.crew.check_alive()
            sleep(min(0.5, left_s))

    def send_direct(
        self, node: str, topic: int | str, number: int, timeout_s: float, body_bytes: int = PROBE_BYTES
    ) -> tuple[SendReply | None, float]:
        """One message straight to a node, recorded as a send of process `probe`; None if no answer came.

        `topic` is a number of the scenario's topics, or a name that nobody need know; queues are taken in turn.
        """
        self._probe_calls += 1
        call, name = self._probe_calls, topic if isinstance(topic, str) else self.topics[topic]
        queues = self.cluster.plan.topics[topic if isinstance(topic, int) else 0].queues
        message_id = f"probe-{call}"
        common = {"c": call, "id": message_id, "tp": name}
        began_ns = self.now_ns()
        self.recorder.write(line(OpName.SEND, OpType.INVOKE, began_ns, **common), process="probe")
        reply: SendReply | None = None
        error = ""
        try:
            reply = self.cluster.admin.send(
                self.cluster.address(node),
                (name, number % queues),
                body_of(message_id, body_bytes),
                {"KEYS": message_id},
                timeout_s=timeout_s,
            )
        except HarnessError as failure:
            error = str(failure)
            self.cluster.admin.drop(self.cluster.address(node))
        ended_ns = self.now_ns()
        outcome = OpType.INFO
        if reply is not None:  # as of any other client: not every refusal says that nothing was stored
            outcome = OpType(of_code(int(reply.code), reply.remark or "", only_attempt=True))
        self.recorder.write(
            line(
                OpName.SEND,
                outcome,
                ended_ns,
                **common,
                k=None if reply is None else int(reply.code),
                b=self.cluster.broker_name(node),
                q=reply.queue if reply is not None and reply.stored else None,
                o=reply.offset if reply is not None and reply.stored else None,
                e=error or (reply.remark if reply is not None else None) or None,
            ),
            process="probe",
        )
        return reply, (ended_ns - began_ns) / 1e9

    def read_back(self, phase: str, nodes: tuple[str, ...], topics: tuple[str, ...] = ()) -> dict[str, Any]:
        """The oracle reads every queue of the topics (those of the scenario) on these nodes; see `Oracle.read_all`."""
        summary = self.oracle.read_all(phase, topics or self.topics, nodes)
        # A node need not have a topic that is not of the plan: then there is nothing of it to be recorded.
        owed = [] if topics else list(nodes)
        self.recorder.event(READ_ALL, {"phase": phase, "nodes": owed, "messages": summary.rows})
        return {
            "messages": summary.rows,
            "queues": summary.queues,
            "incomplete": list(summary.incomplete),
            "skipped": dict(summary.skipped),
            "still": dict(summary.still),
            "complete": summary.complete,
        }

    def start_load(self, load: Iterable[Load], *, must_be_ready: bool, timeout_s: float) -> list[str]:
        """Starts workers and lets them go. Returns their process names."""
        names = self.crew.start(load, self.topics)
        if must_be_ready:
            self.crew.await_ready(names, timeout_s)
        self.crew.go(names)
        return names

    def stop_load(self, prefix: str) -> dict[str, Any]:
        """Stops the workers whose name starts with `prefix`; their final counts."""
        return self.crew.stop(self.crew.named(prefix))

    def count(self, prefix: str, what: str) -> int:
        """A count of progress, summed over the workers of that name. Raises ClientError if a worker died unasked."""
        self.crew.check_alive()
        return self.crew.count(prefix, what)

    def undelivered(self, group: str, of: str | None = None) -> int:
        """How many acknowledged messages (on the brokers `of` selects) the group was not given so far.

        Raises ClientError if a worker died unasked: what a dead consumer is not given says nothing of the product.
        """
        self.crew.check_alive()
        brokers = None if of is None else [self.cluster.broker_name(node) for node in select(of, self.cluster)]
        return self.crew.undelivered(group, brokers)
