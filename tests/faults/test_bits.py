"""A byte that changed: in the midst of the newest file that holds anything, and of one message alone."""

from __future__ import annotations

import pytest

from harness.core.errors import FaultError
from harness.faults.bits import LEAST, FlipByte, records
from harness.runtime.base import FileEntry
from harness.wire.message import decode_message
from tests.fakes.store import encode_stored
from tests.faults.test_detectors import Machine, cluster_of

FILE_BYTES = 1 << 17
FAULT = FlipByte(target="master/0")


def log(messages: int) -> bytes:
    """A file of a commit log: so many messages, then nothing."""
    stored = b"".join(encode_stored(body=b"body %d" % n, properties="KEYS\x01k\x02") for n in range(messages))
    return stored.ljust(FILE_BYTES, b"\0")


class Disk(Machine):
    """Commit-log files by name."""

    def __init__(self, **files: bytes) -> None:
        super().__init__()
        self.dials = ConnectionRefusedError(111, "refused")
        self.files = {f"store/commitlog/{name}": data for name, data in files.items()}

    def signal(self, node: str, number: int) -> None:
        self.dead.add(node)

    def wait_exit(self, node: str, timeout_s: float) -> None:
        assert node in self.dead

    def list_files(self, node: str, subdir: str) -> tuple[FileEntry, ...]:
        return tuple(FileEntry(path, len(data), 0) for path, data in self.files.items() if path.startswith(subdir))

    def read_file(self, node: str, path: str) -> bytes:
        return self.files[path]

    def patch_file(self, node: str, path: str, at: int, data: bytes) -> None:
        assert node in self.dead
        self.files[path] = self.files[path][:at] + data + self.files[path][at + len(data) :]


def test_one_byte_of_the_message_in_the_middle_of_the_newest_file_changes():
    before = {"a": log(900), "b": log(300), "c": log(0)}
    disk = Disk(**before)
    assert not FAULT.bites(cluster_of(disk))
    told = FAULT.inject(cluster_of(disk))["flipped"]["broker-a-0"]
    assert (told["file"], told["after"]) == ("store/commitlog/b", 149)
    assert disk.files["store/commitlog/a"] == before["a"]
    after = disk.files["store/commitlog/b"]
    assert [n for n, (one, other) in enumerate(zip(before["b"], after, strict=True)) if one != other] == [told["place"]]
    wrong = [n for n, (_at, raw) in enumerate(records(after)) if not decode_message(raw).crc_matches]
    assert wrong == [150]
    assert FAULT.bites(cluster_of(disk))


def test_a_log_that_is_whole_shows_no_bite():
    disk = Disk(a=log(300))
    disk.dead.add("broker-a-0")
    assert not FAULT.bites(cluster_of(disk))


def test_a_log_with_too_little_in_it_is_told():
    with pytest.raises(FaultError, match=rf"commitlog/b of broker-a-0 holds {LEAST - 1} messages, {LEAST} are needed"):
        FAULT.inject(cluster_of(Disk(a=log(900), b=log(LEAST - 1), c=log(0))))
    with pytest.raises(FaultError, match="the commit log of broker-a-0 holds 0 messages"):
        FAULT.inject(cluster_of(Disk(a=log(0))))


@pytest.mark.parametrize("tail", [b"", b"\0" * 3, b"\0" * 64, b"\0\0\1\0\xda\xa3\x20\xa7", b"\xff" * 64])
def test_what_is_no_message_ends_a_file(tail):
    whole = b"".join(encode_stored(body=b"x" * n) for n in range(1, 4))
    assert len(list(records(whole + tail))) == 3
