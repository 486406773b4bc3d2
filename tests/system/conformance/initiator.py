# SPDX-License-Identifier: Apache-2.0
"""A small iSCSI initiator: one session, one connection, commands sent as they are.

It runs on the outer machine, where Python is fast, and hides nothing: no command is
repeated, no unit attention taken, sense data is shown with whatever status it came.
"""

import socket
import struct
from dataclasses import dataclass

_NOP_IN, _SCSI_RESPONSE, _TASK_RESPONSE, _LOGIN_RESPONSE = 0x20, 0x21, 0x22, 0x23
_DATA_IN, _LOGOUT_RESPONSE = 0x25, 0x26
_NONE = 0xFFFFFFFF
_STATUS = {0: "GOOD", 8: "BUSY", 0x18: "CF", 0x28: "TASK SET FULL", 0x40: "TASK ABORTED"}
_ATTENTIONS = {(0x2A, 3): "UA3", (0x2A, 4): "UA4", (0x2A, 5): "UA5"}


class SessionError(Exception):
    """The session ended, or the target did what no target may."""


@dataclass
class Answer:
    """What came back for one command."""

    status: int
    sense: bytes
    data: bytes

    @property
    def good(self):
        return self.status == 0

    @property
    def code(self):
        """(sense key, ASC, ASCQ), or None without sense data."""
        if len(self.sense) < 8:
            return None
        if self.sense[0] & 0x7F in (0x72, 0x73):
            return self.sense[1] & 0xF, self.sense[2], self.sense[3]
        return self.sense[2] & 0xF, self.sense[12], self.sense[13]

    @property
    def attention(self):
        """UA3, UA4, UA5 or another unit attention; None if it is none."""
        if self.status != 2 or not self.code or self.code[0] != 6:
            return None
        return _ATTENTIONS.get(self.code[1:]) or "UA {:02X}/{:02X}".format(*self.code[1:])

    def __str__(self):
        if self.attention:
            return f"CC {self.attention}"
        code = "{:X}/{:02X}/{:02X}".format(*self.code) if self.code else ""
        if self.status == 2:
            return f"CC {code}"
        text = _STATUS.get(self.status, f"status {self.status:#x}")
        return f"{text} with sense data {code}" if code else text


