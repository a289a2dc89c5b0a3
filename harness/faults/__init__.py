"""The faults, each a piece of data with a life cycle. `AnyFault` is what a stored scenario may hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.faults.base import Fault, Injector
from harness.faults.bits import FlipByte
from harness.faults.configure import Misconfigure
from harness.faults.links import HalfOpen, Latency, LimitData, LinkFault, Reset, SlowClose, SlowLink
from harness.faults.network import Partition, isolate
from harness.faults.permission import WipeWritePermission
from harness.faults.process import Kill, Pause, Stop
from harness.faults.release import ChangeRelease
from harness.faults.select import (
    ALL_BROKERS,
    ALL_CLIENTS,
    ALL_MASTERS,
    ALL_NAMESERVERS,
    ALL_NODES,
    ALL_PROXIES,
    ALL_SLAVES,
    master,
    nameserver,
    proxy,
    select,
    slave,
)
from harness.faults.storage import CutPower, DestroyStore, FailDisk, FillDisk, LoseFiles, SlowDisk

AnyFault = Annotated[
    Kill
    | Stop
    | Pause
    | Partition
    | CutPower
    | DestroyStore
    | LoseFiles
    | FailDisk
    | FillDisk
    | SlowDisk
    | FlipByte
    | WipeWritePermission
    | Misconfigure
    | ChangeRelease
    | Latency
    | SlowLink
    | HalfOpen
    | Reset
    | SlowClose
    | LimitData,
    Field(discriminator="kind"),
]

__all__ = [
    "ALL_BROKERS",
    "ALL_CLIENTS",
    "ALL_MASTERS",
    "ALL_NAMESERVERS",
    "ALL_NODES",
    "ALL_PROXIES",
    "ALL_SLAVES",
    "AnyFault",
    "ChangeRelease",
    "CutPower",
    "DestroyStore",
    "FailDisk",
    "Fault",
    "FillDisk",
    "FlipByte",
    "HalfOpen",
    "Injector",
    "Kill",
    "Latency",
    "LimitData",
    "LinkFault",
    "LoseFiles",
    "Misconfigure",
    "Partition",
    "Pause",
    "Reset",
    "SlowClose",
    "SlowDisk",
    "SlowLink",
    "Stop",
    "WipeWritePermission",
    "isolate",
    "master",
    "nameserver",
    "proxy",
    "select",
    "slave",
]
