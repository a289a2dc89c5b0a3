"""The worked example of docs/writing-a-suite.md: a stopped broker says goodbye, one that stands still does not."""

from __future__ import annotations

from harness.suite import (
    Pause,
    Prover,
    Registered,
    Stop,
    at,
    forbid,
    guarantee,
    heal,
    master,
    nameserver,
    observed,
    plan,
    produce,
)


@guarantee("graceful-stop-is-clean")
def test_a_stopped_broker_leaves_the_route(scenario: Prover) -> None:
    """Three seconds after SIGTERM the nameserver no longer has the master, and nothing acknowledged is lost."""
    look = Registered(target=master(0), on=nameserver(0))
    scenario(
        load=[produce(4, rate=600)],
        steps=plan(
            at(14, Stop(target=master(0)), name="stop"),
            at(17, look, name="while-down"),
            heal("stop", 18),
        ),
        duration_s=28,
        demand=[observed("while-down.yes").equals(0), forbid("lost"), forbid("phantom")],
        control=scenario.control(
            "paused",
            load=[produce(4, rate=600)],
            steps=plan(
                at(14, Pause(target=master(0)), name="pause"),
                at(17, look, name="while-down"),
                heal("pause", 18),
            ),
            duration_s=28,
            demand=[observed("while-down.yes").equals(0)],
            why="a broker that stands still says nothing: three seconds later the nameserver must still have it",
        ),
    )
