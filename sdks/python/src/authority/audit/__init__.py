"""A verifier of Authority's audit logs, written from kernel/audit/FORMAT.md alone and from the standard library alone.

    python -m authority.audit verify PATH

It shares nothing with the program that wrote the log, nor with the verifier in it: two readers that agree on every byte are better than one.
"""

from ._verify import LEVELS, Verdict, verify

__all__ = ["LEVELS", "Verdict", "verify"]
