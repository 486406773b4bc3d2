# SPDX-License-Identifier: Apache-2.0
"""The registry of an emulated LUN, which prmig keeps on this host's disk: who is registered."""

import os
from pathlib import Path
from urllib.parse import unquote

from . import reservations as pr

PORT = "iqn.2026-11.org.prmig:{},i,0x000000000000"
ALL_REGISTRANTS = (7, 8)
LEFT = "it is being handed over to another host: nothing changes until Abort or Release"


def ask(lun):
    """What the LUN's registry says, as show.ask_lun says it of a LUN."""
    folder = os.environ.get("PRMIG_ROOT", "") + "/var/lib/prmig/lun"
    try:
        text = Path(folder, lun).read_text(encoding="ascii")
    except FileNotFoundError:
        return {"error": "its reservations are emulated, and not decided on this host now"}
    except OSError as error:
        return {"error": f"its registry cannot be read: {error.strerror}"}
    return parse(text)


def parse(text):
    """The registry's text (handler/registry.c, handler/pr-engine-text.c)."""
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    kind = int(fields["type"])
    registrants = []
    held = None
    for place, nexus in enumerate(filter(None, unquote(fields["nexuses"]).split("/"))):
        name, key, _, *port = nexus.split(":")
        holder = bool(kind) and (kind in ALL_REGISTRANTS or place == int(fields["holder"]))
        if not int(key, 16):
            continue
        if holder:
            held = 0 if kind in ALL_REGISTRANTS else int(key, 16)
        who = PORT.format(name.lower())
        registrants.append(
            {
                "key": int(key, 16),
                "holder": holder,
                "type": kind if holder else 0,
                "who": f"iSCSI port {who}",
                "transport_id": "iscsi:" + who.replace(",", "%2C"),
                "all_target_ports": False,
                "relative_target_port": int(port[0]) if port else 1,
            }
        )
    return {
        "generation": int(fields["generation"]),
        "registrants": registrants,
        "reservation": {"key": held, "type": kind, "type_name": pr.type_name(kind)}
        if kind
        else None,
        "capabilities": {"aptpl": fields["aptpl"] == "1"},
        "notes": ["prmig itself decides on its reservations"]
        + ([LEFT] if fields["mode"] == "left" else []),
    }
