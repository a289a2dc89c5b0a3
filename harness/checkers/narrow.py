"""What the parameters of finders and metrics mean: which sends, reads, deliveries and which span of time.

Every function raises MetricUnavailable where the history has nothing of the kind asked for, so that a typo or a
missing drain can never pass for "nothing found".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

import polars as pl

from harness.core.errors import MetricUnavailable
from harness.core.history import History
from harness.core.names import REFUSED, TOLD
from harness.core.refusal import last_attempt
from harness.core.window import FaultWindow

MASTER_NODE: Final = r"-(0|master)$"
"""A node is `<broker name>-<broker id>`, and id 0 is the master as deployed, whatever it became later."""

MEMBER_NODE: Final = r"-n\d+$"
"""A member of a group that elects is `<broker name>-n<place>`: any of them may have been the master."""
_IN_CHARGE: Final = f"{MASTER_NODE}|{MEMBER_NODE}"

FOREVER_NS: Final = 2**62
Since = Literal["inject", "observed", "heal", "recovered"]
Until = Literal["inject", "observed", "heal", "recovered", "end"]
Replicas = str | Sequence[str] | None
QUEUE: Final = ["broker", "topic", "queue"]
_CALM_NS: Final = 2_000_000_000
"""What a producer was told so long before a fault has long been handed on by whoever told it."""


def is_master(node: str) -> bool:
    """The node was deployed as a master."""
    return re.search(MASTER_NODE, node) is not None


def is_in_charge(node: str) -> bool:
    """The node was deployed as a master, or as a member of a group that elects its master among them."""
    return re.search(_IN_CHARGE, node) is not None


def in_charge() -> pl.Expr:
    """Rows of replicas that are in charge: see `is_in_charge`."""
    return text("replica").str.contains(_IN_CHARGE)


def text(column: str) -> pl.Expr:
    """A category as text, for comparisons by prefix."""
    return pl.col(column).cast(pl.String)


def on_replicas(replicas: Replicas) -> pl.Expr:
    """Rows of these replicas: None = all, `master`, `slave`, or node names."""
    node = text("replica")
    if replicas is None:
        return pl.lit(True)
    if replicas == "master":
        return node.str.contains(MASTER_NODE)
    if replicas == "slave":
        return ~node.str.contains(MASTER_NODE)
    return node.is_in([replicas] if isinstance(replicas, str) else list(replicas))


def drains_of(history: History, phase: str, replicas: Replicas = None) -> pl.DataFrame:
    """What the oracle finished or could not finish in this phase."""
    drains = history.drains.filter((text("phase") == phase) & on_replicas(replicas))
    if not drains.height:
        where = "" if replicas is None else f" on {replicas}"
        raise MetricUnavailable(f"no queue was read back in phase {phase!r}{where}; read it back before judging")
    return drains


def reads_of(history: History, phase: str, replicas: Replicas = None) -> pl.DataFrame:
    """Stored messages as read in this phase. Empty only if queues were read and held nothing."""
    drains_of(history, phase, replicas)
    reads = history.reads
    if replicas is None and reads.get_column("phase").n_unique() == 1 and reads.get_column("phase")[0] == phase:
        return reads
    return reads.filter((text("phase") == phase) & on_replicas(replicas))


def groups_of(history: History, group: str | None = None) -> tuple[str, ...]:
    """The consumer groups that there were, by delivery or by a consumer's own word; or the one asked for."""
    if group is not None:
        return (group,)
    seen = {g for g in history.deliveries.get_column("group").unique().to_list() if g}
    named = {g for about in history.processes.values() if (g := consumer_group(about))}
    if not seen | named:
        raise MetricUnavailable("there was no consumer group; name one, or consume in the scenario")
    return tuple(sorted(seen | named))


def consumer_group(about: object) -> str | None:
    """The group a consumer says it belongs to in its first line."""
    config = consumer_config(about)
    return str(config["group"]) if config.get("group") else None


def consumer_config(about: object) -> dict[str, object]:
    """The configuration in a consumer's first line; empty for any other process."""
    config = about.get("config") if isinstance(about, dict) else None
    return config if isinstance(config, dict) and config.get("role") == "consumer" else {}


def _configs_of(history: History, group: str) -> list[dict[str, object]]:
    """What the group's consumers said they are."""
    return [consumer_config(a) for a in history.processes.values() if consumer_group(a) == group]


def subscribed(history: History, group: str) -> pl.Expr:
    """Rows of the topics that the group's consumers said they consume; every row of a group that said none."""
    configs = _configs_of(history, group)
    topics = {str(topic) for config in configs for topic in _listed(config.get("topics"))}
    return text("topic").is_in(sorted(topics)) if topics else pl.lit(True)


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def members_of(history: History, group: str) -> tuple[str, ...]:
    """The processes of a group: those that said so and those that were given something."""
    said = {name for name, about in history.processes.items() if consumer_group(about) == group}
    given = history.deliveries.filter(text("group") == group).get_column("process").unique().to_list()
    return tuple(sorted(said | set(given)))


def is_broadcast(history: History, group: str) -> bool:
    """The group's consumers said that each of them gets every message."""
    configs = _configs_of(history, group)
    return any(config.get("model") == "broadcasting" for config in configs)


def may_refuse(history: History, group: str) -> bool:
    """Its consumers were told to refuse messages, or nothing is known of it; else no message is given for a retry."""
    configs = _configs_of(history, group)
    return not configs or any(config.get("fail_every", 1) for config in configs)