class Initiator:
    """An I_T nexus. lun: as REPORT LUNS gives it, below 256; number: of the ISID."""

    def __init__(self, name, portal, target, lun=0, number=0):
        self.name = name
        self.target = target
        self._portal = portal
        self._lun = struct.pack(">H6x", lun)
        self._isid = b"\x80\x12\x34\x56" + struct.pack(">H", number)
        self._socket = None
        self._task = 0
        self.login()

    @property
    def transport_id(self):
        """As iSCSI gives it to a port: name, ",i,0x", ISID."""
        text = f"{self.name},i,0x{self._isid.hex()}".encode()
        text = text.ljust(max(20, (len(text) + 4) // 4 * 4), b"\0")
        return bytes([0x45, 0]) + struct.pack(">H", len(text)) + text

    # The session

    def login(self):
        self._socket = socket.create_connection(self._portal, timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._command, self._expected = 1, 0
        self._answers, self._data = {}, {}
        words = {
            "InitiatorName": self.name,
            "TargetName": self.target,
            "SessionType": "Normal",
            "HeaderDigest": "None",
            "DataDigest": "None",
            "InitialR2T": "Yes",
            "ImmediateData": "Yes",
            "MaxRecvDataSegmentLength": "262144",
            "MaxBurstLength": "262144",
            "FirstBurstLength": "65536",
            "MaxOutstandingR2T": "1",
            "MaxConnections": "1",
            "DataPDUInOrder": "Yes",
            "DataSequenceInOrder": "Yes",
            "DefaultTime2Wait": "0",
            "DefaultTime2Retain": "0",
            "ErrorRecoveryLevel": "0",
        }
        text = b"".join(f"{key}={value}\0".encode() for key, value in words.items())
        # The first offers all there is; where the target would still negotiate, it may end that.
        for _ in range(4):
            # Operational stage, on to full feature phase.
            head = bytes([0x43, 0x87, 0, 0, 0]) + len(text).to_bytes(3, "big")
            head += self._isid + struct.pack(">HIHxxII16x", 0, 0, 0, self._command, self._expected)
            self._send(head, text)
            header, answer = self._receive()
            if header[0] & 0x3F != _LOGIN_RESPONSE:
                raise SessionError(f"{self.name}: login: PDU {header[0]:#x}")
            if header[36]:
                raise SessionError(f"{self.name}: login: status {header[36]:#x}{header[37]:02x}")
            self._expected = int.from_bytes(header[24:28], "big") + 1
            if header[1] & 0x80:
                return
            text = b""
        raise SessionError(f"{self.name}: login: {self.target} goes on negotiating: {answer}")

    def drop(self):
        """The connection breaks."""
        self._socket.close()

    def logout(self):
        head = struct.pack(">BBxxxxxx8xIHxxII16x", 0x46, 0x80, _NONE - 1, 0, self._command, self._expected)
        self._send(head)
        while self._receive()[0][0] & 0x3F != _LOGOUT_RESPONSE:
            pass
        self._socket.close()

    def relogin(self):
        self.drop()
        self.login()

    def _send(self, head, data=b""):
        self._socket.sendall(head + data + bytes(-len(data) % 4))

    def _exactly(self, length):
        data = b""
        while len(data) < length:
            more = self._socket.recv(length - len(data))
            if not more:
                raise SessionError(f"{self.name}: {self.target} closed the connection")
            data += more
        return data

    def _receive(self):
        header = self._exactly(48)
        length = int.from_bytes(header[5:8], "big")
        rest = self._exactly(4 * header[4] + length + -length % 4)
        return header, rest[4 * header[4] :][:length]

    # Commands

    def send(self, cdb, out=b"", in_len=0):
        """Send a command; returns what wait() takes."""
        self._task += 1
        flags = 0x81 | (0x20 if out else 0x40 if in_len else 0)
        head = bytes([1, flags, 0, 0, 0]) + len(out).to_bytes(3, "big") + self._lun
        head += struct.pack(
            ">IIII", self._task, len(out) or in_len, self._command, self._expected
        ) + cdb.ljust(16, b"\0")
        self._command += 1
        self._data[self._task] = bytearray()
        self._send(head, out)
        return self._task

    def _done(self, header, status, sense=b""):
        task = int.from_bytes(header[16:20], "big")
        self._answers[task] = Answer(status, sense, bytes(self._data.pop(task)))

    def _dispatch(self):
        """Take one PDU."""
        header, data = self._receive()
        kind, task = header[0] & 0x3F, int.from_bytes(header[16:20], "big")
        if kind != _NOP_IN and (kind != _DATA_IN or header[1] & 1):
            self._expected = int.from_bytes(header[24:28], "big") + 1
        if kind == _DATA_IN:
            at = int.from_bytes(header[40:44], "big")
            buffer = self._data[task]
            buffer[at:] = data
            if header[1] & 1:
                self._done(header, header[3])
        elif kind == _SCSI_RESPONSE:
            if header[2]:
                raise SessionError(f"{self.name}: response {header[2]:#x}")
            length = int.from_bytes(data[:2], "big")
            self._done(header, header[3], data[2 : 2 + length])
        elif kind == _TASK_RESPONSE:
            self._answers[task] = header[2]
        elif kind == _NOP_IN:
            if header[20:24] != b"\xff\xff\xff\xff":  # it wants an answer
                head = struct.pack(">BBxxxxxx", 0x40, 0x80) + header[8:16]
                head += struct.pack(">I", _NONE) + header[20:24]
                self._send(head + struct.pack(">II16x", self._command, self._expected))
        else:
            raise SessionError(f"{self.name}: PDU {kind:#x}")

    def wait(self, task):
        """The Answer of a command that was sent."""
        while task not in self._answers:
            self._dispatch()
        return self._answers.pop(task)

    def command(self, cdb, out=b"", in_len=0):
        return self.wait(self.send(cdb, out, in_len))

    def reset_lun(self):
        """LOGICAL UNIT RESET."""
        self._task += 1
        head = struct.pack(">BBxxxxxx", 0x42, 0x85) + self._lun
        head += struct.pack(">IIII16x", self._task, _NONE, self._command, self._expected)
        self._send(head)
        response = self.wait(self._task)
        if response:
            raise SessionError(f"{self.name}: LOGICAL UNIT RESET: response {response}")
