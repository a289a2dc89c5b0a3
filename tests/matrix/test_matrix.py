"""What is run, what is left alone, and what an interruption leaves."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.catalogue import load_catalogue
from harness.core.errors import SetupError
from harness.core.verdict import Verdict
from harness.core.version import Version
from harness.matrix import Matrix, crossed, drive
from harness.matrix.cells import read_cell, write_cell
from harness.matrix.digest import Digests, of_promise, without_words
from harness.stock import STOCK_ROW
from harness.topology import load_topology
from tests.matrix.fakes import FakeRunner

ROOT = Path(__file__).parents[2]
SPECS = crossed(["1m"], ["4.9.7", "5.3.3"])
ONE = "single-master-outage-stops-service"


def promised(spec):
    return [g.id for g in load_catalogue().promised(load_topology(spec.topology), Version.parse(spec.rocketmq))]


@pytest.fixture
def tree(tmp_path):
    """A tree as small as one can be: one file of the harness, one helper and two suites."""
    root = tmp_path / "tree"
    for path, text in {
        "harness/checkers/judge.py": "LIMIT = 1\n",
        "harness/cli.py": "WORDS = 1\n",
        "harness/distribution/locks/rocketmq-4.9.7.lock": "{}",
        "suites/helper.py": "RATE = 600\n",
        "suites/availability/test_a.py": f'@guarantee("{ONE}")\ndef test_a(scenario):\n    """So."""\n    scenario()\n',
        "suites/availability/test_b.py": '@guarantee("none-of-these")\ndef test_b(scenario):\n    scenario()\n',
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.fixture
def runner():
    return FakeRunner(promised)


@pytest.fixture
def make(tree, runner, tmp_path):
    said = []

    def new(**more):
        return Matrix(tree, tmp_path / "results", runner, said.append, **more)

    new.said = said
    new.cells = tmp_path / "results" / "cells"
    return new


def test_everything_is_run_once_and_then_left_alone(make, runner):
    assert make().run(SPECS) == 0
    assert runner.asked == [("1m-4.9.7", (ONE,)), ("1m-5.3.3", (ONE,))]
    runner.asked.clear()
    assert make().run(SPECS) == 0
    assert runner.asked == []


def test_an_interrupted_run_resumes_at_the_cell_it_was_in(make, runner):
    make().run(SPECS[:1])
    runner.asked.clear()
    runner.fail = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        make().run(SPECS)
    assert [p.name for p in make.cells.iterdir()] == ["1m-4.9.7.json"]
    runner.fail = None
    runner.asked.clear()
    make().run(SPECS)
    assert runner.asked == [("1m-5.3.3", (ONE,))]


def test_an_interrupted_cell_keeps_the_suite_files_that_had_ended(make, runner, tree):
    other = "process-kill-loses-nothing"
    edit(tree, "suites/availability/test_z.py", f'@guarantee("{other}")\ndef test_z(scenario):\n    scenario()\n')

    def second_fails(spec, guarantees, real=runner.__call__):
        if other in guarantees:
            raise KeyboardInterrupt
        return real(spec, guarantees)

    matrix = make()
    matrix.run_suites = second_fails
    with pytest.raises(KeyboardInterrupt):
        matrix.run(SPECS[:1])
    half = read_cell(make.cells / "1m-4.9.7.json")
    assert half.by_id[ONE].verdict is Verdict.HELD
    assert half.by_id[other].verdict is Verdict.NOT_TESTED
    assert "interrupted" in half.by_id[other].reason
    assert half.exit_code == 6, "a cell that is not whole is not as expected"
    runner.asked.clear()
    assert make().run(SPECS[:1]) == 0
    assert runner.asked == [("1m-4.9.7", (other,))]
    assert {r.verdict for r in read_cell(make.cells / "1m-4.9.7.json").rows if r.id in (ONE, other)} == {Verdict.HELD}


def test_a_suite_function_that_broke_off_is_not_as_expected_and_is_run_again(make, runner):
    runner.verdicts[ONE] = "not-tested"
    assert make().run(SPECS[:1]) == 6
    assert read_cell(make.cells / "1m-4.9.7.json").exit_code == 6
    runner.verdicts.clear()
    runner.asked.clear()
    assert make().run(SPECS[:1]) == 0
    assert runner.asked == [("1m-4.9.7", (ONE,))]


@pytest.mark.parametrize("before", [False, True])
def test_a_row_that_did_not_come_back_is_not_reached(make, runner, tree, before):
    if before:
        make().run(SPECS[:1])
        edit(tree, "suites/helper.py", "RATE = 2\n")
    matrix = make()

    def silent(spec, guarantees, real=runner.__call__):
        return replace(real(spec, guarantees), rows=())

    matrix.run_suites = silent
    assert matrix.run(SPECS[:1]) == 6
    stored = read_cell(make.cells / "1m-4.9.7.json")
    assert len(stored.rows) == len(promised(SPECS[0]))
    assert stored.by_id[ONE].verdict is Verdict.NOT_TESTED
    assert "without a word" in stored.by_id[ONE].reason
    assert ONE in make().todo(SPECS[0]).why


def test_a_stock_cell_is_run_in_one_piece(make, runner, tree):
    """Its row of the shipped configuration is made of all the others of the same run."""
    rows = ("sync-master-ack-means-two-copies", "slave-is-readable")
    for n, name in enumerate(rows):
        edit(tree, f"suites/test_{n}.py", f'@guarantee("{name}")\ndef test_it(scenario):\n    scenario()\n')
    make().run(crossed(["2m-2s-sync-stock"], ["5.3.3"]))
    assert runner.asked == [("2m-2s-sync-stock-5.3.3", ())]


def test_a_stock_row_is_as_stale_as_what_it_is_made_of(make, runner, tree):
    spec = crossed(["2m-2s-sync-stock"], ["5.3.3"])
    edit(tree, "suites/test_0.py", '@guarantee("slave-is-readable")\ndef test_it(scenario):\n    scenario()\n')
    before = Digests(tree).of_cell(spec[0])
    edit(tree, "suites/test_0.py", '@guarantee("slave-is-readable")\ndef test_it(scenario):\n    scenario(1)\n')
    after = Digests(tree).of_cell(spec[0])
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"slave-is-readable", STOCK_ROW}


def test_a_stale_stock_row_has_its_parts_run_again(make, runner, tree):
    edit(tree, "suites/test_0.py", '@guarantee("slave-is-readable")\ndef test_it(scenario):\n    scenario()\n')
    spec = crossed(["2m-2s-sync-stock"], ["5.3.3"])
    make().run(spec)
    path = make.cells / "2m-2s-sync-stock-5.3.3.json"
    cell = json.loads(path.read_text())
    next(row for row in cell["rows"] if row["id"] == STOCK_ROW)["inputs"]["promise"] = "another"
    path.write_text(json.dumps(cell))
    runner.asked.clear()
    make().run(spec)
    assert runner.asked == [("2m-2s-sync-stock-5.3.3", (STOCK_ROW,))]


def test_a_cell_that_failed_leaves_nothing_and_does_not_stop_the_others(make, runner, monkeypatch):
    def once(spec, guarantees, real=runner.__call__):
        if spec.rocketmq == "4.9.7":
            raise SetupError("no release")
        return real(spec, guarantees)

    matrix = make()
    matrix.run_suites = once
    assert matrix.run(SPECS) == 6
    assert [p.name for p in make.cells.iterdir()] == ["1m-5.3.3.json"]
    assert "not all of it is stored: no release" in "\n".join(make.said)


def edit(tree, name, text):
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text(text)


def test_a_changed_suite_makes_only_what_it_judges_stale(make, runner, tree):
    make().run(SPECS[:1])
    before = read_cell(make.cells / "1m-4.9.7.json")
    runner.asked.clear()
    edit(tree, "suites/availability/test_a.py", f'@guarantee("{ONE}")\ndef test_a(scenario):\n    scenario(1)\n')
    runner.verdicts[ONE] = "broken"
    assert make().run(SPECS[:1]) == 1
    assert runner.asked == [("1m-4.9.7", (ONE,))]
    after = read_cell(make.cells / "1m-4.9.7.json")
    assert after.by_id[ONE].verdict is Verdict.BROKEN
    assert [r for r in after.rows if r.id != ONE] == [r for r in before.rows if r.id != ONE]
    assert after.exit_code == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("harness/checkers/judge.py", "LIMIT = 2\n"),
        ("harness/wire.py", "NEW = 1\n"),
        ("harness/plugin/outcomes.py", "NEW = 1\n"),
        ("suites/helper.py", "RATE = 700\n"),
        ("harness/distribution/locks/rocketmq-4.9.7.lock", '{"other": 1}'),
    ],
)
def test_what_every_verdict_depends_on_makes_all_of_it_stale(make, runner, tree, name, text):
    make().run(SPECS[:1])
    runner.asked.clear()
    edit(tree, name, text)
    make().run(SPECS[:1])
    assert runner.asked == [("1m-4.9.7", (ONE,))]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("harness/checkers/judge.py", '"""What it does."""\n\n# why\nLIMIT = 1\n'),
        ("harness/cli.py", "WORDS = 2\n"),
        ("harness/report/html.py", "STYLE = 1\n"),
        ("harness/plugin/sidebyside.py", "MOST = 2\n"),
        ("docs.md", "words"),
        ("tests/test_x.py", "x = 1\n"),
        ("harness/distribution/locks/rocketmq-5.3.3.lock", "{}"),
        (
            "suites/availability/test_a.py",
            f'@guarantee("{ONE}")\ndef test_a(scenario):\n    """Or so."""\n    scenario()\n',
        ),
    ],
)
def test_words_tests_and_other_releases_make_nothing_stale(make, runner, tree, name, text):
    make().run(SPECS[:1])
    runner.asked.clear()
    edit(tree, name, text)
    make().run(SPECS[:1])
    assert runner.asked == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('"""Words."""; LIMIT = 1\n', '"""Words."""; LIMIT = 2\n'),
        ('def f():\n    """Words."""; return 1\n', 'def f():\n    """Words."""; return 2\n'),
        ('class A:\n    x = 1; """of x"""\n', 'class A:\n    x = 2; """of x"""\n'),
        ("x = 1\n", "x = True\n"),
        ("x = None\n", "x = ...\n"),
        ('x = """\n# a\n"""\n', 'x = """\n# b\n"""\n'),
        ("x = {**a, 'b': 1}\n", "x = {a: 1, 'b': 1}\n"),
        ("if a:\n    b()\nc()\n", "if a:\n    b()\n    c()\n"),
        ("broken = (\n", "broken = [\n"),
    ],
)
def test_what_a_run_can_notice_makes_another_digest(one, other):
    assert without_words(one) != without_words(other)


