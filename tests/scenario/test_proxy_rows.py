"""The rows of proxies: nobody is hurt before every proxy knows who consumes; else nothing is said."""

from __future__ import annotations

import ast
from pathlib import Path

SUITE = Path(__file__).parents[2] / "suites-nightly" / "test_proxies.py"


def test_every_suite_with_consumers_waits_until_each_proxy_knows_them_and_insists_on_it() -> None:
    """One that has just started refuses the clients of one that dies: that is no fault of it."""
    functions = [f for f in ast.parse(SUITE.read_text()).body if isinstance(f, ast.FunctionDef)]
    calls = {
        f.name: {ast.unparse(c.func) for c in ast.walk(f) if isinstance(c, ast.Call)}
        for f in functions
        if f.name.startswith("test_")
    }
    hurting = {name for name, made in calls.items() if {"_in_turn", "consume"} <= made}
    assert len(hurting) == 4
    assert {name for name in hurting if "_known" in calls[name]} == hurting
    for function in functions:
        for call in (c for c in ast.walk(function) if isinstance(c, ast.Call)):
            if ast.unparse(call.func) == "_in_turn" and function.name in hurting:
                assert len(call.args) > 1, f"{function.name} names no group"
