"""The catalogue is whole, says what is known per release, and is what the documentation shows."""

from __future__ import annotations

import ast
import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.catalogue import build_catalogue, document, explain, load_catalogue
from harness.checkers.finders import FINDERS
from harness.checkers.judge import ALWAYS
from harness.checkers.metrics import METRICS
from harness.core.errors import UsageError
from harness.core.guarantee import VersionRange
from harness.core.version import Version
from harness.topology import known_topologies, load_topology

V4, V5, NEWEST = Version(4, 9, 7), Version(5, 3, 3), Version(5, 5, 0)
ROOT = Path(__file__).parents[2]
PLANNED_TOPOLOGIES = {"dledger-3", "controller-1m-2s"}


def test_no_guarantee_is_ever_dropped():
    promised = set((Path(__file__).parent / "ids.txt").read_text().split())
    assert promised <= set(load_catalogue().by_id)


def test_every_expectation_speaks_of_a_topology_that_promises_its_row():
    topologies = [load_topology(name) for name in known_topologies()]
    for row in load_catalogue().guarantees:
        for rule in row.rules:
            assert any(row.where.matches(t) and rule.where.matches(t) for t in topologies), (row.id, rule)


def test_every_row_is_promised_by_a_topology_that_can_be_had_or_is_planned():
    for row in load_catalogue().guarantees:
        some = any(row.promised(load_topology(name), NEWEST, upgrade=True) for name in known_topologies())
        assert some or row.where.text in PLANNED_TOPOLOGIES, row.id


def test_a_planted_control_says_why_the_product_has_none():
    for row in load_catalogue().guarantees:
        if row.control.kind == "planted":
            said = row.control.text.lower()
            assert any(word in said for word in ("no setting", "no switch", "has no", "never", "own way")), row.id


def test_a_control_of_the_product_is_run_by_every_suite_that_judges_the_row():
    """And the other way round: `explain` tells no other control than the one that the table shows."""
    for row in load_catalogue().guarantees:
        for path in row.scenarios:
            file, _, name = path.partition("::")
            found = [n for n in ast.parse((ROOT / file).read_text()).body if getattr(n, "name", "") == name]
            assert len(found) == 1, path
            runs = any(isinstance(n, ast.keyword) and n.arg == "control" for n in ast.walk(found[0]))
            assert runs is (row.control.kind == "product"), f"{row.id}: {row.control.kind}, {path}"


def test_rows_that_are_broken_say_where_that_was_read_or_seen():
    for row in load_catalogue().guarantees:
        for rule in row.rules:
            assert rule.expectation.source, row.id
            assert rule.expectation.reason, row.id


@pytest.mark.parametrize("row", [g for g in load_catalogue().guarantees if any(r.expectation.demands for r in g.rules)])
def test_demands_expected_to_be_violated_are_demanded_by_the_suite(row):
    files = [ROOT / path.partition("::")[0] for path in (*row.scenarios, *row.nightly)]
    code = "".join(path.read_text() for path in files)
    for name in (name for rule in row.rules for name in rule.expectation.demands):
        word = name.partition("(")[0].rpartition(".")[0] or name.partition("(")[0]
        always = word in {demand.anomaly for demand in ALWAYS}
        assert always or f'"{word}' in code, f"{row.id}: no demand of its suite is called {name}"
        if "." not in name:
            assert word in {*FINDERS, *METRICS}, name


def test_promised_follows_the_topology():
    catalogue = load_catalogue()
    single = {row.id for row in catalogue.promised(load_topology("1m"))}
    pair = {row.id for row in catalogue.promised(load_topology("2m-2s-sync"))}
    flushed = {row.id for row in catalogue.promised(load_topology("2m-2s-sync-syncflush"))}
    assert "single-master-outage-stops-service" in single - pair
    assert {"sync-master-ack-means-two-copies", "slave-is-readable", "rolling-restart-loses-nothing"} <= pair - single
    assert "async-flush-loses-only-a-tail" in pair - flushed
    assert {"sync-flush-survives-power-loss", "sync-sync-survives-double-power-cut"} <= flushed - pair


def test_a_stock_topology_promises_every_row_of_its_base():
    catalogue = load_catalogue()
    for base in ("2m-noslave", "2m-2s-async", "2m-2s-sync"):
        rows = {row.id for row in catalogue.promised(load_topology(base))}
        stock = {row.id for row in catalogue.promised(load_topology(f"{base}-stock"))}
        assert stock == rows | {"stock-config-keeps-the-promise"}


def test_an_upgrade_is_promised_only_with_two_versions():
    catalogue = load_catalogue()
    topology = load_topology("2m-2s-sync")
    without = {row.id for row in catalogue.promised(topology)}
    given = {row.id for row in catalogue.promised(topology, upgrade=True)}
    assert given - without == {
        "rolling-upgrade-loses-nothing",
        "rollback-half-way-loses-nothing",
        "rollback-loses-nothing",
        "upgrade-out-of-order-loses-nothing",
        "upgrade-keeps-what-is-in-flight",
    }
    single = {row.id for row in catalogue.promised(load_topology("1m"), upgrade=True)}
    assert "rolling-upgrade-loses-nothing" not in single


