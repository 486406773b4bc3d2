# SPDX-License-Identifier: Apache-2.0
"""An emulated LUN's registry, as prmigctl shows it."""

from prmig import registry

TEXT = """prmig=1.0
what=registry
mode={mode}
token=0x1234
generation=7
aptpl=1
type={kind}
holder=1
nexuses=VM1:a1:/vm2:b2:a/vm3:0:b
crc=00000000
"""


def test_one_holds():
    found = registry.parse(TEXT.format(mode="here", kind=5))
    assert found["generation"] == 7
    assert found["capabilities"] == {"aptpl": True}
    assert [(one["key"], one["holder"]) for one in found["registrants"]] == [
        (0xA1, False),
        (0xB2, True),
    ]
    assert found["registrants"][0]["who"].endswith(":vm1,i,0x000000000000")
    assert found["reservation"]["key"] == 0xB2
    assert found["reservation"]["type"] == 5
    assert found["notes"] == ["prmig itself decides on its reservations"]


def test_all_hold():
    found = registry.parse(TEXT.format(mode="left", kind=7))
    assert all(one["holder"] for one in found["registrants"])
    assert found["reservation"]["key"] == 0
    assert len(found["notes"]) == 2


def test_nothing_held():
    assert registry.parse(TEXT.format(mode="here", kind=0))["reservation"] is None


def test_not_here(tmp_path, monkeypatch):
    monkeypatch.setenv("PRMIG_ROOT", str(tmp_path))
    assert "not decided on this host" in registry.ask("naa.60")["error"]
    folder = tmp_path / "var/lib/prmig/lun"
    folder.mkdir(parents=True)
    (folder / "naa.60").write_text(TEXT.format(mode="here", kind=5))
    assert len(registry.ask("naa.60")["registrants"]) == 2
