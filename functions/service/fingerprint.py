"""FARM_FINGERPRINT: the 64-bit hash that BigQuery takes from FarmHash, for the keys of the few deals of a request.

Source: farmhashna::Hash64 in https://github.com/google/farmhash, whose results are fixed for ever. The warehouse hashes by the
million in C++; the service hashes a handful, so plain Python serves.
"""

from __future__ import annotations

import struct

_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_MUL = 0x9DDFEA08EB382D69
_64 = (1 << 64) - 1
_SEED = 81


def farm_fingerprint(text: str) -> int:
    """The fingerprint of a text's UTF-8 bytes, signed as INT64 is.

    >>> farm_fingerprint("")
    -7286425919675154353
    """
    unsigned = _hash(text.encode())
    return unsigned - (1 << 64) if unsigned >> 63 else unsigned


def _hash(s: bytes) -> int:
    size = len(s)
    if size <= 16:
        return _up_to_16(s, size)
    if size <= 32:
        return _17_to_32(s, size)
    if size <= 64:
        return _33_to_64(s, size)
    return _longer(s, size)


def _word(s: bytes, at: int) -> int:
    return int(struct.unpack_from("<Q", s, at)[0])


def _half(s: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", s, at)[0])


def _rotated(value: int, by: int) -> int:
    value &= _64
    return (value >> by | value << (64 - by)) & _64


def _mixed(value: int) -> int:
    return value ^ (value >> 47)


def _pair(u: int, v: int, mul: int) -> int:
    a = _mixed((u ^ v) * mul & _64)
    return _mixed((v ^ a) * mul & _64) * mul & _64


def _up_to_16(s: bytes, size: int) -> int:
    mul = _K2 + size * 2 & _64
    if size >= 8:
        a, b = _word(s, 0) + _K2 & _64, _word(s, size - 8)
        return _pair(_rotated(b, 37) * mul + a & _64, (_rotated(a, 25) + b) * mul & _64, mul)
    if size >= 4:
        return _pair(size + (_half(s, 0) << 3) & _64, _half(s, size - 4), mul)
    if size:
        y, z = s[0] + (s[size >> 1] << 8), size + (s[-1] << 2)
        return _mixed((y * _K2 ^ z * _K0) & _64) * _K2 & _64
    return _K2


def _17_to_32(s: bytes, size: int) -> int:
    mul = _K2 + size * 2 & _64
    a, b = _word(s, 0) * _K1 & _64, _word(s, 8)
    c, d = _word(s, size - 8) * mul & _64, _word(s, size - 16) * _K2 & _64
    return _pair(_rotated(a + b, 43) + _rotated(c, 30) + d & _64, a + _rotated(b + _K2, 18) + c & _64, mul)


def _33_to_64(s: bytes, size: int) -> int:
    mul = _K2 + size * 2 & _64
    a, b = _word(s, 0) * _K2 & _64, _word(s, 8)
    c, d = _word(s, size - 8) * mul & _64, _word(s, size - 16) * _K2 & _64
    y = _rotated(a + b, 43) + _rotated(c, 30) + d & _64
    z = _pair(y, a + _rotated(b + _K2, 18) + c & _64, mul)
    e, f = _word(s, 16) * mul & _64, _word(s, 24)
    g, h = (y + _word(s, size - 32)) * mul & _64, (z + _word(s, size - 24)) * mul & _64
    return _pair(_rotated(e + f, 43) + _rotated(g, 30) + h & _64, e + _rotated(f + a, 18) + g & _64, mul)


def _weak(s: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = struct.unpack_from("<4Q", s, at)
    a += w
    b = _rotated(b + a + z, 21)
    c = a
    a += x + y
    return a + z & _64, b + _rotated(a, 44) + c & _64


def _longer(s: bytes, size: int) -> int:
    x, y = _SEED, _SEED * _K1 + 113 & _64
    z = _mixed(y * _K2 + 113 & _64) * _K2 & _64
    v, w = (0, 0), (0, 0)
    x = x * _K2 + _word(s, 0) & _64
    last = (size - 1) // 64 * 64
    for at in range(0, last, 64):
        x = _rotated(x + y + v[0] + _word(s, at + 8), 37) * _K1 & _64
        y = _rotated(y + v[1] + _word(s, at + 48), 42) * _K1 & _64
        x ^= w[1]
        y = y + v[0] + _word(s, at + 40) & _64
        z = _rotated(z + w[0], 33) * _K1 & _64
        v = _weak(s, at, v[1] * _K1 & _64, x + w[0])
        w = _weak(s, at + 32, z + w[1], y + _word(s, at + 16))
        x, z = z, x
    mul = _K1 + ((z & 0xFF) << 1) & _64
    at = size - 64
    w = (w[0] + ((size - 1) & 63) & _64, w[1])
    v = (v[0] + w[0] & _64, v[1])
    w = (w[0] + v[0] & _64, w[1])
    x = _rotated(x + y + v[0] + _word(s, at + 8), 37) * mul & _64
    y = _rotated(y + v[1] + _word(s, at + 48), 42) * mul & _64
    x ^= w[1] * 9 & _64
    y = y + v[0] * 9 + _word(s, at + 40) & _64
    z = _rotated(z + w[0], 33) * mul & _64
    v = _weak(s, at, v[1] * mul & _64, x + w[0])
    w = _weak(s, at + 32, z + w[1], y + _word(s, at + 16))
    x, z = z, x
    return _pair(
        _pair(v[0], w[0], mul) + _mixed(y) * _K0 + z & _64,
        _pair(v[1], w[1], mul) + x & _64,
        mul,
    )
