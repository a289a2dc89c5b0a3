from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from harness.core.errors import CapabilityMissing, FaultError, SetupError, UsageError
from harness.runtime.base import IO_ERROR, POWER_CUT, SIZED_DISK, Disk, Process
from harness.runtime.forgetful.mounting import DEVICE
from harness.runtime.local import LocalRuntime
from harness.runtime.loops import LOOP_CONTROL
from harness.runtime.owner import loop_mark
from harness.runtime.reaper import loops_of
from harness.waiting import wait_for

pytestmark = pytest.mark.real

SIZE_BYTES = 64 << 20
SLEEP = Process(["sleep", "600"])
# As a broker does: mapped, one page msynced and acknowledged, one not.
WRITER = Process(
    [
        "python3",
        "-uc",
        "import mmap, os, time\n"
        "fd = os.open('store/commitlog', os.O_RDWR | os.O_CREAT)\n"
        "os.pwrite(fd, bytes(1 << 19), 0)\n"
        "os.ftruncate(fd, 1 << 20)\n"
        "page = mmap.mmap(fd, 1 << 20)\n"
        "os.fsync(fd)\n"
        "os.fsync(os.open('store', os.O_RDONLY))\n"
        "page[0:4] = b'SYNC'\n"
        "page.flush()\n"
        "page[16384:16388] = page[1 << 19:(1 << 19) + 4] = b'IDLE'\n"
        "page[8192:8196] = b'LOST'\n"
        "open('store/late', 'w').write('never synced')\n"
        "print('written')\n"
        "time.sleep(600)",
    ]
)


@pytest.fixture
def sized(runtime: LocalRuntime) -> LocalRuntime:
    runtime.add_node("a", Disk("sized", SIZE_BYTES))
    return runtime


def can(kind: str) -> bool:
    """Whether the means of that kind of disk are there: their not working is a failure then, and no reason to skip."""
    if kind == "ext4":
        return os.geteuid() == 0 and LOOP_CONTROL.exists()
    return os.access(DEVICE, os.R_OK | os.W_OK)


@pytest.fixture(params=["ext4", "fuse"])
def powered(request: pytest.FixtureRequest, runtime: LocalRuntime) -> LocalRuntime:
    if not can(request.param):
        pytest.skip(f"no {request.param} here")
    assert runtime.capabilities()[POWER_CUT] is None
    runtime.add_node("a", Disk("sized", SIZE_BYTES, forgets=True, unprivileged=request.param == "fuse"))
    return runtime


def test_files_are_read_written_listed_and_aged(runtime: LocalRuntime):
    runtime.add_node("a")
    big = bytes(range(256)) * 4096
    runtime.write_file("a", "store/commitlog/0000", big)
    runtime.write_file("a", "conf/broker.conf", b"a=1\n")
    assert runtime.read_file("a", "store/commitlog/0000") == big
    assert [(entry.path, entry.size_bytes) for entry in runtime.list_files("a")] == [
        ("conf/broker.conf", 4),
        ("store/commitlog/0000", len(big)),
    ]
    assert runtime.list_files("a", "no-such-directory") == ()
    assert runtime.set_mtime("a", "store/**/*", 3600) == 1
    age_s = time.clock_gettime(time.CLOCK_REALTIME) - runtime.list_files("a", "store")[0].mtime_ns / 1e9
    assert age_s == pytest.approx(3600, abs=5)
    assert runtime.set_mtime("a", "store/nothing*", 1) == 0


@pytest.mark.parametrize("disk", [Disk(), Disk("sized", SIZE_BYTES), Disk("sized", SIZE_BYTES, True, True)])
def test_a_node_that_is_removed_and_added_again_has_an_empty_store(runtime: LocalRuntime, disk: Disk):
    runtime.add_node("a", disk)
    runtime.write_file("a", "store/commitlog", b"old")
    runtime.write_file("a", "logs/broker.log", b"kept")
    runtime.remove_node("a")
    runtime.add_node("a", disk)
    assert [entry.path for entry in runtime.list_files("a")] == ["logs/broker.log"]


