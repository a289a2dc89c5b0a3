"""The arithmetic of the measurements: a figure that comes from the wrong instants is worse than none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from harness import bench as room
from harness.bench import PARTS, bench, bringup, checkers, clients, faults
from harness.bench.tables import Table, markdown, percentile, ratio, spread
from harness.cluster import BringUp, StepTiming
from harness.core.errors import ClientError, EvidenceError, SetupError, UsageError


def test_percentiles_are_values_that_were_seen():
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, p) for p in (0, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([7.0], 99) == 7.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_a_spread_is_least_middle_most():
    assert spread([3.0, 1.0, 2.0]) == "1.00 / 2.00 / 3.00"
    assert spread([]) == "-"
    assert ratio([10.0, 20.0, 30.0], [2.0]) == "10.0x"
    assert ratio([1.0], []) == "-"


def test_a_cell_cannot_break_the_table():
    assert "a\\|b" in markdown(Table("t", "n", ("h",), (("a|b",),)))


def test_the_first_packet_of_the_silence_is_the_one_after_the_last_that_arrived():
    seen = faults.Stream(sent=list(range(100)), arrived=[*range(30), *range(60, 100)])
    assert seen.silent_from(25, 55) == 30
    assert seen.first_arrived_after(55) == 60


def test_a_packet_that_was_lost_by_chance_is_not_the_cut():
    seen = faults.Stream(sent=list(range(100)), arrived=[n for n in range(50) if n != 26])
    assert seen.silent_from(25, 90) == 50


def test_a_cut_that_lost_nothing_is_no_sample():
    seen = faults.Stream(sent=list(range(100)), arrived=list(range(100)))
    assert seen.silent_from(25, 55) is None
    found: dict[str, list[float]] = {}
    faults._losses([(25, 55)], seen, found)
    assert "cut, first packet lost" not in found


def test_half_a_stamp_at_the_end_is_none():
    data = faults.STAMP.pack(1) + faults.STAMP.pack(2)
    assert faults.stamps(data + b"\x07\x00") == [1, 2]


def test_what_came_after_the_last_port_is_told_apart():
    steps = (StepTiming("listening ns-0:9876", 0.0, 0.5), StepTiming("listening a:10911", 0.5, 1.5))
    steps += (StepTiming("registered a", 2.0, 6.0),)
    assert bringup.after_last_port_s(BringUp(8.0, 4.0, steps)) == 6.0
    assert bringup.after_last_port_s(BringUp(8.0, 4.0, ())) == 0.0


def test_both_ways_and_their_ratio_are_in_one_table():
    quick, slow = bringup.Sample(2.0, 4.0, 0.5), bringup.Sample(20.0, 25.0, 15.0)
    table = bringup.rendered(("4.9.7",), {("4.9.7", "fast"): [quick], ("4.9.7", "naive"): [slow]})
    assert table.rows[1] == (
        "4.9.7",
        "naive",
        "1",
        *(["20.00 / 20.00 / 20.00", "25.0 / 25.0 / 25.0"]),
        *table.rows[1][5:],
    )
    assert table.rows[1][-1] == "10.0x"
    assert table.raw["4.9.7.recipe.wall_s"] == [2.0]


def test_a_cluster_that_did_not_come_up_is_counted_and_not_averaged():
    found = {("4.9.7", "fast"): [bringup.Sample(2.0, 4.0, 0.5), None], ("4.9.7", "naive"): [None]}
    table = bringup.rendered(("4.9.7",), found)
    assert [row[2] for row in table.rows] == ["1 (1 not ready)", "0 (1 not ready)"]
    assert [row[3] for row in table.rows] == ["2.00 / 2.00 / 2.00", "-"]
    assert table.rows[1][-1] == "-"


def history(path, acknowledged):
    lines = [{"f": "hello", "y": "info", "t": 0, "x": "{}"}]
    for n in range(10):
        lines.append({"f": "send", "y": "invoke", "t": n * 1_000_000, "c": n, "id": f"p-{n}", "tp": "t"})
    for n in range(acknowledged):
        lines.append({"f": "send", "y": "ok", "t": n * 1_000_000 + 500_000, "c": n, "s": "SEND_OK"})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_rate_is_counted_from_the_first_message_that_is_not_warming_up(tmp_path):
    rate = clients.rate_of(history(tmp_path / "h.jsonl", 10), 10, 5)
    assert rate == pytest.approx(5 / 0.0045)


def test_a_send_without_an_answer_is_no_rate(tmp_path):
    with pytest.raises(EvidenceError, match="9 of 10"):
        clients.rate_of(history(tmp_path / "h.jsonl", 9), 10, 5)


def test_the_plain_producer_must_say_its_rate_and_have_failed_nothing():
    assert clients.plain_rate("WARN x\nPLAIN 1000 500000000 0\n", "exited") == 2000
    with pytest.raises(ClientError, match="3 sends"):
        clients.plain_rate("PLAIN 1000 500000000 3", "exited")
    with pytest.raises(ClientError, match="without a result"):
        clients.plain_rate("OutOfMemoryError", "exited with code 1")


def test_without_a_compiler_the_row_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    classes, why = clients.compiled(tmp_path, ())
    assert classes is None
    found = {(clients.RECORDED_SYNC, "sync"): [1000.0]}
    table = clients.rendered("4.9.7", found, why)
    assert any("not measured: no javac" in cell for row in table.rows for cell in row)
    assert [row[-1] for row in table.rows] == ["-", "", "-", ""]


def test_the_checkers_must_find_what_was_planted(tmp_path):
    script = tmp_path / "benchmarks" / "checkers.py"
    script.parent.mkdir()
    line = {"operations": 10, "threads": 1, "wall_s": 0.5, "cpu_s": 0.4, "peak_mb": 90, "file_mb": 0.1}
    script.write_text(f"print('{json.dumps(line)}')\n" * 2)
    table = checkers.rendered(checkers.run(script, 10, 2))
    assert table.rows[0][2:4] == ("2", "0.50 / 0.50 / 0.50")
    script.write_text("raise SystemExit('found 0 instead of 1')\n")
    with pytest.raises(SetupError, match="found 0 instead of 1"):
        checkers.run(script, 10, 1)


def run(parts, tmp_path, **more):
    said: list[str] = []
    code = bench(parts, rounds=1, versions=("4.9.7",), cache=tmp_path, state=tmp_path, say=said.append, **more)
    return code, "\n".join(said)


@pytest.mark.parametrize(("parts", "rounds"), [(["cluster"], 1), ([], 0)])
def test_wrong_usage_measures_nothing(tmp_path, parts, rounds):
    with pytest.raises(UsageError, match="bench:"):
        bench(parts, rounds=rounds, versions=(), cache=tmp_path, state=tmp_path, say=print)


def test_a_part_that_fails_is_said_and_the_others_are_measured(tmp_path, monkeypatch):
    def broken(_lab):
        raise SetupError("no machine")

    whole = Table("Whole", "note", ("h",), (("1",),), {"s": [1.0]})
    monkeypatch.setattr(room, "PARTS", {"faults": broken, "checkers": lambda _lab: [whole]})
    code, text = run([], tmp_path, out=tmp_path / "out")
    assert code == 6
    assert "not measured: no machine" in text
    assert "Load average" in text
    files = sorted(p.suffix for p in (tmp_path / "out").iterdir())
    assert files == [".json", ".md"]
    written = json.loads(next((tmp_path / "out").glob("*.json")).read_text())
    assert written["tables"][1]["raw"] == {"s": [1.0]}
    assert "/" not in written["about"]["commit"]


def test_every_part_of_the_command_line_exists():
    assert set(PARTS) == {"bring-up", "faults", "clients", "checkers"}


def test_the_stream_sends_stamps_that_the_sink_writes(tmp_path):
    """The two halves of the stream on the loopback, as they run in nodes."""
    import os
    import signal

    from harness.waiting import wait_for

    pids = []
    try:
        for role in ("sink", "sender"):
            with (tmp_path / role).open("wb") as log:
                argv = [sys.executable, "-S", "-c", faults._SCRIPT, role, "127.0.0.1", "41907", "0.001"]
                pids.append(subprocess.Popen(argv, stdout=log))
        wait_for(lambda: (tmp_path / "sink").stat().st_size >= 800, what="100 packets", timeout_s=30)
    finally:
        for child in pids:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
    arrived = faults.stamps((tmp_path / "sink").read_bytes())
    assert set(arrived) <= set(faults.stamps((tmp_path / "sender").read_bytes()))
    assert arrived == sorted(arrived)
