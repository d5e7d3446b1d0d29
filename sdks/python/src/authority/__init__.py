"""The Authority SDK: what an agent says to the gate. It holds no policy; everything is decided where the agent cannot reach.

    import authority

    with authority.connect() as gate:
        text = gate.fs.read_text("/workspace/in/notes.txt")
"""

from ._client import Budget, BudgetHistory, BudgetMark, BudgetPoint, BudgetRow, Client, connect
from ._errors import AuthorityError, BudgetExceeded, CapabilityError, ConnectionLost, Denial, PolicyDenied
from ._file import File
from ._fs import DirectoryEntry, Files, Stat
from ._limits import VERSION as __version__
from ._listener import Listener
from ._net import Net, Response
from ._stream import ByteStream
from ._token import attenuate, seal

__all__ = [
    "AuthorityError",
    "Budget",
    "BudgetExceeded",
    "BudgetHistory",
    "BudgetMark",
    "BudgetPoint",
    "BudgetRow",
    "ByteStream",
    "CapabilityError",
    "Client",
    "ConnectionLost",
    "Denial",
    "DirectoryEntry",
    "File",
    "Files",
    "Listener",
    "Net",
    "PolicyDenied",
    "Response",
    "Stat",
    "__version__",
    "attenuate",
    "connect",
    "seal",
]
