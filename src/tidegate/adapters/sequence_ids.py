"""Sequences of one request: how a model with a memory is asked a question that leaves nothing behind.

Triton's sequence extension of the v2 protocol (protocol/extension_sequence.md). Production's clients choose
ids of their own on the same server, and a request with theirs would begin their sequence anew: ours are drawn
from the upper half of 31 bits, which a model's INT32 signal can hold, too.
"""

import secrets

LEAST = 2**30


def sequence_id() -> int:
    """One that nobody is likely to use now."""
    return LEAST + secrets.randbelow(LEAST)


def sequence_of_one(number: int) -> dict[str, int | bool]:
    """The parameters of a request that begins and ends the sequence."""
    return {"sequence_id": number, "sequence_start": True, "sequence_end": True}
