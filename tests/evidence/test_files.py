import errno
from pathlib import Path

import pytest

from harness.core.errors import EvidenceError, UsageError
from harness.evidence import refuse_unwritable, write_text
from tests.unprivileged import ordinary_user, read_only


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "writable for this user"),
        (errno.EPERM, "writable for this user"),
        (errno.EROFS, "is read-only"),
        (errno.ENOSPC, "free space"),
        (errno.EDQUOT, "free space"),
        (errno.EIO, "see what is wrong"),
    ],
)
def test_the_remedy_is_that_of_the_trouble(monkeypatch, tmp_path, number, remedy):
    def refuse(path, *_arguments, **_options):
        raise OSError(number, "it was refused", str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    # What refuses to write, a read-only file system for one, also refuses to delete.
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(EvidenceError, match=r"run\.json could not be written \(it was refused\)") as refused:
        write_text(tmp_path / "run.json", "{}")
    assert remedy in str(refused.value)
    assert ("free space" in str(refused.value)) == (remedy == "free space")


def test_a_directory_that_may_not_be_written_is_left_as_it_is(open_directory):
    (open_directory / "run.json").write_text("before")
    read_only(open_directory)
    with ordinary_user(), pytest.raises(EvidenceError, match=r"run\.json could not be written"):
        write_text(open_directory / "run.json", "after")
    assert [path.name for path in open_directory.iterdir()] == ["run.json"]
    assert (open_directory / "run.json").read_text() == "before"


def test_a_place_that_cannot_be_written_to_is_told_before_the_work_and_nothing_is_made(open_directory, tmp_path):
    refuse_unwritable(tmp_path / "a" / "b", "--out")
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file is not a directory: name another one with --out"):
        refuse_unwritable(tmp_path / "file" / "x", "--out")
    read_only(open_directory)
    with ordinary_user(), pytest.raises(UsageError, match=r"not writable for this user: .* with --results"):
        refuse_unwritable(open_directory / "x", "--results")
