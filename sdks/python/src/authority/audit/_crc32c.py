"""CRC-32C (Castagnoli), two bytes at a step, and the CRC of any window of a buffer from the CRCs of its prefixes."""

import sys
from array import array
from typing import List

_POLYNOMIAL = 0x82F63B78  # 0x1EDC6F41, reflected
_ONES = 0xFFFFFFFF


def _byte_table() -> List[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_BYTE = _byte_table()
_WORD = [_BYTE[(word >> 8) ^ (_BYTE[word & 0xFF] & 0xFF)] ^ (_BYTE[word & 0xFF] >> 8) for word in range(65536)]


def update(state: int, data: bytes) -> int:
    """The register after data; without the inversions at the beginning and the end."""
    table = _WORD
    even = len(data) & ~1
    words = array("H", data[:even])
    if sys.byteorder == "big":
        words.byteswap()
    for word in words:
        state = table[(state ^ word) & 0xFFFF] ^ (state >> 16)
    if len(data) > even:
        state = _BYTE[(state ^ data[even]) & 0xFF] ^ (state >> 8)
    return state


def crc32c(data: bytes) -> int:
    return update(_ONES, data) ^ _ONES


def _shift_matrices(count: int) -> List[List[int]]:
    """For each k the register's bits after 2**k zero bytes: the register is linear in them."""
    matrices = [[_BYTE[bit & 0xFF] ^ (bit >> 8) for bit in (1 << index for index in range(32))]]
    while len(matrices) < count:
        last = matrices[-1]
        matrices.append([_apply(last, column) for column in last])
    return matrices


def _apply(matrix: List[int], state: int) -> int:
    result = 0
    index = 0
    while state:
        if state & 1:
            result ^= matrix[index]
        state >>= 1
        index += 1
    return result


class Windows:
    """CRCs of windows of one buffer, each in constant time: hostile bytes may claim a frame at every eighth byte."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._matrices = _shift_matrices(17)
        self._prefixes = array("L", [0])
        state = 0
        for start in range(0, len(data) - 7, 8):
            state = update(state, data[start : start + 8])
            self._prefixes.append(state)

    def crc(self, before: bytes, start: int, end: int) -> int:
        """The CRC of before ‖ data[start:end]; at most 128 KiB."""
        state = update(_ONES, before) ^ self._prefix(start)
        length = end - start
        for matrix in self._matrices:
            if length & 1:
                state = _apply(matrix, state)
            length >>= 1
        return state ^ self._prefix(end) ^ _ONES

    def _prefix(self, end: int) -> int:
        return update(self._prefixes[end >> 3], self._data[end & ~7 : end])
