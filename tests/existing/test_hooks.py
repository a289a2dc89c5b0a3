"""Hooks: what is run, how long, and what is kept of it."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import pytest

from harness.core.errors import CapabilityMissing, FaultError, UsageError
from harness.runtime.base import NODE_CONFIG, NODE_KILL, NODE_PAUSE, NODE_STOP
from harness.runtime.hooks import Hooks, Target, capabilities, parse
from harness.waiting import wait_for

TARGET = Target("broker-a-0", "10.0.0.5:10911", "broker-a", "0")


def recording(tmp_path: Path, *more: str) -> str:
    """A command that writes down the words it was given."""
    script = tmp_path / "hook.py"
    script.write_text(f"import sys, pathlib; pathlib.Path({str(tmp_path / 'said')!r}).write_text(repr(sys.argv[1:]))\n")
    return " ".join([sys.executable, str(script), *more])


def test_a_command_gets_what_its_placeholders_stand_for_and_no_shell(tmp_path: Path) -> None:
    hooks = Hooks(
        {"kill": recording(tmp_path, "{node}", "{address}", "{broker}/{id}", "'a b; $HOME'", "{x}", "root@{host}")},
        tmp_path,
    )
    hooks.run("kill", TARGET)
    assert eval((tmp_path / "said").read_text()) == [
        "broker-a-0", "10.0.0.5:10911", "broker-a/0", "a b; $HOME", "{x}", "root@10.0.0.5"
    ]  # fmt: skip
    assert "hook kill of broker-a-0: exit code 0" in (tmp_path / "broker-a-0/logs/hooks.log").read_text()


def test_what_is_kept_has_the_output_and_no_secret(tmp_path: Path) -> None:
    command = "sh -c 'echo $0 says no to $1; exit 3' --password=s3cret {node}"
    hooks = Hooks({"kill": command}, tmp_path)
    with pytest.raises(FaultError) as error:
        hooks.run("kill", TARGET)
    kept = (tmp_path / "broker-a-0/logs/hooks.log").read_text()
    assert "exit code 3" in kept
    assert "says no to broker-a-0" in kept
    for shown in (kept, str(error.value), repr(hooks)):
        assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("sh -c 'echo user s3cret-1 has not done it; exit 3'", "user *** has not done it"),
        ("sh -c 'TOKEN=s3cret-1; set -x; true $TOKEN {node}'", "+ true *** broker-a-0"),
        ("sh -c 'echo cannot reach $0' https://admin:s3cret-1@{address}/kill", "10.0.0.5:10911"),
        ("sh -c 'echo {node} refuses s3cret-1'", "broker-a-0"),
    ],
)
def test_nor_has_it_a_secret_that_is_only_a_part_of_a_word(tmp_path: Path, command: str, said: str) -> None:
    with suppress(FaultError):
        Hooks({"kill": command}, tmp_path).run("kill", TARGET)
    kept = (tmp_path / "broker-a-0/logs/hooks.log").read_text()
    assert "s3cret" not in kept
    assert said in kept


def test_a_hook_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    hooks = Hooks({"stop": f"sh -c 'sleep 60 & echo $! > {pid}; wait'"}, tmp_path, timeout_s=0.5)
    with pytest.raises(FaultError, match="did not end in"):
        hooks.run("stop", TARGET)
    child = int(pid.read_text())
    wait_for(lambda: not _lives(child), what="the hook's child to be gone", timeout_s=5)


def test_a_daemon_that_keeps_the_output_open_does_not_hold_it_up(tmp_path: Path) -> None:
    hooks = Hooks({"start": "sh -c 'sleep 5 & echo up'"}, tmp_path, timeout_s=4)
    hooks.run("start", TARGET)
    assert "up\n" in (tmp_path / "broker-a-0/logs/hooks.log").read_text()


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FaultError, match="ended with 127"):
        Hooks({"kill": "/no/such/program"}, tmp_path).run("kill", TARGET)


def test_one_that_was_not_given(tmp_path: Path) -> None:
    with pytest.raises(CapabilityMissing, match=r"--hook pause=CMD, or use --runtime local"):
        Hooks({}, tmp_path).run("pause", TARGET)


def test_capabilities_follow_from_the_hooks() -> None:
    none = capabilities({})
    assert "--hook kill=CMD and --hook start=CMD" in str(none[NODE_KILL])
    some = capabilities({"kill": "a", "start": "b"})
    assert some[NODE_KILL] is None
    assert "--hook stop=CMD" in str(some[NODE_STOP])
    assert some[NODE_PAUSE] is not None
    assert capabilities(dict.fromkeys(("kill", "start", "stop", "pause", "resume"), "a"))[NODE_CONFIG] is not None


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (["kill"], "no NAME="),
        (["destroy=rm -rf s3cret"], "'destroy': write NAME=CMD, with one of kill, start"),
        (["kill="], "kill=... has no command"),
        (["kill='s3cret"], "cannot be split"),
        (["kill=s3cret", "kill=b", "start=c"], "given twice"),
        (["kill=s3cret"], "needs --hook start=CMD too"),
        (["pause=s3cret"], "needs --hook resume=CMD too"),
    ],
)
def test_a_wrong_hook_is_named_without_its_command(items: list[str], said: str) -> None:
    with pytest.raises(UsageError) as error:
        parse("hook", items)
    assert said in str(error.value)
    assert "s3cret" not in str(error.value)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
