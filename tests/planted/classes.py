"""Changes one method of one class, by javassist: `python -m tests.planted.classes CLASS METHOD SOURCE JAR...`.

Writes the bytes of the changed class to its output.
"""

from __future__ import annotations

import sys

import jpype

from harness.distribution import default_cache, obtain_jre


def changed(name: str, method: str, source: str, jars: list[str]) -> bytes:
    """The class with the source before the body of its method."""
    jpype.startJVM(str(obtain_jre("25", default_cache()).libjvm), classpath=[j for j in jars if "/javassist-" in j])
    pool = jpype.JClass("javassist.ClassPool")(False)
    pool.appendSystemPath()
    for jar in jars:
        pool.appendClassPath(jar)
    found = pool.get(name)
    found.getDeclaredMethod(method).insertBefore(source)
    return bytes(found.toBytecode())


if __name__ == "__main__":
    sys.stdout.buffer.write(changed(*sys.argv[1:4], sys.argv[4:]))
