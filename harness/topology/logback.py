"""The logging files that 4.x and older must find in their home, or they do not start."""

from __future__ import annotations

from harness.core.version import Version

_TEMPLATE = """<?xml version="1.0" encoding="UTF-8"?>
<configuration>
  <appender name="FILE" class="ch.qos.logback.core.rolling.RollingFileAppender">
    <file>${{user.home}}/logs/rocketmqlogs/{log}.log</file>
    <append>true</append>
    <rollingPolicy class="ch.qos.logback.core.rolling.FixedWindowRollingPolicy">
      <fileNamePattern>${{user.home}}/logs/rocketmqlogs/{log}.%i.log</fileNamePattern>
      <minIndex>1</minIndex>
      <maxIndex>5</maxIndex>
    </rollingPolicy>
    <triggeringPolicy class="ch.qos.logback.core.rolling.SizeBasedTriggeringPolicy">
      <maxFileSize>64MB</maxFileSize>
    </triggeringPolicy>
    <encoder>
      <pattern>%d{{yyyy-MM-dd HH:mm:ss.SSS}} %p %t %c{{1}} - %m%n</pattern>
    </encoder>
  </appender>
  <root level="INFO">
    <appender-ref ref="FILE"/>
  </root>
</configuration>
"""

_FILES = {"logback_broker.xml": "broker", "logback_namesrv.xml": "namesrv", "logback_tools.xml": "tools"}


def logback_files(version: Version) -> dict[str, str]:
    """File name -> text, for the conf/ directory of a node's home; empty for 5.x, which brings its own.

    All loggers write one file at INFO, rolled at 64 MB, in the directory that 5.x uses too (`layout.logs_path`).
    """
    if version.major >= 5:
        return {}
    return {name: _TEMPLATE.format(log=log) for name, log in _FILES.items()}