def test_a_long_listing_fits_through_the_channel(runtime: LocalRuntime):
    runtime.add_node("a")
    made = runtime.run("a", ["sh", "-c", "cd store && seq -f 'a-rather-long-name-%05g' 3000 | xargs touch"], 10)
    assert made[0] == 0
    assert len(runtime.list_files("a", "store")) == 3000


def test_paths_do_not_lead_out_of_a_node(runtime: LocalRuntime):
    runtime.add_node("a")
    for path in ("../b/x", "/etc/passwd", "store/../../x"):
        with pytest.raises(UsageError, match="leads out of node 'a'"):
            runtime.read_file("a", path)
    with pytest.raises(SetupError, match="'store/none' cannot be opened: No such file"):
        runtime.read_file("a", "store/none")


@pytest.mark.parametrize("ratio", [0.5, 0.76, 0.9, 0.98])
def test_a_disk_is_filled_to_the_ratio_asked_for(sized: LocalRuntime, ratio: float):
    sized.write_file("a", "store/data", bytes(5 << 20))
    before = sized.disk_usage("a")
    assert before.ratio < 0.2
    assert sized.fill_disk("a", ratio).ratio == pytest.approx(ratio, abs=0.005)
    # As any program in the node sees it, and not in the store.
    shown = sized.run("a", ["stat", "-f", "-c", "%b %f %a", "store"], 5)[1].split()
    blocks, free, available = map(int, shown)
    assert (blocks - free) / (blocks - free + available) == pytest.approx(ratio, abs=0.005)
    assert [entry.path for entry in sized.list_files("a", "store")] == ["store/data"]
    assert sized.free_disk("a").used_bytes == pytest.approx(before.used_bytes, abs=1 << 20)
    assert sized.free_disk("a").ratio < 0.2


def test_a_fill_can_be_raised_and_lowered(sized: LocalRuntime):
    for ratio in (0.6, 0.9, 0.7):
        assert sized.fill_disk("a", ratio).ratio == pytest.approx(ratio, abs=0.005)


def test_a_full_disk_refuses_to_store(sized: LocalRuntime):
    sized.fill_disk("a", 1.0)
    code, _out, err = sized.run("a", ["dd", "if=/dev/zero", "of=store/x", "bs=1M", "count=4"], 10)
    assert (code, b"No space left" in err) == (1, True)
    sized.free_disk("a")
    assert sized.run("a", ["dd", "if=/dev/zero", "of=store/x", "bs=1M", "count=4"], 10)[0] == 0


def test_bad_fills_are_refused(sized: LocalRuntime):
    sized.add_node("plain")
    with pytest.raises(CapabilityMissing, match="plain disk") as missing:
        sized.fill_disk("plain", 0.5)
    assert missing.value.capability == SIZED_DISK
    with pytest.raises(UsageError, match=r"full to 1\.5"):
        sized.fill_disk("a", 1.5)
    sized.write_file("a", "store/data", bytes(32 << 20))
    with pytest.raises(FaultError, match=r"is full to 0\.\d+, not 0\.1"):
        sized.fill_disk("a", 0.1)
    with pytest.raises(UsageError, match="at least"):
        sized.add_node("tiny", Disk("sized", 1000))


def test_a_store_is_emptied_only_when_nothing_runs(sized: LocalRuntime):
    sized.write_file("a", "store/config/topics.json", b"{}")
    sized.start("a", SLEEP)
    with pytest.raises(UsageError, match="while its process is running"):
        sized.empty_store("a")
    sized.signal("a", 9)
    sized.wait_exit("a", 5)
    sized.empty_store("a")
    assert sized.run("a", ["ls", "-A", "store"], 5)[1] == b""
    sized.start("a", SLEEP)


