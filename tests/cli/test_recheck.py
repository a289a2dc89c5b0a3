import json
import shutil

import pytest

from harness.core.errors import EvidenceError, UsageError
from harness.recheck import recheck, rewrite_report
from harness.stored import load_session
from tests.unprivileged import ordinary_user, read_only

KILL = "scenarios/1m/kill"


def test_a_stored_run_comes_out_as_it_did(stored_run):
    text, code = recheck(stored_run)
    assert code == 0, text
    assert "1 of 1 rows came out as stored" in text
    assert "1 held" in text


@pytest.mark.parametrize(("ended", "code"), [(None, 0), (0, 0), (1, 1), (6, 6)])
def test_a_run_that_ended_worse_than_its_rows_does_so_again(stored_run, ended, code):
    document = json.loads((stored_run / "run.json").read_text())
    document["session"]["exit_code"] = ended
    (stored_run / "run.json").write_text(json.dumps(document))
    text, now = recheck(stored_run)
    assert now == code
    assert ("The run itself ended in" in text) is bool(code)


def test_it_is_found_through_a_link(stored_run, tmp_path):
    (tmp_path / "latest").symlink_to(stored_run)
    assert recheck(tmp_path / "latest")[1] == 0


def test_a_copy_without_packed_histories_comes_out_the_same(stored_run):
    for packed in stored_run.rglob("history.parquet"):
        packed.unlink()
    assert recheck(stored_run)[1] == 0


def test_a_packed_history_is_not_believed(stored_run):
    """The lines are the evidence: a copy that says something else, with the right fingerprint, changes nothing."""
    control = (stored_run / f"{KILL}--control" / "history.parquet").read_bytes()
    (stored_run / KILL / "history.parquet").write_bytes(control)
    assert recheck(stored_run)[1] == 0


def test_nothing_of_a_run_is_written(stored_run):
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in stored_run.rglob("*")}
    recheck(stored_run)
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in stored_run.rglob("*")} == before


@pytest.fixture
def archive(stored_run, open_directory):
    """A read-only copy, with other times than the run: its packed histories are of no use."""
    copy = open_directory / "archive"
    shutil.copytree(stored_run, copy, copy_function=shutil.copy)
    (copy / "report.html").unlink()
    rewrite_report(stored_run)  # loads what is loaded late, as the user who may read it
    read_only(copy)
    return copy


def test_a_read_only_archive_is_judged_from_its_lines(archive):
    with ordinary_user():
        text, code = recheck(archive)
    assert code == 0, text
    assert "1 of 1 rows came out as stored" in text


def test_a_report_on_a_read_only_archive_is_refused_in_one_message(archive):
    with ordinary_user(), pytest.raises(EvidenceError, match=r"report\.html could not be written") as refused:
        rewrite_report(archive)
    assert "Permission denied" in str(refused.value)
    assert "a copy of a stored run" in str(refused.value)
    assert "free space" not in str(refused.value)


def test_a_file_that_may_not_be_read_is_named(archive):
    (archive / KILL / "history").chmod(0o755)
    (archive / KILL / "history/oracle.jsonl").chmod(0)
    with ordinary_user(), pytest.raises(EvidenceError, match=r"oracle\.jsonl cannot be read .*make it readable"):
        recheck(archive)


@pytest.mark.parametrize("part", ["kill", "kill--control"])
def test_a_missing_history_is_inconclusive(stored_run, part):
    next((stored_run / f"scenarios/1m/{part}/history").glob("p*.jsonl")).unlink()
    text, code = recheck(stored_run)
    assert code == 6
    assert "is missing" in text
    assert "inconclusive now, held when it ran" in text


def test_a_missing_history_directory_is_inconclusive(stored_run):
    for file in (stored_run / KILL / "history").iterdir():
        file.unlink()
    (stored_run / KILL / "history").rmdir()
    text, code = recheck(stored_run)
    assert code == 6
    assert "inconclusive now" in text


def test_a_changed_history_is_inconclusive(stored_run):
    oracle = stored_run / KILL / "history/oracle.jsonl"
    lines = oracle.read_text().splitlines(keepends=True)
    oracle.write_text("".join(lines[:-1]))
    text, code = recheck(stored_run)
    assert code == 6
    assert "history/oracle.jsonl was changed after the run" in text


def test_an_added_history_is_inconclusive(stored_run):
    (stored_run / KILL / "history/p9.jsonl").write_text("")
    text, code = recheck(stored_run)
    assert code == 6
    assert "history/p9.jsonl was added after the run" in text


