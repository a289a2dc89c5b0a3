"""The exception tree. Every message names the thing, the value and the remedy, and is shown without a traceback."""

from __future__ import annotations


class HarnessError(Exception):
    """Anything the harness itself reports. `exit_code` is what the process ends with."""

    exit_code = 6


class UsageError(HarnessError):
    """A wrong option, topology file, version or combination: found before anything is started."""

    exit_code = 4


class SetupError(HarnessError):
    """The machine, a download or a cluster could not be brought to where a scenario can begin."""


class CapabilityMissing(SetupError):
    """The machine or the runtime cannot do what was asked (`capability` names it)."""

    def __init__(self, capability: str, reason: str) -> None:
        super().__init__(f"capability {capability!r} is missing: {reason}")
        self.capability = capability
        self.reason = reason


class ClientLacks(SetupError):
    """The client that was asked for cannot express what a scenario needs: that is not tested, and nobody's fault."""


class NodeDied(SetupError):
    """A process of the cluster ended by itself. The message carries the last lines of its log."""


class FaultError(HarnessError):
    """A fault could not be injected, was not seen to bite, or could not be healed."""


class ClientError(HarnessError):
    """A client worker died, wrote an unreadable line or broke the worker protocol."""


class WireError(HarnessError):
    """The remoting protocol was broken by the peer or by the network."""


class WaitTimeout(SetupError):
    """A deadline passed: the message says what was waited for, for how long, and what was last seen."""


class EvidenceError(HarnessError):
    """A run directory is incomplete, unreadable or was tampered with."""


class MetricUnavailable(EvidenceError):
    """A metric or finder has nothing to be computed from. The verdict is then inconclusive, never held or broken."""
