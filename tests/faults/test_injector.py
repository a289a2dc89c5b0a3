"""The life of a fault, driven in every order: what is legal, what is recorded, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from harness.core.errors import FaultError, SetupError
from harness.faults import Fault, Injector
from harness.faults import base as faults_base


class World:
    """What a fault acts on: which of its damages are done, and what goes wrong."""

    def __init__(self) -> None:
        self.damaged: set[str] = set()
        self.deaf = False
        self.refuses_inject = False
        self.refuses_heal = False
        self.refuses_recovery = False
        self.heals = 0
        self.topology = SimpleNamespace(elects=False)


class Dent(Fault):
    """A damage called `mark` to a `World`."""

    kind: Literal["dent"] = "dent"
    mark: str = "a"

    def targets(self, cluster: Any) -> tuple[str, ...]:
        return (self.mark,)

    def inject(self, cluster: Any) -> dict[str, Any]:
        if cluster.refuses_inject:
            raise SetupError("the machine refuses")
        if not cluster.deaf:
            cluster.damaged.add(self.mark)
        return {"dented": self.mark}

    def bites(self, cluster: Any) -> bool:
        return self.mark in cluster.damaged

    def heal(self, cluster: Any) -> dict[str, Any]:
        cluster.heals += 1
        if cluster.refuses_heal:
            raise SetupError("cannot be healed")
        cluster.damaged.discard(self.mark)
        return {}

    def await_recovery(self, cluster: Any) -> dict[str, Any]:
        if cluster.refuses_recovery:
            raise SetupError("does not recover")
        return {"seen": True}


class Log:
    """The recorder of an injector."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.details: list[Any] = []

    def __call__(self, name: str, action: str, **more: Any) -> None:
        self.lines.append((name, action))
        self.details.append(more)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def injector(world: World, log: Log, monkeypatch: pytest.MonkeyPatch) -> Injector:
    monkeypatch.setattr(faults_base, "BITE_TIMEOUT_S", 0.05)
    return Injector(world, log)  # type: ignore[arg-type]


def test_a_whole_life(injector: Injector, world: World, log: Log) -> None:
    assert injector.inject("x", Dent()) == {"dented": "a"}
    assert injector.active == ("x",)
    assert world.damaged == {"a"}
    assert injector.heal("x") == {"seen": True}
    assert injector.active == ()
    assert log.lines == [("x", "inject"), ("x", "observed"), ("x", "heal"), ("x", "recovered")]
    assert log.details[0] == {"fault": "dent", "targets": ("a",), "lasting": False}


def test_damage_that_is_seen_before_it_was_done_proves_nothing(injector: Injector, world: World, log: Log) -> None:
    world.damaged.add("a")
    with pytest.raises(FaultError, match=r"fault 'x': dent of a is seen before it was injected"):
        injector.inject("x", Dent())
    assert not log.lines
    assert not injector.active
    assert world.heals == 0


def test_a_fault_that_does_not_bite(injector: Injector, world: World, log: Log) -> None:
    world.deaf = True
    with pytest.raises(FaultError, match=r"fault 'x' did not bite"):
        injector.inject("x", Dent())
    assert log.lines == [("x", "inject")], "without an observation the window has not bitten"
    assert injector.active == ("x",), "half done is to be undone"
    assert injector.heal_all() == ()
    assert world.heals == 1


def test_an_injection_that_fails_is_undone_at_the_end(injector: Injector, world: World) -> None:
    world.refuses_inject = True
    with pytest.raises(FaultError, match=r"fault 'x', inject: the machine refuses"):
        injector.inject("x", Dent())
    injector.heal_all()
    assert world.heals == 1


def test_names_are_unique_while_in_force(injector: Injector) -> None:
    injector.inject("x", Dent())
    with pytest.raises(FaultError, match=r"fault 'x' is already in force"):
        injector.inject("x", Dent(mark="b"))
    injector.heal("x")
    injector.inject("x", Dent())


