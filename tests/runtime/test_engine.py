"""Which Docker daemon is used, and which is refused and why, without one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import docker
import pytest
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from harness import keep
from harness.core.errors import SetupError, UsageError
from harness.runtime import docker as docker_runtime
from harness.runtime import owner as owners
from harness.runtime import reaper
from harness.runtime.docker import _ended
from harness.runtime.engine import LABEL, Engine, discard
from harness.runtime.fleet import Fleet
from harness.runtime.owner import Owner, ProcessMark
from harness.runtime.reaper import clean


class Container:
    def __init__(self, labels, said=b"", code=0, error=None):
        self.labels, self.name, self.removed = labels, "c", False
        self._said, self._code, self._error = said, code, error

    def start(self):
        if self._error is not None:
            raise self._error

    def wait(self, **_more):
        return {"StatusCode": self._code}

    def logs(self, **_more):
        return self._said

    def remove(self, **_more):
        self.removed = True


class Containers:
    def __init__(self, *known, made=None):
        self.known, self.made, self.wanted = list(known), made, []

    def list(self, filters, **_more):
        key, equals, value = filters["label"].partition("=")
        return [c for c in self.known if key in c.labels and (not equals or c.labels[key] == value)]

    def create(self, image, **wanted):
        self.wanted.append({"image": image, **wanted})
        return self.made


def engine_with(*known, made=None):
    return Engine(SimpleNamespace(containers=Containers(*known, made=made)), "unix:///x")


@pytest.fixture
def listening(tmp_path, monkeypatch):
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        yield path


def answering(monkeypatch, **api):
    client = SimpleNamespace(api=SimpleNamespace(**api), close=lambda: None)
    monkeypatch.setattr(docker, "DockerClient", lambda **_options: client)


@pytest.mark.parametrize("host", ["tcp://10.0.0.5:2376", "ssh://ci@build", "http://localhost:2375"])
def test_a_daemon_that_may_be_on_another_machine_is_refused(host, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(UsageError, match=f"DOCKER_HOST names the daemon at '{host}', which may be on another machine"):
        Engine.connect()


def test_so_is_one_of_a_context(monkeypatch):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    context = SimpleNamespace(Name="far", Host="ssh://ci@build")
    monkeypatch.setattr(docker.context.ContextAPI, "get_context", lambda _name: context)
    with pytest.raises(UsageError, match="the context 'far' names the daemon at 'ssh://ci@build'"):
        Engine.connect()


def test_a_context_that_is_none_is_named(monkeypatch):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")
    monkeypatch.setattr(docker.context.ContextAPI, "get_context", lambda _name: None)
    with pytest.raises(UsageError, match="DOCKER_CONTEXT 'nowhere' is no context"):
        Engine.connect()


def test_a_current_context_that_is_gone_or_unreadable_is_told(monkeypatch):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setattr(docker.context.ContextAPI, "get_context", lambda _name: None)
    with pytest.raises(UsageError, match="the current context of the docker command is no context"):
        Engine.connect()

    def corrupted(_name):
        raise Exception("Detected corrupted meta file for context far")

    monkeypatch.setattr(docker.context.ContextAPI, "get_context", corrupted)
    with pytest.raises(UsageError, match=r"cannot be read \(Detected corrupted.*\): name the daemon by DOCKER_HOST"):
        Engine.connect()


def test_where_no_daemon_is_the_place_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(SetupError, match=r"no Docker daemon is at .*none.sock \(by DOCKER_HOST\): start it"):
        Engine.connect()


@pytest.mark.parametrize(
    ("trouble", "remedy"),
    [("Permission denied", "member of its group"), ("Connection refused", "is it running?")],
)
@pytest.mark.usefixtures("listening")
def test_a_daemon_that_does_not_answer_is_told_with_a_remedy(trouble, remedy, monkeypatch):
    def refusing(**_options):
        raise DockerException(trouble)

    monkeypatch.setattr(docker, "DockerClient", refusing)
    with pytest.raises(SetupError, match=rf"does not answer \({trouble}\): .*{remedy}"):
        Engine.connect()


def test_one_that_is_too_old_is_refused_and_a_newer_one_is_not(listening, monkeypatch):
    answering(monkeypatch, api_version="1.39")
    with pytest.raises(SetupError, match=r"speaks API 1.39; 1.40 is needed"):
        Engine.connect()
    answering(monkeypatch, api_version="1.40")
    assert Engine.connect().url == f"unix://{listening}"


@pytest.mark.usefixtures("listening")
def test_what_is_no_docker_daemon_is_told(monkeypatch):
    answering(monkeypatch, api_version="latest")
    with pytest.raises(SetupError, match=r"does not answer .*: is it running"):
        Engine.connect()


def test_an_image_that_cannot_be_pulled_says_how_to_make_one():
    def missing(_reference):
        raise ImageNotFound("no such image")

    def refused(name, tag):
        raise APIError(f"dial tcp: no route for {name} {tag}")

    engine = Engine(SimpleNamespace(images=SimpleNamespace(get=missing, pull=refused)), "unix:///x")
    with pytest.raises(SetupError, match=r"'a/b:5.3.3' .* cannot be pulled \(dial .* a/b 5.3.3\): .*make docker-image"):
        engine.image("a/b:5.3.3")


@pytest.mark.parametrize(
    ("reference", "name", "tag"),
    [
        ("a/b:5.3.3", "a/b", "5.3.3"),
        ("host:5000/a/b:5.3.3", "host:5000/a/b", "5.3.3"),
        ("host:5000/a/b", "host:5000/a/b", "latest"),
        ("a/b:5.3.3@sha256:00", "a/b:5.3.3@sha256:00", None),
    ],
)
def test_what_is_pulled_is_one_tag(reference, name, tag):
    pulled = []

    def missing(_reference):
        raise ImageNotFound("no such image")

    def pull(*parts):
        pulled.append(parts)
        return SimpleNamespace(id="sha256:1")

    engine = Engine(SimpleNamespace(images=SimpleNamespace(get=missing, pull=pull)), "unix:///x")
    assert engine.image(reference).id == "sha256:1"
    assert pulled == [(name, tag)]


def refused(status, text):
    return APIError(text, response=SimpleNamespace(status_code=status, reason="", url=""), explanation=text)


def test_what_is_no_name_of_an_image_is_told_as_bad_input_and_a_daemon_that_fails_is_not():
    def engine_that(error):
        def get(_reference):
            raise error

        return Engine(SimpleNamespace(images=SimpleNamespace(get=get)), "unix:///x")

    with pytest.raises(UsageError, match=r"'X:5.3.3' names no image \(.*lowercase\): write NAME:VERSION"):
        engine_that(refused(400, "repository name must be lowercase")).image("X:5.3.3")
    with pytest.raises(SetupError, match=r"looking for the image 'x:5.3.3': the Docker daemon says: disk is full"):
        engine_that(refused(500, "disk is full")).image("x:5.3.3")
    with pytest.raises(SetupError, match=r"looking for the image .* does not answer \(gone\)"):
        engine_that(requests.exceptions.ConnectionError("gone")).image("x:5.3.3")


def test_a_pull_that_the_connection_does_not_survive_is_told():
    def missing(_reference):
        raise ImageNotFound("no such image")

    def cut(*_parts):
        raise requests.exceptions.ReadTimeout("timed out")

    engine = Engine(SimpleNamespace(images=SimpleNamespace(get=missing, pull=cut)), "unix:///x")
    with pytest.raises(SetupError, match=r"cannot be pulled \(timed out\)"):
        engine.image("x:5.3.3")


@pytest.mark.parametrize(
    ("said", "id"),
    [
        ('{"status":"sha256:old"}\n{"error":"no space left","errorDetail":{}}', "sha256:old"),
        ('{"status":"sha256:new"}\n', "sha256:old"),
    ],
)
def test_an_image_of_before_is_not_taken_for_the_one_that_could_not_be_imported(said, id):
    api = SimpleNamespace(import_image_from_file=lambda *_words, **_more: said)
    images = SimpleNamespace(get=lambda _reference: SimpleNamespace(id=id))
    with pytest.raises(SetupError, match=r"importing the image 'x:5.3.3': the Docker daemon says: "):
        Engine(SimpleNamespace(api=api, images=images), "unix:///x").import_image(Path("a"), "x:5.3.3", [])


def test_one_that_was_imported_is_the_one_that_has_the_name():
    api = SimpleNamespace(import_image_from_file=lambda *_words, **_more: '{"status":"sha256:new"}\r\n')
    images = SimpleNamespace(get=lambda _reference: SimpleNamespace(id="sha256:new"))
    made = Engine(SimpleNamespace(api=api, images=images), "unix:///x").import_image(Path("a"), "x:5.3.3", [])
    assert made.id == "sha256:new"


def test_a_daemon_that_dies_in_a_look_is_not_the_image_s_fault():
    class Cut(Container):
        def wait(self, **_more):
            raise requests.exceptions.ConnectionError("connection aborted")

        def remove(self, **_more):
            raise requests.exceptions.ConnectionError("and it is still gone")

    with pytest.raises(SetupError, match=r"looking into the image i: .*not answer .connection aborted"):
        engine_with(made=Cut({})).output_of("i", "echo seen")
    full = Container({}, error=refused(500, "no space left on device"))
    with pytest.raises(SetupError, match="no space left"):
        engine_with(made=full).output_of("i", "echo seen")


def test_a_look_leaves_no_container_whatever_comes_of_it():
    good = Container({}, said=b"seen\n")
    engine = engine_with(made=good)
    assert engine.output_of("i", "echo seen") == "seen\n"
    assert engine.client.containers.wanted[0]["log_config"] == {"type": "json-file"}, "whatever the daemon's default is"
    bad = Container({}, said=b"what it said", code=3)
    with pytest.raises(UsageError, match="what it said"):
        engine_with(made=bad).output_of("i", "exit 3")
    unable = Container({}, error=APIError("exec: sh: not found"))
    with pytest.raises(UsageError, match="sh: not found"):
        engine_with(made=unable).output_of("i", "exit 3")
    assert [c.removed for c in (good, bad, unable)] == [True, True, True]


def test_lookers_of_dead_processes_are_forgotten_and_nothing_else():
    own = ProcessMark.of(os.getpid())
    assert own is not None
    dead = Container({LABEL: f"look-{own.pid}-{own.start_ticks + 1}"})
    living = Container({LABEL: f"look-{own.pid}-{own.start_ticks}"})
    other = Container({LABEL: "rmq-harness:0123"})
    strange = Container({LABEL: "look-here"})
    engine_with(dead, living, other, strange).forget_lookers()
    assert [c.removed for c in (dead, living, other, strange)] == [True, False, False, False]


def test_a_run_removes_what_carries_its_mark_alone():
    mine, others = Container({LABEL: "rmq-harness:1"}), Container({LABEL: "rmq-harness:2"})
    assert len(Fleet(engine_with(mine, others), "rmq-harness:1").remove()) == 1
    assert (mine.removed, others.removed) == (True, False)


def test_one_that_stays_keeps_no_other():
    class Stuck(Container):
        def remove(self, **_more):
            raise refused(500, "device or resource busy")

    stuck, other = Stuck({LABEL: "m"}), Container({LABEL: "m"})
    with pytest.raises(SetupError, match="removing container c: the Docker daemon says: device or resource busy"):
        Fleet(engine_with(stuck, other), "m").remove()
    assert other.removed


def test_a_container_that_does_not_start_is_removed():
    made = Container({}, error=APIError("no such thing"))
    fleet = Fleet(engine_with(made=made), "m")
    with pytest.raises(SetupError, match="making the network of 'a': the Docker daemon says: no such thing"):
        fleet.start_keeper("i", "a", "h")
    assert made.removed


def test_an_image_that_was_removed_meanwhile_is_named_with_a_remedy():
    def create(_image, **_wanted):
        raise ImageNotFound("No such image")

    engine = Engine(SimpleNamespace(containers=SimpleNamespace(create=create)), "unix:///x")
    with pytest.raises(SetupError, match=r"the image sha256:1 is not in the Docker daemon at unix:///x any more"):
        Fleet(engine, "m").start_holder("sha256:1", ["python"])


def test_a_runtime_that_does_not_come_to_be_leaves_no_holder(tmp_path, monkeypatch):
    ended = []
    link = SimpleNamespace(end=lambda: ended.append(True))
    owner = SimpleNamespace(engine="unix:///x", work_dir="/w")
    monkeypatch.setattr(docker_runtime, "begin", lambda *_words, **_more: (link, owner))

    def gone(*_words):
        raise SetupError("the Docker daemon does not answer")

    monkeypatch.setattr(docker_runtime.DockerRuntime, "__init__", gone)
    with pytest.raises(SetupError, match="does not answer"):
        docker_runtime.DockerRuntime.open_with("i", "unix:///x", run_id="r", evidence=tmp_path, work_dir=tmp_path)
    assert ended == [True]


def test_what_is_looked_at_is_what_the_scripts_started():
    words = ["sh", "-c", f"sh -c \"'{sys.executable}' -c 'print(flush=True); input()'; :\"; :"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        seen = docker_runtime._at_the_end(shell.pid)
        command = Path(f"/proc/{seen}/cmdline").read_bytes()
        shell.communicate(b"\n")
    assert seen != shell.pid
    assert command.startswith(sys.executable.encode())
    assert docker_runtime._at_the_end(seen) == seen, "of one that has ended nothing else is told"


def test_one_that_removes_itself_is_awaited():
    awaited = []
    refusing = SimpleNamespace(
        name="c",
        remove=lambda **_more: (_ for _ in ()).throw(
            APIError("in progress", response=SimpleNamespace(status_code=409, reason="conflict"))
        ),
        wait=lambda **more: awaited.append(more["condition"]),
    )
    discard(refusing)
    assert awaited == ["removed"]
    gone = SimpleNamespace(name="c", remove=lambda **_more: (_ for _ in ()).throw(NotFound("gone")))
    discard(gone)


def test_one_that_could_not_remove_itself_is_not_told_to_be_gone():
    def fails(_error=None, **_more):
        raise refused(409, "removal is in progress")

    def busy(**_more):
        raise refused(500, "device or resource busy")

    with pytest.raises(SetupError, match=r"removing container c: .* busy"):
        discard(SimpleNamespace(name="c", remove=fails, wait=busy))
    ended = {"StatusCode": -1, "Error": {"Message": "its files are in use"}}
    with pytest.raises(SetupError, match="container c cannot be removed: its files are in use"):
        discard(SimpleNamespace(name="c", remove=fails, wait=lambda **_more: ended))


def test_every_container_of_a_run_is_cut_off_from_the_world_and_marked():
    made = Container({})
    engine = engine_with(made=made)
    fleet = Fleet(engine, "m")
    fleet.start_holder("i", ["python"])
    fleet.start_keeper("i", "a", "h")
    fleet.start_body("i", "a", ("h", "k"), ["sh", "mqbroker"])
    holder, keeper, body = engine.client.containers.wanted
    assert [w["labels"][LABEL] for w in (holder, keeper, body)] == ["m", "m", "m"]
    assert [w["network_mode"] for w in (holder, keeper, body)] == ["none", "none", "container:k"]
    assert [w.get("pid_mode") for w in (holder, keeper, body)] == [None, "container:h", "container:h"]
    assert "privileged" not in {*holder, *keeper, *body}
    beside = [(w["init"], w["healthcheck"]["test"]) for w in (holder, keeper, body)]
    assert beside == [(False, ["NONE"])] * 3, "what an image or a daemon adds would pass for the node's own"
    assert "volumes" not in body
    assert Path(body["entrypoint"][3]) == Path("/rmq/a/logs/stdout.log")


def test_what_waits_for_its_daemon_keeps_nothing_else_waiting(tmp_path):
    dead = ProcessMark(os.getpid(), 1)
    for name, engine in (("a", f"unix://{tmp_path}/none.sock"), ("b", "")):
        owners.write(tmp_path, Owner(name, owners.boot_id(), str(tmp_path / name), dead, engine=engine))
    with pytest.raises(SetupError, match=r"run a cannot be removed yet \(no Docker daemon is at .*delete "):
        clean(tmp_path)
    assert [path.stem for path, _owner in owners.records(tmp_path)] == ["a"]
    told = []
    assert clean(tmp_path, later=told.append) == []
    assert len(told) == 1
    assert [path.stem for path, _owner in owners.records(tmp_path)] == ["a"]


def test_what_still_runs_is_ended_though_its_daemon_cannot_be_asked(tmp_path):
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        dead, holder = ProcessMark(os.getpid(), 1), ProcessMark.of(sleeper.pid)
        owner = Owner("a", owners.boot_id(), str(tmp_path / "a"), dead, holder, engine=f"unix://{tmp_path}/none.sock")
        owners.write(tmp_path, owner)
        told = []
        removed = clean(tmp_path, later=told.append)
        assert sleeper.wait(5) == -signal.SIGKILL
    assert removed == [f"holder {sleeper.pid} of run a and everything below it"]
    assert len(told) == 1
    assert [path.stem for path, _owner in owners.records(tmp_path)] == ["a"]


def test_a_holder_that_is_not_ours_to_end_is_told(tmp_path, monkeypatch):
    def refused(_mark):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(reaper, "end_process", refused)
    own = ProcessMark.of(os.getpid())
    owners.write(tmp_path, Owner("a", owners.boot_id(), str(tmp_path / "a"), ProcessMark(os.getpid(), 1), own))
    with pytest.raises(SetupError, match=r"run a goes on: its holder, process \d+, is not this user's to end"):
        clean(tmp_path)


def test_a_cluster_that_was_left_up_ends_though_its_daemon_is_gone(tmp_path):
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        holder = ProcessMark.of(sleeper.pid)
        owner = Owner("a", owners.boot_id(), str(tmp_path), ProcessMark(os.getpid(), 1), holder, lingering=True)
        owners.write(tmp_path, replace(owner, engine=f"unix://{tmp_path}/none.sock"))
        with pytest.raises(SetupError, match=r"it is ended, and what the daemon keeps .*no Docker daemon is at"):
            keep.end("a", tmp_path)
        assert sleeper.wait(5) == -signal.SIGKILL
    assert [path.stem for path, _owner in owners.records(tmp_path)] == ["a"]


def test_a_record_of_before_there_were_containers_is_read(tmp_path):
    owners.write(tmp_path, Owner("a", "boot", "/w", ProcessMark(1, 1)))
    path = owners.record_path(tmp_path, "a")
    path.write_text(path.read_text().replace(', "engine": ""', ""))
    assert "engine" not in path.read_text()
    owner = owners.read(path)
    assert owner is not None
    assert owner.engine == ""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "exited with code 0"),
        (143, "exited with code 143"),
        (137, "killed by SIGKILL"),
        (139, "killed by SIGSEGV"),
        (135, "killed by SIGBUS"),
    ],
)
def test_what_nobody_ends_with_by_himself_was_a_signal(code, said):
    assert str(_ended(code, 1)) == said
