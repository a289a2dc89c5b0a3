"""A load on brokers that flush before they answer, and no fault: for a test that holds the machine's disk up."""

from __future__ import annotations

from harness.suite import ClusterNeeds, Elapse, Gates, Prover, at, forbid, guarantee, metric, plan, produce


@guarantee("process-kill-loses-nothing")
def test_flush(scenario: Prover) -> None:
    """Every send is acknowledged."""
    scenario(
        cluster=ClusterNeeds(flush="sync"),
        load=[produce(2, rate=200, retries=0)],
        steps=plan(at(2, Elapse(seconds=20), name="held-up")),
        duration_s=25,
        demand=[metric("unacknowledged").equals(0), forbid("lost")],
        gates=Gates(min_acked=300, faults_bite=False),
    )