def test_what_is_not_in_force_cannot_be_healed(injector: Injector, log: Log) -> None:
    injector.inject("x", Dent())
    with pytest.raises(FaultError, match=r"fault 'y' is not in force; active: x"):
        injector.heal("y")
    injector.heal("x")
    with pytest.raises(FaultError, match=r"active: none"):
        injector.heal("x")


@pytest.mark.parametrize(("switch", "stage"), [("refuses_heal", "heal"), ("refuses_recovery", "recover")])
def test_a_heal_that_fails_stays_to_be_healed(
    injector: Injector, world: World, log: Log, switch: str, stage: str
) -> None:
    injector.inject("x", Dent())
    setattr(world, switch, True)
    with pytest.raises(FaultError, match=rf"fault 'x', {stage}: "):
        injector.heal("x")
    assert ("x", "recovered") not in log.lines
    assert injector.active == ("x",)
    setattr(world, switch, False)
    injector.heal_all()
    assert not world.damaged


def test_everything_is_healed_newest_first_whatever_fails(injector: Injector, world: World, log: Log) -> None:
    for mark in "abc":
        injector.inject(f"f-{mark}", Dent(mark=mark))
    log.lines.clear()
    world.refuses_heal = True
    errors = injector.heal_all()
    assert errors == tuple(f"healing f-{mark}: cannot be healed" for mark in "cba")
    assert log.lines == [(f"f-{mark}", "heal") for mark in "cba"]
    assert injector.heal_all() == ()
    assert injector.active == ()


class Machine(RuleBasedStateMachine):
    """Any order of injections and heals, with anything refused: what is active is what the history says."""

    @initialize()
    def begin(self) -> None:
        self.world, self.log = World(), Log()
        self.injector = Injector(self.world, self.log)  # type: ignore[arg-type]
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(faults_base, "BITE_TIMEOUT_S", 0.01)

    def teardown(self) -> None:
        self.patch.undo()

    @rule(deaf=st.booleans(), inject=st.booleans(), heal=st.booleans(), recovery=st.booleans())
    def change_the_world(self, deaf: bool, inject: bool, heal: bool, recovery: bool) -> None:
        self.world.deaf, self.world.refuses_inject = deaf, inject
        self.world.refuses_heal, self.world.refuses_recovery = heal, recovery

    @rule(name=st.sampled_from("xyz"), mark=st.sampled_from("ab"))
    def inject(self, name: str, mark: str) -> None:
        world, before = self.world, list(self.log.lines)
        legal = name not in self.injector.active and mark not in world.damaged
        bites = not (world.deaf or world.refuses_inject)
        try:
            self.injector.inject(name, Dent(mark=mark))
        except FaultError:
            assert not (legal and bites)
            assert (name, "observed") not in self.log.lines[len(before) :]
        else:
            assert legal
            assert bites
            assert self.log.lines[len(before) :] == [(name, "inject"), (name, "observed")]

    @rule(name=st.sampled_from("xyz"))
    def heal(self, name: str) -> None:
        was = name in self.injector.active
        world, before = self.world, list(self.log.lines)
        try:
            self.injector.heal(name)
        except FaultError:
            assert not was or world.refuses_heal or world.refuses_recovery
            assert (name, "recovered") not in self.log.lines[len(before) :]
        else:
            assert was
            assert self.log.lines[-1] == (name, "recovered")

    @precondition(lambda self: not self.world.refuses_heal)
    @rule()
    def heal_all(self) -> None:
        assert self.injector.heal_all() == ()
        assert not self.world.damaged
        assert not self.injector.active

    @invariant()
    def the_active_ones_are_those_recorded(self) -> None:
        if not hasattr(self, "log"):
            return
        for name in self.injector.active:
            mine = [action for n, action in self.log.lines if n == name]
            assert "recovered" not in mine[len(mine) - 1 - mine[::-1].index("inject") :]


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
TestMachine = Machine.TestCase
