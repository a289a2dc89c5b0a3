"""The order in which nodes are moved, turned round: what it costs to have masters newer than all around them."""

from __future__ import annotations

from harness.suite import Prover, consume, guarantee, left_and_returned, no_failed_send, plan
from suites.upgrade.moves import LOAD, SEEN, broker_name, careless, loaded, nameservers, nothing_lost


@guarantee("upgrade-out-of-order-loses-nothing")
def test_masters_move_before_their_slaves(scenario: Prover) -> None:
    """Each master is moved, wiped as it should be, before its slaves, and the nameservers after all brokers.

    So for a while a master of the new release copies to slaves of the old one and registers at nameservers of the old
    one.
    """
    scenario(
        load=[LOAD, consume(2, group="g")],
        steps=plan(
            loaded(scenario),
            *(
                broker_name(scenario, number, "upgrade", master_first=True)
                for number in range(len(scenario.topology.brokers))
            ),
            *nameservers(scenario, "upgrade"),
        ),
        demand=[
            *no_failed_send(scenario),
            *nothing_lost(scenario),
            *left_and_returned(scenario),
        ],
        gates=SEEN,
        control=careless(scenario, "upgrade"),
    )
