import json
import threading

import pytest

from harness.core.errors import EvidenceError
from harness.core.op import OpName, OpType, line
from harness.evidence import Recorder, load_history


@pytest.fixture
def recorder(tmp_path):
    with Recorder(tmp_path / "history") as recorder:
        yield recorder


def lines(tmp_path, process):
    return [json.loads(text) for text in (tmp_path / "history" / f"{process}.jsonl").read_text().splitlines()]


def test_what_is_recorded_is_loaded(recorder, tmp_path):
    recorder.observe("look", {"accepted": 0, "ä": None})
    recorder.step_begin("restart", {"node": "broker-a-0"})
    recorder.step_end("restart")
    recorder.fault("kill", "inject", fault="kill -9", targets=("broker-a-0",), lasting=True)
    recorder.fault("kill", "observed", detail={"port": "refused"})
    recorder.event("note")
    history = load_history(tmp_path)
    assert history.observed("look") == {"accepted": 0, "ä": None}
    assert [(s.name, s.ok, s.detail) for s in history.steps] == [("restart", True, {"node": "broker-a-0"})]
    window = history.window("kill")
    assert (window.fault, window.targets, window.lasting, window.bit) == ("kill -9", ("broker-a-0",), True, True)
    assert window.detail == {"port": "refused"}


def test_a_step_that_failed(recorder, tmp_path):
    recorder.step_begin("restart")
    recorder.step_end("restart", ok=False)
    assert not load_history(tmp_path).steps[0].ok


def test_a_line_is_on_disk_when_the_call_returns(recorder, tmp_path):
    recorder.observe("a", 1)
    assert len(lines(tmp_path, "scenario")) == 1


def test_each_process_has_its_file(recorder, tmp_path):
    recorder.write(line(OpName.SEND, OpType.INVOKE, 1, c=1, id="probe-1"), process="probe")
    recorder.read_rows([line(OpName.DRAIN, OpType.OK, 2, s="final", k=0)])
    assert sorted(path.stem for path in (tmp_path / "history").iterdir()) == ["oracle", "probe"]


def test_many_threads_never_tear_a_line(recorder, tmp_path):
    def write(n):
        for k in range(200):
            recorder.observe(f"thread-{n}", {"k": k, "pad": "x" * 300})

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(tmp_path, "scenario")) == 800


def test_appends_to_what_is_there(tmp_path):
    for n in range(2):
        with Recorder(tmp_path / "history") as recorder:
            recorder.observe("n", n)
    assert len(lines(tmp_path, "scenario")) == 2


def test_a_full_disk_ends_the_run(tmp_path):
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "scenario.jsonl").symlink_to("/dev/full")
    with Recorder(tmp_path / "history") as recorder, pytest.raises(EvidenceError, match="free space"):
        recorder.observe("a", 1)


def test_what_is_no_number_is_refused(recorder):
    with pytest.raises(EvidenceError, match="finite"):
        recorder.observe("ratio", float("nan"))


def test_nothing_is_written_once_closed(tmp_path):
    recorder = Recorder(tmp_path / "history")
    recorder.close()
    recorder.close()
    with pytest.raises(EvidenceError, match="closed"):
        recorder.observe("a", 1)
