"""Whether the history holds what the workers said they had done: lost evidence must not look like a lost message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import polars as pl

from harness.checkers import narrow
from harness.checkers.hit import ended_by_faults
from harness.core.history import History
from harness.core.names import ACTED, COUNTED, COUNTS, DRAIN, READ_ALL, ROSTER, TOLD
from harness.core.verdict import Assumption

NAME: Final = "complete-record"
_OF_THE_HARNESS: Final = frozenset({"scenario", "nemesis", "oracle", "probe"})
_DONE: Final = ("ok", "fail", "info")
_NOTHING: Final = dict.fromkeys(("invoked", *_DONE, "completions", "twice", "delivered"), 0)


def complete_record(history: History) -> Assumption:
    """Every worker of the roster has a history of as many operations as it said, and no line is torn.

    A worker that a fault killed never said how much it was in the end: its history holds at least what it last told,
    and its last line may be torn. More deliveries than were told are no defect: a listener may run on after its
    consumer was stopped.

    A history without a roster was recorded before there was one: whether it is whole is then not known, which voids
    nothing. Of the harness's own files: no line is torn, every fault and every look of a scenario that was acted to its
    end is there, and every reading is of all the nodes and messages that the oracle says it is of. That queues were
    read whole is `well-formed`, that faults came and went are gates of their own.
    """
    told = {e.detail["process"]: e.detail for e in _own(history, COUNTS)}
    roster = {str(e.detail["process"]) for e in _own(history, ROSTER)}
    wrong = [*_torn(history), *_not_acted(history), *_not_read(history)]
    if not roster:
        counted = sorted(name for name, about in history.processes.items() if about.get(COUNTED))
        if counted:
            wrong.append(f"{', '.join(counted)} were on a roster, of which nothing is recorded")
        message = "; ".join(wrong) or "not known: no roster of the workers was recorded"
        return Assumption(NAME, not wrong, message, soundness=True)
    have = _counted(history)
    for name in sorted(roster):
        if name not in history.processes:
            wrong.append(f"nothing that {name} did is recorded")
        elif name not in told:
            wrong.append(f"what {name} said it had done is not recorded")
        else:
            wrong += _differs(name, told[name], have.get(name, _NOTHING), killed=_killed(history, name))
    strangers = sorted(have.keys() - roster - _OF_THE_HARNESS)
    if strangers:
        wrong.append(f"{', '.join(strangers)} are recorded and were never started")
    message = "; ".join(wrong) or f"{len(roster)} workers have a history of all they said they did"
    return Assumption(NAME, not wrong, message, soundness=True)


def unbooked(history: History) -> History:
    """The history without what the harness wrote of itself, by which a planted defect would be known for a forgery.

    For planted controls alone: that the record was complete, and that nothing excused anything, was judged before.
    """
    processes = {n: {k: v for k, v in about.items() if k != COUNTED} for n, about in history.processes.items()}
    seen = tuple(o for o in history.observations if not o.name.startswith(DRAIN))
    told = tuple(e for e in history.events if e.name == TOLD)  # which sends a demand is about, and nothing of the books
    return replace(history, events=told, processes=processes, observations=seen)


def _own(history: History, name: str) -> Iterator[Any]:
    return (e for e in _of_scenario(history, name) if "process" in e.detail)


def _killed(history: History, process: str) -> bool:
    return process in ended_by_faults(history)


def _not_acted(history: History) -> Iterator[str]:
    """Faults and looks of a scenario whose every step was done, and of which the history has nothing."""
    for event in _of_scenario(history, ACTED):
        there = {"fault": {w.name for w in history.windows}, "look": {seen.name for seen in history.observations}}
        for what, names in there.items():
            gone = [name for name in event.detail.get(f"{what}s", ()) if name not in names]
            if gone:
                yield f"nothing is recorded of the {what} {', '.join(gone)}"


def _not_read(history: History) -> Iterator[str]:
    """Nodes and messages that the oracle says it read in a phase, and that the history has not."""
    told = [e.detail for e in _of_scenario(history, READ_ALL)]
    for phase in dict.fromkeys(str(detail.get("phase")) for detail in told):
        readings = [detail for detail in told if detail.get("phase") == phase]
        of_it = narrow.text("phase") == phase
        drained = set(history.drains.filter(of_it).get_column("replica").cast(pl.String).to_list())
        unread = sorted({str(node) for detail in readings for node in detail.get("nodes", ())} - drained)
        if unread:
            yield f"the oracle read {', '.join(unread)} in phase {phase!r}, and nothing of it is recorded"
        messages = sum(int(detail.get("messages", 0)) for detail in readings)
        have = history.reads.filter(of_it).height
        if have != messages:
            yield f"the oracle read {messages:,} messages in phase {phase!r}, and {have:,} are recorded"


def _of_scenario(history: History, name: str) -> Iterator[Any]:
    return (e for e in history.events if e.name == name and e.process == "scenario")


def _torn(history: History) -> Iterator[str]:
    for name, about in sorted(history.processes.items()):
        if about.get("torn_lines") and not _killed(history, name):
            yield f"the last line of {name} is torn, and no fault killed it"


def _differs(name: str, told: Mapping[str, Any], have: Mapping[str, int], *, killed: bool) -> Iterator[str]:
    def say(what: str, number: int) -> str:
        return f"{name} has {number:,} {what} in its history and said {int(told[what]):,}"

    if not told.get("final"):
        if not killed:
            yield f"{name} was never stopped, and no fault killed it"
        yield from (say(what, have[what]) for what in ("invoked", "delivered") if have[what] < told[what])
        return
    open_ = max(0, int(told["in_flight"]))  # below 0 if a send completed twice
    if not told["invoked"] <= have["invoked"] <= told["invoked"] + open_:
        yield say("invoked", have["invoked"])
    if have["delivered"] < told["delivered"]:
        yield say("delivered", have["delivered"])
    done = sum(int(told[what]) for what in _DONE)
    if not done <= have["completions"] <= done + open_:
        yield f"{name} has {have['completions']:,} completions in its history and said {done:,}"
    elif not open_ and not have["twice"]:
        yield from (say(what, have[what]) for what in _DONE if have[what] != told[what])


def _counted(history: History) -> dict[str, dict[str, int]]:
    """What each process did by its history."""
    ended = pl.col("completions") > 0
    sends = history.sends.group_by(narrow.text("process")).agg(
        pl.len().alias("invoked"),
        *(((pl.col("outcome").cast(pl.String) == what) & ended).sum().alias(what) for what in _DONE),
        pl.col("completions").sum(),
        (pl.col("completions") > 1).sum().alias("twice"),
    )
    given = history.deliveries.group_by(narrow.text("process")).agg(pl.len().alias("delivered"))
    found: dict[str, dict[str, int]] = {}
    for row in (*sends.to_dicts(), *given.to_dicts()):
        found.setdefault(row.pop("process"), dict(_NOTHING)).update(row)
    return found
