# SPDX-License-Identifier: Apache-2.0
"""PERSISTENT RESERVE IN by SG_IO: looks, and changes nothing."""

import ctypes
import fcntl
import os

from .errors import Refused

_SG_IO = 0x2285
_FROM_DEVICE = -3
_TIMEOUT_MS = 10000
_SENSE_BYTES = 96

_GOOD, _CHECK_CONDITION, _BUSY, _CONFLICT, _TASK_SET_FULL = 0x00, 0x02, 0x08, 0x18, 0x28
_ILLEGAL_REQUEST, _UNIT_ATTENTION = 5, 6

READ_KEYS, READ_RESERVATION, REPORT_CAPABILITIES, READ_FULL_STATUS = range(4)
_ACTIONS = ("READ KEYS", "READ RESERVATION", "REPORT CAPABILITIES", "READ FULL STATUS")


class NotOffered(Refused):
    """The LUN does not have this service action."""


class _Header(ctypes.Structure):
    """struct sg_io_hdr of <scsi/sg.h>."""

    _fields_ = [
        ("interface_id", ctypes.c_int),
        ("dxfer_direction", ctypes.c_int),
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


def sense_code(sense):
    """(sense key, ASC, ASCQ) of sense data in fixed or descriptor format; None if it is neither."""
    if len(sense) < 8:
        return None
    if sense[0] & 0x7F in (0x72, 0x73):
        return sense[1] & 0x0F, sense[2], sense[3]
    if sense[0] & 0x7F in (0x70, 0x71) and len(sense) >= 14:
        return sense[2] & 0x0F, sense[12], sense[13]
    return None


class Device:
    """A SCSI device node, open for looking; `with Device(node) as device:`.

    attentions: unit attentions that met a command of this object: the guest that the nexus belongs
    to will not see them.
    """

    def __init__(self, node):
        self.node = node
        self.attentions = []
        try:
            self._descriptor = os.open(node, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise Refused(f"{node}: {error.strerror}") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._descriptor)

    def reserve_in(self, action):
        """The data of PERSISTENT RESERVE IN, as much as the LUN has."""
        length = 8192
        while True:
            data = self._execute(action, length)
            if action == REPORT_CAPABILITIES or len(data) < 8:
                return data
            there = 8 + int.from_bytes(data[4:8], "big")
            if there <= length or length == 65535:
                return data
            length = min(there, 65535)

    def _execute(self, action, length):
        cdb = bytes([0x5E, action, 0, 0, 0, 0, 0, *length.to_bytes(2, "big"), 0])
        name = f"{self.node}: {_ACTIONS[action]}"
        for _ in range(8):
            header, sense, data = self._send(cdb, length)
            if header.host_status:
                raise Refused(f"{name}: the LUN does not answer (host status {header.host_status})")
            if header.status == _GOOD:
                return data[: length - max(header.resid, 0)]
            if header.status == _CONFLICT:
                raise Refused(f"{name}: RESERVATION CONFLICT: another initiator holds a RESERVE(6)")
            if header.status in (_BUSY, _TASK_SET_FULL):
                continue
            code = sense_code(sense)
            if code and code[0] == _UNIT_ATTENTION:
                self.attentions.append(code[1:])
                continue
            if code and code[0] == _ILLEGAL_REQUEST:
                raise NotOffered(f"{name}: the LUN does not have it")
            raise Refused(
                f"{name}: "
                + ("sense key {:x}h, ASC {:02x}h/{:02x}h".format(*code) if code else "")
                + ("" if code else f"status {header.status:02x}h")
            )
        raise Refused(f"{name}: the LUN stays busy")

    def _send(self, cdb, length):
        command = ctypes.create_string_buffer(cdb, len(cdb))
        data = ctypes.create_string_buffer(length)
        sense = ctypes.create_string_buffer(_SENSE_BYTES)
        header = _Header(
            interface_id=ord("S"),
            dxfer_direction=_FROM_DEVICE,
            cmd_len=len(cdb),
            mx_sb_len=_SENSE_BYTES,
            dxfer_len=length,
            dxferp=ctypes.addressof(data),
            cmdp=ctypes.addressof(command),
            sbp=ctypes.addressof(sense),
            timeout=_TIMEOUT_MS,
        )
        try:
            fcntl.ioctl(self._descriptor, _SG_IO, header)
        except OSError as error:
            raise Refused(f"{self.node}: SG_IO: {error.strerror}") from None
        return header, sense.raw[: header.sb_len_wr], data.raw
