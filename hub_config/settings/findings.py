"""What a check says of values that do not go together."""

from __future__ import annotations

from dataclasses import dataclass

Key = tuple[str | int, ...]
"""Where a value stands, such as `("profile", 1, "image")`."""


def key_name(key: Key) -> str:
    """Return a key as one writes it, such as `profile[1].image`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass(frozen=True)
class Finding:
    """Two or more values that do not go together.

    Attributes:
        key: What to change first.
        message: Plain words that go on after the key.
        fix: The next step, a sentence.
        involves: The other keys that were looked at.
    """

    key: Key
    message: str
    fix: str
    involves: tuple[Key, ...] = ()

    @property
    def name(self) -> str:
        """Return the key as one writes it."""
        return key_name(self.key)
