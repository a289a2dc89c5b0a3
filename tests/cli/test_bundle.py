"""Bundles: what goes in comes out, and what was changed on the way is refused before anything is judged."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness import bundle as bundles
from harness.bundle import MANIFEST, bundle, recheck_bundle, unpacked
from harness.cli import main
from harness.core.errors import EvidenceError, UsageError
from harness.runtime import owner as owners
from harness.runtime.reaper import clean
from harness.stored import sha256_of

KILL = "scenarios/1m/kill"


@pytest.fixture
def packed(stored_run: Path, tmp_path: Path) -> Path:
    bundle(stored_run, tmp_path / "b.tar.gz")
    return tmp_path / "b.tar.gz"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_what_is_packed_comes_out_as_it_did(stored_run: Path, packed: Path, state: Path) -> None:
    shutil.rmtree(stored_run)
    text, code = recheck_bundle(packed, state)
    assert code == 0, text
    assert "1 of 1 rows came out as stored" in text
    assert "The bundle is whole" in text
    assert not list((state / "runs").iterdir()), "no record is left"


def test_the_command_packs_beside_the_run_and_checks_it(stored_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", str(stored_run)]) == 0
    out = stored_run.parent / "a-run.bundle.tar.gz"
    assert str(out) in capsys.readouterr().out
    assert main(["recheck", str(out)]) == 0


def test_the_same_run_gives_the_same_bytes(stored_run: Path, packed: Path, tmp_path: Path) -> None:
    for path in stored_run.rglob("*"):
        os.utime(path, (1, 1))
    (stored_run / KILL / "history.parquet").unlink(missing_ok=True)
    bundle(stored_run, tmp_path / "again.tar.gz")
    assert (tmp_path / "again.tar.gz").read_bytes() == packed.read_bytes()


def test_any_tar_unpacks_it(stored_run: Path, packed: Path, tmp_path: Path) -> None:
    with tarfile.open(packed) as tar:
        names = set(tar.getnames())
        tar.extractall(tmp_path / "out", filter="data")
    assert names == {MANIFEST, *json.loads((tmp_path / "out" / MANIFEST).read_text())["files"]}
    assert (tmp_path / "out" / "run.json").read_bytes() == (stored_run / "run.json").read_bytes()


@pytest.mark.parametrize("place", [0, 3, 4, 8, 9, 200, 0.3, 0.7, -1, -5, -40, -80, -95, -99, -103, -110, -118, -122])
def test_one_changed_byte_is_refused(packed: Path, state: Path, place: float) -> None:
    """Also in what no one would unpack: the header, the time in it, the checksum and the trailer."""
    data = bytearray(packed.read_bytes())
    data[place if isinstance(place, int) else int(len(data) * place)] ^= 1
    packed.write_bytes(data)
    with pytest.raises(EvidenceError, match="was changed or cut short"):
        recheck_bundle(packed, state)


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data + b"\0",
        lambda _data: b"",
        lambda _data: b"no bundle" * 100,
        lambda data: data + data,
    ],
)
def test_what_is_no_whole_bundle_is_refused(packed: Path, state: Path, harm: Callable[[bytes], bytes]) -> None:
    packed.write_bytes(harm(packed.read_bytes()))
    with pytest.raises(EvidenceError, match="was changed or cut short"):
        recheck_bundle(packed, state)


def forged(target: Path, members: dict[str, bytes | str], manifest: dict[str, bytes]) -> None:
    """A bundle with a right trailer whose contents are not what they should be; a text is a link's target."""
    files = {
        name: {"sha256": bundles.hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in manifest.items()
    }
    text = json.dumps({"schema": 1, "run": "r", "harness": "0", "files": files}).encode()
    raw = io.BytesIO()
    with gzip.GzipFile(fileobj=raw, mode="wb") as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, data in {MANIFEST: text, **members}.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    target.write_bytes(raw.getvalue())
    target.write_bytes(raw.getvalue() + bundles._trailer(len(raw.getvalue()), sha256_of(target)))


@pytest.mark.parametrize(
    ("members", "manifest", "told"),
    [
        ({"../out": b"x"}, {"../out": b"x"}, "no file of a run"),
        ({"/out": b"x"}, {"/out": b"x"}, "no file of a run"),
        ({"run.json": "/etc/passwd"}, {"run.json": b"x"}, "no file of a run"),
        ({"run.json": b"y"}, {"run.json": b"x"}, "is not what the manifest says"),
        ({"more": b"x"}, {}, "not in its manifest"),
        ({}, {"run.json": b"x"}, "lacks run.json"),
    ],
)
def test_contents_that_are_not_the_manifest_s_are_refused(
    tmp_path: Path, state: Path, members: dict[str, bytes | str], manifest: dict[str, bytes], told: str
) -> None:
    forged(tmp_path / "f.tar.gz", members, manifest)
    with pytest.raises(EvidenceError, match=told):
        recheck_bundle(tmp_path / "f.tar.gz", state)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("file", ["verdicts.json", f"{KILL}/history/*.jsonl", f"{KILL}/scenario.json"])
def test_a_run_that_was_edited_is_not_packed(stored_run: Path, tmp_path: Path, file: str) -> None:
    with next(stored_run.glob(file)).open("a") as stream:
        stream.write(" ")
    with pytest.raises(EvidenceError, match="changed after the run"):
        bundle(stored_run, tmp_path / "b.tar.gz")
    assert not (tmp_path / "b.tar.gz").exists()


def test_a_lost_history_makes_no_bundle(stored_run: Path, tmp_path: Path) -> None:
    next((stored_run / KILL / "history").glob("*.jsonl")).unlink()
    with pytest.raises(EvidenceError, match="is missing"):
        bundle(stored_run, tmp_path / "b.tar.gz")


def test_a_run_that_was_cut_short_stays_that(stored_run: Path, tmp_path: Path, state: Path) -> None:
    document = json.loads((stored_run / "run.json").read_text())
    document["ended_utc"] = ""
    (stored_run / "run.json").write_text(json.dumps(document))
    (stored_run / "verdicts.json").unlink()
    assert "the run was cut short or is not yet at its end, and stays that in the bundle" in bundle(
        stored_run, tmp_path / "b.tar.gz"
    )
    text, code = recheck_bundle(tmp_path / "b.tar.gz", state)
    assert code == 6
    assert "cut short" in text


def test_what_is_there_is_not_overwritten(stored_run: Path, packed: Path) -> None:
    before = packed.read_bytes()
    with pytest.raises(UsageError, match="is there already"):
        bundle(stored_run, packed)
    assert packed.read_bytes() == before


def test_it_does_not_hold_itself(stored_run: Path) -> None:
    with pytest.raises(UsageError, match="part of the run"):
        bundle(stored_run, stored_run / "b.tar.gz")


def test_a_file_that_grows_meanwhile_is_told(stored_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = bundles._manifest

    def then_grow(directory: Path) -> bundles.Manifest:
        manifest = make(directory)
        with next((stored_run / KILL / "history").glob("*.jsonl")).open("a") as stream:
            stream.write("{}\n")
        return manifest

    monkeypatch.setattr(bundles, "_manifest", then_grow)
    with pytest.raises(EvidenceError, match="changed while it was packed"):
        bundle(stored_run, tmp_path / "b.tar.gz")
    assert [p for p in tmp_path.iterdir() if "b.tar.gz" in p.name] == []


def test_a_file_that_shrinks_meanwhile_is_told(
    stored_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = bundles._manifest

    def then_shrink(directory: Path) -> bundles.Manifest:
        manifest = make(directory)
        os.truncate(directory / "report.html", 10)
        return manifest

    monkeypatch.setattr(bundles, "_manifest", then_shrink)
    with pytest.raises(EvidenceError, match="changed while it was packed"):
        bundle(stored_run, tmp_path / "b.tar.gz")


def test_what_a_dead_process_unpacked_is_cleaned(packed: Path, state: Path, tmp_path: Path) -> None:
    with unpacked(packed, state) as (directory, _manifest):
        kept = tmp_path / "kept"
        shutil.copytree(directory, kept)
    gone = owners.ProcessMark(2**22, 1)
    owners.write(state, owners.Owner("rmq-bundle-x", owners.boot_id(), str(kept), gone))
    assert any(str(kept) in line for line in clean(state))
    assert not kept.exists()


def test_a_full_disk_is_one_message(packed: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles.shutil, "disk_usage", lambda _path: SimpleNamespace(free=0))
    with pytest.raises(EvidenceError, match="MiB to be unpacked"):
        recheck_bundle(packed, state)
