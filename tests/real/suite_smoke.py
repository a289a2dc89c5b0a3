"""The shortest scenario there is: for tests of the harness, not of the product."""

from __future__ import annotations

from harness.suite import Gates, Kill, Prover, at, consume, forbid, guarantee, master, plan, produce


@guarantee("process-kill-loses-nothing")
def test_smoke(scenario: Prover) -> None:
    """A killed master loses nothing that was acknowledged."""
    scenario(
        load=[produce(2, rate=300), consume(1)],
        steps=plan(at(3, Kill(target=master()), until=4)),
        duration_s=6,
        demand=[forbid("lost"), forbid("phantom"), forbid("undelivered")],
        # What a busy machine gets done in two seconds is no question of these tests.
        gates=Gates(min_acked=300, min_acked_before_fault=20),
    )
