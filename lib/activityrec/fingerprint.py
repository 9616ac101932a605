"""A short name of a text: equal texts have equal ones, others practically never."""

import hashlib


def fingerprint(text: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
