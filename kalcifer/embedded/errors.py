"""What can go wrong with the bundled servers, as messages for whoever typed the command."""

from django.core.management.base import CommandError

from kalcifer.exits import Exit


class ServersUnavailable(CommandError):
    """The bundled servers could not be started."""

    code = Exit.SERVER_UNREACHABLE

    def __init__(self, message: str) -> None:
        super().__init__(message, returncode=int(self.code))


class DataDirUnusable(ServersUnavailable):
    """The data directory cannot be created, written or reached."""

    code = Exit.DATA_DIR_UNUSABLE


class WrongDataVersion(ServersUnavailable):
    """The cluster on disk belongs to another major version of PostgreSQL."""

    code = Exit.DATA_VERSION_MISMATCH
