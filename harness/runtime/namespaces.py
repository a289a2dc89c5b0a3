"""The system calls that Python 3.11 lacks, and the root that the cluster's processes see."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SYS_OPEN_TREE = 428
SYS_MOVE_MOUNT = 429
SYS_MOUNT_SETATTR = 442
OPEN_TREE_CLONE = 1
MOVE_MOUNT_F_EMPTY_PATH = 4
AT_FDCWD = -100
AT_RECURSIVE = 0x8000
MOUNT_ATTR_RDONLY = 1

HOSTS = Path("/rmq/.hosts")
EVIDENCE = Path("/rmq/.evidence")
WORK = Path("/rmq/.work")
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Moves this process into new namespaces. Raises OSError."""
    _check(_libc().unshare(flags), f"unshare({flags:#x})")


def enter(fd: int, kind: int) -> None:
    """Moves this thread into the namespace behind a descriptor. Raises OSError."""
    _check(_libc().setns(fd, kind), f"setns({kind:#x})")


def die_with_parent(signum: int) -> None:
    """Has the kernel send this process a signal when the thread that started it ends."""
    _check(_libc().prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def adopt_orphans() -> None:
    """Has the kernel make this process the parent of those below it whose own parent ends."""
    _check(_libc().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)")


def detached(source: Path) -> int:
    """A descriptor of a second view of a file or directory, with every mount below it, that is mounted nowhere yet.

    Raises OSError, on kernels before 5.2 too.
    """
    flags = OPEN_TREE_CLONE | os.O_CLOEXEC | AT_RECURSIVE
    fd = _libc().syscall(SYS_OPEN_TREE, AT_FDCWD, str(source).encode(), flags)
    _check(fd, f"opening the mounts below {source}")
    return int(fd)


def attach(view: int, target: str) -> None:
    """Mounts what `detached` gave on `target`, in the mount namespace that this process is in. Raises OSError."""
    flags = MOVE_MOUNT_F_EMPTY_PATH
    _check(_libc().syscall(SYS_MOVE_MOUNT, view, b"", AT_FDCWD, target.encode(), flags), f"mounting on {target}")


def mount(source: str, target: str, kind: str | None, flags: int = 0, data: str = "") -> None:
    """Mounts a file system. Raises OSError naming both ends."""
    result = _libc().mount(
        source.encode(), target.encode(), kind.encode() if kind else None, flags, data.encode() or None
    )
    _check(result, f"mount {source} on {target}")


def unmount(target: str, flags: int = 0) -> None:
    """Takes a mount away. Raises OSError (EBUSY while a file is open)."""
    _check(_libc().umount2(target.encode(), flags), f"umount {target}")


def sync_filesystem(fd: int) -> None:
    """When it returns, the file system behind `fd` is on its device."""
    _check(_libc().syncfs(fd), "syncfs")


def bind(source: Path, target: Path, *, recursive: bool = False) -> None:
    """Shows a file or directory a second time at `target`, which must exist."""
    mount(str(source), str(target), None, MS_BIND | (MS_REC if recursive else 0))


def become_mapped_root(uid: int, gid: int) -> None:
    """After CLONE_NEWUSER: this user is root inside, and nobody else exists."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


@contextmanager
def network_of(fd: int, back_fd: int) -> Iterator[None]:
    """Runs the block in another network namespace: sockets made in it stay there for good."""
    enter(fd, CLONE_NEWNET)
    try:
        yield
    finally:
        enter(back_fd, CLONE_NEWNET)


def make_read_only(target: Path) -> None:
    """Nothing below `target` can be written through this view of it; other views stay as they are.

    Kernels before 5.12 cannot do it for a whole tree: there the view stays writable.
    """
    number = _libc().syscall(
        SYS_MOUNT_SETATTR,
        AT_FDCWD,
        str(target).encode(),
        AT_RECURSIVE,
        struct.pack("4Q", MOUNT_ATTR_RDONLY, 0, 0, 0),
        32,
    )
    if number < 0 and ctypes.get_errno() != errno.ENOSYS:
        _check(number, f"making {target} read-only")


def build_root(root: Path, evidence: Path, work: Path) -> None:
    """Makes the machine's root anew under `root` (an empty directory) and moves into it.

    Everything is where it was, but read-only: a node that writes to a home directory or a cache would leave it
    behind. Private are /proc, /dev/shm and /tmp, which shows the machine's directories without the JVMs'
    hsperfdata (two namespaces would write to the same files there). /rmq holds what may be written, `evidence` and
    `work` among it, and the names of all nodes. Call it in new mount and PID namespaces, as the first process.
    """
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("rmq", str(root), "tmpfs", MS_NOSUID, "mode=0755")
    for entry in sorted(Path("/").iterdir()):
        if entry.name not in ("proc", "tmp", "rmq"):
            _show(entry, root / entry.name)
    for name in ("proc", "tmp", "rmq"):
        (root / name).mkdir()
    mount("rmq-tmp", str(root / "tmp"), "tmpfs", MS_NOSUID, "mode=1777")
    for entry in sorted(Path("/tmp").iterdir()):
        if entry.is_dir() and not entry.name.startswith("hsperfdata_"):
            with suppress(OSError):
                _show(entry, root / "tmp" / entry.name)
    mount("proc", str(root / "proc"), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for source, target in ((evidence, EVIDENCE), (work, WORK)):
        inside = root / target.relative_to("/")
        inside.mkdir()
        bind(source, inside)
    _pivot(root)
    if Path("/dev/shm").is_dir():
        mount("rmq-shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    _own_names()


def _show(entry: Path, target: Path) -> None:
    if entry.is_symlink():
        target.symlink_to(entry.readlink())
    elif entry.is_dir():
        target.mkdir()
        try:
            bind(entry, target, recursive=True)
        except OSError:
            target.rmdir()
            raise
        make_read_only(target)
    elif entry.is_file():
        target.touch()
        bind(entry, target)
        make_read_only(target)


def _pivot(root: Path) -> None:
    os.chdir(root)
    machine = os.uname().machine
    if machine not in SYS_PIVOT_ROOT:
        raise OSError(f"pivot_root has no known number on {machine}: use --runtime docker")
    _check(_libc().syscall(SYS_PIVOT_ROOT[machine], b".", b"."), "pivot_root")
    unmount(".", MNT_DETACH)
    os.chdir("/")


def _own_names() -> None:
    HOSTS.write_text("127.0.0.1 localhost\n")
    resolver = Path("/rmq/.resolv.conf")
    resolver.write_text("options attempts:1 timeout:1\n")
    for own, theirs in ((HOSTS, Path("/etc/hosts")), (resolver, Path("/etc/resolv.conf"))):
        if theirs.exists():
            bind(own, theirs.resolve())