@pytest.mark.parametrize(
    "words",
    [
        'def f(a, b):\n    """So."""\n    return a + b\n',
        "def f(a, b):  # why\n\n    # how\n    return (\n        a + b  # what\n    )\n",
        "def f(a, b):\n    'so'; return a + b\n",
    ],
)
def test_words_and_layout_make_none(words):
    assert without_words(words) == without_words("def f(a, b):\n    return a + b\n")


def test_a_new_suite_makes_the_row_that_nothing_reached_stale(make, runner, tree):
    make().run(SPECS[:1])
    runner.asked.clear()
    other = promised(SPECS[0])[-1]
    edit(tree, "suites/test_new.py", f'@suite.guarantee("{other}")\ndef test_new(scenario):\n    scenario()\n')
    make().run(SPECS[:1])
    assert runner.asked == [("1m-4.9.7", (other,))]


LONG = "process-kill-loses-nothing"


@pytest.fixture
def long_suite(tree):
    path = tree / "suites-nightly" / "test_c.py"
    path.parent.mkdir()
    path.write_text(f'@guarantee("{LONG}")\ndef test_c(scenario):\n    scenario()\n')
    return path


def test_what_only_long_suites_judge_is_run_when_asked_for(make, runner, long_suite):
    assert make().run(SPECS[:1]) == 0
    before = read_cell(make.cells / "1m-4.9.7.json").by_id[LONG]
    assert before.verdict is Verdict.NOT_TESTED
    assert before.reason == drive.FOR_LONG
    assert runner.asked == [("1m-4.9.7", (ONE,))]
    assert make(long=True).run(SPECS[:1]) == 0
    assert runner.asked[1:] == [("1m-4.9.7", (LONG,))]
    assert read_cell(make.cells / "1m-4.9.7.json").by_id[LONG].verdict is Verdict.HELD


