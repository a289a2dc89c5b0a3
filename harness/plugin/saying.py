"""Progress, a line each, past pytest's capture; quiet under -q -q."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from harness.plugin import sidebyside


def sayer(config: pytest.Config) -> Callable[[str], None]:
    """Says a line with the seconds since now; a worker its name too, on the error stream it shares with its like."""
    began = time.monotonic()
    worker = sidebyside.is_worker(config)
    name = f"{os.environ.get('PYTEST_XDIST_WORKER', 'worker')} " if worker else ""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")

    def say(text: str) -> None:
        if config.getoption("verbose") < -1:
            return
        line = f"  [{name}{time.monotonic() - began:7.1f} s] {text}"
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            if worker:
                os.write(2, f"{line}\n".encode())
            elif reporter is not None:
                reporter.ensure_newline()
                reporter.write_line(line)

    return say