def test_milder_demands_are_noticed(stored_run):
    path = stored_run / KILL / "scenario.json"
    scenario = json.loads(path.read_text())
    scenario["rules"]["expectations"].pop()
    path.write_text(json.dumps(scenario))
    text, code = recheck(stored_run)
    assert code == 6
    assert "scenario.json was changed after the run" in text


def test_a_changed_verdict_is_noticed(stored_run):
    path = stored_run / "verdicts.json"
    document = json.loads(path.read_text())
    document["guarantees"][0] |= {"verdict": "broken", "reason": "somebody said so"}
    path.write_text(json.dumps(document))
    text, code = recheck(stored_run)
    assert code == 6
    assert "held now, broken when it ran" in text


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("figures", {"acked": 99_999}, "acked is"),
        ("reason", "0 lost of 99,999,999", "the reason reads"),
        ("deviations", ["flushDiskType=SYNC_FLUSH (product default ASYNC_FLUSH): so"], "its settings differ"),
    ],
)
def test_a_row_that_says_something_else_with_the_same_verdict_is_noticed(stored_run, field, value, told):
    path = stored_run / "verdicts.json"
    document = json.loads(path.read_text())
    row = document["guarantees"][0]
    row[field] = row[field] | value if isinstance(value, dict) else value
    path.write_text(json.dumps(document))
    text, code = recheck(stored_run)
    assert code == 6
    assert "This is not what is stored" in text
    assert told in text


def test_missing_verdicts_are_noticed(stored_run):
    (stored_run / "verdicts.json").unlink()
    text, code = recheck(stored_run)
    assert code == 6
    assert "verdicts.json cannot be read" in text


def test_a_run_that_was_cut_short_says_so(stored_run):
    (stored_run / "run.json").unlink()
    with pytest.raises(EvidenceError, match="cut short"):
        recheck(stored_run)


def test_a_run_that_was_killed_is_judged_as_far_as_it_came(stored_run):
    """What the plugin leaves when it is killed: no time of its end, no verdicts, and a scenario under way."""
    document = json.loads((stored_run / "run.json").read_text())
    (stored_run / "run.json").write_text(json.dumps(document | {"ended_utc": ""}))
    (stored_run / "verdicts.json").unlink()
    under_way = stored_run / "scenarios/1m/next"
    (under_way / "history").mkdir(parents=True)
    (under_way / "scenario.json").write_text("{}")
    (under_way / "history/p-1.jsonl").write_text('{"half a li')
    text, code = recheck(stored_run)
    assert code == 6
    assert "1 held" in text
    assert "cut short, or is not yet at its end: 1 suite function had ended" in text
    assert "scenarios/1m/next: not at its end, not judged" in text


def test_a_killed_run_with_a_changed_history_says_both(stored_run):
    document = json.loads((stored_run / "run.json").read_text())
    (stored_run / "run.json").write_text(json.dumps(document | {"ended_utc": ""}))
    next((stored_run / f"{KILL}/history").glob("p*.jsonl")).unlink()
    text, code = recheck(stored_run)
    assert code == 6
    assert "cut short" in text
    assert "is missing" in text


def test_a_run_of_an_older_version_says_so(stored_run):
    document = json.loads((stored_run / "run.json").read_text())
    del document["session"]
    (stored_run / "run.json").write_text(json.dumps(document))
    with pytest.raises(EvidenceError, match="older version"):
        recheck(stored_run)


def test_a_bent_session_is_one_message(stored_run):
    document = json.loads((stored_run / "run.json").read_text())
    document["session"]["outcomes"][0]["surprise"] = 1
    (stored_run / "run.json").write_text(json.dumps(document))
    with pytest.raises(EvidenceError, match="surprise"):
        recheck(stored_run)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no run"):
        recheck(tmp_path)
    with pytest.raises(UsageError, match="no directory"):
        recheck(tmp_path / "nowhere")


def test_the_report_is_written_again_and_nothing_else(stored_run):
    page = stored_run / "report.html"
    before = page.read_text()
    page.unlink()
    others = {p: p.read_bytes() for p in stored_run.rglob("*") if p.is_file()}
    assert rewrite_report(stored_run) == str(page.resolve())
    assert page.read_text() == before
    assert {p: p.read_bytes() for p in stored_run.rglob("*") if p.is_file() and p != page} == others