def test_what_long_suites_found_stays_and_is_told_when_stale(make, runner, long_suite):
    make(long=True).run(SPECS[:1])
    long_suite.write_text(long_suite.read_text() + "\nMORE = 1\n")
    runner.asked.clear()
    assert make().run(SPECS[:1]) == 0
    assert runner.asked == []
    assert "| 1m-4.9.7 |  | 1 |" in (make.cells.parent / "matrix.md").read_text()
    assert make(long=True).todo(SPECS[0]).why == {LONG: "stale: suites changed"}


def test_a_row_that_long_suites_were_not_run_for_is_not_stale(make, runner, long_suite):
    make().run(SPECS[:1])
    long_suite.write_text(long_suite.read_text() + "\nMORE = 1\n")
    make().run(SPECS[:1])
    assert "| 1m-4.9.7 |  | 0 |" in (make.cells.parent / "matrix.md").read_text()


def test_fresh_leaves_what_long_suites_found(make, runner, long_suite):
    make(long=True).run(SPECS[:1])
    make(fresh=True).run(SPECS[:1])
    assert read_cell(make.cells / "1m-4.9.7.json").by_id[LONG].verdict is Verdict.HELD
    runner.asked.clear()
    make(fresh=True, long=True).run(SPECS[:1])
    assert {name for _, names in runner.asked for name in names} == {ONE, LONG}


