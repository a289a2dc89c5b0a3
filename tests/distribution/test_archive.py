"""Archives: made once, used while they match, and never in the way of a start."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess

import pytest

from harness.distribution.archive import archive_flags
from harness.distribution.jre import obtain_jre


@pytest.fixture
def java(cache):
    return obtain_jre("25", cache)


@pytest.fixture
def jars(tmp_path):
    jar = tmp_path / "a.jar"
    jar.write_bytes(b"a jar")
    return (jar,)


def trained(plan, content=b"archive"):
    plan.scratch.write_bytes(content)
    return plan.keep(143)


def test_the_first_start_trains_and_the_next_uses(java, jars, cache):
    first = archive_flags(java, "broker", jars, cache)
    assert first.trains
    assert first.flags[0] == f"-XX:AOTCacheOutput={first.scratch}"
    kept = trained(first)
    second = archive_flags(java, "broker", jars, cache)
    assert not second.trains
    assert f"-XX:AOTCache={kept}" in second.flags
    assert second.keep(0) is None


@pytest.mark.parametrize("exit_status", [1, 137, -9, 255])
def test_a_start_that_ended_badly_leaves_no_archive(java, jars, cache, exit_status):
    plan = archive_flags(java, "broker", jars, cache)
    plan.scratch.write_bytes(b"half")
    assert plan.keep(exit_status) is None
    assert not plan.scratch.exists()
    assert archive_flags(java, "broker", jars, cache).trains


def test_a_jvm_that_wrote_nothing_leaves_no_archive(java, jars, cache):
    assert archive_flags(java, "broker", jars, cache).keep(0) is None
    assert archive_flags(java, "broker", jars, cache).trains


def test_a_damaged_archive_is_made_again(java, jars, cache):
    kept = trained(archive_flags(java, "broker", jars, cache))
    kept.write_bytes(b"archivE")
    assert archive_flags(java, "broker", jars, cache).trains
    assert not kept.exists()


def test_another_role_jar_or_java_has_another_archive(java, jars, cache):
    trained(archive_flags(java, "broker", jars, cache))
    assert archive_flags(java, "namesrv", jars, cache).trains
    assert archive_flags(dataclasses.replace(java, build="other"), "broker", jars, cache).trains
    jars[0].write_bytes(b"another jar")
    assert archive_flags(java, "broker", jars, cache).trains


def test_a_copy_of_the_same_java_elsewhere_uses_the_same_archive(java, jars, tmp_path, cache):
    """Each virtual environment brings its own copy: what one of them trained serves all."""
    trained(archive_flags(java, "broker", jars, cache))
    shutil.copytree(java.home, tmp_path / "copy")
    copy = obtain_jre(f"path:{tmp_path / 'copy'}", cache)
    assert copy.home != java.home
    assert not archive_flags(copy, "broker", jars, cache).trains


def test_two_that_train_at_once_do_not_meet(java, jars, cache):
    one, two = (archive_flags(java, "broker", jars, cache) for _ in range(2))
    assert one.scratch != two.scratch
    trained(one, b"one")
    trained(two, b"two")
    assert not archive_flags(java, "broker", jars, cache).trains


def test_an_old_java_or_a_cache_out_of_use_means_no_flags(java, jars, tmp_path, cache):
    assert archive_flags(dataclasses.replace(java, major=11), "broker", jars, cache).flags == ()
    (tmp_path / "file").touch()
    assert archive_flags(java, "broker", jars, tmp_path / "file").flags == ()


def test_a_jvm_starts_with_an_archive_that_is_rubbish(java, tmp_path, cache):
    plan = archive_flags(java, "any", (), cache)
    trained(plan, b"rubbish" * 1000)
    use = archive_flags(java, "any", (), cache)
    assert not use.trains
    done = subprocess.run([java.java, *use.flags, "-version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
