#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One more org.qemu.VMState1 on a VM's bus, beside prmig's: what it does at
Load is what the test wants to happen to a migration after prmig's Load.

    vmstate_owner.py BUS ID accept|refuse|hang

It writes a line for each call. In a machine.
"""

import sys

from gi.repository import Gio, GLib

XML = """<node><interface name="org.qemu.VMState1">
<property name="Id" type="s" access="read"/>
<method name="Load"><arg type="ay" name="data" direction="in"/></method>
<method name="Save"><arg type="ay" name="data" direction="out"/></method>
</interface></node>"""


def main():
    address, ident, at_load = sys.argv[1:]

    def called(_bus, _sender, _path, _interface, method, _arguments, invocation):
        print(method, flush=True)
        if method == "Save":
            invocation.return_value(GLib.Variant("(ay)", (b"nothing",)))
        elif at_load == "refuse":
            invocation.return_dbus_error("org.example.Refused", "as the test wants it")
        elif at_load == "accept":
            invocation.return_value(None)

    def get(*_arguments):
        return GLib.Variant("s", ident)

    bus = Gio.DBusConnection.new_for_address_sync(
        address,
        Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
        | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
    )
    bus.register_object(
        "/org/qemu/VMState1", Gio.DBusNodeInfo.new_for_xml(XML).interfaces[0], called, get, None
    )
    Gio.bus_own_name_on_connection(
        bus,
        "org.qemu.VMState1",
        Gio.BusNameOwnerFlags.NONE,
        None,
        # In the queue behind prmig, where QEMU finds it.
        lambda *_: print("ready", flush=True),
    )
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
