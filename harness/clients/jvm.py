"""Starts the JVM inside a worker and reads what the Java client throws. Imported only by workers of the Java client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jpype

from harness.clients.config import Config, JavaSetup
from harness.core.errors import ClientError

_FLAGS = ("-Xms64m", "-Xmx192m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xrs")
# The netty of the clients before 4.9 reaches into the JDK by reflection.
_OLD_FLAGS = ("--add-opens=java.base/java.nio=ALL-UNNAMED", "-Dio.netty.tryReflectionSetAccessible=true")
MAX_CAUSES = 4


def start_jvm(setup: JavaSetup) -> None:
    """Starts the JVM of this process, logs and user files below the working directory. Raises `ClientError`."""
    home = Path.cwd()
    flags = [
        *_FLAGS,
        *(_OLD_FLAGS if setup.version.startswith(("3.", "4.4.", "4.8.")) else ()),
        f"-Duser.home={home}",
        f"-Drocketmq.client.logRoot={home / 'logs'}",
        "-Drocketmq.client.logLevel=ERROR",
        f"-Drocketmq.client.localOffsetStoreDir={home / 'offsets'}",
        *setup.jvm_flags,
    ]
    missing = [jar for jar in setup.classpath if not Path(jar).is_file()]
    if missing or not setup.classpath:
        raise ClientError(f"the java client's classpath lacks {missing or 'any jar'}; give the jars of a lock file")
    try:
        # A string that stays Java's would cost a wrapper and another call: what is asked for here is always read.
        jpype.startJVM(setup.libjvm or None, *flags, classpath=list(setup.classpath), convertStrings=True)
    except (OSError, RuntimeError, ValueError, jpype.JVMNotFoundException) as error:
        raise ClientError(f"no JVM from {setup.libjvm!r} with {flags}: {error}") from None


def new_client(java_class: str, config: Config, heartbeat_ms: int) -> Any:
    """A producer or consumer of the Java client, not started, with what both kinds are told."""
    client = jpype.JClass(java_class)(config.group)
    client.setNamesrvAddr(config.namesrv)
    client.setInstanceName(config.process)
    client.setVipChannelEnabled(False)
    client.setPollNameServerInterval(config.poll_nameserver_ms)
    client.setHeartbeatBrokerInterval(heartbeat_ms)
    return client


def versions(setup: JavaSetup) -> dict[str, str]:
    """The versions of client, JVM and bridge."""
    system = jpype.JClass("java.lang.System")
    return {
        "rocketmq-client": setup.version,
        "java": str(system.getProperty("java.version")),
        "jpype": str(jpype.__version__),
    }


def major_of(setup: JavaSetup) -> int:
    """The client's first version number; 4 where it is not told."""
    head = setup.version.partition(".")[0]
    return int(head) if head.isdigit() else 4


def optional_call(target: Any, method: str, value: Any) -> None:
    """Calls a setter that not every release of the client has."""
    setter = getattr(target, method, None)
    if setter is not None:
        setter(value)


_WRAPPED = "send message Exception"
"""How sendMessageInTransaction wraps whatever its send of the half message threw."""


def thrown(error: Any) -> tuple[str, int | None, str]:
    """Simple class name, response code if there is one, and the text of a Java exception with its causes."""
    name = str(error.getClass().getSimpleName())
    if name == "UndeclaredThrowableException" and error.getUndeclaredThrowable() is not None:  # see `java_sends.Send`
        return thrown(error.getUndeclaredThrowable())
    if name == "MQClientException" and str(error.getMessage()).startswith(_WRAPPED) and error.getCause() is not None:
        return thrown(error.getCause())
    code = int(error.getResponseCode()) if name in ("MQBrokerException", "MQClientException") else None
    texts = []
    cause = error
    for _ in range(MAX_CAUSES):
        if cause is None:
            break
        texts.append(f"{cause.getClass().getSimpleName()}: {cause.getMessage()}".replace("\n", " "))
        cause = cause.getCause()
    return name, code, " <- ".join(texts)
