"""What we make on a cluster that somebody else runs: noted before it is made, and removed, by its prefix, after."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from harness.core.errors import WireError
from harness.runtime.owner import ProcessMark, boot_id
from harness.waiting import pause_s
from harness.wire import fastjson
from harness.wire.codes import ResponseCode
from harness.wire.sync import Admin

GET_ALL_TOPIC_CONFIG: Final = 21
GET_ALL_GROUP_CONFIG: Final = 201
OF_GROUPS: Final = ("%RETRY%", "%DLQ%")
"""What the product puts before a group's name for its retry topic and its dead letters."""
REMOVE_S: Final = 90.0
"""A slave that will not be told learns from its master, on 5.x once a minute."""
_TABLES: Final = (
    (GET_ALL_GROUP_CONFIG, "subscriptionGroupTable"),
    (GET_ALL_TOPIC_CONFIG, "topicConfigTable"),
)
_ROUND_S: Final = 2.0
_CALL_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Note:
    """That a run may have topics and groups on a cluster, all of them with this prefix. Addresses are `host:port`."""

    run_id: str
    prefix: str
    nameservers: tuple[str, ...]
    masters: tuple[str, ...]
    slaves: tuple[str, ...]
    harness: ProcessMark
    boot: str

    @property
    def live(self) -> bool:
        """The harness that made it still runs."""
        return self.boot == boot_id() and self.harness.alive


def noted(run_id: str, prefix: str, nameservers: Sequence[str], masters: Sequence[str], slaves: Sequence[str]) -> Note:
    """The note of this process."""
    mark = ProcessMark.of(os.getpid())
    assert mark is not None
    return Note(run_id, prefix, tuple(nameservers), tuple(masters), tuple(slaves), mark, boot_id())


def write(directory: Path, note: Note) -> None:
    """Stores a note; a reader sees the whole of it or nothing."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = directory / f"{note.prefix}{os.getpid()}.new"
    fresh.write_text(json.dumps(asdict(note)), encoding="utf-8")
    fresh.replace(_path(directory, note))


def forget(directory: Path, note: Note) -> None:
    """Nothing is left there. Idempotent."""
    _path(directory, note).unlink(missing_ok=True)


def notes(directory: Path) -> Iterator[Note]:
    """Every note that can be read."""
    for path in sorted(directory.glob("*.json")):
        with suppress(OSError, ValueError, TypeError, KeyError):
            raw = json.loads(path.read_text(encoding="utf-8"))
            lists = {key: tuple(raw[key]) for key in ("nameservers", "masters", "slaves")}
            yield Note(**{**raw, **lists, "harness": ProcessMark(**raw["harness"])})


def _path(directory: Path, note: Note) -> Path:
    return directory / f"{note.prefix.rstrip('-')}.json"


def clean_notes(directory: Path, say: Callable[[str], None], timeout_s: float = REMOVE_S) -> bool:
    """Removes what dead runs left on clusters of others; False if something stays there. Live runs are left alone."""
    whole = True
    for note in notes(directory):
        if note.live:
            continue
        with Admin() as admin:
            left = remove(admin, note, timeout_s)
        where = f"of run {note.run_id} on the cluster of {', '.join(note.nameservers)}"
        if left:
            say(f"NOT removed: what begins with {note.prefix} {where}: {'; '.join(left[:4])}")
            whole = False
        else:
            say(f"topics and groups {note.prefix}* {where}")
            forget(directory, note)
    return whole


def remove(admin: Admin, note: Note, timeout_s: float = REMOVE_S) -> list[str]:
    """Deletes all topics and groups with the prefix, on every broker and nameserver; what then is left, one line each.

    Masters first, from whom slaves learn; nameservers last, whom a broker that still has a topic tells of it again.
    Looks again until nothing is seen any more, at most so long. Raises nothing.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        left = _once(admin, note)
        if not left or time.monotonic() >= deadline:
            return left
        pause_s(_ROUND_S)


def named(admin: Admin, note: Note) -> list[str]:
    """The topics and groups with the prefix that any broker has, each once. Raises `WireError` if one does not tell."""
    found: dict[str, None] = {}
    for address in (*note.masters, *note.slaves):
        for code, key in _TABLES:
            found |= dict.fromkeys(name for name in _table(admin, address, code, key) if _ours(name, note))
    return list(found)


def _once(admin: Admin, note: Note) -> list[str]:
    """Asks everybody to delete what they have of ours, and says what they had."""
    left: list[str] = []
    for address in (*note.masters, *note.slaves):
        try:
            every_group, every_topic = (_table(admin, address, code, key) for code, key in _TABLES)
        except WireError as error:
            left.append(f"{address} does not tell what it has: {error}")
            continue
        groups, topics = ([name for name in table if _ours(name, note)] for table in (every_group, every_topic))
        for group in groups:
            with suppress(WireError):  # a slave refuses; what stays is seen by the next look
                admin.delete_group(address, group, offsets=True, timeout_s=_CALL_S)
        for topic in topics:
            with suppress(WireError):
                admin.delete_topic(address, topic, timeout_s=_CALL_S)
        left += [f"{name} on {address}" for name in (*groups, *topics)]
    for address in note.nameservers:
        try:
            routed = [t for t in admin.topics(address, timeout_s=_CALL_S) if _ours(t, note)]
        except WireError as error:
            left.append(f"{address} does not tell what it routes: {error}")
            continue
        for topic in routed:
            with suppress(WireError):
                admin.delete_route(address, topic, timeout_s=_CALL_S)
        left += [f"route of {name} on {address}" for name in routed]
    return left


def _table(admin: Admin, address: str, code: int, key: str) -> Mapping[str, object]:
    answer = admin.call(address, code, timeout_s=_CALL_S)
    if answer.code != ResponseCode.SUCCESS:
        raise WireError(f"request {code} was answered {answer.code}")
    table = fastjson.loads(answer.body).get(key)
    return table if isinstance(table, dict) else {}


def _ours(name: str, note: Note) -> bool:
    for before in OF_GROUPS:
        name = name.removeprefix(before)
    return name.startswith(note.prefix)
