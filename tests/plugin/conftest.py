"""The plugin in a pytest of its own, with machines, downloads and clusters replaced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

import harness.equip
import harness.plugin
import harness.prover
import harness.publish
from harness.catalogue import Catalogue, load_catalogue
from harness.core.errors import CapabilityMissing, HarnessError, SetupError
from harness.core.guarantee import Guarantee
from harness.core.verdict import Assumption, Check, Judgement, Verdict
from harness.core.version import Version
from harness.distribution import Jre, Release
from harness.evidence import write_json
from harness.judging import PlantedControl, ScenarioResult, result_json
from harness.lodging import Equipment
from harness.scenario import Scenario
from harness.settings import Settings
from harness.workloads.crew import ClientKit

ANY_BREAK = "unknown-keys-are-reported"
PLUGINS = [word for name in ("harness.plugin", "no:cacheprovider", "no:hypothesispytest") for word in ("-p", name)]

SUITE = '''
from harness.suite import *

@guarantee("process-kill-loses-nothing")
def test_kill(scenario):
    """A killed process loses nothing."""
    scenario(load=[produce()], demand=[forbid("lost")])
'''

CONTROLLED = '''
from harness.suite import *

@guarantee("process-kill-loses-nothing")
def test_kill(scenario):
    """A killed process loses nothing."""
    scenario(
        load=[produce()],
        demand=[forbid("lost")],
        control=scenario.control("worse", load=[produce()], demand=[forbid("lost")], why="it must lose"),
    )
'''


@dataclass
class Stub:
    """What scenarios come to, by name: a verdict, or an exception to raise. `kill` is SUITE's."""

    outcomes: dict[str, Any] = field(default_factory=dict)
    altered: set[str] = field(default_factory=set)
    """names of scenarios that break nothing but what is demanded of every history"""
    ran: list[str] = field(default_factory=list)
    planted: Verdict = Verdict.BROKEN
    settings: list[Settings] = field(default_factory=list)
    equipped: int = 0
    clusters: int = 0
    clients: tuple[str, ...] = ()
    equip_error: HarnessError | None = None
    judged: tuple[Guarantee, ...] = ()

    def equip(
        self,
        settings: Settings,
        say: Callable[[str], None],
        judged: Iterable[Guarantee],
        *,
        clusters: int = 1,
        run: Sequence[Settings] = (),
    ) -> Equipment:
        self.equipped += 1
        self.clients = tuple(dict.fromkeys(each.client for each in run))
        self.clusters = clusters
        self.judged = tuple(judged)
        if self.equip_error is not None:
            raise self.equip_error
        java = int(settings.java) if settings.java.isdecimal() else 25
        name = Path(settings.java).name
        jre = Jre(settings.java, java, name, "test", Path("/j"), Path("/j/java"), Path("/j/libjvm.so"))
        release = Release(settings.rocketmq, Version.parse(settings.rocketmq), (), {"broker.jar": "abc"})
        return Equipment(release, jre, ClientKit("java", "4.9.7", (), jre), {})

    def run(
        self, scenario: Scenario, settings: Settings, equipment: Equipment, directory: Path, say: Callable[[str], None]
    ) -> ScenarioResult:
        self.ran.append(scenario.name)
        self.settings.append(settings)
        outcome = self.outcomes.get(scenario.name, Verdict.HELD)
        if isinstance(outcome, BaseException):
            raise outcome
        trouble = ""
        if not isinstance(outcome, Verdict):
            outcome, trouble = Verdict.INCONCLUSIVE, outcome
        directory.mkdir(parents=True)
        write_json(directory / "scenario.json", scenario.model_dump(mode="json"))
        demanded = next((d.text() for d in scenario.rules.expectations), "0 lost")
        judgement = Judgement(
            outcome,
            trouble or f"the reason of {scenario.name}",
            (Assumption("load", True, "enough"),),
            (
                Check(demanded, outcome is not Verdict.BROKEN or scenario.name in self.altered, "0 of 9"),
                Check("0 altered", scenario.name not in self.altered, "1 altered of 9"),
            ),
            {"acked": 6000, "lost": 0},
        )
        write_json(directory / "judgement.json", asdict(judgement))
        planted = (PlantedControl(demanded, self.planted, "planted"),) if outcome is Verdict.HELD else ()
        result = ScenarioResult(scenario, directory, judgement, planted, trouble, {"load": 2.0})
        write_json(directory / "result.json", result_json(result))
        return result


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """As it is, but that the row `ANY_BREAK` may be broken by whichever of its demands."""
    real = load_catalogue()
    row = real.get(ANY_BREAK)
    rules = tuple(replace(rule, expectation=replace(rule.expectation, demands=())) for rule in row.rules)
    return replace(real, guarantees=tuple(replace(g, rules=rules) if g is row else g for g in real.guarantees))


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue) -> Stub:
    made = Stub()
    # Reading the catalogue takes longer than everything else of an inner run.
    monkeypatch.setattr(harness.plugin, "load_catalogue", lambda: catalogue)
    monkeypatch.setattr(harness.publish, "load_catalogue", lambda: catalogue)
    monkeypatch.setattr(harness.equip, "equip", made.equip)
    monkeypatch.setattr(harness.prover, "run_scenario", made.run)
    return made


@dataclass
class Ended:
    """How an inner run ended: exit code, everything printed, the directory of its reports."""

    code: int
    text: str
    directory: Path
    outcomes: Mapping[str, int]

    def __contains__(self, part: str) -> bool:
        return part in self.text

    @property
    def run(self) -> Path:
        return (self.directory / "reports" / "latest").resolve()

    def verdicts(self) -> dict[str, Any]:
        rows: dict[str, Any] = json.loads((self.run / "verdicts.json").read_text())
        return rows

    def row(self, guarantee: str = "process-kill-loses-nothing") -> dict[str, Any]:
        (row,) = (r for r in self.verdicts()["guarantees"] if r["id"] == guarantee)
        return dict(row)


Inner = Callable[..., Ended]


@pytest.fixture
def inner(pytester: pytest.Pytester, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Inner:
    """Runs a suite (SUITE) in this process, with `--topology=1m` unless `topology` is None."""
    for name in ("TOPOLOGY", "ROCKETMQ", "REPORTS", "GUARANTEE", "STRICT"):
        monkeypatch.delenv(f"RMQ_HARNESS_{name}", raising=False)

    def run(*options: str, suite: str = SUITE, topology: str | None = "1m") -> Ended:
        pytester.makepyfile(test_suite=suite)
        asked = [f"--topology={topology}"] if topology is not None else []
        result = pytester.runpytest_inprocess(*PLUGINS, *asked, *options, no_reraise_ctrlc=True)
        text = "\n".join([*result.outlines, *result.errlines])
        try:
            outcomes = result.parseoutcomes()
        except ValueError:
            outcomes = {}
        return Ended(int(result.ret), text, pytester.path, outcomes)

    return run


MISSING = CapabilityMissing("power-cut", "no root")
NO_DISK = SetupError("0.1 GiB are free where reports are stored; a run needs 2 GiB: free some")
