# SPDX-License-Identifier: Apache-2.0
"""PERSISTENT RESERVE IN's data and sense data, byte by byte."""

import pytest

from prmig import reservations as pr
from prmig import scsi, show


def transport_id(text):
    return bytes.fromhex(text.replace(" ", ""))


def iscsi(name, code=0x45):
    text = name.encode() + b"\0"
    text += b"\0" * (max(20 - len(text), 0) or -len(text) % 4)
    return bytes([code, 0]) + len(text).to_bytes(2, "big") + text


FC = transport_id("00 00000000000000 2100001b32000001 0000000000000000")
SAS = transport_id("06 000000 5000c50000000001 000000000000000000000000")
SRP = transport_id("04 00000000000000 00112233445566778899aabbccddeeff")


@pytest.mark.parametrize("data, text, words", [
    (FC, "fc:2100001b32000001", "Fibre Channel port 21:00:00:1b:32:00:00:01"),
    (SAS, "sas:5000c50000000001", "SAS address 50:00:c5:00:00:00:00:01"),
    (SRP, "srp:00112233445566778899aabbccddeeff",
     "SRP port 00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"),
    (iscsi("iqn.2026-11.org.Example:host1,i,0x00023D000001"),
     "iscsi:iqn.2026-11.org.example:host1%2Ci%2C0x00023d000001",
     "iSCSI initiator iqn.2026-11.org.example:host1, ISID 00023d000001"),
    (iscsi("iqn.2026-11.org.example:host1", 0x05), "iscsi:iqn.2026-11.org.example:host1",
     "iSCSI initiator iqn.2026-11.org.example:host1"),
    (bytes([0x0A] + [0] * 22 + [7]), "id:0a" + "00" * 22 + "07",
     "TransportID 0a" + "00" * 22 + "07"),
])
def test_transport_id(data, text, words):
    assert pr.TransportId.parse(data) == pr.TransportId(text, words)


@pytest.mark.parametrize("data", [b"", b"\0" * 20, b"\0" * 25, iscsi("x" * 40)[:24],
                                  bytes([0x45, 0, 0, 20]) + b"x" * 20])
def test_transport_id_that_is_none(data):
    with pytest.raises(pr.Malformed):
        pr.TransportId.parse(data)


def descriptor(key, holder, kind, port, transport):
    return (
        key.to_bytes(8, "big") + bytes(4) + bytes([holder, kind]) + bytes(4)
        + port.to_bytes(2, "big") + len(transport).to_bytes(4, "big") + transport
    )


FULL = descriptor(0xABCD1, 1, 5, 1, FC) + descriptor(0xB0B, 2, 0, 0, iscsi("iqn.2026-11.a.b:c,i,0x1"))
FULL = bytes.fromhex("0000000c") + len(FULL).to_bytes(4, "big") + FULL


def test_full_status():
    generation, (first, second) = pr.parse_full_status(FULL)
    assert generation == 12
    assert (first.key, first.holder, first.kind, first.relative_target_port) == (0xABCD1, True, 5, 1)
    assert (second.key, second.holder, second.kind, second.all_target_ports) == (0xB0B, False, 0, True)
    assert second.transport_id.text.startswith("iscsi:")


@pytest.mark.parametrize("length", [*range(8), 9, 40, len(FULL) - 1])
def test_full_status_cut_off(length):
    with pytest.raises(pr.Malformed):
        pr.parse_full_status(FULL[:length])


def test_keys_reservation_capabilities():
    assert pr.parse_keys(bytes.fromhex("00000003 00000010 0000000000000001 00000000000abcd1")) == (
        3, [1, 0xABCD1]
    )
    assert pr.parse_reservation(bytes.fromhex("00000003 00000000")) is None
    held = bytes.fromhex("00000003 00000010 00000000000abcd1 00000000 00 05 0000")
    assert pr.parse_reservation(held) == (0xABCD1, 5)
    found = pr.parse_capabilities(bytes.fromhex("0008 01 81 ea01 0000"))
    assert found == {"aptpl_possible": True, "aptpl": True, "types": [1, 3, 5, 6, 7, 8]}
    for parse in (pr.parse_keys, pr.parse_reservation, pr.parse_capabilities):
        with pytest.raises(pr.Malformed):
            parse(bytes(7))
    with pytest.raises(pr.Malformed):
        pr.parse_reservation(held[:20])


def test_sense():
    assert scsi.sense_code(bytes.fromhex("70 00 06 00000000 0a 00000000 2a 03 00000000")) == (
        6, 0x2A, 3
    )
    assert scsi.sense_code(bytes.fromhex("72 05 24 00 00000000")) == (5, 0x24, 0)
    assert scsi.sense_code(b"") is None
    assert scsi.sense_code(bytes(20)) is None


def nexus(name, *paths, key=0):
    return {"Name": name, "Lun": "naa.1", "Paths": list(paths), "Key": key}


def test_who_is_who():
    own = nexus("vm1", ("fc:2100001b32000001", 1, True))
    other = nexus("vm2", ("iscsi:iqn.2026-11.a.b:c%2Ci%2C0x1", 0, True))
    _, registrants = pr.parse_full_status(FULL)
    found = [show._registrant(registrant) for registrant in registrants]
    show.name_registrants(found, own, [("this host", [own]), ("dest", [other])])
    assert [(r["nexus"], r["host"]) for r in found] == [("vm1", "this host"), ("vm2", "dest")]


def test_who_is_who_by_a_key_of_its_own():
    own = nexus("vm1", ("", 0, True), key=0xABCD1)
    _, registrants = pr.parse_full_status(FULL)
    found = [show._registrant(registrant) for registrant in registrants]
    show.name_registrants(found, own, [("this host", [own])])
    assert [(r["nexus"], r["host"]) for r in found] == [("vm1", "this host"), ("", "")]
