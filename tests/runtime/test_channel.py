from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness.runtime import channel
from harness.runtime.base import DiskUsage, ProcessState


def test_messages_arrive_whole_with_their_descriptors():
    ours, theirs = channel.pair()
    with ours, theirs:
        for length in (0, channel.MAX_PACKET_BYTES - 100, channel.MAX_PACKET_BYTES, 5_000_000):
            read_fd, write_fd = os.pipe()
            channel.send(ours, {"text": "x" * length}, [write_fd])
            os.close(write_fd)
            received = channel.receive(theirs)
            assert received is not None
            message, fds = received
            assert message == {"text": "x" * length}
            assert not os.get_inheritable(fds[0])
            os.write(fds[0], b"through")
            os.close(fds[0])
            assert os.read(read_fd, 100) == b"through"
            os.close(read_fd)


def test_a_closed_channel_is_none_and_not_an_empty_message():
    ours, theirs = channel.pair()
    channel.send(ours, {})
    ours.close()
    assert channel.receive(theirs) == ({}, [])
    assert channel.receive(theirs) is None
    theirs.close()


def test_states_and_usage_speak():
    assert str(ProcessState("exited", signal=9)) == "killed by SIGKILL"
    assert str(ProcessState("exited", exit_code=0)) == "exited with code 0"
    assert ProcessState("stopped").alive
    assert not ProcessState("absent").alive
    assert DiskUsage(75, 25).ratio == 0.75


def test_the_holder_imports_nothing_heavy():
    """It forks for every process of the cluster and is started for every run."""
    program = (
        "import sys, harness.runtime.holder, harness.runtime.service\n"
        "print([name for name in ('polars', 'pydantic', 'pytest', 'tenacity', 'jpype', 'yaml') if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    seen = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert seen.stdout == "[]\n"
