"""Why somebody is not let in, in words for them, and the error that carries the words to the page.

`templates/error.html` shows an explanation as three things: what happened, what to do now, and whom
to ask. The log gets its own text; neither ever holds a token or a secret.
"""

from __future__ import annotations

from dataclasses import dataclass

from tornado import web


@dataclass(frozen=True)
class Link:
    """An address that takes a person to the next step."""

    label: str
    url: str


@dataclass(frozen=True)
class Explanation:
    """What a page says when somebody is not let in.

    Attributes:
        title: What happened, in a few words; no full stop.
        cause: Why, in a sentence or two.
        next_step: What the person can do now.
        links: Where to do it; at most two.
        for_admins: What an admin does about it, when it is theirs to mend.
    """

    title: str
    cause: str
    next_step: str
    links: tuple[Link, ...] = ()
    for_admins: str = ""


class SignInError(web.HTTPError):
    """A sign-in that ends with an explained page.

    Args:
        status: HTTP status of the page.
        explanation: What the page says.
        log: What the hub's log says.
        retry_after_s: When a new try makes sense, seconds; sent as `Retry-After`.
    """

    def __init__(
        self, status: int, explanation: Explanation, log: str, retry_after_s: int | None = None
    ) -> None:
        # the log text goes in as an argument: tornado would read a % in it as a format
        super().__init__(status, "%s", log)
        self.explanation = explanation
        # JupyterHub shows `jupyterhub_message` where a page has no place for the whole
        # explanation, such as above the login form, and sends `headers` with the page
        self.jupyterhub_message = f"{explanation.title}. {explanation.next_step}"
        self.headers = {"Retry-After": str(retry_after_s)} if retry_after_s else {}
