import os
from pathlib import Path

import pytest

from harness import doctor as room
from harness.core.errors import SetupError
from harness.runtime import owner as owners
from harness.runtime.base import CAPABILITIES, NAMESPACES, POWER_CUT
from harness.runtime.owner import Owner, ProcessMark

ALL_THERE = dict.fromkeys(CAPABILITIES)


@pytest.fixture
def examine(monkeypatch, tmp_path):
    def run(capabilities=ALL_THERE):
        monkeypatch.setattr(room, "probe_capabilities", lambda cache: capabilities)
        return room.doctor(tmp_path / "cache", tmp_path / "state")

    return run


def test_a_machine_that_can_do_everything(examine):
    text, code = examine()
    assert code == 0
    assert "Everything" in text
    assert "5.3.3" in text
    assert "nothing yet" in text


def test_without_namespaces_nothing_runs(examine):
    text, code = examine(dict.fromkeys(CAPABILITIES, "unshare was refused: allow user namespaces"))
    assert code == 6
    assert "not possible here: namespaces" in text
    assert text.count("allow user namespaces") == 1
    assert text.count("not tried without namespaces") == len(CAPABILITIES) - 1


def test_without_power_cuts_the_rest_runs(examine):
    text, code = examine(ALL_THERE | {POWER_CUT: "no loop devices"})
    assert code == 0
    assert "no loop devices" in text
    assert "--allow-missing power-cut" in text


@pytest.mark.parametrize("name", ["MIN_MEMORY_BYTES", "MIN_FREE_DISK_BYTES"])
def test_too_small_a_machine_is_told_so(examine, monkeypatch, name):
    monkeypatch.setattr(room, name, 1 << 60)
    text, code = examine()
    assert code == 6
    assert "GiB are needed" in text


def test_an_old_python_is_told_so(examine, monkeypatch):
    monkeypatch.setattr(room, "MIN_PYTHON", (99, 0))
    assert examine()[1] == 6


def test_leftovers_are_named_by_what_they_are(examine, tmp_path):
    me = ProcessMark.of(os.getpid())
    gone = ProcessMark(me.pid, me.start_ticks + 1)
    state = tmp_path / "state"
    for run_id, harness, holder, lingering in (
        ("going", me, me, False),
        ("kept", gone, me, True),
        ("dead", gone, gone, False),
    ):
        owners.write(state, Owner(run_id, owners.boot_id(), str(tmp_path), harness, holder, lingering))
    text, code = examine()
    assert code == 0
    lines = {line[4:18].strip(): line for line in text.splitlines()}
    assert "going" in lines["running"]
    assert "kept" in lines["left up"]
    assert "dead" in lines["left behind"]


def test_every_capability_has_a_purpose_and_a_remedy():
    assert set(room._USED_FOR) == set(room._REMEDY) | {NAMESPACES} == set(CAPABILITIES)


def test_it_really_looks_and_leaves_nothing(tmp_path):
    state = tmp_path / "state"
    text, code = room.doctor(tmp_path / "cache", state)
    assert code in (0, 6)
    assert "namespaces" in text
    assert not state.exists() or not any(Path(state).rglob("*.json"))


def test_a_place_that_cannot_be_written_to_stands_in_the_way(monkeypatch, tmp_path):
    monkeypatch.setattr(room, "probe_capabilities", lambda cache: ALL_THERE)
    text, code = room.doctor(Path("/proc/x/cache"), tmp_path / "state")
    assert code == 6
    assert "no  cache          /proc/x/cache cannot be written to" in text
    assert "use another one (RMQ_HARNESS_CACHE)" in text
    assert "The default run is not possible here: cache." in text
    assert not (tmp_path / "state").exists()


def test_a_machine_without_a_cpp_library_is_told_and_runs_the_rest(examine, monkeypatch):
    monkeypatch.setattr(room, "whose_library", lambda: None)
    text, code = examine()
    assert code == 0
    assert "no librocketmq is installed on this machine: install one where the loader finds it" in text


@pytest.mark.parametrize(("words", "mark"), [(None, "ok "), ("it was killed by SIGSEGV", "-- ")])
def test_a_cpp_client_in_the_cache_is_tried_out(examine, monkeypatch, tmp_path, words, mark):
    def load(_home):
        if words is not None:
            raise SetupError(words)

    monkeypatch.setattr(room, "whose_library", lambda: "bundled")
    monkeypatch.setattr(room, "see_it_load", load)
    assert "library bundled, not downloaded yet" in examine()[0]
    (tmp_path / "cache" / "cpp" / "rocketmq-client-python-0.5.0rc2").mkdir(parents=True)
    text, code = examine()
    assert code == 0
    (line,) = [line for line in text.splitlines() if "cpp client" in line]
    assert line.startswith(mark)
    assert line.endswith(words or "seen to load")


@pytest.mark.parametrize(("words", "mark"), [(None, "ok "), ("no libstdc++", "-- ")])
def test_a_grpc_client_in_the_cache_is_tried_out(examine, monkeypatch, tmp_path, words, mark):
    def see(_home, _lock):
        if words is not None:
            raise SetupError(words)

    monkeypatch.setattr(room.grpclib, "see_it_whole", see)
    assert "rocketmq-python-client 5.1.2, not downloaded yet; needs a topology with proxies" in examine()[0]
    room.grpclib.home_of(tmp_path / "cache", room.grpclib.lock_text()).mkdir(parents=True)
    text, code = examine()
    assert code == 0
    (line,) = [line for line in text.splitlines() if "grpc client" in line]
    assert line.startswith(mark)
    assert (words or "seen to be importable") in line