STOCK_PART = "nameservers-share-nothing"


@pytest.fixture
def stock(tree):
    edit(tree, "suites/test_0.py", '@guarantee("slave-is-readable")\ndef test_it(scenario):\n    scenario()\n')
    edit(tree, "suites-nightly/test_1.py", f'@guarantee("{STOCK_PART}")\ndef test_it(scenario):\n    scenario()\n')
    return crossed(["2m-2s-sync-stock"], ["5.3.3"])


def test_a_stock_cell_keeps_what_long_suites_found_of_its_parts(make, runner, tree, stock):
    make(long=True).run(stock)
    edit(tree, "harness/checkers/judge.py", "LIMIT = 2\n")
    # A run for the row of the shipped configuration tells of every part, also of those that it had no suite for.
    runner.verdicts = {STOCK_PART: "not-tested"}
    assert make().run(stock) == 0
    assert read_cell(make.cells / "2m-2s-sync-stock-5.3.3.json").by_id[STOCK_PART].verdict is Verdict.HELD


def test_the_row_of_the_shipped_files_is_made_anew_with_parts_that_only_long_suites_judge(make, runner, stock):
    make().run(stock)
    assert set(make(long=True).todo(stock[0]).why) == {STOCK_PART, STOCK_ROW}
    make(long=True).run(stock)
    assert make(long=True).todo(stock[0]).why == {}


def test_an_edit_of_a_long_suite_is_no_reason_to_run_the_shipped_files_again(make, runner, tree, stock):
    make(long=True).run(stock)
    edit(tree, "suites-nightly/test_1.py", f'@guarantee("{STOCK_PART}")\ndef test_it(scenario):\n    scenario(1)\n')
    assert make().todo(stock[0]).why == {}
    assert set(make(long=True).todo(stock[0]).why) == {STOCK_PART, STOCK_ROW}


def test_rows_that_no_suite_judges_need_no_run(make, runner, tree):
    make().run(SPECS[:1])
    runner.asked.clear()
    path = make.cells / "1m-4.9.7.json"
    before = read_cell(path)
    lonely = before.rows[-1].id
    write_cell(path, before.model_copy(update={"rows": before.rows[:-1]}))
    assert make().run(SPECS[:1]) == 0
    assert runner.asked == []
    assert read_cell(path).by_id[lonely].verdict is Verdict.NOT_TESTED
    assert make().todo(SPECS[0]).why == {}


def test_a_stale_cell_that_failed_does_not_count_as_expected(make, runner, tree):
    make().run(SPECS[:1])
    edit(tree, "suites/helper.py", "RATE = 2\n")
    runner.fail = SetupError("no machine")
    assert make().run(SPECS[:1]) == 6
    assert "0 of 1 cells as expected; no result of 1m-4.9.7" in make.said[-1]


