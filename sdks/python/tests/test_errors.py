import errno
import pickle

import authority
import pytest
from authority._errors import Denial, error_of_reply

DENIAL = Denial("fs.write", "/work/a", '{"version":"1.0","fs":{"write":["/work/a"]}}', 17)


def reply(number, message, denial=DENIAL, errno_name="EACCES"):
    return error_of_reply(number, message, errno_name, denial)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (20, authority.PolicyDenied),
        (21, authority.PolicyDenied),
        (22, authority.PolicyDenied),
        (30, authority.BudgetExceeded),
        (10, authority.CapabilityError),
        (15, authority.CapabilityError),
    ],
)
def test_each_kind_of_refusal_has_its_class(number, kind):
    assert type(reply(number, "no")) is kind
    assert isinstance(reply(number, "no"), (authority.AuthorityError, OSError))


def test_a_denial_says_what_the_fix_and_that_it_is_a_decision():
    error = reply(20, "no rule allows it")
    assert str(error).split("\n") == [
        "no rule allows it",
        "  denied: fs.write /work/a (audit record 17)",
        '  fix: whoever sets the policy can allow exactly this with {"version":"1.0","fs":{"write":["/work/a"]}}',
        "  This is a decision, not a fault: do not try another route.",
    ]
    assert (error.denial, error.errno, error.errno_name, error.strerror) == (DENIAL, errno.EACCES, "EACCES", "no rule allows it")


def test_what_the_gate_says_already_is_not_said_twice():
    assert str(reply(20, "no. This is a decision, not a fault: do not try another route.")).count("another route") == 1


@pytest.mark.parametrize(("number", "text"), [(20, "a policy cannot allow this"), (13, "ask for a token"), (30, "raise the budget")])
def test_a_denial_no_policy_could_lift_says_so(number, text):
    assert text in str(reply(number, "no", DENIAL._replace(fix="")))


@pytest.mark.parametrize(
    ("number", "errno_name", "family"),
    [
        (50, "ENOENT", FileNotFoundError),
        (51, "EEXIST", FileExistsError),
        (20, "EACCES", PermissionError),
        (52, "ENOTDIR", NotADirectoryError),
        (54, "ETIMEDOUT", TimeoutError),
        (56, "ECONNREFUSED", ConnectionRefusedError),
    ],
)
def test_belongs_to_the_family_of_its_errno(number, errno_name, family):
    error = reply(number, "no", None, errno_name)
    assert isinstance(error, family) and isinstance(error, authority.AuthorityError)
    assert error.errno == getattr(errno, errno_name)


def test_an_unknown_errno_is_eio_and_an_unknown_code_internal():
    error = reply(999, "what", None, "EWHATEVER")
    assert (error.code, error.errno, str(error)) == ("E_INTERNAL", errno.EIO, "what (unknown error code 999)")


@pytest.mark.parametrize("number", [20, 30, 50])
def test_survives_pickling(number):
    error = reply(number, "no", errno_name="ENOENT")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.code, again.errno, again.denial, type(again)) == (str(error), error.code, error.errno, error.denial, type(error))
