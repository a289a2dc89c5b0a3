import ast
from collections import defaultdict
from pathlib import Path

from harness.catalogue import load_catalogue
from harness.core.guarantee import STOCK_ROW

ROOT = Path(__file__).parents[2]


def marked(place: str) -> dict[str, tuple[str, ...]]:
    """Guarantee -> the suite functions below `place` marked with it, as the sources say."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / place).rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            for mark in getattr(node, "decorator_list", []):
                if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "guarantee":
                    for argument in mark.args:
                        found[argument.value].append(f"{path.relative_to(ROOT)}::{node.name}")
    return {name: tuple(functions) for name, functions in found.items()}


def test_every_mark_is_a_row_of_the_catalogue():
    assert {*marked("suites"), *marked("suites-nightly")} <= set(load_catalogue().by_id)


def test_every_row_names_the_suite_functions_that_judge_it():
    named = {row.id: row.scenarios for row in load_catalogue().guarantees if row.scenarios}
    assert named == marked("suites")


def test_every_row_that_no_suite_judges_says_why():
    rows = [row for row in load_catalogue().guarantees if row.id != STOCK_ROW]
    assert {row.id for row in rows if row.untested} == {r.id for r in rows if not r.scenarios and not r.nightly}


def test_rows_that_a_sign_off_has_no_time_for_name_where_they_are_judged():
    assert {row.id: row.nightly for row in load_catalogue().guarantees if row.nightly} == marked("suites-nightly")