def ended(history: History, group: str) -> pl.Expr:
    """Deliveries that end what the group is owed of a message: not refused, or refused for the last time."""
    given_up = pl.lit(False)
    for process in members_of(history, group):
        last = last_attempt(consumer_config(history.processes.get(process, {})))
        if last is not None:
            given_up = given_up | ((text("process") == process) & (pl.col("reconsume").fill_null(0) >= last))
    return (text("status") != REFUSED).fill_null(True) | given_up


def is_orderly(history: History, group: str) -> bool:
    """The group's consumers said that they consume each queue in order."""
    configs = _configs_of(history, group)
    return any(config.get("listener") == "orderly" for config in configs)


def sends_of(
    history: History, process: str | None = None, topic: str | None = None, broker: str | None = None
) -> pl.DataFrame:
    """Sends of processes and topics whose name starts so, and answered by exactly this broker name."""
    conditions = []
    if process is not None:
        conditions.append(text("process").str.starts_with(process))
    if topic is not None:
        conditions.append(text("topic").str.starts_with(topic))
    if broker is not None:
        conditions.append(text("broker") == broker)
    return history.sends.filter(conditions) if conditions else history.sends


def acked_of(  # noqa: PLR0913 - each narrows on its own
    history: History,
    process: str | None = None,
    topic: str | None = None,
    broker: str | None = None,
    sent_after: str | None = None,
    sent_before: str | None = None,
    statuses: Sequence[str] | None = None,
    *,
    told: bool = False,
) -> pl.DataFrame:
    """Acknowledged sends; `sent_after` a fault bit (by invoke), `sent_before` one was injected (by completion).

    Both may also name a step that ended well: what was begun after it had ended, what completed before it began.

    With `statuses` those that were answered with one of these instead of SEND_OK. With `told` those whose transaction's
    end was confirmed to the producer, and not just before or under a fault: nobody need ask it any more.
    """
    weaker = (pl.col("outcome") == "info") & text("status").is_in(list(statuses or ()))
    acked = sends_of(history, process, topic, broker).filter(weaker if statuses else pl.col("outcome") == "ok")
    if sent_after is not None:
        acked = acked.filter(pl.col("invoke_ns") >= _turn(history, sent_after, "observed"))
    if sent_before is not None:
        acked = acked.filter(pl.col("complete_ns") <= _turn(history, sent_before, "inject"))
    return acked.filter(text("id").is_in(_told(history))) if told else acked


def _told(history: History) -> list[str]:
    """Ids of messages whose transaction's end was confirmed while all was calm."""
    rough = [
        (w.inject_ns - _CALM_NS, FOREVER_NS if w.observed_ns is None else max(w.observed_ns, w.inject_ns))
        for w in history.windows
    ]
    ids = [
        str(event.detail.get("id"))
        for event in history.events
        if event.name == TOLD and not any(begin <= event.time_ns <= end for begin, end in rough)
    ]
    if not ids:
        raise MetricUnavailable("no producer was told that a transaction of its had ended: none need be asked about")
    return ids


def _turn(history: History, name: str, what: Literal["inject", "observed"]) -> int:
    """An instant of a fault, or else of the first step of that name that ended well: its begin, or its end; ns."""
    if any(window.name == name for window in history.windows):
        return instant(history, name, what)
    for step in history.steps:
        at_ns = step.start_ns if what == "inject" else step.end_ns
        if step.name == name and step.ok and at_ns is not None:
            return at_ns
    raise MetricUnavailable(f"no fault {name!r} was injected, and no step of that name ended well")


def last_step(history: History, name: str) -> tuple[int, int]:
    """From when to when the last step of that name that ended well went on; ns."""
    for step in reversed(history.steps):
        if step.name == name and step.ok and step.end_ns is not None:
            return step.start_ns, step.end_ns
    raise MetricUnavailable(f"step {name!r} did not end")


def window_of(history: History, name: str) -> FaultWindow:
    """The fault window of that name."""
    try:
        return history.window(name)
    except KeyError:
        known = ", ".join(window.name for window in history.windows) or "none"
        raise MetricUnavailable(f"no fault {name!r} was injected; there were {known}") from None


def instant(history: History, window: str, what: Until) -> int:
    """An instant of a fault window, ns. `end` (and the heal of a lasting fault) is the end of time."""
    fault = window_of(history, window)
    if what == "end" or (what in ("heal", "recovered") and fault.lasting):
        return FOREVER_NS
    found: int | None = {
        "inject": fault.inject_ns,
        "observed": fault.observed_ns,
        "heal": fault.heal_ns,
        "recovered": fault.recovered_ns,
    }[what]
    if found is None:
        raise MetricUnavailable(f"fault {window!r} has no {what}: it was never seen")
    return found


def span(
    history: History, window: str, since: Since = "inject", until: Until = "heal", margin_s: float = 0.0
) -> tuple[int, int]:
    """From one instant of a fault window to another, the latter `margin_s` later; ns."""
    end = instant(history, window, until)
    return instant(history, window, since), min(FOREVER_NS, end + int(margin_s * 1e9))


def examples(frame: pl.DataFrame, *columns: str, limit: int = 8) -> tuple[str, ...]:
    """The first rows in words: `id=p-1 broker=broker-a`."""
    shown = [column for column in columns if column in frame.columns]
    return tuple(
        " ".join(f"{key}={value}" for key, value in row.items() if value is not None)
        for row in frame.select(shown).head(limit).to_dicts()
    )
