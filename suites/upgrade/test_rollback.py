"""The way back: half-way, when one broker is on the new release, and after all are."""

from __future__ import annotations

from harness.suite import Elapse, Prover, consume, guarantee, no_failed_send, plan, then
from suites.upgrade.moves import LOAD, SEEN, broker_name, careless, everything, loaded, nothing_lost

BACK = "-back"


@guarantee("rollback-half-way-loses-nothing")
def test_one_broker_goes_and_comes_back(scenario: Prover) -> None:
    """One broker name moves, works with the others, and moves back: what it took on the new release is served after.

    The nameservers stay where they are: a half-way rollback begins with what was moved first.
    """
    scenario(
        load=[LOAD, consume(2, group="g")],
        steps=plan(
            loaded(scenario),
            broker_name(scenario, 0, "upgrade"),
            then(Elapse(seconds=10), name="mixed"),
            broker_name(scenario, 0, "first", BACK),
        ),
        demand=[*no_failed_send(scenario), *nothing_lost(scenario)],
        gates=SEEN,
        control=careless(scenario, "upgrade", "first"),
    )


@guarantee("rollback-loses-nothing")
def test_every_node_goes_and_comes_back(scenario: Prover) -> None:
    """Every node moves to the new release under load, and every node moves back, in the same order."""
    scenario(
        load=[LOAD, consume(2, group="g")],
        steps=plan(
            loaded(scenario),
            *everything(scenario, "upgrade"),
            then(Elapse(seconds=10), name="upgraded"),
            *everything(scenario, "first", BACK),
        ),
        demand=[*no_failed_send(scenario), *nothing_lost(scenario)],
        gates=SEEN,
        control=careless(scenario, "upgrade", "first"),
    )
