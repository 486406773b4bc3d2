# SPDX-License-Identifier: Apache-2.0
"""What the data of PERSISTENT RESERVE IN says, as texts. A key is shown by its letter."""

KEYS = {letter: 0xC0FFEE00 + ord(letter) for letter in "abcdokxyz"} | {"0": 0}
LETTERS = {value: letter for letter, value in KEYS.items()}


def key_name(value):
    return LETTERS.get(value, f"{value:#x}")


def number(data):
    return int.from_bytes(data, "big")


def keys_in(data):
    says = number(data[4:8])
    keys = [key_name(number(data[at : at + 8])) for at in range(8, 8 + says, 8)]
    return " ".join(sorted(keys)) or "none"


def held_in(data):
    if number(data[4:8]) == 0:
        return None
    scope = f" scope {data[21] >> 4}" if data[21] >> 4 else ""
    return f"R({data[21] & 0xF},{key_name(number(data[8:16]))}){scope}"


def capabilities(data):
    if len(data) < 8:
        return f": {len(data)} bytes, LENGTH {number(data[:2])}"
    flags = [
        name
        for at, bit, name in (
            *((2, 7, "RLR_C"), (2, 4, "CRH"), (2, 3, "SIP_C"), (2, 2, "ATP_C"), (2, 0, "PTPL_C")),
            *((3, 7, "TMV"), (3, 0, "PTPL_A")),
        )
        if data[at] >> bit & 1
    ]
    mask = data[4] << 8 | data[5]
    kinds = [
        str(kind) for bit, kind in ((9, 1), (11, 3), (13, 5), (14, 6), (15, 7), (0, 8)) if mask >> bit & 1
    ]
    reserved = data[2] & 0x62 or data[3] & 0x0E or mask & 0x15FE or number(data[6:8])
    return (
        f": LENGTH {number(data[:2])}, {' '.join(flags)}, ALLOW COMMANDS {data[3] >> 4 & 7}, "
        f"types {' '.join(kinds)}{', reserved bits' if reserved else ''}"
    )


def descriptors(data):
    """[(key, holder, type, TransportID, relative target port), ...] of READ FULL STATUS."""
    found, at, end = [], 8, 8 + number(data[4:8])
    while at < end:
        length = number(data[at + 20 : at + 24])
        found.append(
            (
                number(data[at : at + 8]),
                bool(data[at + 12] & 1),
                data[at + 13] & 0xF,
                data[at + 24 : at + 24 + length],
                number(data[at + 18 : at + 20]),
            )
        )
        at += 24 + length
    return found


def form_of(tid):
    """"right", or what is wrong with a TransportID of iSCSI."""
    if len(tid) < 24 or len(tid) % 4 or tid[0] != 0x45 or 4 + number(tid[2:4]) != len(tid):
        return f"wrong ({tid[:4].hex()}, {len(tid)} bytes)"
    name, _, isid = tid[4:].partition(b",i,0x")
    if not name or b"\0" in name or len(isid.rstrip(b"\0")) != 12 or isid[-1]:
        return "wrong (name or ISID)"
    return "right"
