# SPDX-License-Identifier: Apache-2.0
"""SCSI commands by SG_IO, for the programs of this folder, which run in a machine."""

import ctypes
import fcntl
import os

_SG_IO = 0x2285
_TO_DEVICE, _FROM_DEVICE, _NONE = -2, -3, -1


class _Header(ctypes.Structure):
    """struct sg_io_hdr."""

    _fields_ = [
        ("interface_id", ctypes.c_int),
        ("direction", ctypes.c_int),
        ("cmd_len", ctypes.c_ubyte),
        ("mx_sb_len", ctypes.c_ubyte),
        ("iovec_count", ctypes.c_ushort),
        ("dxfer_len", ctypes.c_uint),
        ("dxferp", ctypes.c_void_p),
        ("cmdp", ctypes.c_void_p),
        ("sbp", ctypes.c_void_p),
        ("timeout", ctypes.c_uint),
        ("flags", ctypes.c_uint),
        ("pack_id", ctypes.c_int),
        ("usr_ptr", ctypes.c_void_p),
        ("status", ctypes.c_ubyte),
        ("masked_status", ctypes.c_ubyte),
        ("msg_status", ctypes.c_ubyte),
        ("sb_len_wr", ctypes.c_ubyte),
        ("host_status", ctypes.c_ushort),
        ("driver_status", ctypes.c_ushort),
        ("resid", ctypes.c_int),
        ("duration", ctypes.c_uint),
        ("info", ctypes.c_uint),
    ]


_STATUSES = {0: "GOOD", 2: "CHECK", 8: "BUSY", 0x18: "CONFLICT", 0x28: "TASK SET FULL"}


class Answer:
    """What came back; data: the whole of what was asked for, residual included."""

    def __init__(self, header, sense, data):
        self.status = header.status
        self.host_status = header.host_status
        self.sense = bytes(sense[: header.sb_len_wr])
        self.residual = header.resid
        self.data = data

    @property
    def good(self):
        return self.status == 0 and self.host_status == 0

    @property
    def code(self):
        """(sense key, ASC, ASCQ) of fixed or descriptor format; None without sense data."""
        if len(self.sense) < 4:
            return None
        if self.sense[0] & 0x7F in (0x72, 0x73):
            return self.sense[1] & 0xF, self.sense[2], self.sense[3]
        return self.sense[2] & 0xF, self.sense[12], self.sense[13]

    def __str__(self):
        text = _STATUSES.get(self.status, f"status {self.status:#x}")
        if self.host_status:
            text += f" host {self.host_status:#x}"
        if self.code:
            text += " {:X}/{:02X}/{:02X}".format(*self.code)
        return text


class Disk:
    """One nexus to a LUN, by its sg or block node."""

    def __init__(self, node):
        self.node = node
        self._fd = os.open(node, os.O_RDWR | os.O_NONBLOCK)

    def command(self, cdb, out=b"", in_len=0, timeout_ms=60000):
        """Send a command; cdb: bytes, or a text of hexadecimal digits."""
        cdb = bytes.fromhex(cdb) if isinstance(cdb, str) else bytes(cdb)
        data = ctypes.create_string_buffer(bytes(out) or bytes(in_len or 1), len(out) or in_len or 1)
        command = ctypes.create_string_buffer(cdb, len(cdb))
        sense = ctypes.create_string_buffer(96)
        length = len(out) or in_len
        header = _Header(
            interface_id=ord("S"),
            direction=_TO_DEVICE if out else _FROM_DEVICE if in_len else _NONE,
            cmd_len=len(cdb),
            mx_sb_len=len(sense),
            dxfer_len=length,
            dxferp=ctypes.addressof(data) if length else None,
            cmdp=ctypes.addressof(command),
            sbp=ctypes.addressof(sense),
            timeout=timeout_ms,
        )
        fcntl.ioctl(self._fd, _SG_IO, header)
        return Answer(header, sense.raw, data.raw[:in_len])


def pr_out(action, list_, kind=0, scope=0, length=None):
    """The CDB of PERSISTENT RESERVE OUT for this parameter list."""
    length = len(list_) if length is None else length
    return bytes([0x5F, action, scope << 4 | kind, 0, 0]) + length.to_bytes(4, "big") + b"\0"


def pr_list(key=0, new=0, flags=0, rest=b""):
    """The basic parameter list of PERSISTENT RESERVE OUT."""
    return (
        key.to_bytes(8, "big") + new.to_bytes(8, "big") + bytes(4) + bytes([flags, 0, 0, 0]) + rest
    )


def pr_in(action, length):
    """The CDB of PERSISTENT RESERVE IN."""
    return bytes([0x5E, action, 0, 0, 0, 0, 0]) + length.to_bytes(2, "big") + b"\0"
