"""Steps that look rather than hurt: each records one named observation, a JSON value, in the history.

Suites demand something of these values through `observed(name)`; nothing is asserted here, so that a stored run can
be judged again.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.workloads.probes.base import Probe
from harness.workloads.probes.brokers import (
    AwaitHealthy,
    Join,
    MakeTopics,
    ReadBack,
    Running,
    SetQueues,
    StoreFiles,
    SyncDisks,
    Warned,
)
from harness.workloads.probes.commitlog import AgeCommitLog, AwaitCommitLog, AwaitGone, CommitLog, ExactlyDeleted
from harness.workloads.probes.connections import AwaitDropped
from harness.workloads.probes.known import AwaitKnown
from harness.workloads.probes.lag import ReplicationLag
from harness.workloads.probes.leaders import AwaitLeader
from harness.workloads.probes.loads import AwaitCount, AwaitDelivered, StartLoad, StopLoad
from harness.workloads.probes.plain import Elapse, Same
from harness.workloads.probes.pulls import PullDirect
from harness.workloads.probes.routes import AwaitRoute, AwaitRoutes, Registered, Routed, Snapshot, Watch, Writable
from harness.workloads.probes.searches import Search
from harness.workloads.probes.sends import AwaitAnswer, SendDirect
from harness.workloads.probes.settings import MoveOffsets, Setting
from harness.workloads.probes.turns import TakeTurns

AnyProbe = Annotated[
    SendDirect
    | MoveOffsets
    | Setting
    | ReadBack
    | AwaitRoute
    | AwaitRoutes
    | Registered
    | Routed
    | Running
    | ReplicationLag
    | Snapshot
    | Same
    | Elapse
    | StartLoad
    | StopLoad
    | AwaitCount
    | AwaitDelivered
    | AwaitAnswer
    | CommitLog
    | AgeCommitLog
    | AwaitCommitLog
    | AwaitDropped
    | AwaitKnown
    | AwaitGone
    | AwaitHealthy
    | AwaitLeader
    | ExactlyDeleted
    | Join
    | MakeTopics
    | PullDirect
    | Search
    | SetQueues
    | StoreFiles
    | SyncDisks
    | TakeTurns
    | Warned
    | Writable,
    Field(discriminator="kind"),
]

__all__ = [
    "AgeCommitLog",
    "AnyProbe",
    "AwaitAnswer",
    "AwaitCommitLog",
    "AwaitCount",
    "AwaitDelivered",
    "AwaitDropped",
    "AwaitGone",
    "AwaitHealthy",
    "AwaitKnown",
    "AwaitLeader",
    "AwaitRoute",
    "AwaitRoutes",
    "CommitLog",
    "Elapse",
    "ExactlyDeleted",
    "Join",
    "MakeTopics",
    "MoveOffsets",
    "Probe",
    "PullDirect",
    "ReadBack",
    "Registered",
    "ReplicationLag",
    "Routed",
    "Running",
    "Same",
    "Search",
    "SendDirect",
    "SetQueues",
    "Setting",
    "Snapshot",
    "StartLoad",
    "StopLoad",
    "StoreFiles",
    "SyncDisks",
    "TakeTurns",
    "Warned",
    "Watch",
    "Writable",
]