def test_a_power_cut_loses_what_was_not_synced_and_nothing_else(powered: LocalRuntime):
    powered.write_file("a", "store/config", b"kept")
    powered.sync_disk("a")
    for _round in range(2):
        powered.start("a", WRITER)
        wait_for(lambda: powered.tail("a", 1) == "written", what="the pages", timeout_s=10)
        cut = powered.cut_power("a")
        assert cut.stopped_ns < cut.lost_ns < cut.mounted_ns
        assert powered.state("a").signal == 9
        log = powered.read_file("a", "store/commitlog")
        assert (log[:4], log[8192:8196], len(log)) == (b"SYNC", b"\0" * 4, 1 << 20)
        assert powered.read_file("a", "store/config") == b"kept"
        assert "store/late" not in {entry.path for entry in powered.list_files("a", "store")}
        powered.run("a", ["sh", "-c", "rm store/commitlog; : > logs/stdout.log"], 5)


def test_a_kill_loses_nothing_that_was_written(powered: LocalRuntime):
    """The contrast to a power cut: the same writer, killed, leaves both pages."""
    powered.start("a", WRITER)
    wait_for(lambda: powered.tail("a", 1) == "written", what="the pages", timeout_s=10)
    powered.signal("a", 9)
    powered.wait_exit("a", 5)
    assert powered.read_file("a", "store/commitlog")[8192:8196] == b"LOST"


RENAMER = Process(
    [
        "python3",
        "-uc",
        "import os, time\n"
        "for n, seconds in ((1, 0), (2, 12)):\n"
        "    with open('store/topics.tmp', 'w') as file: file.write('topics' * n)\n"
        "    os.rename('store/topics.tmp', 'store/topics.json')\n"
        "    time.sleep(seconds)\n"
        "with open('store/topics.tmp', 'w') as file: file.write('never')\n"
        "os.rename('store/topics.tmp', 'store/topics.json')\n"
        "print('written')\n"
        "time.sleep(600)",
    ]
)


def test_what_replaced_another_file_is_kept_after_a_commit(powered: LocalRuntime):
    """As ext4 does it, and RocketMQ relies on: the files of its configuration are renamed and never synced."""
    powered.start("a", RENAMER)
    wait_for(lambda: "written" in powered.tail("a", 1), what="the last rename", timeout_s=30)
    powered.cut_power("a")
    assert powered.read_file("a", "store/topics.json") == b"topics" * 2


def test_what_was_written_anew_is_kept_after_a_commit(powered: LocalRuntime):
    """As RocketMQ writes the backups of its configuration: emptied, written, closed and never synced."""
    powered.run("a", ["sh", "-c", "echo old > store/topics.bak; echo other > store/x"], 5)
    powered.sync_disk("a")
    powered.start(
        "a",
        Process(["sh", "-c", "echo new > store/topics.bak; echo longer >> store/x; sleep 12; echo written; sleep 600"]),
    )
    wait_for(lambda: "written" in powered.tail("a", 1), what="a commit", timeout_s=30)
    powered.cut_power("a")
    assert powered.read_file("a", "store/topics.bak") == b"new\n"
    # Appended, and not synced for less than thirty seconds: ext4 may have zeros there.
    assert powered.read_file("a", "store/x").rstrip(b"\0") == b"other\n"


MAPPED_BYTES = 48 << 20
MAPPER = Process(
    [
        "python3",
        "-uc",
        f"import mmap, os, time\n"
        f"fd = os.open('store/log', os.O_RDWR | os.O_CREAT)\n"
        f"os.ftruncate(fd, {MAPPED_BYTES})\n"
        f"page = mmap.mmap(fd, {MAPPED_BYTES})\n"
        f"for at in range(0, {MAPPED_BYTES}, 4096): page[at] = 1\n"
        "print('written')\n"
        "time.sleep(600)",
    ]
)


def test_a_synced_disk_has_every_page(powered: LocalRuntime):
    powered.start("a", MAPPER)
    wait_for(lambda: "written" in powered.tail("a", 1), what="the pages", timeout_s=30)
    powered.sync_disk("a")
    powered.cut_power("a")
    assert powered.read_file("a", "store/log")[::4096].count(1) == MAPPED_BYTES // 4096