def test_an_edit_during_a_run_makes_its_rows_stale(make, runner, tree):
    real = runner.__call__
    matrix = make()

    def editing(spec, guarantees):
        edit(tree, "suites/helper.py", "RATE = 1\n")
        return real(spec, guarantees)

    matrix.run_suites = editing
    matrix.run(SPECS[:1])
    assert "suites changed" in make().todo(SPECS[0]).text()


def test_what_was_inconclusive_is_run_again_when_asked_for(make, runner):
    runner.verdicts[ONE] = "inconclusive"
    assert make().run(SPECS[:1]) == 6
    runner.asked.clear()
    assert make().run(SPECS[:1]) == 6
    assert runner.asked == []
    runner.verdicts.clear()
    assert make(again=[Verdict.INCONCLUSIVE]).run(SPECS[:1]) == 0
    assert runner.asked == [("1m-4.9.7", (ONE,))]


def test_fresh_runs_everything(make, runner):
    make().run(SPECS[:1])
    runner.asked.clear()
    make(fresh=True).run(SPECS[:1])
    assert runner.asked == [("1m-4.9.7", (ONE,))]


def stale_of(cell, tree):
    return drive._stale(cell, Digests(tree))


def test_the_table_counts_what_is_stale_by_what_is_gone_or_new(make, runner, tree):
    """A row without its suite, one that the cell does not have, and one that is promised no more."""
    make().run(SPECS[:1])
    cell = read_cell(make.cells / "1m-4.9.7.json")
    assert stale_of(cell, tree) == 0
    shorter = cell.model_copy(update={"rows": tuple(row for row in cell.rows if row.id != ONE)})
    assert stale_of(shorter, tree) == 1
    renamed = cell.by_id[ONE].model_copy(update={"id": "promised-no-more"})
    assert stale_of(shorter.model_copy(update={"rows": (*shorter.rows, renamed)}), tree) == 2
    (tree / "suites/availability/test_a.py").unlink()
    assert stale_of(cell, tree) == 1


def test_the_table_shows_every_stored_cell(make, runner, tmp_path):
    runner.verdicts[ONE] = "broken"
    make().run(SPECS[:1])
    runner.verdicts.clear()
    make().run(SPECS[1:])
    text = (tmp_path / "results" / "matrix.md").read_text()
    assert "## RocketMQ 4.9.7, fast timers" in text
    assert "## RocketMQ 5.3.3, fast timers" in text
    assert f"| `{ONE}` | **BROKEN** |" in text
    assert f"| 1m-4.9.7 | `{ONE}` | broken | so it was seen |" in text


def test_the_real_tree_has_a_digest_and_every_suite_judges_something():
    from harness.matrix.digest import Digests

    digests = Digests(ROOT)
    assert len(digests.harness) == 12
    assert ONE in digests.judged_by
    judged = {path for paths in digests.judged_by.values() for path in paths}
    assert {p for room in ("suites", "suites-nightly") for p in (ROOT / room).rglob("test_*.py")} <= judged
    assert set(digests.judged_by) <= set(load_catalogue().by_id)


def test_the_digest_is_the_same_in_another_process():
    """Nothing of it may come from a set's order or an object's address."""
    import subprocess
    import sys

    from harness.matrix.digest import of_promise

    code = (
        "from harness.matrix.digest import of_promise; from harness.catalogue import load_catalogue;"
        "print(*(of_promise(g) for g in load_catalogue().guarantees))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [of_promise(g) for g in load_catalogue().guarantees]


def test_copies_of_a_tree_are_the_same(tree, tmp_path):
    from harness.matrix.digest import Digests

    shutil.copytree(tree, tmp_path / "copy")
    assert Digests(tree).of_cell(SPECS[0]) == Digests(tmp_path / "copy").of_cell(SPECS[0])


def test_other_demands_that_are_expected_to_be_violated_make_another_promise():
    (row,) = (g for g in load_catalogue().guarantees if g.id == "sync-master-ack-means-two-copies")
    (rule,) = row.rules
    other = replace(rule, expectation=replace(rule.expectation, demands=("ok_despite", "lost")))
    assert of_promise(row) != of_promise(replace(row, rules=(other,)))
