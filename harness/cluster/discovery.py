"""What a cluster that somebody else runs is, by the word of its nameservers and brokers, before anything is begun."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from pydantic import ValidationError

from harness.cluster.notes import REMOVE_S, forget, noted, remove, write
from harness.cluster.otherwise import otherwise
from harness.cluster.plan import PROBE_TOPIC
from harness.core.errors import UsageError, WireError
from harness.core.version import Version
from harness.topology import MOST_NAMESERVERS, Role, Topology
from harness.topology.found import Found
from harness.wire.errors import Refused
from harness.wire.replies import MASTER_ID, ClusterInfo
from harness.wire.sync import Admin

NAME: Final = "existing"
ASK_S: Final = 8.0
CLOSED: Final = "a 5.x slave without slaveReadEnable=true refuses reads, and its owner alone may change that"
_VERSION: Final = re.compile(r"[Vv]?(\d+)[._](\d+)[._](\d+)")
_REPLICATION: Final = {"SYNC_MASTER": "sync", "ASYNC_MASTER": "async"}
IN_SYNC: Final = "inSyncReplicas"
_FLUSH: Final = {"SYNC_FLUSH": "sync", "ASYNC_FLUSH": "async"}
_ASKS_FOR_NAMESERVERS: Final = ("fetchNamesrvAddrByAddressServer", "fetchNameSrvAddrByDnsLookup")
"""Keys under which a broker is told elsewhere whom to register with: its `namesrvAddr` does not say it."""
_ELECTS: Final = {"enableDLegerCommitLog": "a DLedger group", "enableControllerMode": "a group under a controller"}

Tables = Mapping[str, Mapping[int, str]]
"""Broker name -> id -> address."""


def parse_places(items: Sequence[str]) -> list[str]:
    """Reads what --namesrv says: nameservers with `,` or `;` between them.

    Raises UsageError for what is no HOST:PORT, for one that is given twice, and for none.
    """
    places = [part.strip() for item in items for part in re.split("[,;]", item) if part.strip()]
    if not places:
        raise UsageError("--runtime existing needs --namesrv HOST:PORT[,HOST:PORT]: every nameserver of the cluster")
    for place in places:
        host, _, port = place.rpartition(":")
        if not re.fullmatch(r"[A-Za-z0-9._-]+", host) or not port.isdecimal() or not 0 < int(port) < 65536:
            raise UsageError(f"--namesrv {place!r} is not HOST:PORT; write for example --namesrv 10.0.0.5:9876")
        if places.count(place) > 1:
            raise UsageError(f"--namesrv {place!r} is given twice: name each nameserver once")
    if len(places) > MOST_NAMESERVERS:
        raise UsageError(f"--namesrv names {len(places)} nameservers, {MOST_NAMESERVERS} at most are supported")
    return places


def discover(nameservers: Sequence[str]) -> Found:
    """Shape, release and places of the cluster behind these nameservers (`host:port`), which must all tell the same.

    Raises UsageError, one line, for a nameserver or broker that does not answer, nameservers that disagree, mixed
    releases, roles or flushes, and for what is not supported: groups that elect their master.
    """
    with Admin() as admin:
        told = {address: _told_by(admin, address) for address in nameservers}
        brokers = _agreed({address: info.brokers for address, info in told.items()})
        for info in told.values():
            _check_one_cluster(info)
        addresses = [address for ids in brokers.values() for address in ids.values()]
        configs = {address: _config(admin, address) for address in addresses}
        version = _version({address: _tells(admin, address) for address in addresses})
    _check_nameservers(nameservers, configs)
    for address, config in configs.items():
        for key, what in _ELECTS.items():
            if config.get(key) == "true":
                raise UsageError(f"broker {address} is of {what}: --runtime existing knows fixed roles only")
    _check_writable(brokers, configs)
    topology = _topology(len(nameservers), brokers, configs, version)
    places = {f"namesrv-{number}": address for number, address in enumerate(nameservers, 1)}
    closed: dict[str, str] = {}
    for node in topology.of_role(Role.MASTER, Role.SLAVE):
        places[node.name] = brokers[str(node.broker_name)][int(node.broker_id or 0)]
        serves = configs[places[node.name]].get("slaveReadEnable") == "true"
        if node.role is Role.SLAVE and version.major >= 5 and not serves:
            closed[node.name] = CLOSED
    in_name = any(config.get("brokerRole") == "SYNC_MASTER" for config in configs.values())
    waits_for_nobody = in_name and topology.replication == "async"
    return Found(topology, version, places, closed, dict(otherwise(configs.values())), waits_for_nobody)


def try_topic(found: Found, notes: Path, timeout_s: float = REMOVE_S) -> None:
    """Makes a topic on every master and removes it again; until it is gone that is noted in `notes`.

    Raises UsageError, one line, for a broker that refuses either.
    """
    nodes = found.topology.of_role
    masters, slaves = ([found.places[n.name] for n in nodes(role)] for role in (Role.MASTER, Role.SLAVE))
    prefix = f"rmqh-try-{uuid4().hex[:6]}-"
    nameservers = [found.places[node.name] for node in nodes(Role.NAMESERVER)]
    note = noted("try", prefix, nameservers, masters, slaves)
    write(notes, note)
    left: list[str] = []
    patience_s = min(timeout_s, ASK_S)  # of a cluster that is refused nobody waits for the slaves
    with Admin() as admin:
        try:
            for address in masters:
                admin.create_topic(address, prefix + PROBE_TOPIC.name, 1, timeout_s=ASK_S)
            patience_s = timeout_s
        except Refused as refused:
            raise UsageError(
                f"broker {refused.address} refuses to make a topic ({refused}): a run makes topics and groups of its "
                "own there; allow it for this client, or ask its owner"
            ) from None
        except WireError as error:
            raise UsageError(f"a topic could not be made: {error}; see that every master is reachable") from None
        finally:
            left = remove(admin, note, patience_s)
            if not left:
                forget(notes, note)
    if left:
        raise UsageError(
            f"a topic was made and cannot be removed again ({left[0]}), and a run removes what it made: allow this "
            "client to delete topics, then `rmq-harness clean`"
        )


def _told_by(admin: Admin, nameserver: str) -> ClusterInfo:
    try:
        return admin.cluster_info(nameserver, timeout_s=ASK_S)
    except WireError as error:
        raise UsageError(
            f"--namesrv {nameserver!r} does not answer as a nameserver ({error}): give HOST:PORT of one that is up "
            "and reachable from here"
        ) from None


def _agreed(tables: Mapping[str, Tables]) -> Tables:
    first, brokers = next(iter(tables.items()))
    for nameserver, table in tables.items():
        if table != brokers:
            raise UsageError(
                f"--namesrv: {first} and {nameserver} do not tell the same brokers ({_told(brokers)}; {_told(table)}): "
                "name the nameservers of one cluster, and wait until every broker is registered with all of them"
            )
    if not brokers:
        raise UsageError(f"--namesrv {first!r} knows no broker: wait until they are registered")
    return brokers


def _check_one_cluster(info: ClusterInfo) -> None:
    """Nameservers serve several clusters as willingly as one; a run would put its load on all of them."""
    clusters = {name: [b for b in brokers if b in info.brokers] for name, brokers in info.clusters.items()}
    there = {name: brokers for name, brokers in clusters.items() if brokers}
    if len(there) > 1:
        shown = "; ".join(f"{name}: {', '.join(brokers)}" for name, brokers in sorted(there.items()))
        raise UsageError(
            f"--namesrv: its nameservers serve {len(there)} clusters ({shown}), and a run would make topics and put "
            "load on all of them: name nameservers that serve the one to be tested alone"
        )


def _check_nameservers(given: Sequence[str], configs: Mapping[str, Mapping[str, str]]) -> None:
    """As many are given as a broker registers with: of one that is not, nobody would look at what it tells clients."""
    for address, config in configs.items():
        if any(config.get(key) == "true" for key in _ASKS_FOR_NAMESERVERS):
            continue
        theirs = {place.strip() for place in re.split("[;,]", config.get("namesrvAddr") or "") if place.strip()}
        if theirs and len(theirs) != len(given):
            what = "name every one of them" if len(theirs) > len(given) else "name each of them once, under one name"
            raise UsageError(
                f"--namesrv names {len(given)}, and broker {address} registers with {len(theirs)} nameservers "
                f"({', '.join(sorted(theirs))}): {what}"
            )


def _check_writable(brokers: Tables, configs: Mapping[str, Mapping[str, str]]) -> None:
    for name, ids in brokers.items():
        permission = configs[ids[MASTER_ID]].get("brokerPermission", "6") if MASTER_ID in ids else "6"
        if permission != "6":
            raise UsageError(
                f"{name} has brokerPermission={permission}, so that clients are not told to read and write there: "
                "give it 6, or leave it out of the cluster"
            )


def _told(table: Tables) -> str:
    return ", ".join(f"{name}:{id_}" for name, ids in sorted(table.items()) for id_ in ids) or "none"


def _config(admin: Admin, address: str) -> Mapping[str, str]:
    try:
        return admin.broker_config(address, timeout_s=ASK_S)
    except WireError as error:
        raise UsageError(
            f"broker {address}, as the nameservers have it, does not tell its configuration ({error}): it must be up, "
            "reachable from here under that address, and answer administrators"
        ) from None


def _tells(admin: Admin, address: str) -> str:
    try:
        return admin.runtime_info(address, timeout_s=ASK_S).get("brokerVersionDesc", "")
    except WireError as error:
        raise UsageError(f"broker {address} does not tell its version ({error})") from None


def _version(told: Mapping[str, str]) -> Version:
    found: dict[Version, str] = {}
    for address, text in told.items():
        match = _VERSION.match(text)
        if match is None:
            raise UsageError(f"broker {address} says that its version is {text!r}, which is none")
        found.setdefault(Version.parse(".".join(match.groups())), address)
    if len(found) > 1:
        mixed = ", ".join(f"{version} on {address}" for version, address in sorted(found.items()))
        raise UsageError(f"the cluster runs several releases ({mixed}): what holds depends on the release, run one")
    return next(iter(found))


def _topology(
    nameservers: int, brokers: Tables, configs: Mapping[str, Mapping[str, str]], version: Version
) -> Topology:
    groups = []
    for name, ids in sorted(brokers.items()):
        if MASTER_ID not in ids:
            raise UsageError(f"{name} has no master registered (there are ids {', '.join(map(str, sorted(ids)))})")
        groups.append({"name": name, "replicas": [_replica(id_) for id_ in sorted(ids)]})
    slaves = any(len(ids) > 1 for ids in brokers.values())
    for name, ids in brokers.items() if version.major < 5 else ():
        if len(ids) == 1 and configs[ids[MASTER_ID]].get("brokerRole") == "SYNC_MASTER":
            raise UsageError(
                f"{name} is a SYNC_MASTER and no slave of it is registered, so that before 5.0 it acknowledges nothing "
                "with SEND_OK: start its slave"
            )
    roles = {ids[MASTER_ID]: configs[ids[MASTER_ID]].get("brokerRole", "") for ids in brokers.values()}
    flushes = {address: config.get("flushDiskType", "") for address, config in configs.items()}
    document: dict[str, Any] = {
        "name": NAME,
        "description": "a cluster that somebody else runs",
        "nameservers": nameservers,
        "brokers": groups,
        "replication": _replication(roles, configs, version) if slaves else "none",
        "flush": _one("flushDiskType", flushes, _FLUSH),
    }
    try:
        return Topology.model_validate(document)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        told = problem["msg"].removeprefix("Value error, ")
        shown = f" ({problem['input']!r})" if isinstance(problem["input"], str) else ""
        raise UsageError(f"the cluster behind --namesrv cannot be tested: {where}{shown}: {told}") from None


def _replication(roles: Mapping[str, str], configs: Mapping[str, Mapping[str, str]], version: Version) -> str:
    """What a SYNC_MASTER of 5.x waits for is as many replicas as inSyncReplicas says: with 1, as shipped, for none."""
    if _one("brokerRole", roles, _REPLICATION) == "async" or version.major < 5:
        return _one("brokerRole", roles, _REPLICATION)
    waits = {master: str(int(configs[master].get(IN_SYNC) or "1") > 1).lower() for master in roles}
    return _one(f"{IN_SYNC} above 1", waits, {"true": "sync", "false": "async"})


def _replica(id_: int) -> dict[str, object]:
    return {"role": "master" if id_ == MASTER_ID else "slave", "id": id_}


def _one(key: str, told: Mapping[str, str], known: Mapping[str, str]) -> str:
    values: Iterable[str] = dict.fromkeys(told.values())
    words = [known.get(value, "") for value in values]
    if len(words) != 1 or not words[0]:
        shown = ", ".join(f"{value or 'nothing'} on {address}" for address, value in told.items())
        raise UsageError(f"the brokers' {key} must be one of {', '.join(known)}, the same for all; it is {shown}")
    return words[0]
