"""Rows, cells and a runner that runs nothing."""

from __future__ import annotations

from harness.core.verdict import Verdict
from harness.matrix.cells import Cell, CellSpec, Inputs, exit_code_of, stored
from harness.matrix.suites import Ran
from harness.report.rows import Control, Row, Run, ScenarioRow

INPUTS = Inputs(harness="h", topology="t", suites="s", promise="p")


def row(name, verdict="held", topology="1m", rocketmq="4.9.7", **more):
    verdict = Verdict(verdict)
    executed = verdict is not Verdict.NOT_TESTED
    scenario = ScenarioRow(name="s", seed=1, history="scenarios/s/history", verdict=verdict)
    return Row(
        id=name,
        topology=topology,
        rocketmq=rocketmq,
        java="25",
        client="java",
        runtime="local",
        timers="fast",
        verdict=verdict,
        reason="" if verdict is Verdict.HELD else "so it was seen",
        control=Control(kind="product", expected="broken", observed="broken", ok=True) if executed else None,
        scenarios=(scenario,) if executed else (),
        waited_s=2.0,
        worked_s=3.0,
        **more,
    )


def cell(topology, rocketmq, *rows):
    kept = tuple(stored(r, "c0ffee", INPUTS) for r in rows)
    return Cell(
        format=1,
        spec=CellSpec(topology=topology, rocketmq=rocketmq),
        commit="c0ffee",
        versions={"rocketmq": rocketmq},
        exit_code=exit_code_of(kept),
        waited_s=2.0,
        worked_s=3.0,
        rows=kept,
    )


class FakeRunner:
    """Remembers what it was asked for; `verdicts` gives a guarantee another verdict than held."""

    def __init__(self, promised):
        self.promised = promised
        self.asked = []
        self.verdicts = {}
        self.fail = None

    def __call__(self, spec, guarantees):
        self.asked.append((spec.name, tuple(guarantees)))
        if self.fail is not None:
            raise self.fail
        names = guarantees or self.promised(spec)
        rows = tuple(row(n, self.verdicts.get(n, "held"), spec.topology, spec.rocketmq) for n in names)
        return Ran(0, Run(id="r", seed=1, started_utc="now", versions={"rocketmq": spec.rocketmq}), rows)
