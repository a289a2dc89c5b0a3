"""`rmq-harness index`: what of the stored runs is counted, what is told of them, and what is shown first."""

from __future__ import annotations

import json
import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from harness.cli import main
from harness.core.errors import EvidenceError, UsageError
from harness.index import index
from tests.report.nights import COPIES, KILL, row, store

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=y>"


class Words(HTMLParser):
    """What a reader sees, by section, and where the links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.section = "top"
        self.text: dict[str, str] = {}
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        values = dict(attrs)
        if tag == "section":
            self.section = values["aria-labelledby"]
        if tag == "a":
            self.links.append(values["href"])

    def handle_data(self, data):
        self.text[self.section] = " ".join(f"{self.text.get(self.section, '')} {data}".split())


def read(directory: Path) -> Words:
    index(directory)
    words = Words()
    words.feed((directory / "index.html").read_text(encoding="utf-8"))
    return words


def cases(directory: Path) -> dict[str, str]:
    """JUnit: name -> passed, failure, error or skipped."""
    root = ET.parse(directory / "junit.xml").getroot()
    tags = {"failure", "error", "skipped"}
    return {c.get("name"): next((x.tag for x in c if x.tag in tags), "passed") for c in root.iter("testcase")}


def nights(root: Path, *verdicts: str, id: str = KILL) -> None:
    for day, verdict in enumerate(verdicts, 1):
        store(root / f"2026-12-{day:02}/runs/1m/run-{id}-{day}", f"2026-12-{day:02}T02:00", row(id, verdict))


def test_a_planted_regression_is_shown_first(tmp_path, capsys):
    nights(tmp_path, "inconclusive", "held", id=COPIES)
    nights(tmp_path, "held", "held", "held", "broken")
    nights(tmp_path, "broken", "broken", id="at-least-once")
    assert main(["index", str(tmp_path)]) == 0
    assert "8 runs, 3 rows, 2 changed last, the gravest now broken" in capsys.readouterr().out
    words = read(tmp_path)
    changed = words.text["changes"]
    assert changed.index(KILL) < changed.index(COPIES)
    assert "held, 2026-12-03 02:00; now broken, 2026-12-04 02:00" in changed
    assert f"{KILL} is broken" in changed
    assert "at-least-once" not in changed
    assert "2 times in a row, since 2026-12-01 02:00" in words.text["still"]
    assert cases(tmp_path) == {
        f"{KILL}[1m/{KILL}]": "failure",
        f"{COPIES}[1m/{COPIES}]": "passed",
        "at-least-once[1m/at-least-once]": "failure",
    }


@pytest.mark.parametrize(
    ("verdicts", "told"),
    [
        (("held", "inconclusive"), "held, 2026-12-01 02:00; now inconclusive, 2026-12-02 02:00"),
        (("broken", "inconclusive"), "broken, 2026-12-01 02:00; now inconclusive, 2026-12-02 02:00"),
        (
            ("held", "inconclusive", "broken"),
            "now broken, 2026-12-03 02:00; last seen either way: held, 2026-12-01 02:00",
        ),
        (
            ("broken", "inconclusive", "held"),
            "now held, 2026-12-03 02:00; last seen either way: broken, 2026-12-01 02:00",
        ),
    ],
)
def test_what_showed_nothing_is_neither_broken_nor_good(tmp_path, verdicts, told):
    nights(tmp_path, *verdicts)
    assert told in read(tmp_path).text["changes"]
    last = {"held": "passed", "inconclusive": "error", "broken": "failure"}[verdicts[-1]]
    assert list(cases(tmp_path).values()) == [last]


def test_what_showed_nothing_again_keeps_what_was_seen_before(tmp_path):
    nights(tmp_path, "broken", "inconclusive", "inconclusive")
    words = read(tmp_path)
    assert "No row that was judged twice" in words.text["changes"]
    assert "2 times in a row, since 2026-12-02 02:00; last seen either way: broken, 2026-12-01" in words.text["still"]


def test_of_two_inconclusive_rows_the_one_that_was_better_comes_first(tmp_path):
    nights(tmp_path, "broken", "inconclusive", id=KILL)
    nights(tmp_path, "held", "inconclusive", id=COPIES)
    changed = read(tmp_path).text["changes"]
    assert changed.index(COPIES) < changed.index(KILL)


def test_a_run_that_was_not_asked_for_a_row_changes_nothing(tmp_path):
    store(tmp_path / "1/a", "2026-12-01T02:00", row(KILL), row(COPIES))
    store(tmp_path / "2/b", "2026-12-02T02:00", row(KILL))
    store(tmp_path / "2/c", "2026-12-02T03:00", row(KILL), row(COPIES, "not-tested"), ran=(KILL,))
    words = read(tmp_path)
    assert "No row that was judged twice" in words.text["changes"]
    assert "2 ✓ held" in words.text["top"]
    assert "not tested" not in words.text["c0"]
    assert list(cases(tmp_path).values()) == ["passed", "passed"]


def test_a_row_that_could_not_be_tested_is_a_change(tmp_path):
    nights(tmp_path, "held", "not-tested")
    assert "now not tested, 2026-12-02 02:00" in read(tmp_path).text["changes"]


def test_an_empty_directory_is_refused_with_a_remedy(tmp_path, capsys):
    assert main(["index", str(tmp_path)]) == 4
    assert "holds no run: name a directory that has some below it" in capsys.readouterr().err
    assert main(["index", str(tmp_path / "nowhere")]) == 4
    assert "is no directory: name one with runs below it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_run_itself_is_refused_and_keeps_its_files(tmp_path):
    run = store(tmp_path / "a", "2026-12-01T02:00", row(KILL))
    (run / "junit.xml").write_text("its own")
    (tmp_path / "latest").symlink_to("a")
    for place in (run, tmp_path / "latest"):
        with pytest.raises(UsageError, match="is a run itself"):
            index(place)
    assert (run / "junit.xml").read_text() == "its own"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda run: (run / "verdicts.json").write_text('{"schema": 1, "ru'), "verdicts.json is not JSON"),
        (lambda run: (run / "verdicts.json").write_bytes(b"\xff\xfe"), "verdicts.json is no text"),
        (lambda run: (run / "verdicts.json").write_text('{"schema": 9}'), "must have exactly the keys"),
        (lambda run: (run / "verdicts.json").unlink(), "it has no verdicts.json: cut short, or not yet at its end"),
        (lambda run: (run / "run.json").unlink(), "it has no run.json: cut short"),
        (lambda run: (run / "run.json").write_text("{"), "run.json is not JSON"),
        (lambda run: (run / "run.json").write_text('{"schema": 1}'), "run.json"),
        (
            lambda run: (run / "verdicts.json").write_text((run / "verdicts.json").read_text() + " "),
            "verdicts.json was changed after the run",
        ),
    ],
)
def test_a_run_that_cannot_be_read_is_told_and_not_counted(tmp_path, change, told):
    nights(tmp_path, "held")
    change(store(tmp_path / "2026-12-02/runs/1m/odd", "2026-12-02T02:00", row(KILL, "broken")))
    words = read(tmp_path)
    assert "2026-12-02/runs/1m/odd" in words.text["doubtful"]
    assert told in words.text["doubtful"]
    assert str(tmp_path) not in words.text["doubtful"]
    assert "1 run, from" in words.text["top"]
    assert cases(tmp_path) == {f"{KILL}[1m/{KILL}]": "passed", "2026-12-02/runs/1m/odd": "error"}


def test_a_directory_of_nothing_but_broken_runs_is_still_told_of(tmp_path):
    (tmp_path / "odd/scenarios").mkdir(parents=True)
    words = read(tmp_path)
    assert "0 runs; 0 rows" in words.text["top"]
    assert cases(tmp_path) == {"odd": "error"}


def test_of_a_run_that_was_cut_short_only_what_is_broken_counts(tmp_path):
    store(tmp_path / "1", "2026-12-01T02:00", row(KILL), row(COPIES))
    store(tmp_path / "2", "2026-12-02T02:00", row(KILL, "broken"), row(COPIES), ended=False)
    words = read(tmp_path)
    assert f"counted as broken all the same: {KILL}" in words.text["doubtful"]
    assert "now broken, 2026-12-02" in words.text["changes"]
    assert "✓ held 2026-12-01" in words.text["c0"], "held in a run that was cut short is no held"
    assert cases(tmp_path)["2"] == "error"


def test_what_was_cut_short_and_judged_again_is_no_error_any_more(tmp_path):
    store(tmp_path / "1", "2026-12-01T02:00", row(KILL), row(COPIES), ended=False)
    store(tmp_path / "2", "2026-12-01T03:00", row(KILL))
    assert "not judged again" in read(tmp_path).text["doubtful"], "one of its two rows was not"
    assert cases(tmp_path)["1"] == "error"
    store(tmp_path / "3", "2026-12-01T04:00", row(COPIES), options={"timers": "documented"})
    assert "not judged again" in read(tmp_path).text["doubtful"], "on another cluster"
    store(tmp_path / "4", "2026-12-01T05:00", row(COPIES))
    assert "all of it was judged again" in read(tmp_path).text["doubtful"]
    assert "1" not in cases(tmp_path)


def test_a_run_that_ended_worse_than_its_rows_is_told(tmp_path):
    store(tmp_path / "1", "2026-12-01T02:00", row(KILL), code=6)
    assert "it ended in 6, and its rows alone come to 0; these are counted" in read(tmp_path).text["doubtful"]
    assert cases(tmp_path) == {f"{KILL}[1m/{KILL}]": "passed", "1": "error"}


def test_a_link_and_a_copy_of_a_run_count_once(tmp_path):
    nights(tmp_path, "held", "broken")
    place = tmp_path / "2026-12-02/runs/1m"
    (place / "latest").symlink_to(f"run-{KILL}-2")
    (tmp_path / "again").symlink_to("2026-12-01")
    assert "2 runs, from" in read(tmp_path).text["top"]
    # As an artifact of a build server has it, which packs what a link leads to.
    (place / "latest").unlink()
    shutil.copytree(place / f"run-{KILL}-2", place / "latest")
    words = read(tmp_path)
    assert "2 runs, from" in words.text["top"]
    assert "1 directory with the same verdicts" in words.text["doubtful"]
    assert not [link for link in words.links if "latest" in link]


def test_every_cluster_has_its_own_rows(tmp_path):
    store(tmp_path / "1", "2026-12-01T02:00", row(KILL))
    store(tmp_path / "2", "2026-12-02T02:00", row(KILL, "broken"), options={"timers": "documented"})
    store(tmp_path / "3", "2026-12-03T02:00", row(KILL, "broken"), options={"broker_conf": {"flushDiskType": "x"}})
    store(tmp_path / "4", "2026-12-04T02:00", row(KILL, "broken", rocketmq="4.9.7"))
    words = read(tmp_path)
    assert "No row that was judged twice" in words.text["changes"]
    assert "1m, RocketMQ 4.9.7, Java 25, client java, fast timers" in words.text["c0"]
    assert "with --broker-conf flushDiskType=x" in words.text["c3"]
    suites = ET.parse(tmp_path / "junit.xml").getroot()
    assert len({suite.get("name") for suite in suites}) == 4


def test_an_outage_without_an_end_is_no_number(tmp_path):
    for day, rto in enumerate((0.5, "inf", 2.0, None, "inf"), 1):
        store(tmp_path / str(day), f"2026-12-{day:02}T02:00", row(KILL, rto_s=rto))
    words = read(tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert "min 0.5 s, max 2 s, last no end seen; 2 of 4: no end seen; 1 without" in words.text["c0"]
    assert page.count('class="endless"') == 2
    drawn = re.search(r'<svg class="trend".*?</svg>', page, re.DOTALL).group(0)
    assert drawn.count("<circle") == 2
    assert "<polyline" not in drawn, "nothing is drawn across a gap or an outage without an end"
    assert not re.search(r"\b(inf|nan|Infinity)\b", page)


def test_no_more_than_thirty_runs_are_shown_and_the_rest_is_counted(tmp_path):
    for number in range(33):
        store(tmp_path / f"{number:02}", f"2026-12-{number // 24 + 1:02}T{number % 24:02}:00", row(KILL))
    words = read(tmp_path)
    assert "3 older runs not shown" in words.text["c0"]
    assert "00/report.html" not in words.links
    strip = [link for link in dict.fromkeys(words.links) if link.endswith("report.html")]
    assert len(strip) == 30
    assert "33 runs" in words.text["top"]


def test_the_page_stands_for_itself_and_its_links_lead_to_the_runs(tmp_path):
    odd = store(tmp_path / "a b#c%d\"'<e>" / "run", "2026-12-01T02:00", row(KILL, "broken", reason=EVIL))
    bare = store(tmp_path / "bare", "2026-12-02T02:00", row(KILL, "broken", reason="see /home/somebody/x/y.log"))
    (bare / "report.html").unlink()
    words = read(tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert not words.tags & {"script", "link", "iframe", "img", "object", "embed"}
    assert not re.search(r"https?://|url\(|@import|src=x?\"|/home/|" + re.escape(str(tmp_path)), page)
    outside = {unquote(link) for link in words.links if not link.startswith("#")}
    assert outside == {f"{odd.relative_to(tmp_path)}/report.html"}
    assert all((tmp_path / place).is_file() for place in outside)
    ET.parse(tmp_path / "junit.xml")


def test_reasons_are_text(tmp_path):
    nights(tmp_path, "held")
    store(tmp_path / "x", "2026-12-02T02:00", row(KILL, "broken", reason=EVIL, known=False))
    words = read(tmp_path)
    assert EVIL in words.text["changes"]
    assert "img" not in words.tags


def test_the_same_runs_make_the_same_files(tmp_path):
    nights(tmp_path, "held", "broken")
    nights(tmp_path, "held", "inconclusive", id=COPIES)
    other = tmp_path.with_name("elsewhere")
    shutil.copytree(tmp_path, other)
    read(tmp_path)
    first = [(tmp_path / name).read_bytes() for name in ("index.html", "junit.xml")]
    read(tmp_path)
    read(other)
    for place in (tmp_path, other):
        assert [(place / name).read_bytes() for name in ("index.html", "junit.xml")] == first


def test_a_time_that_is_none_is_told(tmp_path):
    run = store(tmp_path / "a", "2026-12-01T02:00", row(KILL))
    document = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(document | {"started_utc": "now"}))
    assert "started_utc 'now' is no time" in read(tmp_path).text["doubtful"]


def test_where_nothing_can_be_written_is_told(tmp_path):
    nights(tmp_path, "held")
    (tmp_path / "index.html").mkdir()
    with pytest.raises(EvidenceError, match=r"index\.html could not be written"):
        index(tmp_path)


def test_a_real_run_is_read(stored_run, tmp_path):
    words = read(tmp_path)
    assert "1m, RocketMQ 4.9.7, Java 25, client java, fast timers Guarantee" in words.text["c0"]
    assert "a-run/report.html" in words.links
    assert "doubtful" not in words.text


def test_rows_that_a_later_run_promised_and_no_suite_of_it_judges_were_not_judged_again(tmp_path):
    """A sign-off promises what only the nightly suites judge: it takes no error of theirs away."""
    nightly, both = "failover-stages", (row("failover-stages", "not-tested"), row(KILL))
    store(tmp_path / "1", "2026-12-01T02:00", *both, ended=False, ran=(), replay="pytest suites-nightly --topology=1m")
    store(tmp_path / "2", "2026-12-01T03:00", *both, ran=(KILL,), replay="pytest suites/ --topology=1m")
    assert "not judged again" in read(tmp_path).text["doubtful"]
    assert cases(tmp_path)["1"] == "error"
    store(tmp_path / "3", "2026-12-01T04:00", row(nightly), row(KILL, "not-tested"), ran=(nightly,))
    assert "all of it was judged again" in read(tmp_path).text["doubtful"], "it was to judge nothing of a sign-off's"
    assert "1" not in cases(tmp_path)


def test_the_longest_outage_of_repetitions_is_that_of_all(tmp_path):
    """The first alone would hide the one in which service never came back."""
    once = row(KILL).scenarios[0]
    others = [
        once.model_copy(update={"name": f"1m/{KILL}-repeat-{n}", "repetition": n, "figures": figures})
        for n, figures in ((2, {"rto_max_s": 9.5, "ok_per_s": 100.0}), (3, {"rto_max_s": 0.5, "ok_per_s": 400.0}))
    ]
    store(tmp_path / "1", "2026-12-01T02:00", row(KILL, scenarios=(once, *others)))
    words = read(tmp_path).text["c0"]
    assert "once 9.5 s" in words
    assert "once 400 /s" in words or "once 400/s" in words
    never = others[1].model_copy(update={"figures": {"rto_max_s": "inf"}})
    store(tmp_path / "2", "2026-12-02T02:00", row(KILL, scenarios=(once, others[0], never)))
    assert "last no end seen" in read(tmp_path).text["c0"]


def test_a_row_that_is_well_again_is_not_called_unchanged_in_silence(tmp_path, capsys):
    nights(tmp_path, "held", "broken", "held", "held")
    nights(tmp_path, "held", "held", "held", "held", id=COPIES)
    assert main(["index", str(tmp_path)]) == 0
    assert "0 changed last, 1 well again that was not before" in capsys.readouterr().out
    words = read(tmp_path)
    assert KILL in words.text["unsteady"]
    assert "2 times in a row" in words.text["unsteady"]
    assert "broken" in words.text["unsteady"]
    assert COPIES not in words.text["unsteady"]


def test_of_several_clients_each_has_its_rows_and_what_one_cannot_do_is_not_lost(tmp_path):
    for day, verdict in enumerate(("held", "not-tested"), 1):
        both = (row(KILL), row(KILL, verdict, client="cpp"))
        store(tmp_path / f"run-{day}", f"2026-12-{day:02}T02:00", *both, options={"client": "java, cpp"})
    words = read(tmp_path)
    assert "client cpp" in words.text["changes"], "it held with that client, and now nobody tries it"
    assert "client java" not in words.text["changes"]


def test_a_run_that_was_cut_short_is_judged_again_only_with_each_of_its_clients(tmp_path):
    options = {"client": "java, cpp"}
    both = (row(KILL), row(KILL, client="cpp"))
    store(tmp_path / "short", "2026-12-01T02:00", *both, ended=False, options=options)
    store(tmp_path / "one", "2026-12-02T02:00", row(KILL), row(COPIES, client="cpp"), options=options)
    index(tmp_path)
    assert cases(tmp_path)["short"] == "error", "nobody tried it again with that client"
    store(tmp_path / "two", "2026-12-03T02:00", *both, options=options)
    index(tmp_path)
    assert "short" not in cases(tmp_path)
