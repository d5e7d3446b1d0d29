"""Ed25519 verification (RFC 8032, 5.1.7, without the cofactor). Nothing here is secret, so nothing here is constant in time."""

from functools import lru_cache
from hashlib import sha512
from typing import List, Optional, Tuple

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_WINDOW_BITS = 4

# Extended coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, x·y = T/Z.
_Point = Tuple[int, int, int, int]
_NEUTRAL: _Point = (0, 1, 1, 0)


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    if len(public_key) != 32 or len(signature) != 64:
        return False
    encoded_r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= _ORDER:
        return False
    windows_of_minus_a = _key_windows(public_key)
    if windows_of_minus_a is None:
        return False
    k = int.from_bytes(sha512(encoded_r + public_key + message).digest(), "little") % _ORDER
    return _encode(_multiply(_multiply(_NEUTRAL, s, _base_windows()), k, windows_of_minus_a)) == encoded_r


def _add(a: _Point, b: _Point) -> _Point:
    p = (a[1] - a[0]) * (b[1] - b[0]) % _P
    q = (a[1] + a[0]) * (b[1] + b[0]) % _P
    r = 2 * _D * a[3] * b[3] % _P
    s = 2 * a[2] * b[2] % _P
    e, f, g, h = q - p, s - r, s + r, q + p
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _windows(point: _Point) -> List[List[_Point]]:
    """For each window of the scalar the multiples 0…15 of point · 16**window: a product is then 64 additions."""
    table = []
    for _ in range(256 // _WINDOW_BITS):
        row = [_NEUTRAL]
        for _ in range((1 << _WINDOW_BITS) - 1):
            row.append(_add(row[-1], point))
        table.append(row)
        point = _add(row[-1], point)
    return table


def _multiply(total: _Point, scalar: int, windows: List[List[_Point]]) -> _Point:
    for row in windows:
        digit = scalar & ((1 << _WINDOW_BITS) - 1)
        if digit:
            total = _add(total, row[digit])
        scalar >>= _WINDOW_BITS
    return total


def _encode(point: _Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decode(encoded: bytes) -> Optional[_Point]:
    value = int.from_bytes(encoded, "little")
    sign, y = value >> 255, value & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _SQRT_MINUS_ONE % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


@lru_cache(maxsize=1)
def _base_windows() -> List[List[_Point]]:
    base = _decode((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
    assert base is not None
    return _windows(base)


@lru_cache(maxsize=64)
def _key_windows(public_key: bytes) -> Optional[List[List[_Point]]]:
    point = _decode(public_key)
    return None if point is None else _windows((-point[0] % _P, point[1], 1, -point[3] % _P))
