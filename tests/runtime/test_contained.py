"""What the holder of a cluster of containers keeps in mind of them, without one."""

from __future__ import annotations

import os
import subprocess

from harness.runtime import contained
from harness.runtime.contained import ContainedProcesses


def own_network() -> int:
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def test_a_keeper_is_no_member_and_a_later_process_of_its_pid_is() -> None:
    fd = own_network()
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        processes = ContainedProcesses()
        assert sleeper.pid in set(processes.members(fd))
        processes.keepers["a"] = sleeper.pid
        assert sleeper.pid not in set(processes.members(fd))
        processes.keepers.pop("a")
        assert sleeper.pid in set(processes.members(fd))
        sleeper.kill()
    os.close(fd)


def test_the_node_s_keeper_is_forgotten_with_it(monkeypatch) -> None:
    service = contained.ContainedService.__new__(contained.ContainedService)
    service.bodies = ContainedProcesses(keepers={"a": 7, "b": 8})
    monkeypatch.setattr(contained.Service, "do_remove_node", lambda _self, _name: None)
    service.do_remove_node("a")
    assert service.bodies.keepers == {"b": 8}