def test_looking_at_a_file_does_not_sync_it(powered: LocalRuntime):
    powered.write_file("a", "store/log", bytes(1 << 20))
    powered.sync_disk("a")
    powered.start("a", Process([*MAPPER.argv[:2], MAPPER.argv[2].replace(str(MAPPED_BYTES), str(1 << 20))]))
    wait_for(lambda: "written" in powered.tail("a", 1), what="the pages", timeout_s=30)
    assert powered.read_file("a", "store/log")[0] == 1
    assert powered.run("a", ["sleep", "7"], 20)[0] == 0
    powered.cut_power("a")
    assert powered.read_file("a", "store/log").count(1) == 0


def test_times_before_the_epoch_are_times(powered: LocalRuntime):
    powered.write_file("a", "store/x", b"x")
    assert powered.run("a", ["touch", "-d", "@-5", "store/x"], 5)[0] == 0
    powered.sync_disk("a")
    powered.start("a", SLEEP)
    powered.cut_power("a")
    assert powered.run("a", ["stat", "-c", "%Y", "store/x"], 5)[1] == b"-5\n"


def test_a_tree_outlives_a_cut_as_it_was_synced(powered: LocalRuntime):
    script = (
        "set -e; cd store; mkdir -p a/b c; echo one > a/b/x; echo two > c/y; ln c/y c/z; chmod 600 c/y; mv a/b a/d; "
        "rm -r c/z; truncate -s 100000 a/d/x; touch -d @1000000000 a/d/x; sync .; sync -f .; sync a/d/x; "
        "echo three > c/late; rm a/d/x; cat c/y; stat -c %h c/y; ls a"
    )
    assert powered.run("a", ["sh", "-c", script], 10)[1] == b"two\n1\nd\n"
    powered.sync_disk("a")
    powered.run("a", ["sh", "-c", "echo four > store/c/later; rm store/c/y"], 10)
    powered.start("a", SLEEP)
    powered.cut_power("a")
    found = {entry.path: entry.size_bytes for entry in powered.list_files("a", "store")}
    assert found == {"store/c/y": 4, "store/c/late": 6}
    assert powered.run("a", ["stat", "-c", "%a", "store/c/y"], 5)[1] == b"600\n"


def test_a_disk_that_forgets_is_full_when_it_is_full(powered: LocalRuntime):
    code, _out, err = powered.run("a", ["dd", "if=/dev/zero", "of=store/x", "bs=1M", "count=80"], 20)
    assert (code, b"No space left" in err) == (1, True)
    assert powered.disk_usage("a").ratio > 0.9
    assert powered.run("a", ["sh", "-c", "rm store/x; dd if=/dev/zero of=store/y bs=1M count=8"], 20)[0] == 0


def test_power_cuts_where_they_make_no_sense_are_refused(sized: LocalRuntime):
    sized.add_node("plain")
    sized.start("plain", SLEEP)
    with pytest.raises(CapabilityMissing, match="plain disk"):
        sized.cut_power("plain")
    assert sized.state("plain").kind == "running"
    with pytest.raises(UsageError, match="runs nothing that could lose power"):
        sized.cut_power("a")


def test_a_sized_disk_leaves_no_device_behind(sized: LocalRuntime, tmp_path: Path, run_id: str):
    mark = loop_mark(str(tmp_path / "work" / run_id))
    images = list((tmp_path / "work").rglob("disk.img"))
    assert len(loops_of(mark)) == len(images)
    sized.remove_node("a")
    assert loops_of(mark) == []
    sized.add_node("a", Disk("sized", SIZE_BYTES))
    sized.close()
    sized.close()
    assert loops_of(mark) == []
    assert not any(image.exists() for image in images)


# As a broker does: each second page is msynced while the disk fails, and what came of it is told.
STUBBORN = Process(
    [
        "python3",
        "-uc",
        "import mmap, os, sys\n"
        "fd = os.open('store/commitlog', os.O_RDWR | os.O_CREAT)\n"
        "os.ftruncate(fd, 1 << 20)\n"
        "page = mmap.mmap(fd, 1 << 20)\n"
        "page[0:4] = b'KEPT'\n"
        "page.flush(0, 4096)\n"
        "os.fsync(fd)\n"
        "print('written')\n"
        "while not os.path.exists('logs/failing'): pass\n"
        "page[8192:8196] = b'LOST'\n"
        "try:\n"
        "    page.flush(8192, 4096)\n"
        "    print('flushed')\n"
        "except OSError as error:\n"
        "    print('errno', error.errno, page[8192:8196])\n"
        "import time; time.sleep(600)",
    ]
)


