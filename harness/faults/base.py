"""One fault's life: inject, observe it bite, heal, observe recovery. Driven only through the `Injector`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from harness.core.errors import FaultError, HarnessError
from harness.core.expectation import Data
from harness.core.names import RESTART_FAILED
from harness.faults.restart import RestartFailed
from harness.faults.select import SELECTORS, by_role, pinned
from harness.runtime.base import NODE_CONFIG
from harness.waiting import wait_for

if TYPE_CHECKING:
    from harness.cluster import Cluster

Detail = Mapping[str, Any]
BITE_TIMEOUT_S = 10.0


class Fault(Data):
    """One kind of damage to one set of targets: data, so that it can be stored and replayed.

    `bites` must look at the damage itself, from outside: an exit code is no observation. It is asked before the
    injection too, and must say no then: a detector that is always true would make every verdict vacuous.
    """

    lasting: bool = False
    """The fault is not meant to be healed before the end of the scenario (its heal runs at teardown, unjudged)."""

    def kind_name(self) -> str:
        """The word for this kind of damage (`kill`, `partition`)."""
        return str(getattr(self, "kind", type(self).__name__.lower()))

    def needs(self) -> frozenset[str]:
        """Capabilities of the runtime without which this fault cannot be injected."""
        return frozenset()

    def reach(self) -> frozenset[str]:
        """What it does to nodes (see `runtime.base.REACH`), which a runtime of others' nodes may not be able to."""
        return frozenset({NODE_CONFIG})

    def pinned(self, cluster: Cluster) -> Fault:
        """The same fault of the very nodes that it would hit now: a master that is killed is none when it is healed.

        Raises FaultError where masters are elected and none is: the first member in its place would be anybody.
        """
        if not cluster.topology.elects:
            return self
        roles = [getattr(self, key) for key in SELECTORS & type(self).model_fields.keys()]
        if any(by_role(selector) for selector in roles):
            leaderless = [broker for broker in cluster.broker_names() if cluster.leader(broker) is None]
            if leaderless:
                raise FaultError(f"{', '.join(leaderless)} has no master now: {' and '.join(roles)} is nobody")
        named = {key: pinned(getattr(self, key), cluster) for key in SELECTORS & type(self).model_fields.keys()}
        return self.model_copy(update=named)

    @abstractmethod
    def targets(self, cluster: Cluster) -> tuple[str, ...]:
        """The nodes that are hit."""

    @abstractmethod
    def inject(self, cluster: Cluster) -> Detail:
        """Does the damage."""

    @abstractmethod
    def bites(self, cluster: Cluster) -> bool:
        """The damage is visible from outside, now."""

    def undone(self, cluster: Cluster) -> tuple[str, ...]:  # noqa: ARG002
        """The nodes that are not hurt any more though nothing was healed. Looked for where nodes are somebody else's.

        Whoever minds them may start again what was killed.
        """
        return ()

    @abstractmethod
    def heal(self, cluster: Cluster) -> Detail:
        """Undoes the damage. Healing twice, or after an injection that failed half-way, is harmless."""

    @abstractmethod
    def await_recovery(self, cluster: Cluster) -> Detail:
        """Returns once the node or link was seen to work again."""


Record = Callable[..., None]
"""`record(name, action, *, at_ns=None, fault=None, targets=None, lasting=None, detail=None)` of the recorder."""


class Injector:
    """Runs faults in legal order and records every transition.

    idle -> injecting -> active -> healing -> idle. Any error marks the fault as failed, from which only `heal_all`
    is legal; `heal_all` is idempotent and is called at every end, also the bad ones.
    """

    def __init__(
        self, cluster: Cluster, record: Record, observe: Callable[[str, Any], None] = lambda _name, _value: None
    ) -> None:
        self._cluster = cluster
        self._record = record
        self._observe = observe
        self._active: dict[str, Fault] = {}

    @property
    def in_force(self) -> tuple[Fault, ...]:
        """The faults in force, each of the nodes that it hit."""
        return tuple(self._active.values())

    @property
    def active(self) -> tuple[str, ...]:
        """Names of the faults in force."""
        return tuple(self._active)

    def inject(self, name: str, fault: Fault) -> Detail:
        """Injects and waits until the fault was seen to bite. Raises FaultError if it was not.

        Also raises FaultError if the damage is already visible before the injection: then its detector proves nothing.
        """
        if name in self._active:
            raise FaultError(f"fault {name!r} is already in force; heal it first or use another name")
        fault = fault.pinned(self._cluster)
        targets = fault.targets(self._cluster)
        if fault.bites(self._cluster):
            raise FaultError(
                f"fault {name!r}: {fault.kind_name()} of {', '.join(targets)} is seen before it was injected"
            )
        self._active[name] = fault
        self._record(name, "inject", fault=fault.kind_name(), targets=targets, lasting=fault.lasting)
        detail = dict(self._guard(name, "inject", fault.inject))
        self._await_bite(name, fault)
        self._record(name, "observed", detail=detail)
        return detail

    def heal(self, name: str) -> Detail:
        """Heals and waits until recovery was seen. Raises FaultError for a fault that is not in force."""
        fault = self._active.get(name)
        if fault is None:
            raise FaultError(f"fault {name!r} is not in force; active: {', '.join(self._active) or 'none'}")
        self._refuse_undone(name, fault)
        self._record(name, "heal")
        detail = dict(self._guard(name, "heal", fault.heal))
        for node, exits in detail.pop("restart_failed", {}).items():
            self._observe(f"{RESTART_FAILED}{node}", exits)
        seen = dict(self._guard(name, "recover", fault.await_recovery))
        del self._active[name]
        self._record(name, "recovered", detail=detail | seen)
        return detail | seen

    def heal_all(self) -> tuple[str, ...]:
        """Heals what is still in force, newest first, recovery unjudged. Returns the errors, one line each."""
        errors: list[str] = []
        for name, fault in reversed(list(self._active.items())):
            try:
                self._record(name, "heal")
                fault.heal(self._cluster)
            except HarnessError as error:
                errors.append(f"healing {name}: {error}")
            self._active.pop(name, None)
        return tuple(errors)

    def refuse_undone(self) -> None:
        """Raises FaultError if a fault in force was undone by somebody else."""
        for name, fault in self._active.items():
            self._refuse_undone(name, fault)

    def _refuse_undone(self, name: str, fault: Fault) -> None:
        if undone := fault.undone(self._cluster):
            raise FaultError(
                f"fault {name!r}: {', '.join(undone)} came back before it was healed, so that nobody knows how long "
                f"the {fault.kind_name()} lasted: keep what minds its process from starting it again"
            )

    def _await_bite(self, name: str, fault: Fault) -> None:
        targets = ", ".join(fault.targets(self._cluster))
        try:
            wait_for(
                lambda: fault.bites(self._cluster),
                what=f"{fault.kind_name()} of {targets} to bite",
                timeout_s=BITE_TIMEOUT_S,
                poll_s=0.005,
            )
        except HarnessError as error:
            raise FaultError(f"fault {name!r} did not bite: {error}") from error

    def _guard(self, name: str, stage: str, call: Callable[[Cluster], Detail]) -> Detail:
        try:
            return call(self._cluster)
        except RestartFailed as error:
            self._observe(f"{RESTART_FAILED}{error.node}", error.seen)
            raise FaultError(f"fault {name!r}, {stage}: {error}") from error
        except HarnessError as error:
            raise FaultError(f"fault {name!r}, {stage}: {error}") from error
