"""What is refused before anything is downloaded or started."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from harness import equip as room
from harness import playground
from harness.core.errors import NodeDied, SetupError, UsageError
from harness.core.version import Version
from harness.distribution import Release
from harness.playground import Wish
from harness.settings import Settings
from harness.topology import load_topology
from tests.unprivileged import ordinary_user, read_only


@pytest.fixture
def begun(monkeypatch):
    """Downloads and starts that were tried; each ends in a SetupError."""
    tried = []

    def refuse(what):
        def attempt(*_arguments, **_options):
            tried.append(what)
            raise SetupError(f"{what} was begun")

        return attempt

    monkeypatch.setattr("harness.distribution.release.obtain", refuse("a download of jars"))
    monkeypatch.setattr("harness.distribution.jre._unpacked", refuse("a download of Java"))
    monkeypatch.setattr(room, "probe_capabilities", refuse("a cluster to try things out"))
    return tried


@pytest.fixture
def asked(tmp_path):
    def make(**more):
        places = {name: tmp_path / name for name in ("reports", "cache", "state")}
        return Settings(load_topology("1m"), **places | {"rocketmq": "4.9.7"} | more)

    return make


def up(settings):
    wish = Wish("1m", rocketmq=settings.rocketmq, java=settings.java)
    playground.up(wish, reports=settings.reports, cache=settings.cache, state=settings.state, say=print)


def suites(settings):
    room.equip(settings, print, ())


@pytest.mark.parametrize("start", [up, suites])
@pytest.mark.parametrize(
    "options",
    [
        {"java": "path:/nowhere"},
        {"rocketmq": "path:/nowhere"},
        {"rocketmq": "path:/nowhere", "java": "21"},
        {"rocketmq": "path:/nowhere", "java": "path:/nowhere"},
    ],
)
def test_a_wrong_path_is_told_before_anything_is_begun(asked, begun, start, options):
    with pytest.raises(UsageError, match=r"^--(java|rocketmq) 'path:/nowhere': /nowhere is no ") as refused:
        start(asked(**options))
    assert "Name the directory above" in str(refused.value)
    assert begun == []


def test_java_is_obtained_before_a_release(asked, begun):
    with pytest.raises(SetupError, match="Java was begun"):
        room.obtain("4.9.7", "21", asked().cache)
    assert begun == ["a download of Java"]


@pytest.mark.parametrize("start", [up, suites])
@pytest.mark.parametrize(("place", "remedy"), [("reports", "--reports"), ("state", "RMQ_HARNESS_STATE")])
def test_a_place_that_cannot_be_is_told_before_anything_is_begun(asked, begun, start, place, remedy, tmp_path):
    (tmp_path / "a-file").write_text("")
    with pytest.raises(SetupError, match=r"cannot be written to \(Not a directory\)") as refused:
        start(asked(**{place: tmp_path / "a-file" / "x"}))
    assert remedy in str(refused.value)
    assert begun == []


@pytest.mark.parametrize("start", [up, suites])
@pytest.mark.parametrize("place", ["reports", "state"])
def test_a_place_that_is_a_file_is_a_wrong_option(asked, begun, start, place, tmp_path):
    (tmp_path / "a-file").write_text("")
    with pytest.raises(UsageError, match=r"a-file is not a directory: use another"):
        start(asked(**{place: tmp_path / "a-file"}))
    assert begun == []


@pytest.mark.parametrize("there", [True, False])
def test_a_place_that_may_not_be_written_is_told(open_directory, there):
    reports = open_directory if there else open_directory / "reports"
    read_only(open_directory)
    with ordinary_user(), pytest.raises(SetupError, match=r"Permission denied.*another --reports directory"):
        room.check_places(reports, open_directory)
    assert list(open_directory.iterdir()) == []


def test_a_place_that_may_be_written_is_made_and_left_empty(tmp_path):
    room.check_places(tmp_path / "a/reports", tmp_path / "state")
    assert [list(directory.iterdir()) for directory in (tmp_path / "a/reports", tmp_path / "state")] == [[], []]


class TestUpgrade:
    FIRST = Release("5.3.3", Version.parse("5.3.3"), sha256={"rocketmq-store-5.3.3.jar": "a", "guava.jar": "b"})

    def obtain(self, asked, monkeypatch, **upgrade):
        release = Release(
            "path:next", **{"version": Version.parse("5.4.0"), "sha256": {"rocketmq-store-5.4.0.jar": "c"}} | upgrade
        )
        monkeypatch.setattr(room, "obtain_release", lambda _spec, _cache: release)
        settings = asked(rocketmq="5.3.3", upgrade_to="path:/next")
        return room._obtain_upgrade(settings, self.FIRST, None, print)

    def test_the_same_jars_with_another_beside_them_are_no_upgrade(self, asked, monkeypatch):
        with pytest.raises(UsageError, match="holds the very jars of"):
            self.obtain(asked, monkeypatch, sha256={"rocketmq-store-5.3.3.jar": "a", "extra.jar": "x"})

    def test_an_older_candidate_is_refused(self, asked, monkeypatch):
        with pytest.raises(UsageError, match="is older than"):
            self.obtain(asked, monkeypatch, version=Version.parse("5.3.2"))

    def test_one_that_does_not_start_by_itself_is_refused(self, asked, monkeypatch):
        """Else its nodes would be said not to come back over the store of the release before it."""

        class Dies:
            def __init__(self, *_arguments):
                raise NodeDied("namesrv-1 died: NoClassDefFoundError")

        monkeypatch.setattr("harness.warm.Cluster", Dies)
        monkeypatch.setattr("harness.warm.LocalRuntime.open", lambda **_options: nullcontext())
        monkeypatch.setattr("harness.warm._digest", lambda *_: "x")
        monkeypatch.setattr(room, "check_keys", lambda *_arguments: None)
        jre = SimpleNamespace(major=11, version="11.0.1")
        monkeypatch.setattr(room, "obtain_release", lambda _spec, _cache: Release("path:next", Version.parse("5.4.0")))
        with pytest.raises(SetupError, match=r"path:next does not start by itself on Java 11: .*NoClassDefFoundError"):
            room._obtain_upgrade(asked(rocketmq="5.3.3", upgrade_to="path:/next"), self.FIRST, jre, print)


def test_the_option_that_was_given_is_named(asked, begun):
    with pytest.raises(UsageError, match=r"^--upgrade-from 'path:/nowhere'"):
        suites(asked(rocketmq="path:/nowhere", upgrade_to="5.3.3"))
    assert begun == []
