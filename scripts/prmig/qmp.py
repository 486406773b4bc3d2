# SPDX-License-Identifier: Apache-2.0
"""QEMU's machine protocol, as much of it as a migration takes."""

import json
import select
import socket
import time

from .errors import Refused, Usage


class Gone(Refused):
    """Nobody is behind the socket: that QEMU has ended."""


class Silent(Refused):
    """QEMU is there and does not answer."""


def parse_address(text):
    """A socket's path, or HOST:PORT."""
    text = text.removeprefix("unix:")
    if text.startswith("tcp:"):
        text = text[4:]
    elif "/" in text:
        return text
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise Usage(f"--qmp {text}: a socket's path, or HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


class Qmp:
    """One connection; made again by connect() when it has broken."""

    ANSWER_SECONDS = 30
    GREETING_SECONDS = 10

    def __init__(self, address):
        self.address = address
        self._socket = None
        self._buffer = b""
        self._id = 0
        self._heard = False

    def connect(self):
        """Gone: nobody listens. Silent: no greeting, as when another client has the socket."""
        self.close()
        local = isinstance(self.address, str)
        self._socket = socket.socket(socket.AF_UNIX if local else socket.AF_INET)
        self._socket.settimeout(self.GREETING_SECONDS)
        try:
            self._socket.connect(self.address)
        except TimeoutError:
            self.close()
            raise Silent(f"QMP at {self._where()} does not answer") from None
        except OSError as error:
            self.close()
            raise Gone(f"QMP at {self._where()}: {error.strerror or error}") from None
        try:
            self._read(time.monotonic() + self.GREETING_SECONDS)
        except Silent:
            self.close()
            raise Silent(
                f"QMP at {self._where()} does not answer: it serves one client at a time, and "
                "another one may have it (give QEMU a second -qmp for prmigctl)"
            ) from None
        self.command("qmp_capabilities")

    def close(self):
        if self._socket is not None:
            self._socket.close()
        self._socket, self._buffer = None, b""

    def _where(self):
        return self.address if isinstance(self.address, str) else ":".join(map(str, self.address))

    def _read(self, deadline):
        while b"\n" not in self._buffer:
            ready, _, _ = select.select(
                [self._socket], [], [], max(deadline - time.monotonic(), 0)
            )
            if not ready:
                raise Silent(f"QMP at {self._where()} does not answer")
            try:
                data = self._socket.recv(65536)
            except OSError:
                data = b""
            if not data:
                self.close()
                raise Gone(f"QMP at {self._where()}: QEMU has closed the connection")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        message = json.loads(line)
        self._heard = self._heard or message.get("event") == "MIGRATION"
        return message

    def command(self, name, **arguments):
        """Execute, and return the result. Refused: with QEMU's words."""
        if self._socket is None:
            self.connect()
        self._id += 1
        message = {"execute": name, "id": self._id}
        if arguments:
            message["arguments"] = arguments
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self.close()
            raise Gone(f"QMP at {self._where()}: QEMU has closed the connection") from None
        deadline = time.monotonic() + self.ANSWER_SECONDS
        while True:
            answer = self._read(deadline)
            if answer.get("id") != self._id:
                continue
            if "error" in answer:
                raise Refused(f"QEMU: {name}: {answer['error']['desc']}")
            return answer["return"]

    def wait_event(self, seconds):
        """Return when QEMU says that the migration has changed its state, or after `seconds`."""
        deadline = time.monotonic() + seconds
        try:
            while not self._heard and self._socket is not None:
                self._read(deadline)
        except Silent:
            pass
        except Gone:
            time.sleep(max(deadline - time.monotonic(), 0))
        self._heard = False

    # Migration

    def migration(self):
        """query-migrate; "status" is there always: "none" before the first."""
        return {"status": "none", **self.command("query-migrate")}

    def run_state(self):
        return self.command("query-status")["status"]

    def capabilities(self):
        return {
            entry["capability"]: entry["state"]
            for entry in self.command("query-migrate-capabilities")
        }

    def set_capabilities(self, wanted):
        self.command(
            "migrate-set-capabilities",
            capabilities=[
                {"capability": name, "state": state} for name, state in wanted.items()
            ],
        )
