"""How the configuration file of a node changes with its release: what an operator must change with the jars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.core.version import Version
from harness.topology import keys
from harness.topology.model import NodeSpec, Role, Topology
from harness.topology.render import Rendered, Timers, render_broker, render_nameserver
from harness.topology.tuning import bring_up


def changes_of_conf(
    topology: Topology,
    first: Version,
    last: Version,
    timers: Timers = "fast",
    broker_conf: Mapping[str, str] | None = None,
    namesrv_conf: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """One line for each key that the files of a role have otherwise at `last`: `master: inSyncReplicas: 2 (why)`.

    A key that is only spelled otherwise is told as that. What hastens a bring-up is left out, for a node that moves
    does not start with it.
    """
    lines = []
    for node in _one_of_each_role(topology):
        before, after = (
            _render(node, topology, version, timers, broker_conf or {}, namesrv_conf or {}) for version in (first, last)
        )
        lines += [f"{node.role.value}: {text}" for text in _changed(node, before, after, last)]
    return tuple(lines)


def _one_of_each_role(topology: Topology) -> Iterator[NodeSpec]:
    for role in (role for role in Role if role is not Role.PROXY):  # its file is the same whatever the release
        yield from topology.of_role(role)[:1]


def _render(
    node: NodeSpec,
    topology: Topology,
    version: Version,
    timers: Timers,
    broker_conf: Mapping[str, str],
    namesrv_conf: Mapping[str, str],
) -> Rendered:
    addresses = {spec.name: spec.name for spec in topology.nodes}
    if not node.is_broker:
        return render_nameserver(node, topology, version, addresses, namesrv_conf)
    hastened = {setting.key: "" for setting in bring_up(node, topology, version, addresses)}
    return render_broker(node, topology, version, addresses, timers, hastened | dict(broker_conf))


def _changed(node: NodeSpec, before: Rendered, after: Rendered, last: Version) -> Iterator[str]:
    server: keys.Server = "broker" if node.is_broker else "namesrv"
    whys = {deviation.key: deviation.why for deviation in (*before.deviations, *after.deviations)}
    for key in sorted({*before.conf, *after.conf}):
        old, new = before.conf.get(key), after.conf.get(key)
        other = keys.spelled(server, key, last)
        if old == new or (old is None and any(keys.spelled(server, k, last) == key for k in before.conf if k != key)):
            continue
        if new is None and other != key:
            now = after.conf.get(other, "not set")
            yield f"{key} is spelled {other}" + ("" if now == old else f", and is {now} (was {old})")
        else:
            why = f" ({whys[key]})" if key in whys else ""
            yield f"{key}: {old or 'not set'} -> {new or 'not set'}{why}"
