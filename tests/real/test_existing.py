"""A cluster brought up by `rmq-harness up`, used as one that somebody else runs, without hooks and with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.distribution import default_cache, obtain_client
from harness.foreign import DEFAULT_CLIENT
from harness.runtime.base import NAMESPACES
from harness.runtime.probe import probe_capabilities

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
PYTEST = f"{sys.executable} -m pytest -p no:cacheprovider --reports $HOME/reports"
EXISTING = f"{PYTEST} --runtime existing --namesrv $NAMESRV_ADDR --guarantee at-least-once"
HOOK = f"{sys.executable} examples/hooks/node.py"
HOOKS = " ".join(f'--hook "{name}={HOOK} {name} {{node}}"' for name in ("kill", "start", "stop"))
CALM = "suites-existing/test_without_faults.py"


class Up:
    """A cluster that is up, and what can be run inside its network."""

    def __init__(self, base: Path) -> None:
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("RMQ_HARNESS_", "PYTEST_"))}
        self.environment |= {"RMQ_HARNESS_STATE": str(base / "state"), "PYTHONDONTWRITEBYTECODE": "1"}
        self.run_id = ""
        done = self._harness("up", "1m", "--rocketmq", "5.3.3", "--reports", str(base / "reports"))
        assert done.returncode == 0, done.stdout + done.stderr
        self.run_id = next((base / "reports").iterdir()).name

    def _words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "harness", *words]

    def _harness(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._words(*words),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    def _line(self, command: str) -> tuple[str, ...]:
        state = f"export RMQ_HARNESS_STATE=$HOME/state RMQ_HARNESS_CACHE={default_cache()}"
        return ("exec", self.run_id, "--", "sh", "-c", f"{state}; {command}")

    def inside(self, command: str) -> tuple[int, str]:
        done = self._harness(*self._line(command))
        return done.returncode, done.stdout + done.stderr

    def down(self) -> None:
        self._harness("down", self.run_id)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    missing = probe_capabilities().get(NAMESPACES)
    if missing is not None:
        pytest.skip(missing)
    # Inside the cluster's network nothing can be downloaded, and the cache cannot be written to.
    obtain_client(DEFAULT_CLIENT, default_cache())
    up = Up(tmp_path_factory.mktemp("existing"))
    yield up
    up.down()


def topics_of_ours(cluster: Up) -> list[str]:
    code, text = cluster.inside("mqadmin topicList -n $NAMESRV_ADDR")
    assert code == 0, text
    assert "TopicTest" in text, text
    return [line for line in text.splitlines() if "rmqh-" in line]


def test_without_hooks_what_needs_a_fault_is_not_tested_and_the_rest_is(cluster: Up) -> None:
    code, text = cluster.inside(f"{EXISTING} suites/consumption")
    assert code == 6, text
    assert "no scenario was executed" in text
    assert "--hook kill=CMD and --hook start=CMD" in text
    code, text = cluster.inside(f"{EXISTING} {CALM}")
    assert code == 0, text
    assert "1 held, 0 known broken, 0 not tested of 1 asked for" in text
    assert topics_of_ours(cluster) == []


def test_with_its_owners_hooks_brokers_are_killed_and_come_back(cluster: Up) -> None:
    code, text = cluster.inside(f"{EXISTING} {HOOKS} suites/consumption")
    assert code == 0, text
    assert "broker-killed: observed" in text
    assert "broker-restarted: recovered" in text
    assert "1 held" in text
    assert topics_of_ours(cluster) == []
