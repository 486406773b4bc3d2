# SPDX-License-Identifier: Apache-2.0
"""The virtual-machine rig of the system tests and the demo.

    from rig import Rig

    with Rig() as rig:
        host = rig.vm("host")
        rig.boot(host)
        print(host.run("uname -r"))

A Rig owns every process that it starts; they die with it, and with Python.
Needs root, the packages that Rig.install_needed() installs, and no KVM.
"""

from .errors import CommandFailed, RigError, RigTimeout
from .machine import Result, VM
from .rig import Rig

__all__ = ["CommandFailed", "Result", "Rig", "RigError", "RigTimeout", "VM"]
