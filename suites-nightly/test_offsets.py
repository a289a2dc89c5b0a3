"""How far a broker's death sets its consumers back."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    Gates,
    Kill,
    LoseFiles,
    Prover,
    StartLoad,
    Step,
    consume,
    forbid,
    guarantee,
    heal,
    master,
    metric,
    observed,
    plan,
    produce,
    then,
)

RATE = 500
PERSIST_S, FLUSH_S = 5, 5
"""A client tells the broker its offsets every five seconds, and the broker writes them down every five."""
UNDER_WAY = 2000
"""Most that the consumers have been given and not finished: what a pull brings, for each of their queues."""
SET_BACK = RATE * (PERSIST_S + FLUSH_S) + UNDER_WAY
LOAD = produce(2, rate=RATE, threads=2)
LONG_ENOUGH = AwaitCount(who="c", what="delivered", at_least=RATE * 40, from_start=True, timeout_s=240)
"""Much more than what may be consumed again: starting over must be told from being set back."""


@guarantee("offsets-survive-restart")
def test_consumers_are_set_back_by_the_flush_intervals_at_most(scenario: Prover) -> None:
    """After a master's death a group is given again what it had of the last ten seconds, and not everything.

    Its consumers die with the master, for those that live on know themselves how far they were.
    """
    few_again = metric("duplicates_delivered", group="g") <= SET_BACK

    def dies(how: Kill | LoseFiles) -> tuple[Step, ...]:
        return plan(
            then(LONG_ENOUGH, name="consumed"),
            then(how, name="kill"),
            then(Kill(target="client/c-1+client/c-2", lasting=True), name="consumers-killed"),
            heal("kill", after_s=1),
            then(AwaitCount(who="p", what="ok", at_least=1000, timeout_s=60), name="load-back"),
            then(StartLoad(load=(consume(2, name="again"),)), name="consumers-return"),
            then(AwaitCount(who="again", what="delivered", at_least=1000), name="goes-on"),
        )

    scenario(
        load=[LOAD, consume(2)],
        steps=dies(Kill(target=master(0))),
        drain_s=120,
        demand=[few_again, forbid("undelivered"), forbid("lost", replicas="master"), forbid("phantom")],
        gates=Gates(preconditions=tuple(observed(f"{what}.reached").equals(1) for what in ("consumed", "goes-on"))),
        control=scenario.control(
            "offsets-lost",
            load=[LOAD, consume(2)],
            steps=dies(LoseFiles(target=master(0), files="config/consumerOffset.json*")),
            drain_s=120,
            demand=[few_again],
            why="with the broker's offsets gone consumption must start over",
        ),
    )
