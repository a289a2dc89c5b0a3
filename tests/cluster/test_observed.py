"""What is read of a node's processes."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

from harness.cluster.observed import cpu_s

BUSY = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"


def test_what_a_shell_started_is_the_node_s_as_well() -> None:
    words = ["sh", "-c", f"'{sys.executable}' -c '{BUSY}'; :"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        runtime: Any = SimpleNamespace(host_pid=lambda _node: shell.pid)
        used = cpu_s(runtime, ["a"])
        shell.communicate(b"\n")
    assert used is not None
    assert used >= 0.25


def test_what_has_ended_cannot_be_told() -> None:
    runtime: Any = SimpleNamespace(host_pid=lambda _node: -1)
    assert cpu_s(runtime, ["a"]) is None