@pytest.mark.parametrize(
    ("row", "topology", "v4", "v5"),
    [
        ("sync-master-ack-means-two-copies", "2m-2s-sync-stock", "held", "broken"),
        ("sync-master-ack-means-two-copies", "2m-2s-sync", "held", "held"),
        ("sync-master-survives-disk-loss", "2m-2s-sync-stock", "held", "broken"),
        ("slave-is-readable", "2m-2s-sync-stock", "held", "broken"),
        ("slave-is-readable", "2m-2s-async-stock", "held", "broken"),
        ("slave-is-readable", "2m-2s-sync", "held", "held"),
        ("stock-config-keeps-the-promise", "2m-2s-sync-stock", "broken", "broken"),
        ("stock-config-keeps-the-promise", "2m-2s-async-stock", "broken", "broken"),
        ("stock-config-keeps-the-promise", "2m-noslave-stock", "held", "held"),
        ("eio-is-never-acknowledged", "2m-2s-sync-syncflush", "broken", "broken"),
        ("misnamed-slave-is-noticed", "2m-2s-sync", "broken", "broken"),
        ("process-kill-loses-nothing", "2m-2s-sync-stock", "held", "held"),
    ],
)
def test_expectations_per_release(row: str, topology: str, v4: str, v5: str):
    guarantee = load_catalogue().get(row)
    assert guarantee.expected(V4, load_topology(topology), 25, "java").verdict == v4
    assert guarantee.expected(V5, load_topology(topology), 25, "java").verdict == v5


def test_expectations_may_depend_on_the_client():
    guarantee = load_catalogue().get("non-ok-status-is-stored")
    topology = load_topology("2m-2s-sync")
    assert guarantee.expected(V5, topology, 25, "cpp").verdict == "broken"
    assert guarantee.expected(V5, topology, 25, "java").verdict == "held"


def test_expectations_may_depend_on_java():
    row = section(expected=[rule(java=[17])])
    guarantee = build_catalogue([row], {}).get("a-row")
    topology = load_topology("1m")
    assert guarantee.expected(V5, topology, 17).verdict == "broken"
    assert guarantee.expected(V5, topology, 25).verdict == "held"
    assert guarantee.expected(V5, topology, None).verdict == "held"


def test_the_first_rule_that_applies_wins():
    rules = [rule(versions=">=5.0.0,<5.2.0"), rule(verdict="held", why="mended in that release", versions=">=5.0.0")]
    guarantee = build_catalogue([section(expected=rules)], {}).get("a-row")
    topology = load_topology("1m")
    verdicts = [guarantee.expected(Version.parse(text), topology).verdict for text in ("4.9.7", "5.1.4", "5.2.0")]
    assert verdicts == ["held", "broken", "held"]
    assert guarantee.expected(Version(5, 3, 3), topology).reason == "mended in that release"


def test_a_release_that_is_too_old_promises_nothing():
    guarantee = build_catalogue([section(min_version="5.0.0")], {}).get("a-row")
    topology = load_topology("1m")
    assert not guarantee.promised(topology, V4)
    assert guarantee.promised(topology, V5)
    assert guarantee.promised(topology)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [("", "3.2.6", None), ("<=5.3.3", "5.3.3", "5.4.0"), (">4.9.7", "4.9.8", "4.9.7"), ("==5.1.4", "5.1.4", "5.1.5")],
)
def test_version_ranges(text: str, inside: str, outside: str | None):
    releases = VersionRange.parse(text)
    assert Version.parse(inside) in releases
    assert outside is None or Version.parse(outside) not in releases
    assert "5.1.4" not in releases


def test_a_wrong_version_range_is_refused():
    with pytest.raises(ValueError, match="no bound"):
        VersionRange.parse("5.0.0")


def test_explain_says_sources_expectations_test_and_control():
    said = explain("slave-is-readable")
    for part in ("deployment document 000", "Deployment.md s3", "broken for RocketMQ >=5.0.0", "control", "tested"):
        assert part in said
    assert "held: nothing is known against it\n" in explain("process-kill-loses-nothing")
    assert "and no suite here ever judged it" in explain("moved-store-serves-everything")


def test_every_row_can_be_explained():
    for row in load_catalogue().guarantees:
        assert row.promise in explain(row.id)


def test_an_unknown_guarantee_is_told_the_nearest():
    with pytest.raises(UsageError, match="did you mean slave-is-readable"):
        explain("slave-is-readble")
    with pytest.raises(UsageError, match="`rmq-harness explain` lists them"):
        explain("xyz")


def test_the_document_is_up_to_date():
    written = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    assert written == document(load_catalogue()), "run: python -m harness.catalogue > docs/guarantees.md"


def test_the_data_names_no_place_outside_the_repository():
    for path in (ROOT / "harness" / "catalogue").rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert "/work" not in text
        assert "http" not in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"surprise": 1}, "surprise"),
        ({"sources": ["D999"]}, "D999"),
        ({"where": "flush=MAYBE"}, "is no term"),
        ({"control": {"kind": "hopeful", "text": "long enough text"}}, "kind"),
        ({"expected": [{"verdict": "inconclusive", "why": "long enough text", "source": "somewhere"}]}, "verdict"),
        ({"timers": "fast"}, "timers"),
        ({"tested": ""}, "tested"),
    ],
)
def test_wrong_data_is_refused(change: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        build_catalogue([section(**change)], {})


def test_a_row_given_twice_is_refused():
    with pytest.raises(ValueError, match="a-row is in the catalogue twice"):
        build_catalogue([section(), copy.deepcopy(section())], {})


def section(**change: Any) -> dict[str, Any]:
    row = {
        "id": "a-row",
        "promise": "Something is promised.",
        "sources": ["RocketMQ docs: Feature.md s4"],
        "where": "all",
        "tested": "It is put to the test.",
        "control": {"kind": "product", "text": "It comes out the other way."},
    }
    return yaml.safe_load(yaml.safe_dump({"section": "A", "title": "One", "guarantees": [row | change]}))


def rule(**change: Any) -> dict[str, Any]:
    return {"verdict": "broken", "why": "known to be broken", "source": "RocketMQ source: somewhere"} | change
