"""The JVM: the only place that imports jnius, jnius_config or pydl4j.

Python talks to Java through static methods of one facade, ``org.pyimgret.bridge.Bridge``,
on a few threads that live in the JVM. Java objects stay in Java; Python holds numbers.
"""

from pyimgret.jvm.bridge import JavaObject, bridge
from pyimgret.jvm.doctor import report
from pyimgret.jvm.raw import RawJava, with_java
from pyimgret.jvm.settings import JvmSettings, available_cores, configure, current_settings

__all__ = [
    "JavaObject",
    "JvmSettings",
    "RawJava",
    "available_cores",
    "bridge",
    "configure",
    "current_settings",
    "report",
    "with_java",
]
