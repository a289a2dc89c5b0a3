"""Every node is moved to another release in turn, under load."""

from __future__ import annotations

from harness.suite import Prover, consume, guarantee, metric, plan
from suites.upgrade.moves import LOAD, SEEN, careless, everything, no_failed_send, nothing_lost, of_age


@guarantee("rolling-upgrade-loses-nothing")
def test_every_node_moves_in_turn(scenario: Prover) -> None:
    """Nameservers, then slaves, then masters that were wiped first: no send fails, and nothing is lost.

    Of a master whose slave must acknowledge, a client that comes back may be answered 11 or 12: stored, and no failed
    send.
    """
    names = [str(group.name) for group in scenario.topology.brokers]
    stops = [f"master-{number}" for number in range(len(names))]
    scenario(
        load=[LOAD, consume(2, group="g")],
        steps=plan(of_age(scenario), *everything(scenario, "upgrade")),
        demand=[
            *no_failed_send(scenario),
            *nothing_lost(),
            # Each wait did its work before the stop, and undoing the wipe brought the clients back.
            *(
                metric("ok_despite", window=stop, since="inject", margin_s=0, broker=name).equals(0)
                for stop, name in zip(stops, names, strict=True)
            ),
            *(
                metric("ok_in", window=stop, since="recovered", until="end", broker=name) > 0
                for stop, name in zip(stops, names, strict=True)
            ),
        ],
        gates=SEEN,
        control=careless(scenario, "upgrade"),
    )
