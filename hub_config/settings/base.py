"""What every section stands on: the frozen table, strict scalars, and errors with a next step.

Validators here look at one value only. What several keys decide together is in `checks.py`.
"""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationInfo
from pydantic_core import PydanticCustomError

_HOST = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*"


def wrong(message: str, fix: str = "") -> PydanticCustomError:
    """Return the error for a value that is refused.

    Args:
        message: Plain words that go on after the key, such as "must not be empty".
        fix: What the operator does about it, a sentence. Empty: the reader gets an example.
    """
    return PydanticCustomError("labhub", "{message}", {"message": message, "fix": fix})


def shaped(pattern: str, words: str) -> AfterValidator:
    """Return a validator that says in words, not in a pattern, which shape a text must have."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise wrong(f"must be {words}")
        return text

    return AfterValidator(check)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address means this machine and nobody else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _absolute(path: Path, info: ValidationInfo) -> Path:
    """Resolve a path, in words alone, against the folder of `hub.toml` (context `root`)."""
    if not str(path).isprintable():
        raise wrong("must be a path, in one line and without control characters")
    try:
        path = path.expanduser()
    except RuntimeError:
        raise wrong("begins with the home of a user whom this host does not know") from None
    root = (info.context or {}).get("root", Path.cwd())
    return Path("/" + os.path.normpath(Path(root, path)).lstrip("/"))


def _host(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not re.fullmatch(_HOST, text):
            raise wrong(
                "must be an address or a host name, without a port",
                "127.0.0.1 is this machine only, 0.0.0.0 is every network it is in.",
            ) from None
    return text


def web_address(text: str, *, path: bool = False, plain: str = "anywhere") -> str:
    """Return a web address without its trailing slash.

    Args:
        text: The address.
        path: Whether something may follow the host.
        plain: Where http, without TLS, is good enough: "anywhere", "loopback" or "nowhere".

    Raises:
        PydanticCustomError: it is not such an address.
    """
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise wrong("is not a web address", "Look at its host and port.") from None
    if parts.scheme not in ("http", "https") or not host or not text.isprintable() or " " in text:
        raise wrong("must be a web address", "Write it with https:// and the host's name.")
    if parts.username is not None or parts.password is not None:
        raise wrong("must not hold a user name or a password", "Remove what stands before the @.")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise wrong("must not hold ? or #", "Remove them and what follows.")
    if not path and parts.path not in ("", "/"):
        raise wrong("must end after the host and port", f"Remove {parts.path}.")
    if parts.scheme == "http" and (
        plain == "nowhere" or (plain == "loopback" and not is_loopback(host))
    ):
        raise wrong("must begin with https://, since secrets go there", "Use its https address.")
    return text.rstrip("/")


def _image(text: str) -> str:
    """Check an image reference: [host[:port]/]name[:tag][@sha256:digest]."""
    if re.search(r"\s", text):
        raise wrong("must not contain spaces")
    if "://" in text:
        raise wrong("must not begin with a scheme", f"Write {text.split('://', 1)[1]!r}.")
    name, _, digest = text.partition("@")
    if "@" in text and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise wrong("has a digest that is not sha256: and 64 digits 0-9, a-f")
    host, slash, rest = name.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, rest = "", name
    repository, colon, tag = rest.partition(":")
    if repository != repository.lower():
        raise wrong(
            "has upper-case letters in its name", "Names of images are written in lower case."
        )
    if host and not re.fullmatch(rf"({_HOST}|\[[0-9a-fA-F:]+\])(:[0-9]{{1,5}})?", host):
        raise wrong("has a registry that is not a host name")
    part = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
    if not re.fullmatch(rf"{part}(/{part})*", repository) or len(text) > 255:
        raise wrong("is not the name of an image")
    if colon and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", tag):
        raise wrong("has a tag that is empty or holds other characters than A-Z a-z 0-9 _ . -")
    return text


Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Flag = Annotated[bool, Strict()]
FolderPath = Annotated[Path, AfterValidator(_absolute)]
FilePath = Annotated[Path, AfterValidator(_absolute)]
Host = Annotated[str, AfterValidator(_host)]
Image = Annotated[str, AfterValidator(_image)]
Port = Annotated[int, Strict(), Field(ge=1, le=65535)]
Id = Annotated[int, Strict(), Field(ge=1, le=4294967294)]
GroupName = Annotated[
    str,
    shaped(
        r"[a-z0-9][a-z0-9._-]{0,63}",
        "1 to 64 lower-case letters, digits, dots, dashes and underscores",
    ),
]
ShortName = Annotated[str, shaped(r"[a-z0-9][a-z0-9-]*", "lower-case letters, digits and dashes")]


class Section(BaseModel):
    """One table of `hub.toml`: frozen, and unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )


def table(description: str) -> Any:
    """Return the field of a table that may be left out.

    Its default is an empty table, not an object, so that the relative paths in it go through the
    validation and come out below the folder of `hub.toml`.
    """
    return Field(default_factory=dict, description=description)


def also_from(*names: str) -> dict[str, Any]:
    """Return what a field says about the environment names of the openBIS image."""
    return {"environment": list(names)}
