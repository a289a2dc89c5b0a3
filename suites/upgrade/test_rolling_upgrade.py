"""Every node is moved to another release in turn, under load."""

from __future__ import annotations

from harness.suite import Prover, consume, guarantee, left_and_returned, no_failed_send, plan
from suites.upgrade.moves import LOAD, SEEN, careless, everything, loaded, nothing_lost


@guarantee("rolling-upgrade-loses-nothing")
def test_every_node_moves_in_turn(scenario: Prover) -> None:
    """Nameservers, then slaves, then masters that were wiped first: no send fails, and nothing is lost.

    Of a master whose slave must acknowledge, a client that comes back may be answered 11 or 12: stored, and no failed
    send.
    """
    scenario(
        load=[LOAD, consume(2, group="g")],
        steps=plan(loaded(scenario), *everything(scenario, "upgrade")),
        demand=[
            *no_failed_send(scenario),
            *nothing_lost(scenario),
            *left_and_returned(scenario),
        ],
        gates=SEEN,
        control=careless(scenario, "upgrade"),
    )
