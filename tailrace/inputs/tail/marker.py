"""The mark of the bytes before an offset, by which a file that was rewritten is told from one that only grew.

Fluent Bit keeps it in its table: XXH3 (64 bit, no seed) of up to 32 bytes. The algorithm's short cases are in the
[xxHash specification](https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md).
"""

MARKER_BYTES = 32
HEAD_BYTES = 1024
"""How many of a file's first bytes make its fingerprint."""

MASK = (1 << 64) - 1
PRIME64_1, PRIME64_2, PRIME64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
PRIME_MX1, PRIME_MX2 = 0x165667919E3779F9, 0x9FB21C651E98DF25
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
)


def little(data: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(data[at : at + size], "little")


def secret(at: int) -> int:
    return little(SECRET, at)


def fold(a: int, b: int) -> int:
    """Both halves of the 128-bit product, xored."""
    product = a * b
    return (product ^ (product >> 64)) & MASK


def rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & MASK


def avalanche(value: int) -> int:
    value = (value ^ (value >> 37)) * PRIME_MX1 & MASK
    return value ^ (value >> 32)


def avalanche_xxh64(value: int) -> int:
    value = (value ^ (value >> 33)) * PRIME64_2 & MASK
    value = (value ^ (value >> 29)) * PRIME64_3 & MASK
    return value ^ (value >> 32)


def xxh3(data: bytes) -> int:
    """XXH3 of 1 to 32 bytes, as an unsigned number."""
    size = len(data)
    if size > 16:
        return of_17_to_32(data, size)
    if size > 8:
        return of_9_to_16(data, size)
    return of_4_to_8(data, size) if size >= 4 else of_1_to_3(data, size)


def of_1_to_3(data: bytes, size: int) -> int:
    combined = data[0] << 16 | data[size >> 1] << 24 | data[-1] | size << 8
    return avalanche_xxh64(combined ^ little(SECRET, 0, 4) ^ little(SECRET, 4, 4))


def of_4_to_8(data: bytes, size: int) -> int:
    value = (little(data, size - 4, 4) + (little(data, 0, 4) << 32)) ^ secret(8) ^ secret(16)
    value ^= rotate(value, 49) ^ rotate(value, 24)
    value = value * PRIME_MX2 & MASK
    value ^= (value >> 35) + size
    value = value * PRIME_MX2 & MASK
    return value ^ (value >> 28)


def of_9_to_16(data: bytes, size: int) -> int:
    low = little(data, 0) ^ secret(24) ^ secret(32)
    high = little(data, size - 8) ^ secret(40) ^ secret(48)
    swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
    return avalanche((size + swapped + high + fold(low, high)) & MASK)


def of_17_to_32(data: bytes, size: int) -> int:
    total = size * PRIME64_1
    for at, key in ((0, 0), (size - 16, 16)):
        total += fold(little(data, at) ^ secret(key), little(data, at + 8) ^ secret(key + 8))
    return avalanche(total & MASK)


def marker_of(data: bytes) -> int:
    """The mark of the bytes before an offset (at most 32) as SQLite stores it, signed; 0 for none."""
    if not data:
        return 0
    value = xxh3(data)
    return value - (1 << 64) if value >> 63 else value
