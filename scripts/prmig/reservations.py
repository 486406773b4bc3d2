# SPDX-License-Identifier: Apache-2.0
"""What PERSISTENT RESERVE IN returns (SPC-4), decoded and put into words. No input, no output."""

from dataclasses import dataclass

TYPES = {
    1: "Write Exclusive",
    3: "Exclusive Access",
    5: "Write Exclusive, registrants only",
    6: "Exclusive Access, registrants only",
    7: "Write Exclusive, all registrants",
    8: "Exclusive Access, all registrants",
}
ALL_REGISTRANTS = (7, 8)

_PROTOCOLS = {
    0x0: ("fc", "Fibre Channel port {}", slice(8, 16)),
    0x4: ("srp", "SRP port {}", slice(8, 24)),
    0x6: ("sas", "SAS address {}", slice(4, 12)),
}


class Malformed(ValueError):
    """The LUN returned what the standard does not allow."""


def _number(data):
    return int.from_bytes(data, "big")


def type_name(kind):
    return TYPES.get(kind, f"type {kind}")


@dataclass
class TransportId:
    """Who an initiator port is. text: as prmig writes it in its property Paths."""

    text: str
    words: str

    @classmethod
    def parse(cls, data):
        if len(data) < 24 or len(data) % 4:
            raise Malformed(f"a TransportID of {len(data)} bytes")
        protocol, code = data[0] & 0x0F, data[0] >> 6
        if protocol == 0x5 and code in (0, 1):
            return cls._iscsi(data, code)
        if protocol in _PROTOCOLS and code == 0:
            name, words, where = _PROTOCOLS[protocol]
            return cls(f"{name}:{data[where].hex()}", words.format(data[where].hex(":")))
        return cls(f"id:{data.hex()}", f"TransportID {data.hex()}")

    @classmethod
    def _iscsi(cls, data, code):
        total = 4 + _number(data[2:4])
        if total > len(data):
            raise Malformed("a TransportID that is cut off")
        name, end, _ = data[4:total].partition(b"\0")
        if not name or not end:
            raise Malformed("a TransportID without a name")
        if code == 1 and b",i,0x" not in name.lower():
            return cls(f"id:{data[:total].hex()}", f"TransportID {data[:total].hex()}")
        initiator, _, isid = name.lower().decode("ascii", "backslashreplace").partition(",i,0x")
        return cls(
            "iscsi:" + _escape(name.lower()),
            f"iSCSI initiator {initiator}" + (f", ISID {isid}" if isid else ""),
        )


def _escape(name):
    """As prmig escapes names in a TransportID's text."""
    return "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or byte in b"-_.:")
        else f"%{byte:02X}"
        for byte in name
    )


@dataclass
class Registrant:
    key: int
    holder: bool
    kind: int
    all_target_ports: bool
    relative_target_port: int
    transport_id: TransportId


def parse_keys(data):
    """(generation, [key of each registration])."""
    if len(data) < 8:
        raise Malformed("READ KEYS: too short")
    keys = data[8 : 8 + _number(data[4:8])]
    return _number(data[:4]), [_number(keys[i : i + 8]) for i in range(0, len(keys) - 7, 8)]


def parse_reservation(data):
    """(key, type) of the reservation, or None."""
    if len(data) < 8:
        raise Malformed("READ RESERVATION: too short")
    if not _number(data[4:8]):
        return None
    if len(data) < 24:
        raise Malformed("READ RESERVATION: too short")
    return _number(data[8:16]), data[21] & 0x0F


def parse_capabilities(data):
    """What the LUN can, as far as it matters here: {name: bool}, and the types."""
    if len(data) < 8:
        raise Malformed("REPORT CAPABILITIES: too short")
    types = []
    if data[3] & 0x80:
        mask = _number(data[4:6])
        bits = {1: 9, 3: 11, 5: 13, 6: 14, 7: 15, 8: 0}
        types = [kind for kind, bit in bits.items() if mask >> bit & 1]
    return {"aptpl_possible": bool(data[2] & 1), "aptpl": bool(data[3] & 1), "types": types}


def parse_full_status(data):
    """(generation, [Registrant])."""
    if len(data) < 8:
        raise Malformed("READ FULL STATUS: too short")
    end = min(8 + _number(data[4:8]), len(data))
    at, found = 8, []
    while at < end:
        head = data[at : at + 24]
        length = _number(head[20:24])
        if len(head) < 24 or at + 24 + length > end:
            raise Malformed("READ FULL STATUS: a descriptor is cut off")
        found.append(
            Registrant(
                key=_number(head[:8]),
                holder=bool(head[12] & 1),
                kind=head[13] & 0x0F if head[12] & 1 else 0,
                all_target_ports=bool(head[12] & 2),
                relative_target_port=_number(head[18:20]),
                transport_id=TransportId.parse(data[at + 24 : at + 24 + length]),
            )
        )
        at += 24 + length
    return _number(data[:4]), found
