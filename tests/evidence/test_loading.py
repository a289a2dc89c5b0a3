import json
import os

import polars as pl
import pytest

from harness.checkers.judge import judge
from harness.core.errors import EvidenceError
from harness.core.expectation import Forbid, Rules
from harness.core.verdict import Verdict
from harness.evidence import load_history, read_packed
from tests.builder import healthy_run
from tests.unprivileged import ordinary_user, read_only

GOOD = '{"f":"send","y":"invoke","t":1,"c":1,"id":"p-1","tp":"orders"}\n'
DONE = '{"f":"send","y":"ok","t":2,"c":1,"id":"p-1","b":"broker-a","q":0,"o":0}\n'


@pytest.fixture
def place(tmp_path):
    (tmp_path / "history").mkdir()
    return tmp_path


def write(place, text, process="p"):
    (place / "history" / f"{process}.jsonl").write_bytes(text if isinstance(text, bytes) else text.encode())


def test_what_is_written_is_what_is_judged(tmp_path, h):
    built = healthy_run()
    loaded = load_history(built.write(tmp_path))
    direct = built.history()
    for name in ("sends", "deliveries", "reads", "drains"):
        ours, theirs = getattr(loaded, name), getattr(direct, name)
        assert dict(ours.schema) == dict(theirs.schema)
        drop = [c for c in ("m",) if c in ours.columns]
        assert sorted(map(str, ours.drop(drop).rows())) == sorted(map(str, theirs.drop(drop).rows()))
    assert (loaded.windows, loaded.observations, loaded.processes) == (
        direct.windows,
        direct.observations,
        direct.processes,
    )


def test_it_is_packed_once_and_again_when_a_line_is_new(place):
    write(place, GOOD)
    load_history(place)
    packed = place / "history.parquet"
    before = packed.stat().st_ino
    load_history(place)
    assert packed.stat().st_ino == before
    write(place, GOOD + DONE)
    assert load_history(place).sends.get_column("outcome").to_list() == ["ok"]
    assert packed.stat().st_ino != before


def test_it_is_packed_again_when_a_file_of_the_same_size_is_newer(place):
    write(place, GOOD)
    load_history(place)
    write(place, GOOD.replace("p-1", "p-2"))
    os.utime(place / "history" / "p.jsonl", ns=(1, 1))
    assert load_history(place).sends.get_column("id").to_list() == ["p-2"]


def test_it_is_packed_again_when_a_process_is_missing(place):
    write(place, GOOD)
    write(place, GOOD.replace("p-1", "q-1"), "q")
    assert load_history(place).sends.height == 2
    (place / "history" / "q.jsonl").unlink()
    assert load_history(place).sends.height == 1


@pytest.mark.parametrize("packed", [False, True])
def test_a_read_only_directory_is_read_from_its_lines(open_directory, packed):
    (open_directory / "history").mkdir()
    write(open_directory, GOOD)
    if packed:
        load_history(open_directory)
        os.utime(open_directory / "history" / "p.jsonl", ns=(1, 1))
    read_only(open_directory)
    with ordinary_user():
        assert load_history(open_directory).sends.height == 1
    assert (open_directory / "history.parquet").exists() == packed


def test_lines_alone_are_read_and_nothing_is_written(place):
    write(place, GOOD)
    assert load_history(place, from_lines=True).sends.height == 1
    assert not (place / "history.parquet").exists()
    load_history(place)
    (place / "history.parquet").write_bytes(b"no parquet")
    assert load_history(place, from_lines=True).sends.height == 1
    assert (place / "history.parquet").read_bytes() == b"no parquet"


def test_a_packed_file_alone_is_no_evidence(place):
    write(place, GOOD)
    load_history(place)
    (place / "history" / "p.jsonl").unlink()
    with pytest.raises(EvidenceError, match="the lines are the evidence"):
        load_history(place)


def test_what_was_packed_before_there_was_a_column_is_made_anew(tmp_path):
    place = healthy_run(compared=False).write(tmp_path)
    load_history(place)
    packed = place / "history.parquet"
    about = {k: v for k, v in pl.read_parquet_metadata(packed).items() if k == "rmq-harness.files"}
    older = {k: v.replace('["3"', '["2"') for k, v in about.items()}
    assert older != about
    pl.read_parquet(packed).drop("a").write_parquet(packed, metadata=older)
    history = load_history(place)
    assert history.reads.get_column("altered").null_count() == history.reads.height > 0
    assert history.drains.get_column("content").null_count() == history.drains.height > 0


def test_an_alteration_is_kept(tmp_path, h):
    h.consumer("c1")
    h.read("m1", "m2", altered={"m2": "body"})
    h.deliver("c1", "m2", altered="body+key")
    for _ in range(2):
        history = load_history(h.write(tmp_path) if not (tmp_path / "history").exists() else tmp_path)
        assert history.reads.get_column("altered").to_list() == [None, "body"]
        assert history.deliveries.get_column("altered").to_list() == ["body+key"]
        assert history.drains.get_column("content").to_list() == ["compared"]


def test_a_broken_packed_file_is_made_anew(place):
    write(place, GOOD)
    (place / "history.parquet").write_text("nonsense")
    assert load_history(place).sends.height == 1


def test_a_packed_file_with_other_columns_is_refused(tmp_path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(EvidenceError, match="other columns"):
        read_packed(tmp_path / "x.parquet")


def test_no_lines_are_an_empty_history_and_inconclusive(place):
    history = load_history(place)
    assert history.sends.height == 0
    assert judge(history, Rules(expectations=(Forbid(anomaly="lost"),))).verdict is Verdict.INCONCLUSIVE


def test_a_process_that_wrote_nothing(place):
    write(place, "")
    write(place, GOOD, "q")
    assert load_history(place).sends.height == 1


class TestTorn:
    def test_the_last_line_of_a_killed_process(self, place):
        write(place, GOOD + DONE[:30])
        history = load_history(place)
        assert history.sends.get_column("outcome").to_list() == ["info"]
        assert history.processes["p"]["torn_lines"] == 1

    def test_is_counted_beside_what_the_process_said(self, place):
        hello = json.dumps({"f": "hello", "y": "info", "t": 0, "x": json.dumps({"client": "java"})}) + "\n"
        write(place, hello + GOOD + DONE[:30])
        assert load_history(place).processes["p"] == {"client": "java", "torn_lines": 1}

    def test_is_not_torn_if_only_its_line_feed_is_missing(self, place):
        write(place, GOOD + DONE[:-1])
        history = load_history(place)
        assert history.sends.get_column("outcome").to_list() == ["ok"]
        assert "p" not in history.processes

    def test_may_be_all_there_is(self, place):
        write(place, GOOD[:20])
        assert load_history(place).processes["p"]["torn_lines"] == 1


@pytest.mark.parametrize(
    "bad",
    [
        "garbage\n",
        DONE[:30] + "\n",
        "[1]\n",
        "\n",
        '{"f":"send"}\n',
        '{"t":3}\n',
        '{"f":"send","y":"ok","t":"soon"}\n',
        '{"f":"send","y":"ok","t":2.5}\n',
        '{"f":"send","y":"ok","t":2,"k":99999999999}\n',
        "\0\0\0\0\n",
        GOOD.strip() + GOOD,
    ],
)
def test_any_other_unreadable_line_is_named(place, bad):
    write(place, GOOD + bad + DONE)
    with pytest.raises(EvidenceError, match=r"p\.jsonl line 2 is unreadable"):
        load_history(place)
    assert not (place / "history.parquet").exists()
