# SPDX-License-Identifier: Apache-2.0
"""Commands other than PERSISTENT RESERVE, each with its class: how it stands to reservations.

Each transfers one block or less. What would harm a LUN if it were let through is sent in a form
that is refused after the check of reservations (reserved fields, empty lists).
"""

import struct

BLOCK = 512
LBA = 64


def _cdb(text):
    return bytes.fromhex(text.replace(" ", ""))


def _ten(code, flags=0):
    """A CDB of 10 bytes: one block at LBA."""
    return struct.pack(">BBIxHx", code, flags, LBA, 1)


def _sixteen(code, flags=0, count=1):
    return struct.pack(">BBQIxx", code, flags, LBA, count)


def block(letter):
    """A block that shows whose it is; "-": zeros."""
    return bytes(BLOCK) if letter == "-" else letter.encode() * BLOCK


_UNMAP = b"\0\x16\0\x10" + bytes(4) + struct.pack(">QI4x", LBA, 1)
_CACHING = bytes(4) + bytes([8, 18, 4]) + bytes(17)

# name: (class, CDB, data-out, length of data-in). Classes: U passes every reservation, R those of
# write exclusive kinds, W none.
COMMANDS = {
    "TEST UNIT READY": ("U", _cdb("00 0000000000"), b"", 0),
    "REQUEST SENSE": ("U", _cdb("03 0000001200"), b"", 18),
    "INQUIRY": ("U", _cdb("12 0000002400"), b"", 36),
    "LOG SENSE": ("U", _cdb("4d 004000000000004000"), b"", 64),
    "REPORT LUNS": ("U", _cdb("a0 0000000000000000400000"), b"", 64),
    "READ CAPACITY(10)": ("U", _cdb("25 000000000000000000"), b"", 8),
    "READ CAPACITY(16)": ("U", _cdb("9e10 0000000000000000000000200000"), b"", 32),
    "REPORT REFERRALS": ("U", _cdb("9e13 0000000000000000000000200000"), b"", 32),
    "REPORT TARGET PORT GROUPS": ("U", _cdb("a30a 00000000000000400000"), b"", 64),
    "REPORT ALIASES": ("U", _cdb("a30b 00000000000000400000"), b"", 64),
    "REPORT IDENTIFYING INFORMATION": ("U", _cdb("a305 00000000000000400000"), b"", 64),
    "REPORT PRIORITY": ("U", _cdb("a30e 00000000000000400000"), b"", 64),
    "REPORT TIMESTAMP": ("U", _cdb("a30f 00000000000000400000"), b"", 64),
    "READ MEDIA SERIAL NUMBER": ("U", _cdb("ab01 00000000000000400000"), b"", 64),
    "RECEIVE COPY RESULTS": ("U", _cdb("8403 0000000000000000000000400000"), b"", 64),
    "READ KEYS": ("U", _cdb("5e00 0000000000010000"), b"", 256),
    "READ RESERVATION": ("U", _cdb("5e01 0000000000001800"), b"", 24),
    "REPORT CAPABILITIES": ("U", _cdb("5e02 0000000000000800"), b"", 8),
    "READ FULL STATUS": ("U", _cdb("5e03 0000000000040000"), b"", 1024),
    "START STOP UNIT (start)": ("U", _cdb("1b 0000000100"), b"", 0),
    "PREVENT ALLOW (allow)": ("U", _cdb("1e 0000000000"), b"", 0),
    "READ(6)": ("R", _cdb("08 0000400100"), b"", BLOCK),
    "READ(10)": ("R", _ten(0x28), b"", BLOCK),
    "READ(12)": ("R", _cdb("a800 00000040 00000001 0000"), b"", BLOCK),
    "READ(16)": ("R", _sixteen(0x88), b"", BLOCK),
    "PRE-FETCH(10)": ("R", _ten(0x34), b"", 0),
    "PRE-FETCH(16)": ("R", _sixteen(0x90), b"", 0),
    "VERIFY(10) BYTCHK 0": ("R", _ten(0x2F), b"", 0),
    "VERIFY(10) BYTCHK 1": ("R", _ten(0x2F, 2), block("-"), 0),
    "VERIFY(12)": ("R", _cdb("af00 00000040 00000001 0000"), b"", 0),
    "VERIFY(16)": ("R", _sixteen(0x8F), b"", 0),
    "GET LBA STATUS": ("R", _sixteen(0x9E, 0x12, 32), b"", 32),
    "READ DEFECT DATA(10)": ("R", _cdb("37 00180000000000 08 00"), b"", 8),
    "MODE SENSE(6)": ("R", _cdb("1a 003f00c000"), b"", 192),
    "MODE SENSE(10)": ("R", _cdb("5a 003f0000000000c000"), b"", 192),
    "READ BUFFER(10)": ("R", _cdb("3c 030000000000000400"), b"", 4),
    "READ ATTRIBUTE": ("R", _cdb("8c 000000000000000000000000400000"), b"", 64),
    "RECEIVE DIAGNOSTIC RESULTS": ("R", _cdb("1c 0100004000"), b"", 64),
    "REPORT SUPPORTED OPERATION CODES": ("R", _cdb("a30c 00000000000004000000"), b"", 1024),
    "REPORT SUPPORTED TMFs": ("R", _cdb("a30d 00000000000000100000"), b"", 16),
    "SECURITY PROTOCOL IN": ("R", _cdb("a2 0000000000000000400000"), b"", 64),
    "WRITE(6)": ("W", _cdb("0a 0000400100"), block("-"), 0),
    "WRITE(10)": ("W", _ten(0x2A), block("-"), 0),
    "WRITE(12)": ("W", _cdb("aa00 00000040 00000001 0000"), block("-"), 0),
    "WRITE(16)": ("W", _sixteen(0x8A), block("-"), 0),
    "WRITE AND VERIFY(10)": ("W", _ten(0x2E), block("-"), 0),
    "WRITE AND VERIFY(16)": ("W", _sixteen(0x8E), block("-"), 0),
    "WRITE SAME(10)": ("W", _ten(0x41), block("-"), 0),
    "WRITE SAME(16)": ("W", _sixteen(0x93), block("-"), 0),
    "ORWRITE(16)": ("W", _sixteen(0x8B), block("-"), 0),
    "COMPARE AND WRITE": ("W", _sixteen(0x89), block("-") * 2, 0),
    "UNMAP": ("W", _cdb("42 000000000000001800"), _UNMAP, 0),
    "SYNCHRONIZE CACHE(10)": ("W", _cdb("35 000000000000000000"), b"", 0),
    "SYNCHRONIZE CACHE(16)": ("W", _cdb("91" + "00" * 15), b"", 0),
    # Without a list, and with CMPLST and a defect list format that is reserved: does nothing.
    "FORMAT UNIT": ("W", _cdb("04 1f00000000"), bytes(4), 0),
    "SANITIZE": ("W", _cdb("48 1e0000000000000000"), b"", 0),
    "REASSIGN BLOCKS": ("W", _cdb("07 0000000000"), bytes(4), 0),
    "START STOP UNIT (stop)": ("W", _cdb("1b 0000000000"), b"", 0),
    "PREVENT ALLOW (prevent)": ("W", _cdb("1e 0000000100"), b"", 0),
    "MODE SELECT(6)": ("W", _cdb("15 1000001800"), _CACHING, 0),
    "MODE SELECT(10)": ("W", _cdb("55 100000000000001c00"), bytes(8) + _CACHING[4:], 0),
    "LOG SELECT": ("W", _cdb("4c 004000000000000000"), b"", 0),
    "SEND DIAGNOSTIC": ("W", _cdb("1d 0400000000"), b"", 0),
    "WRITE BUFFER": ("W", _cdb("3b 1f0000000000000400"), bytes(4), 0),
    "EXTENDED COPY": ("W", _cdb("8300 0000000000000000 00000010 0000"), bytes(16), 0),
    "SET TARGET PORT GROUPS": ("W", _cdb("a40a 00000000000000040000"), bytes(4), 0),
    "SET IDENTIFYING INFORMATION": ("W", _cdb("a406 00000000000000040000"), bytes(4), 0),
    "SET TIMESTAMP": ("W", _cdb("a40f 000000000000000c0000"), bytes(12), 0),
    "SECURITY PROTOCOL OUT": ("W", _cdb("b5 0000000000000000040000"), bytes(4), 0),
}

# A command that undoes what another may have done.
AFTERWARDS = {
    "START STOP UNIT (stop)": "START STOP UNIT (start)",
    "PREVENT ALLOW (prevent)": "PREVENT ALLOW (allow)",
}
