import pytest

from harness.catalogue import load_catalogue
from harness.core.verdict import Verdict
from harness.core.version import Version
from harness.report.rows import Control, Row, ScenarioRow
from harness.session import Session, Subject
from harness.settings import Settings
from harness.stock import STOCK_ROW, counts_for_stock, stock_row, with_parts
from harness.topology import load_topology

STOCK = load_topology("2m-2s-sync-stock")
PROMISED = load_catalogue().promised(STOCK)
PARTS = [g for g in PROMISED if counts_for_stock(g)]


def row(guarantee, verdict=Verdict.NOT_TESTED, **more):
    scenario = ScenarioRow(name=f"{STOCK.name}/{guarantee.id}", seed=1, history="h", verdict=verdict)
    tested = verdict is not Verdict.NOT_TESTED
    values = {
        "topology": STOCK.name, "rocketmq": "4.9.7", "java": "25", "client": "java", "runtime": "local",
        "timers": "fast", "reason": "said so", "scenarios": (scenario,) if tested else (),
        "control": Control(kind="product", expected="broken", observed="broken", ok=True) if tested else None,
    }  # fmt: skip
    return Row(id=guarantee.id, verdict=verdict, **values | more)


def judged(*verdicts, outside=Verdict.NOT_TESTED):
    seen = dict(zip((g.id for g in PARTS), verdicts, strict=False))
    rows = [row(g, seen.get(g.id, Verdict.NOT_TESTED if counts_for_stock(g) else outside)) for g in PROMISED]
    empty = row(load_catalogue().get(STOCK_ROW))
    return stock_row(empty, rows, PROMISED)


def test_the_stock_row_has_parts_of_sections_a_to_f_alone():
    assert len(PARTS) > 10
    assert {g.section for g in PARTS} <= set("ABCDEF")
    assert STOCK_ROW not in {g.id for g in PARTS}


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((), Verdict.NOT_TESTED),
        ((Verdict.HELD,), Verdict.HELD),
        ((Verdict.HELD, Verdict.HELD, Verdict.NOT_TESTED), Verdict.HELD),
        ((Verdict.HELD, Verdict.INCONCLUSIVE), Verdict.INCONCLUSIVE),
        ((Verdict.HELD, Verdict.INCONCLUSIVE, Verdict.BROKEN), Verdict.BROKEN),
    ],
)
def test_it_is_the_worst_of_its_parts(verdicts, expected):
    found = judged(*verdicts)
    assert found.verdict is expected
    assert len(found.scenarios) == len([v for v in verdicts if v is not Verdict.NOT_TESTED])


def test_it_names_the_parts_that_broke_it():
    assert PARTS[1].id in judged(Verdict.HELD, Verdict.BROKEN).reason


def test_what_is_no_part_has_no_say():
    assert judged(Verdict.HELD, outside=Verdict.BROKEN).verdict is Verdict.HELD
    assert judged(outside=Verdict.BROKEN).verdict is Verdict.NOT_TESTED


def test_a_part_whose_control_failed_does_not_hold_it_up():
    failed = Control(kind="product", expected="broken", observed="held", ok=False)
    rows = [row(PARTS[0], Verdict.HELD, control=failed)]
    found = stock_row(row(load_catalogue().get(STOCK_ROW)), rows, PROMISED)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.control == failed


def test_asking_for_it_asks_for_its_parts():
    assert {g.id for g in with_parts(PROMISED, [STOCK_ROW])} == {STOCK_ROW} | {g.id for g in PARTS}
    assert [g.id for g in with_parts(PROMISED, [PARTS[0].id])] == [PARTS[0].id]
    assert with_parts(PROMISED, []) == PROMISED
    plain = load_catalogue().promised(load_topology("2m-2s-sync"))
    assert with_parts(plain, [STOCK_ROW]) == ()


def test_a_session_derives_it(tmp_path):
    session = Session(
        run_id="r",
        directory=tmp_path,
        seed=1,
        command="pytest",
        settings={STOCK.name: Settings(topology=STOCK, rocketmq="5.3.3")},
        promised={STOCK.name: PROMISED},
        subject=Subject(Version.parse("5.3.3"), 25),
    )
    (found,) = [r for r in session.rows() if r.id == STOCK_ROW]
    assert found.verdict is Verdict.NOT_TESTED
    assert found.expected is Verdict.BROKEN
