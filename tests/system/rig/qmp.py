# SPDX-License-Identifier: Apache-2.0
"""A minimal client of QEMU's machine protocol."""

import json
import socket
import time

from .errors import RigError, RigTimeout


class Qmp:
    """One QMP connection, to a socket's path or to a (host, port)."""

    def __init__(self, address, seconds=30):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self._socket = socket.socket(family)
        self._socket.settimeout(seconds)
        self._socket.connect(address)
        self._buffer = b""
        self._read(seconds)
        self.command("qmp_capabilities", arguments=None)

    def _read(self, seconds):
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                data = self._socket.recv(65536)
            except (TimeoutError, BlockingIOError):
                raise RigTimeout("QMP: no message in time") from None
            if not data:
                raise RigError("QMP: QEMU has gone")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return json.loads(line)

    def command(self, name, arguments=None, seconds=30):
        """Execute a command and return its result. Events are skipped."""
        message = {"execute": name}
        if arguments:
            message["arguments"] = arguments
        self._socket.sendall(json.dumps(message).encode() + b"\n")
        deadline = time.monotonic() + seconds
        while True:
            answer = self._read(deadline - time.monotonic())
            if "error" in answer:
                raise RigError(f"QMP {name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def monitor(self, line):
        """Run a line of the human monitor and return what it prints."""
        return self.command("human-monitor-command", {"command-line": line})

    def close(self):
        self._socket.close()
