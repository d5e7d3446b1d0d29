"""A verifier of Authority's audit logs, written from kernel/audit/FORMAT.md alone: it shares no code with the writer.

    python -m authority.audit verify PATH [--installation DIR] [--anchor FILE] [--key KEY] [--witness KEY] [--require LEVEL] [--json]
"""

from ._report import Report
from ._verify import verify

__all__ = ["Report", "verify"]
