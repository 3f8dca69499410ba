"""Numbers in sentences."""


def counted(number: float, noun: str) -> str:
    """A number with its noun, which takes an s: "1 layer", "2,304 words"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
