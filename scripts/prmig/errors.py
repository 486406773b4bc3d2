# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, for people."""


class Refused(Exception):
    """It was refused, or has failed; the text says why, and what to do.

    name: of the D-Bus error, without org.prmig1.Error. in front; "" otherwise.
    """

    def __init__(self, text, name=""):
        self.name = name
        super().__init__(text)


class Unreachable(Refused):
    """No answer came: the call may have taken effect."""


class Left(Refused):
    """A migration was neither finished nor undone; its journal stays."""


class Usage(Exception):
    """The command line is wrong."""
