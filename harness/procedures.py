"""What operators do by the documents, as steps, and what it may cost: maintenance of a broker name, and its wipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from harness.core.expectation import Expectation
from harness.faults import AnyFault, WipeWritePermission, master, slave
from harness.prover import Prover
from harness.scenario import Step, heal, metric, outage, plan, then
from harness.workloads.probes import AwaitAnswer, AwaitRoute, Elapse

NEWBORN_S: Final = 62
"""A 4.x master makes the topic of half messages 60 s after its start, and so undoes whatever wipe there is."""
POLLS_S: Final[Mapping[str, int]] = MappingProxyType({"documented": 32, "fast": 4})
"""By timers: after this every client has asked for the route again (every 30 s, or every second)."""
ANSWER_TIMEOUT_MS: Final = 15_000
"""Longer than any replication wait: an answer that the slave is not back yet is no time-out."""
STORED: Final[Sequence[str]] = ("SLAVE_NOT_AVAILABLE", "FLUSH_SLAVE_TIMEOUT")
"""What a SYNC_MASTER answers when its slave does not follow: stored, and not acknowledged by two."""


def of_age(scenario: Prover, name: str = "of-age") -> tuple[Step, ...]:
    """The masters have been up for a while, as in any maintenance: before that, a 4.x master undoes a wipe by itself.

    Nothing to wait for from 5.0 on. See docs/findings/newborn-broker-undoes-its-wipe.md.
    """
    return then(Elapse(seconds=NEWBORN_S), name=name) if scenario.version.major < 5 else ()


def in_turn(
    scenario: Prover,
    number: int,
    taken_out: Callable[[str], AnyFault],
    suffix: str = "",
    *,
    master_first: bool = False,
) -> tuple[Step, ...]:
    """One broker name out for maintenance: wiped on every nameserver, its slaves, its master, and writable again.

    `number` counts broker names; `taken_out(target)` is the fault that takes one broker out, and must not wait for
    health (`await_health=False`): a cluster with a wiped master is not whole, and so each return is waited for by what
    it must bring. `suffix` makes the steps' names differ from those of another turn. With `master_first` the slaves
    come after their master.
    """
    before = sum(group.slaves for group in scenario.topology.brokers[:number])
    slaves = range(before, before + scenario.topology.brokers[number].slaves)
    wipe = f"wipe-{number}{suffix}"
    polls = POLLS_S[scenario.client_timers]
    brokers = [(f"slave-{n}{suffix}", slave(n)) for n in slaves]
    brokers.insert(0 if master_first else len(brokers), (f"master-{number}{suffix}", master(number)))
    return plan(
        then(WipeWritePermission(target=master(number)), name=wipe),
        then(Elapse(seconds=polls), name=f"clients-leave-{number}{suffix}"),
        *(_out(name, target, number, taken_out) for name, target in brokers),
        heal(wipe),
        then(Elapse(seconds=polls), name=f"clients-return-{number}{suffix}"),
    )


def _out(name: str, target: str, number: int, taken_out: Callable[[str], AnyFault]) -> tuple[Step, ...]:
    """One broker out and back: routed by every nameserver, and its master acknowledges (with a slave in step)."""
    return plan(
        outage(name, taken_out(target), after_s=0, for_s=1),
        then(AwaitRoute(target=target, present=True, since=name, since_heal=True, timeout_s=60), name=f"routed-{name}"),
        then(AwaitAnswer(target=master(number), codes=(0,), timeout_s=60), name=f"acknowledges-{name}"),
    )


def no_failed_send(scenario: Prover) -> list[Expectation]:
    """Every send of the producers `p-` is acknowledged.

    Where a slave must acknowledge, 11 and 12 are that too, if what they say is true: that they are stored.
    """
    waits = scenario.topology.slaves and scenario.topology.replication == "sync"
    return [
        metric("unacknowledged", process="p-", but=list(STORED) if waits else []).equals(0),
        *([metric("unstored", statuses=list(STORED), replicas="master").equals(0)] if waits else []),
    ]


def left_and_returned(scenario: Prover) -> list[Expectation]:
    """No client sent to a master that was out, for each wait had done its work, and all came back to it after."""
    masters = [(f"master-{number}", str(group.name)) for number, group in enumerate(scenario.topology.brokers)]
    return [
        *(
            metric("ok_despite", window=stop, since="inject", margin_s=0, broker=name).equals(0)
            for stop, name in masters
        ),
        *(metric("ok_in", window=stop, since="recovered", until="end", broker=name) > 0 for stop, name in masters),
    ]
