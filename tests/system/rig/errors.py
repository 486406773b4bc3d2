# SPDX-License-Identifier: Apache-2.0
"""What can go wrong in the rig itself, and a command that failed."""


class RigError(Exception):
    """The rig could not do what was asked of it."""


class RigTimeout(RigError):
    """A condition that was waited for did not come true in time."""


class CommandFailed(RigError):
    """A command that had to succeed ended with another exit status than 0."""

    def __init__(self, result):
        self.result = result
        super().__init__(
            f"{result.where}: exit status {result.status}: {result.command}\n"
            f"--- stdout\n{result.stdout}\n--- stderr\n{result.stderr}"
        )
