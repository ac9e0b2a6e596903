"""Seeded damage to bytes."""

import random


def damaged(whole: bytes, numbers: random.Random, start: int = 0) -> bytes:
    """A file with one kind of damage: cut, changed, left out, repeated, zeroed, or with large numbers in it.

    Args:
        whole: the file.
        numbers: decides on the damage.
        start: the first byte that may be damaged.
    """
    content = bytearray(whole)
    place = (
        numbers.randrange(start, len(content))
        if numbers.random() < 0.5
        else start + numbers.randrange(min(512, len(content) - start))
    )
    kind = numbers.choice(("bits", "bits", "bytes", "bytes", "cut", "gap", "repeat", "zeros", "large"))
    length = min(numbers.choice((1, 2, 4, 8, 64, 500)), len(content) - place)
    if kind == "bits":
        for _ in range(numbers.choice((1, 1, 3, 20))):
            content[numbers.randrange(place, len(content))] ^= 1 << numbers.randrange(8)
    elif kind == "bytes":
        content[place : place + length] = numbers.randbytes(length)
    elif kind == "cut":
        del content[place:]
    elif kind == "gap":
        del content[place : place + length]
    elif kind == "repeat":
        content[place:place] = content[place : place + length] * numbers.randint(1, 30)
    elif kind == "zeros":
        content[place : place + length] = bytes(length)
    else:
        content[place : place + length] = numbers.choice((b"\xff", b"\x7f", b"\x80\0\0\0"))[:1] * length
    return bytes(content)
