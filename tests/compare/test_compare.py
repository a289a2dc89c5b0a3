"""Two sides of stored runs: what comes out of them, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.bundle import bundle
from harness.cli import main
from harness.compare import compare, verdicts
from harness.core.errors import EvidenceError, UsageError
from harness.stored import checksums
from tests.compare.conftest import BROKEN, HELD, Make, edited

KILL = "process-kill-loses-nothing"


def put(base: Path, candidate: Path, tmp_path: Path) -> tuple[str, int, dict[str, Any]]:
    """The text, the code, and what is said of the row that was judged."""
    text, code = compare(base, candidate, tmp_path / "out", tmp_path / "state")
    document = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert document["exit_code"] == code
    assert "<script" not in (tmp_path / "out" / "signoff.html").read_text()
    return text, code, next(row for row in document["rows"] if row["key"][0] == KILL)


@pytest.mark.parametrize(
    ("base", "candidate", "outcome", "code"),
    [
        (HELD, HELD, "same", 0),
        (HELD, BROKEN, "worse", 1),
        (BROKEN, HELD, "better", 0),
        (BROKEN, BROKEN, "same", 0),
    ],
)
def test_verdicts(make: Make, tmp_path: Path, base: str, candidate: str, outcome: str, code: int) -> None:
    text, ended, row = put(make("a", base), make("b", candidate, "5.3.3"), tmp_path)
    assert (row["outcome"], ended) == (outcome, code), text
    assert "RocketMQ 4.9.7, 1 run" in text
    assert "1 promised row of neither side was tested" in text


def test_one_broken_run_of_many_is_worse(make: Make, tmp_path: Path) -> None:
    for n in range(3):
        make(f"base/{n}")
        make(f"candidate/{n}", BROKEN if n == 1 else HELD, "5.3.3")
    text, code, row = put(tmp_path / "base", tmp_path / "candidate", tmp_path)
    assert (row["outcome"], code) == ("worse", 1), text
    assert row["base"] == "held 3 times"
    assert row["candidate"] == "broken 1, held 2"


def test_of_what_is_broken_now_and_then_only_how_often_is_compared(make: Make, tmp_path: Path) -> None:
    """Broken in one of three and then in none: by chance as likely as not."""
    for n in range(3):
        make(f"base/{n}", BROKEN if n == 1 else HELD)
        make(f"candidate/{n}", release="5.3.3")
    _text, code, row = put(tmp_path / "base", tmp_path / "candidate", tmp_path)
    assert (row["outcome"], code) == ("same", 0)


def test_a_control_that_did_not_come_out_shows_nothing(make: Make, tmp_path: Path) -> None:
    """Held without proof is not held: nobody knows whether the candidate keeps what the base kept."""
    _text, code, row = put(make("a"), make("b", release="5.3.3", control=False), tmp_path)
    assert (row["outcome"], row["owed"], code) == ("not comparable", True, 6)


def test_what_only_the_candidate_shows_is_owed_by_nobody(make: Make, tmp_path: Path) -> None:
    _text, code, row = put(make("a", control=False), make("b", release="5.3.3"), tmp_path)
    assert (row["outcome"], row["owed"], code) == ("not comparable", False, 6), "nothing at all was compared"


def test_other_conditions_make_everything_incomparable(make: Make, tmp_path: Path) -> None:
    text, code, row = put(make("a"), make("b", release="5.3.3", java="17"), tmp_path)
    assert (row["outcome"], code) == ("not comparable", 6)
    assert "java 25 against 17" in text


def test_demands_that_the_base_met_and_the_candidate_does_not_are_worse(make: Make, tmp_path: Path) -> None:
    """Both are broken, and the candidate by more: here the base is held to less."""
    base, candidate = make("a", BROKEN), make("b", BROKEN, "5.3.3")
    assert put(base, candidate, tmp_path)[2]["outcome"] == "same"
    judged = verdicts.judge_directory

    def lenient(root: Path, *rest: Any, **more: Any) -> Any:
        judgement, planted = judged(root, *rest, **more)
        if root.is_relative_to(base):
            judgement = replace(judgement, checks=())
        return judgement, planted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verdicts, "judge_directory", lenient)
        _text, code, row = put(base, candidate, tmp_path)
    assert (row["outcome"], code) == ("worse", 1)
    assert "violates more than the base does: 1m/kill: 0 lost" in row["why"]


def test_an_edited_judgement_changes_nothing(make: Make, tmp_path: Path) -> None:
    """Nothing vouches for it, and so nothing is read from it."""
    base, candidate = make("a", BROKEN), make("b", BROKEN, "5.3.3")
    for run in (base, candidate):
        (run / "scenarios/1m/kill/judgement.json").write_text("{}")
    assert put(base, candidate, tmp_path)[1] == 0


def test_what_a_candidate_breaks_is_never_passed_over(make: Make, tmp_path: Path) -> None:
    """Also where the base shows nothing to compare it with: that is no word for it."""
    _text, code, row = put(make("a", control=False), make("b", BROKEN, "5.3.3"), tmp_path)
    assert (row["outcome"], row["owed"], code) == ("not comparable", True, 6)


@pytest.mark.parametrize(("good", "outcome", "code"), [(1, "not comparable", 6), (3, "same", 0)])
def test_a_side_that_was_mostly_inconclusive_shows_nothing(
    make: Make, tmp_path: Path, good: int, outcome: str, code: int
) -> None:
    for n in range(5):
        make(f"base/{n}")
        make(f"candidate/{n}", release="5.3.3", control=n < good)
    _text, ended, row = put(tmp_path / "base", tmp_path / "candidate", tmp_path)
    assert (row["outcome"], ended) == (outcome, code)


@pytest.mark.parametrize("lack", [{"missing": "network-cut"}, {"infrastructure": True}])
def test_what_held_as_far_as_it_could_be_looked_at_is_not_comparable(
    make: Make, tmp_path: Path, lack: dict[str, Any]
) -> None:
    def change(verdicts: dict[str, Any]) -> None:
        for row in verdicts["guarantees"]:
            if row["id"] == KILL:
                row.update(lack)

    edited(candidate := make("b", release="5.3.3"), change)
    _text, code, row = put(make("a"), candidate, tmp_path)
    assert (row["outcome"], row["owed"], code) == ("not comparable", True, 6)


def test_a_scenario_that_the_candidate_lacks_is_owed(make: Make, tmp_path: Path) -> None:
    def change(verdicts: dict[str, Any]) -> None:
        for row in verdicts["guarantees"]:
            row["scenarios"] += [{**scenario, "name": "1m/kill--control"} for scenario in row["scenarios"]]

    edited(base := make("a"), change)
    _text, code, row = put(base, make("b", release="5.3.3"), tmp_path)
    assert (row["outcome"], code) == ("not comparable", 6)
    assert "lacks 1m/kill--control" in row["why"]


def test_a_candidate_that_ended_worse_than_its_rows_is_told(make: Make, tmp_path: Path) -> None:
    candidate = make("b", release="5.3.3")
    document = json.loads((candidate / "run.json").read_text())
    document["session"]["exit_code"] = 1
    (candidate / "run.json").write_text(json.dumps(document))
    text, code, _row = put(make("a"), candidate, tmp_path)
    assert code == 6
    assert "b ended in 1, not by its rows" in text


def test_a_run_and_its_bundle_are_one(make: Make, tmp_path: Path) -> None:
    bundle(make("base/0"))
    with pytest.raises(UsageError, match="among the runs of base twice"):
        put(tmp_path / "base", make("b", release="5.3.3"), tmp_path)
    with pytest.raises(UsageError, match="is on both sides"):
        put(tmp_path / "b", tmp_path / "b", tmp_path)


def test_a_run_that_lies_deeper_is_not_left_out_in_silence(make: Make, tmp_path: Path) -> None:
    make("candidate/0", release="5.3.3")
    make("candidate/more/1", BROKEN, "5.3.3")
    with pytest.raises(UsageError, match="more is no run"):
        put(make("a"), tmp_path / "candidate", tmp_path)


def test_a_run_behind_a_link_counts(make: Make, tmp_path: Path) -> None:
    make("candidate/0", release="5.3.3")
    (tmp_path / "candidate" / "1").symlink_to(make("elsewhere", BROKEN, "5.3.3"))
    (tmp_path / "candidate" / "latest").symlink_to(tmp_path / "candidate" / "0")
    assert put(make("a"), tmp_path / "candidate", tmp_path)[1] == 1


def slower(make: Make, name: str, runs: int, release: str, latency_ms: float) -> None:
    for n in range(runs):

        def change(verdicts: dict[str, Any], at: float = latency_ms + n / 10) -> None:
            for row in verdicts["guarantees"]:
                for scenario in row["scenarios"]:
                    scenario["figures"] |= {"latency_p50_ms": at, "rto_max_s": "inf" if at > 100 else 0.5}

        edited(make(f"{name}/{n}", release=release), change)


@pytest.mark.parametrize(
    ("runs", "latency_ms", "outcome", "code"),
    [(5, 9.0, "worse", 1), (5, 2.1, "same", 0), (5, 0.1, "better", 0), (4, 9.0, "same", 0), (5, 200.0, "worse", 1)],
)
def test_figures_of_repeated_runs(
    make: Make, tmp_path: Path, runs: int, latency_ms: float, outcome: str, code: int
) -> None:
    """Worse if it is more than chance and more than anyone minds; four runs a side are too few to tell."""
    slower(make, "base", runs, "4.9.7", 2.0)
    slower(make, "candidate", runs, "5.3.3", latency_ms)
    text, ended, row = put(tmp_path / "base", tmp_path / "candidate", tmp_path)
    assert (row["outcome"], ended) == (outcome, code), text
    figure = next(f for f in row["figures"] if f["name"] == "latency_p50_ms")
    assert figure["shift"] == pytest.approx(latency_ms - 2.0)
    assert figure["low"] < figure["shift"] < figure["high"]


def test_figures_of_different_machines_are_not_judged(make: Make, tmp_path: Path) -> None:
    slower(make, "base", 5, "4.9.7", 2.0)
    slower(make, "candidate", 5, "5.3.3", 9.0)

    def change(verdicts: dict[str, Any]) -> None:
        verdicts["run"]["machine"]["cpus"] = 96

    edited(tmp_path / "candidate" / "0", change)
    document = json.loads((tmp_path / "candidate" / "0" / "run.json").read_text())
    document["machine"]["cpus"] = 96
    (tmp_path / "candidate" / "0" / "run.json").write_text(json.dumps(document))
    text, code, row = put(tmp_path / "base", tmp_path / "candidate", tmp_path)
    assert (row["outcome"], code) == ("same", 0)
    assert "figures are not judged: the runs were made on different machines (cpus)" in text


def other_load(run: Path) -> None:
    """Its scenarios were put to another load."""
    for path in run.rglob("scenario.json"):
        scenario = json.loads(path.read_text())
        path.write_text(json.dumps(scenario | {"load": [{"kind": "consume"}]}))
    document = json.loads((run / "run.json").read_text())
    document["session"]["evidence"] = checksums(run)
    (run / "run.json").write_text(json.dumps(document))


def test_figures_of_another_load_are_left_out_and_that_is_said(make: Make, tmp_path: Path) -> None:
    slower(make, "base", 5, "4.9.7", 2.0)
    slower(make, "candidate", 5, "5.3.3", 9.0)
    for n in range(5):
        other_load(tmp_path / "candidate" / str(n))
    _text, code, row = put(tmp_path / "base", tmp_path / "candidate", tmp_path)
    assert (row["outcome"], row["figures"], code) == ("same", [], 0)
    assert "figures of 1m/kill are not compared" in row["why"]


def test_one_run_of_another_load_is_refused(make: Make, tmp_path: Path) -> None:
    """Else it would take every figure of its side out of the comparison."""
    slower(make, "base", 5, "4.9.7", 2.0)
    slower(make, "candidate", 5, "5.3.3", 9.0)
    other_load(tmp_path / "candidate" / "3")
    with pytest.raises(UsageError, match="has another load or other demands in candidate-3"):
        put(tmp_path / "base", tmp_path / "candidate", tmp_path)


def test_a_figure_that_one_run_lacks_is_judged_by_the_others(make: Make, tmp_path: Path) -> None:
    slower(make, "base", 6, "4.9.7", 2.0)
    slower(make, "candidate", 6, "5.3.3", 9.0)

    def change(verdicts: dict[str, Any]) -> None:
        for row in verdicts["guarantees"]:
            for scenario in row["scenarios"]:
                del scenario["figures"]["latency_p50_ms"]

    edited(tmp_path / "candidate" / "0", change)
    assert put(tmp_path / "base", tmp_path / "candidate", tmp_path)[1] == 1


def test_a_share_of_sends_that_sinks_is_worse(make: Make, tmp_path: Path) -> None:
    """A tenth of all sends that fail is no tenth of anything that nobody minds."""
    for name, release, ratio in (("base", "4.9.7", 0.999), ("candidate", "5.3.3", 0.93)):
        for n in range(6):

            def change(verdicts: dict[str, Any], at: float = ratio - n / 10000) -> None:
                for row in verdicts["guarantees"]:
                    for scenario in row["scenarios"]:
                        scenario["figures"]["success_ratio"] = at

            edited(make(f"{name}/{n}", release=release), change)
    assert put(tmp_path / "base", tmp_path / "candidate", tmp_path)[1] == 1


def test_bundles_are_runs(make: Make, tmp_path: Path) -> None:
    (tmp_path / "bundles").mkdir()
    bundle(make("a"), tmp_path / "bundles" / "a.tar.gz")
    _text, code, row = put(tmp_path / "bundles" / "a.tar.gz", make("b", release="5.3.3"), tmp_path)
    assert (row["outcome"], code) == ("same", 0)
    assert put(tmp_path / "bundles", tmp_path / "b", tmp_path)[1] == 0


def test_what_was_edited_is_not_compared(make: Make, tmp_path: Path) -> None:
    candidate = make("b", BROKEN, "5.3.3")
    text = (candidate / "verdicts.json").read_text()
    (candidate / "verdicts.json").write_text(text.replace('"broken"', '"held"'))
    with pytest.raises(EvidenceError, match="changed after the run"):
        put(make("a"), candidate, tmp_path)
    assert not (tmp_path / "out").exists()


def test_what_was_cut_short_is_not_compared(make: Make, tmp_path: Path) -> None:
    candidate = make("b", release="5.3.3")
    document = json.loads((candidate / "run.json").read_text())
    document["ended_utc"] = ""
    (candidate / "run.json").write_text(json.dumps(document))
    (candidate / "verdicts.json").unlink()
    with pytest.raises(EvidenceError, match="was cut short"):
        put(make("a"), candidate, tmp_path)


def test_a_side_is_one_release(make: Make, tmp_path: Path) -> None:
    make("base/0")
    make("base/1", release="5.3.3")
    with pytest.raises(UsageError, match=r"not of one kind: release 4\.9\.7 in .*, 5\.3\.3 in "):
        put(tmp_path / "base", make("b", release="5.3.3"), tmp_path)


@pytest.mark.parametrize("place", ["nowhere", "empty"])
def test_a_place_without_runs_is_named(make: Make, tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=place):
        put(tmp_path / place, make("b"), tmp_path)


def test_evidence_is_not_written_to(make: Make, tmp_path: Path) -> None:
    base = make("a")
    with pytest.raises(UsageError, match="lies in what is compared"):
        compare(base, make("b", release="5.3.3"), base / "out", tmp_path / "state")


def test_the_page_leads_to_each_run_and_says_how_it_came_out(make: Make, tmp_path: Path) -> None:
    base, candidate = make("runs/a"), make("runs/b", BROKEN, "5.3.3")
    out = tmp_path / "signed"
    compare(base, candidate, out, tmp_path / "state")
    page = (out / "signoff.html").read_text()
    (found,) = re.findall(
        r'candidate <a href="([^"#]+)#(g\d+)">runs-b</a>: broken, 1 lost of [^<]*', page.replace("\u00a0", " ")
    )
    report = out / found[0]
    assert report.resolve() == candidate / "report.html"
    assert re.search(rf'id="{found[1]}"[^>]*>\s*<header><h3[^>]*>[^<]*{KILL}', report.read_text())


def test_what_came_as_a_bundle_is_told_without_a_link(make: Make, tmp_path: Path) -> None:
    bundle(make("a"), tmp_path / "a.tar.gz")
    compare(tmp_path / "a.tar.gz", make("b", release="5.3.3"), tmp_path / "out", tmp_path / "state")
    page = (tmp_path / "out" / "signoff.html").read_text()
    assert "base a: held" in page
    assert '<a href="../b/report.html#g0">b</a>: held' in page


def test_the_command(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base, candidate = make("a"), make("b", BROKEN, "5.3.3")
    monkeypatch.chdir(tmp_path)
    assert main(["compare", str(base), str(candidate)]) == 1
    assert "1 worse" in capsys.readouterr().out
    assert (tmp_path / "reports" / "signoff-a-b" / "signoff.html").is_file()


def retold(run: Path, **told: str) -> None:
    """Another word about a run, in both of its files."""
    edited(run, lambda verdicts: verdicts["run"].update(told))
    document = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(document | told))


def test_runs_that_were_not_made_in_turn_say_nothing_of_figures(make: Make, tmp_path: Path) -> None:
    """All of the base and then all of the candidate: a machine that changed in between looks like the release."""
    slower(make, "base", 5, "4.9.7", 2.0)
    slower(make, "candidate", 5, "5.3.3", 9.0)
    for n in range(5):
        retold(tmp_path / "candidate" / str(n), started_utc=f"2026-11-30T11:0{n}:00+00:00")
    text, code, row = put(tmp_path / "base", tmp_path / "candidate", tmp_path)
    assert (row["outcome"], code) == ("same", 0)
    assert "were not made in turn" in text
    assert "Of the figures none was judged" in (tmp_path / "out" / "signoff.html").read_text()


def test_a_figure_that_few_runs_have_hides_no_other(make: Make, tmp_path: Path) -> None:
    slower(make, "base", 6, "4.9.7", 2.0)
    slower(make, "candidate", 6, "5.3.3", 9.0)
    for side in ("base", "candidate"):
        for n in range(2):

            def change(verdicts: dict[str, Any], at: int = n) -> None:
                for row in verdicts["guarantees"]:
                    for scenario in row["scenarios"]:
                        scenario["figures"]["lag_p99_ms"] = "inf" if at else 10.0

            edited(tmp_path / side / str(n), change)
    assert put(tmp_path / "base", tmp_path / "candidate", tmp_path)[1] == 1


def test_another_shape_of_a_topology_is_not_comparable(make: Make, tmp_path: Path) -> None:
    candidate = make("b", release="5.3.3")
    document = json.loads((candidate / "run.json").read_text())
    document["session"]["topologies"]["1m"]["topology"]["nameservers"] = 2
    (candidate / "run.json").write_text(json.dumps(document))
    _text, code, row = put(make("a"), candidate, tmp_path)
    assert (row["outcome"], code) == ("not comparable", 6)
    assert "is not the same cluster on both sides: nameservers" in row["why"]


def test_what_is_expected_to_be_broken_on_both_sides_may_hold_once(make: Make, tmp_path: Path) -> None:
    def known(verdicts: dict[str, Any]) -> None:
        for row in verdicts["guarantees"]:
            row.update(known="it is a race", expected="broken")

    for name, golden, release in (("a", HELD, "4.9.7"), ("b", BROKEN, "5.3.3")):
        edited(make(name, golden, release), known)
    _text, _code, row = put(tmp_path / "a", tmp_path / "b", tmp_path)
    assert row["outcome"] == "same"


def test_the_run_of_an_upgrade_is_of_no_release(make: Make, tmp_path: Path) -> None:
    candidate = make("b", release="5.3.3")
    for name in ("verdicts.json", "run.json"):
        document = json.loads((candidate / name).read_text())
        (document["run"] if name == "verdicts.json" else document)["options"]["upgrade_to"] = "5.5.0"
        (candidate / name).write_text(json.dumps(document))
    edited(candidate, lambda _verdicts: None)
    with pytest.raises(UsageError, match="moved nodes from one release to another"):
        put(make("a"), candidate, tmp_path)


def repeat(run: Path, latencies_ms: tuple[float, ...], lost: int | None = None) -> None:
    """As if `--repeat` had run its scenario that often."""
    root = run / "scenarios/1m/kill"
    for n in range(2, len(latencies_ms) + 1):
        shutil.copytree(root, root.with_name(f"kill-repeat-{n}"))

    def change(verdicts: dict[str, Any]) -> None:
        for row in verdicts["guarantees"]:
            for scenario in list(row["scenarios"]):
                row["scenarios"] = [
                    scenario
                    | {"name": scenario["name"] + f"-repeat-{n}" * (n > 1), "repetition": n}
                    | {"figures": {"latency_p50_ms": at, "lost": n if lost is None else lost}}
                    for n, at in enumerate(latencies_ms, 1)
                ]

    edited(run, change)
    document = json.loads((run / "run.json").read_text())
    document["session"]["evidence"] = checksums(run)
    (run / "run.json").write_text(json.dumps(document))


def test_repetitions_are_one_value_of_their_run(make: Make, tmp_path: Path) -> None:
    """Their median, or the mean of what was lost: what was measured within a run is no sample of runs."""
    repeat(make("base/0", release="4.9.7"), (2.0,))
    repeat(make("candidate/0", release="5.3.3"), (3.0, 90.0, 1.0))
    _text, _code, row = put(tmp_path / "base", tmp_path / "candidate", tmp_path)
    values = {figure["name"]: (figure["base"], figure["candidate"]) for figure in row["figures"]}
    assert values == {"latency_p50_ms": ([2.0], [3.0]), "lost": ([1.0], [2.0])}
    assert row["outcome"] == "same"


@pytest.mark.parametrize(
    ("runs", "figure", "later_s", "outcome"),
    [
        (5, "rerouted_s", 4.0, "worse"),
        (5, "rerouted_s", 0.1, "same"),
        (4, "rerouted_s", 4.0, "not comparable"),
        (5, "latency_p50_ms", 0.0, "not comparable"),
    ],
)
def test_a_promise_of_how_much_is_compared_by_its_stages(
    make: Make, tmp_path: Path, runs: int, figure: str, later_s: float, outcome: str
) -> None:
    """Nothing is said of one by figures that it does not promise, nor by too few runs."""
    for name, release, by in (("base", "4.9.7", 0.0), ("candidate", "5.3.3", later_s)):
        for n in range(runs):

            def change(verdicts: dict[str, Any], at: float = 1.0 + by + n / 50) -> None:
                for row in verdicts["guarantees"]:
                    row["figure"] = True
                    for scenario in row["scenarios"]:
                        scenario["figures"] |= {figure: at}

            edited(make(f"{name}/{n}", release=release), change)
    text, _code, row = put(tmp_path / "base", tmp_path / "candidate", tmp_path)
    assert row["outcome"] == outcome, text


def repeated(run: Path, broken: int, of: int) -> Path:
    """As if `--repeat of` had run its scenario, and so many of them had come out as it did."""

    def change(verdicts: dict[str, Any]) -> None:
        verdicts["run"]["options"]["repeat"] = of
        row = verdicts["guarantees"][0]
        assert (row["verdict"] == "broken") is bool(broken)
        row["repeats"] = {"held": of - broken, "broken": broken, "inconclusive": 0, "not_tested": 0}
        for scenario in row["scenarios"]:
            scenario["figures"] = {}  # the two histories have others, which would be told

    edited(run, change)
    document = json.loads((run / "run.json").read_text())
    document["options"]["repeat"] = of
    (run / "run.json").write_text(json.dumps(document))
    return run


@pytest.mark.parametrize(
    ("base", "candidate", "outcome"),
    [
        # Broken now and then on both sides; whether a run has it depends on how many repetitions it has.
        (((0, 1), (0, 1), (1, 1), (0, 1), (0, 1)), ((3, 30),) * 5, "same"),
        (((2, 30),) * 5, ((0, 1),) * 5, "same"),
        (((1, 30),) * 5, ((20, 30),) * 5, "worse"),
        (((20, 30),) * 5, ((1, 30),) * 5, "better"),
        (((30, 30),), ((0, 30),), "better"),
        (((1, 30),), ((0, 30),), "same"),
        (((0, 30),), ((1, 30),), "worse"),
    ],
)
def test_how_often_is_counted_by_repetitions(
    make: Make, tmp_path: Path, base: Any, candidate: Any, outcome: str
) -> None:
    for name, release, each in (("base", "4.9.7", base), ("candidate", "5.3.3", candidate)):
        for n, (broken, of) in enumerate(each):
            repeated(make(f"{name}/{n}", BROKEN if broken else HELD, release), broken, of)
    text, _code, row = put(tmp_path / "base", tmp_path / "candidate", tmp_path)
    assert row["outcome"] == outcome, text


def test_more_repetitions_do_not_lose_more(make: Make, tmp_path: Path) -> None:
    for n in range(5):
        repeat(make(f"base/{n}", release="4.9.7"), (2.0,), lost=100 + n)
        repeat(make(f"candidate/{n}", release="5.3.3"), (2.0,) * 4, lost=100 + n)
    text, _code, row = put(tmp_path / "base", tmp_path / "candidate", tmp_path)
    assert row["outcome"] == "same", text


def test_a_load_is_known_by_whichever_repetition_there_is(make: Make, tmp_path: Path) -> None:
    """Of a candidate that lacks the first one, the load is that of the others."""
    for n in range(5):
        repeat(make(f"base/{n}", release="4.9.7"), (2.0,))
        repeat(make(f"candidate/{n}", release="5.3.3"), (9.0, 9.0))
        other_load(tmp_path / "candidate" / str(n))

        def without_first(verdicts: dict[str, Any]) -> None:
            for row in verdicts["guarantees"]:
                row["scenarios"] = row["scenarios"][1:]

        edited(tmp_path / "candidate" / str(n), without_first)
    _text, _code, row = put(tmp_path / "base", tmp_path / "candidate", tmp_path)
    assert (row["outcome"], row["figures"]) == ("same", [])
    assert "figures of 1m/kill are not compared" in row["why"]


@pytest.mark.parametrize(
    ("shown_in", "outcome", "owed"), [(5, "same", False), (3, "not comparable", True), (0, "not comparable", True)]
)
def test_a_stage_that_the_candidate_does_not_show_is_owed(
    make: Make, tmp_path: Path, shown_in: int, outcome: str, owed: bool
) -> None:
    """That another one was judged says nothing of it."""
    for name, release in (("base", "4.9.7"), ("candidate", "5.3.3")):
        for n in range(5):
            both = name == "base" or n < shown_in

            def change(verdicts: dict[str, Any], at: float = 1.0 + n / 50, both: bool = both) -> None:
                for row in verdicts["guarantees"]:
                    row["figure"] = True
                    for scenario in row["scenarios"]:
                        scenario["figures"] = {"dropped_s": at} | ({"first_ok_s": at} if both else {})

            edited(make(f"{name}/{n}", release=release), change)
    text, _code, row = put(tmp_path / "base", tmp_path / "candidate", tmp_path)
    assert (row["outcome"], row["owed"]) == (outcome, owed), text
    assert ("first_ok_s" in row["why"]) is (row["outcome"] != "same")


@pytest.mark.parametrize(("unexpected", "outcome"), [([], "same"), (["0 lost"], "worse")])
def test_what_shows_itself_now_and_then_may_do_so_on_one_side(
    make: Make, tmp_path: Path, unexpected: list[str], outcome: str
) -> None:
    why = "a power cut may tear the newest message"

    def may(verdicts: dict[str, Any]) -> None:
        for row in verdicts["guarantees"]:
            row["sometimes"] = why

    def did(verdicts: dict[str, Any]) -> None:
        may(verdicts)
        for row in verdicts["guarantees"]:
            if row["verdict"] == "broken":
                row |= {"known": why, "expected": "broken"}
                for scenario in row["scenarios"]:
                    scenario["unexpected"] = unexpected

    edited(make("base"), may)
    edited(make("candidate", BROKEN, "5.3.3"), did)
    text, _code, row = put(tmp_path / "base", tmp_path / "candidate", tmp_path)
    assert row["outcome"] == outcome, text


@pytest.mark.parametrize(("ours", "theirs"), [(7, 4), (4, 7), (1, 1)])
def test_with_fewer_than_five_runs_of_one_side_no_figure_is_called_different(
    make: Make, tmp_path: Path, ours: int, theirs: int
) -> None:
    """Also where it would be unlikely enough: and that nothing but verdicts was compared stands in the line."""
    slower(make, "base", ours, "4.9.7", 2.0)
    slower(make, "candidate", theirs, "5.3.3", 9.0)
    text, code, row = put(tmp_path / "base", tmp_path / "candidate", tmp_path)
    assert (row["outcome"], code) == ("same", 0)
    assert {figure["outcome"] for figure in row["figures"]} == {"not judged"}
    assert "by verdicts alone, for none of" in text
    assert "by verdicts alone, for none of" in (tmp_path / "out" / "signoff.html").read_text()


def test_judged_anew_both_sides_are_judged_by_the_same_checks(make: Make, tmp_path: Path) -> None:
    """What was stored by checks that knew less, or more, is not what decides then."""

    def as_if_broken(verdicts: dict[str, Any]) -> None:
        for row in verdicts["guarantees"]:
            if row["id"] == KILL:
                row |= {"verdict": "broken", "reason": "1 lost of 36"}

    edited(make("candidate", release="5.3.3"), as_if_broken)
    make("base")
    assert put(tmp_path / "base", tmp_path / "candidate", tmp_path)[2]["outcome"] == "worse"
    text, code = compare(tmp_path / "base", tmp_path / "candidate", tmp_path / "out", tmp_path / "state", anew=True)
    assert "1 same of 1" in text
    assert code == 0
    assert "judged anew from its histories" in (tmp_path / "out" / "signoff.html").read_text()


def test_judged_anew_a_violation_is_found_whatever_was_stored(make: Make, tmp_path: Path) -> None:
    def as_if_held(verdicts: dict[str, Any]) -> None:
        for row in verdicts["guarantees"]:
            if row["id"] == KILL:
                row |= {"verdict": "held", "reason": ""}

    edited(make("candidate", BROKEN, "5.3.3"), as_if_held)
    make("base")
    assert compare(tmp_path / "base", tmp_path / "candidate", tmp_path / "out", tmp_path / "state", anew=True)[1] == 1
