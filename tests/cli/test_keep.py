import os
from pathlib import Path

import pytest

from harness import keep
from harness.core.errors import UsageError
from harness.playground import down, execute
from harness.runtime import owner as owners
from harness.runtime.owner import Owner, ProcessMark

LEFT = keep.Left("r", "1m", "4.9.7", "25", {"broker-a-0": "198.18.0.3:10911"}, "198.18.0.2:9876", "t", "logs/nodes")


@pytest.fixture
def record(tmp_path):
    me = ProcessMark.of(os.getpid())

    def write(run_id, *, alive=True, lingering=True):
        mark = me if alive else ProcessMark(me.pid, me.start_ticks + 1)
        work = tmp_path / "work" / run_id
        work.mkdir(parents=True)
        owners.write(tmp_path, Owner(run_id, owners.boot_id(), str(work), mark, mark, lingering))

    return write


def test_every_command_it_shows_names_the_run():
    text = LEFT.reach()
    assert "broker-a-0  198.18.0.3:10911" in text
    assert "rmq-harness exec r -- mqadmin clusterList" in text
    assert "rmq-harness down r" in text


def test_a_run_that_is_going_is_not_ended(record, tmp_path):
    record("going", lingering=False)
    with pytest.raises(UsageError, match="still going"):
        keep.end("going", tmp_path)
    assert keep.left_up(tmp_path) == []


def test_down_without_a_name_takes_only_what_was_left_up(record, tmp_path):
    record("going", lingering=False)
    said = []
    assert down(None, state=tmp_path, say=said.append) == 0
    assert said == ["no cluster is up"]


def test_a_dead_one_is_for_clean(record, tmp_path):
    record("dead", alive=False)
    with pytest.raises(UsageError, match="rmq-harness clean"):
        keep.end("dead", tmp_path)


def test_one_that_does_not_answer_is_reported_and_not_killed(record, tmp_path):
    record("mute")
    said = []
    assert down("mute", state=tmp_path, say=said.append) == 6
    assert "does not answer" in said[0]


@pytest.mark.parametrize("name", ["../work/x", "/etc/passwd", "", ".."])
def test_what_leads_out_of_the_records_is_no_id(name, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "x.json").write_text("{}")
    with pytest.raises(UsageError, match="is up"):
        keep.live_owner(name, tmp_path)


def test_a_cluster_of_another_version_can_still_be_ended(record, tmp_path):
    record("old")
    (tmp_path / "work/old" / keep.ABOUT).write_text('{"run_id": "old"}')
    with pytest.raises(UsageError, match="another version"):
        keep.about("old", tmp_path)


def test_nothing_to_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="say what to run"):
        execute("r", ["--"], state=tmp_path)


def test_a_new_cluster_ends_the_kept_one(monkeypatch):
    ended = []
    monkeypatch.setattr(keep, "end", lambda run_id, _state: ended.append(run_id))
    keeper = keep.Keeper(Path("state"))
    keeper.release()
    assert ended == []
    keeper.left = LEFT
    keeper.release()
    keeper.release()
    assert ended == ["r"]
    assert keeper.left is None