def test_a_failing_disk_answers_eio_and_what_it_refused_is_gone(powered: LocalRuntime):
    assert powered.capabilities()[IO_ERROR] is None
    assert powered.disk_answers("a")
    powered.start("a", STUBBORN)
    wait_for(lambda: "written" in powered.tail("a"), what="the first flush", timeout_s=10)
    powered.fail_disk("a")
    assert not powered.disk_answers("a")
    powered.write_file("a", "logs/failing", b"")
    wait_for(lambda: "errno" in powered.tail("a") or "flushed" in powered.tail("a"), what="the second", timeout_s=10)
    assert powered.tail("a").splitlines()[-1] == "errno 5 b'LOST'"
    powered.mend_disk("a")
    assert not powered.state("a").alive
    assert powered.disk_answers("a")
    log = powered.read_file("a", "store/commitlog")
    assert (log[:4], log[8192:8196]) == (b"KEPT", bytes(4))
    assert log[16384:16388] + log[1 << 19 : (1 << 19) + 4] == bytes(8), (
        "nor is what nobody had flushed yet written by the mending"
    )
    powered.mend_disk("a")  # once more is harmless


def test_a_disk_that_can_only_be_read_takes_no_change_and_loses_what_it_refused(powered: LocalRuntime):
    powered.start("a", STUBBORN)
    wait_for(lambda: "written" in powered.tail("a"), what="the first flush", timeout_s=10)
    powered.fail_disk("a", "read-only")
    assert not powered.disk_answers("a")
    assert powered.read_file("a", "store/commitlog")[:4] == b"KEPT"
    powered.write_file("a", "logs/failing", b"")
    wait_for(lambda: "errno" in powered.tail("a") or "flushed" in powered.tail("a"), what="the second", timeout_s=10)
    assert powered.tail("a").splitlines()[-1] in ("errno 30 b'LOST'", "errno 5 b'LOST'")
    assert powered.run("a", ["touch", "store/new"], 5)[0] == 1
    powered.mend_disk("a")
    assert powered.disk_answers("a")
    log = powered.read_file("a", "store/commitlog")
    assert (log[:4], log[8192:8196]) == (b"KEPT", bytes(4))


def test_a_slow_disk_makes_syncs_wait_and_nothing_else(runtime: LocalRuntime):
    if not can("fuse"):
        pytest.skip(f"no {DEVICE} here")
    runtime.add_node("a", Disk("sized", SIZE_BYTES, forgets=True, unprivileged=True))
    assert runtime.sync_s("a") < 0.5
    runtime.slow_disk("a", 0.5)
    assert runtime.sync_s("a") >= 0.5
    script = (
        "echo x > store/x; dd if=/dev/zero of=store/y bs=1k count=1 conv=fsync & "
        "sleep 0.2; cat store/x; date +%s.%N; wait; date +%s.%N"
    )
    read, began, ended = runtime.run("a", ["sh", "-c", script], 10)[1].split()
    assert read == b"x"
    assert float(ended) - float(began) > 0.25, "the sync was still waited for when the other file was read"
    runtime.slow_disk("a", 0)
    assert runtime.sync_s("a") < 0.5


def test_only_a_disk_of_fuse_can_be_slow(runtime: LocalRuntime):
    runtime.add_node("a", Disk("sized", SIZE_BYTES))
    with pytest.raises(CapabilityMissing, match="none of FUSE"):
        runtime.slow_disk("a", 1)


def test_a_disk_that_cannot_fail_says_so(runtime: LocalRuntime):
    runtime.add_node("plain")
    with pytest.raises(CapabilityMissing, match="has a plain disk: give it Disk"):
        runtime.fail_disk("plain")
