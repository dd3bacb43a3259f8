"""Exit codes of the commands, listed in docs/reference/commands.md."""

from enum import IntEnum


class Exit(IntEnum):
    """What a command's exit code says; 1 is anything that has no code of its own."""

    OK = 0
    FAILED = 1
    PORT_UNUSABLE = 3
    DATA_DIR_UNUSABLE = 4
    SERVER_UNREACHABLE = 5
    DATA_VERSION_MISMATCH = 6
    NOT_READY = 7
