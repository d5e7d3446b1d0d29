"""Errors: one class per kind of refusal, each an OSError with the errno a plain system call would have given."""

from __future__ import annotations

import errno as _errno
from typing import Any, Dict, NamedTuple, Optional, Tuple, Type

from ._protocol import ERROR_NAMES, ERRORS

_DECISION = "do not try another route"


class Denial(NamedTuple):
    """What a refusal tells: the missing permission, the object as you named it, a policy document that would allow it, the audit record."""

    permission: str
    object: str
    fix: str
    seq: int


class AuthorityError(OSError):
    """A failure with a closed code, `E_…`. `errno` is the number and `strerror` the sentence, as in every OSError; `denial` is set when it is a refusal."""

    def __init__(self, code: str, message: str, errno_name: str = "", denial: Optional[Denial] = None) -> None:
        self.code = code
        self.errno_name = errno_name or ERRORS[code].errno
        self.denial = denial
        super().__init__(getattr(_errno, self.errno_name, _errno.EIO), message)

    def __str__(self) -> str:
        return _describe(self.code, self.strerror, self.denial)

    def __reduce__(self) -> Any:
        return make_error, (self.code, self.strerror, self.errno_name, self.denial, type(self).__name__ == "ConnectionLost")


class PolicyDenied(AuthorityError, PermissionError):
    """The policy, or a person, does not allow it. `denial` says what was asked for and what would allow it."""


class BudgetExceeded(AuthorityError):
    """The worst case of the effect does not fit what is left of a budget."""


class CapabilityError(AuthorityError, PermissionError):
    """The token or handle acted under does not hold, or does not reach that far."""


class ConnectionLost(AuthorityError, ConnectionError):
    """There is no conversation with the gate any more (or there never was one): connect again."""


# So that `except FileNotFoundError` and its like work for what the gate answers too.
_FAMILIES: Dict[str, Type[OSError]] = {
    "ENOENT": FileNotFoundError,
    "EEXIST": FileExistsError,
    "EACCES": PermissionError,
    "EPERM": PermissionError,
    "ENOTDIR": NotADirectoryError,
    "EISDIR": IsADirectoryError,
    "ETIMEDOUT": TimeoutError,
    "ECONNREFUSED": ConnectionRefusedError,
    "ECONNRESET": ConnectionResetError,
    "EPIPE": BrokenPipeError,
}
_members: Dict[Tuple[Type[AuthorityError], Type[OSError]], Type[AuthorityError]] = {}


def make_error(code: str, message: str, errno_name: str = "", denial: Optional[Denial] = None, lost: bool = False) -> AuthorityError:
    """The error of a code: its class, also a member of the OSError family of its errno."""
    kind = ConnectionLost if lost else _kind_of(code)
    family = _FAMILIES.get(errno_name or ERRORS[code].errno)
    if family is not None and not issubclass(kind, family) and kind is AuthorityError:
        kind = _members.setdefault((kind, family), type(kind.__name__, (kind, family), {"__module__": __name__}))
    return kind(code, message, errno_name, denial)


def error_of_reply(number: int, message: str, errno_name: str = "", denial: Optional[Denial] = None) -> AuthorityError:
    """What a gate's error or reset is to the caller. A number this build does not know is E_INTERNAL, the number in the message."""
    code = ERROR_NAMES.get(number)
    if code is None:
        code, message = "E_INTERNAL", f"{message} (unknown error code {number})"
    return make_error(code, message, errno_name, denial)


def lost_by_goodbye(number: int, message: str) -> AuthorityError:
    """What ended the session, for every call that was under way."""
    code = ERROR_NAMES.get(number, "E_INTERNAL")
    message = f"the gate ended the session: {message}"
    return make_error(code, message, lost=not code.startswith("E_CAP_"))


def lost(message: str, code: str = "E_IO") -> AuthorityError:
    return make_error(code, message, lost=True)


def faulty(cause: AuthorityError) -> AuthorityError:
    """The gate broke the protocol: nothing it said can be trusted to mean what it says, so the connection is over."""
    return lost(f"the gate broke the protocol and the connection was closed: {cause.strerror}", cause.code)


def protocol_error(message: str) -> AuthorityError:
    return make_error("E_PROTOCOL", message)


def invalid(message: str) -> AuthorityError:
    """An argument of the caller's that never left this process."""
    return make_error("E_CONFLICT", message)


def _kind_of(code: str) -> Type[AuthorityError]:
    if code in ("E_POLICY_DENY", "E_APPROVAL_REQUIRED", "E_APPROVAL_DENIED"):
        return PolicyDenied
    if code == "E_BUDGET_EXCEEDED":
        return BudgetExceeded
    return CapabilityError if code.startswith("E_CAP_") else AuthorityError


def _describe(code: str, message: str, denial: Optional[Denial]) -> str:
    """What a program or a model reads: what was refused, who can change that and how, and that it is not a fault to be worked around."""
    if denial is None:
        return message
    lines = [
        message,
        f"  denied: {denial.permission} {denial.object} (audit record {denial.seq})",
        f"  fix: {_fix_of(code, denial)}",
    ]
    if _DECISION not in message:
        lines.append(f"  This is a decision, not a fault: {_DECISION}.")
    return "\n".join(lines)


def _fix_of(code: str, denial: Denial) -> str:
    if denial.fix:
        return f"whoever sets the policy can allow exactly this with {denial.fix}"
    if code == "E_BUDGET_EXCEEDED":
        return "whoever started the run can raise the budget"
    return "ask for a token that reaches this far" if code.startswith("E_CAP_") else "none, a policy cannot allow this"
