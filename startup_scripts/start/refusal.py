"""How a start is refused: with a reason on the page, and exit code 78."""

REFUSED = 78


class StartRefused(Exception):
    """The start must end; the text says why, to the person who waits for it."""
