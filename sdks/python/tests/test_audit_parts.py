"""The parts of the audit verifier against the specifications they are made from."""

import base64
import json
import random
from hashlib import sha256, sha512

import pytest
from authority.audit import _ed25519
from authority.audit._checkpoints import has_empty_sector
from authority.audit._crc32c import Windows, crc32c
from authority.audit._json import NotCanonical, parse_record, write_number
from authority.audit._merkle import EMPTY_ROOT, Tree, leaf_hash
from authority.audit._notes import BadNote, Key, end_of_note, parse_checkpoint, parse_key, parse_note

RFC_8032_VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        b"",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        b"\x72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        b"\xaf\x82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        sha512(b"abc").digest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032_VECTORS)
def test_ed25519_accepts_the_vectors_of_rfc_8032_and_no_neighbour_of_them(public, message, signature):
    key, good = bytes.fromhex(public), bytes.fromhex(signature)
    assert _ed25519.verify(key, message, good)
    assert not _ed25519.verify(key, message + b"\x00", good)
    for index in (0, 31, 32, 63):
        bad = bytearray(good)
        bad[index] ^= 1
        assert not _ed25519.verify(key, message, bytes(bad))
    same_point = int.from_bytes(good[32:], "little") + _ed25519._ORDER
    assert not _ed25519.verify(key, message, good[:32] + same_point.to_bytes(32, "little"))
    assert not _ed25519.verify(key[:31], message, good)
    assert not _ed25519.verify(b"\xff" * 32, message, good)


def test_crc32c_gives_the_check_value_and_every_window_of_a_buffer():
    assert crc32c(b"123456789") == 0xE3069283
    data = random.Random(1).randbytes(3000) if hasattr(random.Random, "randbytes") else bytes(range(250)) * 12
    windows = Windows(data)
    for start, end in ((0, 0), (16, 17), (8, 2999), (24, 531), (2992, 3000)):
        assert windows.crc(b"salt", start, end) == crc32c(b"salt" + data[start:end])


def _root_of(leaves):
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + _root_of(leaves[:split]) + _root_of(leaves[split:])).digest()


def test_the_tree_is_that_of_rfc_6962_at_every_size():
    tree, leaves = Tree(), []
    assert tree.root() == EMPTY_ROOT
    for number in range(70):
        leaves.append(leaf_hash(b"%d" % number))
        tree.append(leaves[-1])
        assert tree.root() == _root_of(leaves)
        assert len(tree.subtrees) == bin(tree.size).count("1")


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"b":[true,null,"x/\u2028\x7f"]}',
        '{"0":1,"10":2,"a":3,"4294967295":4}',
        '{"n":[0,-1,0.1,1e-7,1e+21,100000000000000000000,0.000001,9007199254740991,1.5e+300,5e-324]}',
        '{"s":"\\ud800 \\"\\\\\\b\\f\\n\\r\\t\\u0001"}',
        '{"hex":"1234567890123456789012"}',
    ],
)
def test_records_that_json_stringify_writes_are_taken(text):
    assert parse_record(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{} ",
        '{"a": 1}',
        '{"a":1,"a":1}',
        '{"a":1,"\\u0061":1}',
        '{"b":1,"0":2}',
        '{"10":1,"9":2}',
        '{"n":1.0}',
        '{"n":-0}',
        '{"n":1e21}',
        '{"n":1e400}',
        '{"n":9007199254740993}',
        '{"n":NaN}',
        '{"s":"\\/"}',
        '{"s":"\\u00e9"}',
        '{"s":"\\uD800"}',
        '{"s":"\\ud83d\\ude00"}',
        "\ufeff{}",
        '{"a":' + "[" * 64 + "]" * 64 + "}",
        '{"a":' * 30000,
        '{"n":' + "9" * 5000 + "}",
    ],
)
def test_any_other_spelling_of_a_record_is_refused(text):
    with pytest.raises(NotCanonical):
        parse_record(text.encode("utf-8"))


def test_sixty_four_levels_are_taken_and_bytes_that_are_not_utf_8_are_not():
    assert parse_record(('{"a":' + "[" * 63 + "]" * 63 + "}").encode())
    for bad in (b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}'):
        with pytest.raises(NotCanonical):
            parse_record(bad)


def test_numbers_are_written_as_ecmascript_writes_them():
    written = {1e21: "1e+21", 123456789012345680000.0: "123456789012345680000", 1e-6: "0.000001", 1e-7: "1e-7", -1.25: "-1.25", 5e-324: "5e-324", 0.0: "0"}
    assert {value: write_number(value) for value in written} == written


# c2sp.org/tlog-cosignature: its example.
WITNESSED = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
).encode()


def test_a_checkpoint_of_the_specification_is_read():
    checkpoint = parse_checkpoint(WITNESSED)
    assert (checkpoint.origin, checkpoint.size, len(checkpoint.note.signatures)) == ("example.com/behind-the-sofa", 20852163, 2)
    assert end_of_note(WITNESSED + b"\nnext") == len(WITNESSED) + 1
    assert end_of_note(WITNESSED) == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"20852163", b"020852163"),
        (b"20852163", b"0"),
        (b"20852163", b"9007199254740992"),
        (b"q2I=", b"q2J="),
        (b"q2I=", b"q2I"),
        ("\u2014 witness".encode(), b"- witness"),
        (b"20852163\n", b"20852163\r\n"),
        (b"sofa\n", b"sofa\xff\n"),
    ],
)
def test_any_other_form_of_a_checkpoint_is_refused(old, new):
    with pytest.raises(BadNote):
        parse_checkpoint(WITNESSED.replace(old, new, 1))


def test_extension_lines_and_what_strangers_sign_are_ignored():
    extended = WITNESSED.replace(b"q2I=\n", b"q2I=\nextension\n", 1).replace(b"witness.example.com/w1 ", b"somebody-else ", 1)
    assert parse_checkpoint(extended).size == 20852163


def test_a_key_line_names_its_own_hash():
    public = bytes.fromhex(RFC_8032_VECTORS[0][0])
    key = Key("authority/" + "0" * 32, 1, public, "")
    line = "%s+%s+%s" % (key.name, key.hash.hex(), base64.b64encode(b"\x01" + public).decode())
    assert parse_key(line).public == public
    for bad in (line.replace("+", "+0", 1), line[:-1], line + " ", line.replace("authority", "other")):
        with pytest.raises(BadNote):
            parse_key(bad)


def test_a_note_needs_a_text_and_signatures():
    for bad in (b"", b"\n\n", b"text\n\n", b"text\n", b"\n\n\xe2\x80\x94 a AAAAAAA=\n"):
        with pytest.raises(BadNote):
            parse_note(bad)


def test_a_line_among_the_signatures_that_is_none_spoils_the_note():
    good = "text\n\n\u2014 a AAAAAAA=\n"
    assert len(parse_note(good.encode()).signatures) == 1
    dash = "\u2014 "
    forms = ("exampl", "w", "w ", " AAAABBBB", "w+1 AAAABBBB", "w AAAABBBB x", "w AAAAAA==", "w AAAAAAB=")
    for line in [*(dash + form for form in forms), "- w AAAABBBB"]:
        with pytest.raises(BadNote):
            parse_note((good + line + "\n").encode())


def test_a_lost_sector_is_one_whose_share_is_all_zeros():
    data = b"x" * 100 + bytes(512) + b"y"
    assert has_empty_sector(data, 412)
    assert not has_empty_sector(data, 400)