def test_the_topology_of_a_run_is_stored_whole(stored_run):
    session, stored, run = load_session(stored_run)
    assert session.settings["1m"].topology.nodes[1].name == "broker-a-0"
    assert stored.java_major == 25
    assert run.seed == 7


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_whatever_is_changed_in_the_verdicts_is_noticed(stored_run):
    edit(stored_run / "verdicts.json", lambda d: d["guarantees"][0]["scenarios"][0].update(acked=99_999))
    text, code = recheck(stored_run)
    assert code == 6
    assert "verdicts.json was changed after the run" in text


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: edit(path, lambda d: d["guarantees"][0].update(verdict="broken")), "was changed after the run"),
        (lambda path: path.unlink(), "is missing, and the run had written it"),
        (lambda path: None, None),
    ],
)
def test_changed_verdicts_of_an_interrupted_run_are_noticed(stored_run, damage, told):
    """Unlike one that was killed, it wrote them."""
    edit(stored_run / "run.json", lambda d: d.update(ended_utc=""))
    damage(stored_run / "verdicts.json")
    text, code = recheck(stored_run)
    assert code == 6
    assert "cut short" in text
    assert (f"verdicts.json {told}" in text) if told else ("verdicts.json" not in text)


def test_a_figure_that_was_taken_away_is_noticed(stored_run):
    edit(stored_run / "verdicts.json", lambda d: d["guarantees"][0]["figures"].popitem())
    assert recheck(stored_run)[1] == 6


@pytest.mark.parametrize("field", ["options", "checksums"])
def test_settings_that_were_changed_on_one_side_are_noticed(stored_run, field):
    edit(stored_run / "run.json", lambda d: d[field].update(rocketmq="9.9.9"))
    text, code = recheck(stored_run)
    assert code == 6
    assert f"tell different things of the run's {field}" in text


def test_a_missing_judgement_is_noticed(stored_run):
    (stored_run / KILL / "judgement.json").unlink()
    text, code = recheck(stored_run)
    assert code == 6
    assert f"{KILL}: judgement.json is missing" in text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d["options"].pop("rocketmq"), "options lack or garble 'rocketmq'"),
        (lambda d: d["session"].update(topologies={}), "names no topology"),
        (lambda d: d["options"].update(guarantees=7), "options lack or garble"),
    ],
)
def test_a_run_file_that_lacks_something_is_one_message(stored_run, change, told):
    edit(stored_run / "run.json", change)
    with pytest.raises(EvidenceError, match=told):
        recheck(stored_run)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["session"]["outcomes"][0]["controls"].append(
            {"scenario": "scenarios/x", "kind": "foo", "expect": "broken"}
        ),
        lambda d: d["session"]["outcomes"][0].update(scenario="/etc"),
        lambda d: d["session"]["outcomes"][0].update(scenario="scenarios/../../etc"),
        lambda d: d["options"].update(timers="slow"),
    ],
)
def test_a_run_file_that_says_what_cannot_be_is_one_message(stored_run, change):
    edit(stored_run / "run.json", change)
    with pytest.raises(EvidenceError, match=r"run\.json"):
        recheck(stored_run)


def test_verdicts_that_are_no_text_are_one_message(stored_run):
    (stored_run / "verdicts.json").write_bytes(b"\xff\xfe\x00")
    text, code = recheck(stored_run)
    assert code == 6
    assert "verdicts.json is no text" in text


def test_no_report_is_made_of_a_run_that_was_cut_short(stored_run):
    document = json.loads((stored_run / "run.json").read_text())
    (stored_run / "run.json").write_text(json.dumps(document | {"ended_utc": ""}))
    (stored_run / "verdicts.json").unlink()
    with pytest.raises(EvidenceError, match=r"has no report; `rmq-harness recheck .*` judges what had ended"):
        rewrite_report(stored_run)


def test_no_report_is_made_of_verdicts_that_were_changed(stored_run):
    edit(stored_run / "verdicts.json", lambda d: d["guarantees"][0]["scenarios"][0].update(acked=99_999))
    with pytest.raises(EvidenceError, match=r"verdicts\.json was changed after the run"):
        rewrite_report(stored_run)


def test_no_report_is_rendered_of_evidence_that_was_changed(stored_run):
    """It would be taken for the run's."""
    history = next((stored_run / KILL / "history").glob("*.jsonl"))
    history.write_bytes(history.read_bytes()[:-20])
    with pytest.raises(EvidenceError, match="was changed after the run"):
        rewrite_report(stored_run)
