"""The hub itself: its address, its state, its engine, its registry, and how images are built."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo

from .base import (
    FilePath,
    FolderPath,
    Host,
    Image,
    Number,
    Port,
    Section,
    Whole,
    also_from,
    is_loopback,
    shaped,
    web_address,
    wrong,
)
from .paths import covered_folder, holds, state_folder


def _public_url(text: str) -> str:
    return web_address(text) if text else ""


def _openbis_url(text: str) -> str:
    return web_address(text, plain="nowhere") if text else ""


_NAME_WITH_A_DOT = r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]([a-z0-9-]*[a-z0-9])?"
_USUAL_PORTS = {"http": 80, "https": 443}


def _origin(address: str) -> str:
    """Return an address as browsers compare it: in lower case, without the usual port."""
    parts = urlsplit(address.lower())
    usual = parts.port in (None, _USUAL_PORTS[parts.scheme])
    host = re.sub(r":\d*$", "", parts.netloc)
    return f"{parts.scheme}://{host}" + ("" if usual else f":{parts.port}")


def _is_local_name(host: str) -> bool:
    """Tell whether browsers take a name for their own machine (RFC 6761)."""
    return host.endswith(".localhost")


def _subdomain_host(text: str, info: ValidationInfo) -> str:
    """Check the address below which servers have theirs, also against where the hub is reached.

    JupyterHub and its proxy compare hosts as text, so it comes out as browsers write it.
    """
    if not text:
        return ""
    origin = _origin(web_address(text))
    if not re.fullmatch(_NAME_WITH_A_DOT, urlsplit(origin).hostname or ""):
        raise wrong(
            "must have a host name with a dot in it, since each server gets a name below it",
            "Write it like https://hub.example.org",
        )
    public = info.data.get("public_url")
    if public and _origin(public) != origin:
        raise wrong(
            "is another address than hub.public_url, under which the pages of the hub are",
            f"Write {_origin(public)} for both, or change hub.public_url.",
        )
    if public == "":  # not there: it is wrong itself
        _refuse_unreachable(origin, info.data)
    return origin


def _refuse_unreachable(origin: str, hub: dict[str, Any]) -> None:
    """Refuse an address that does not lead to where the hub listens, with no proxy before it.

    Raises:
        PydanticCustomError: browsers would not find the hub there.
    """
    if not {"bind", "port", "certificate_crt"} <= hub.keys():
        return  # wrong themselves
    host = urlsplit(origin).hostname or ""
    scheme = "https" if hub["certificate_crt"] else "http"
    expected = _origin(f"{scheme}://{host}:{hub['port']}")
    fix = "When a proxy stands before the hub, set hub.public_url to the same address; otherwise "
    if origin != expected:
        raise wrong(
            f"does not lead to the hub, which speaks {scheme} on port {hub['port']}",
            f"{fix}write {expected}.",
        )
    if is_loopback(hub["bind"]) and not _is_local_name(host):
        raise wrong(
            f"does not lead to the hub, which only this machine reaches, at {hub['bind']}",
            f"{fix}set hub.bind to the address that the name stands for.",
        )


def _not_the_project(folder: Path, info: ValidationInfo) -> Path:
    """Refuse the folder of hub.toml: mode 0700 would close it to all others."""
    root = (info.context or {}).get("root")
    if root is not None and holds(folder, root):
        raise wrong("holds hub.toml and would be closed to all others", 'Write "data".')
    return folder


def _socket(text: str) -> str:
    if not re.fullmatch(r"unix:///[^\s]+|(tcp|https?)://[^\s/@]+", text):
        raise wrong("must be unix:// and an absolute path, or tcp:// and a host")
    return text


class Hub(Section):
    """The address of the hub and where it keeps its state."""

    title: str = Field(
        "labhub", min_length=1, max_length=60, description="Name shown on every page."
    )
    contact: str = Field(
        "the people who run this hub",
        min_length=1,
        max_length=200,
        description="Whom the pages tell people to ask for help: a name, a mail address or a room.",
    )
    bind: Host = Field("127.0.0.1", description="Address on which the hub is reached by browsers.")
    port: Port = Field(
        8000,
        description="Port on which the hub is reached.",
        json_schema_extra=also_from("JUPYTERHUB_PORT"),
    )
    public_url: Annotated[str, AfterValidator(_public_url)] = Field(
        "",
        description="The address that people type, when a proxy with TLS stands before the hub, "
        "such as https://hub.example.org. Empty: made from bind and port.",
        examples=["https://hub.example.org"],
    )
    hub_port: Port = Field(8081, description="Port on which servers and the proxy reach the hub.")
    proxy_api_port: Port = Field(8001, description="Loopback port of the proxy's own API.")
    data_folder: Annotated[
        FolderPath, AfterValidator(state_folder), AfterValidator(_not_the_project)
    ] = Field(Path("data"), description="Folder of all state and secrets; made with mode 0700.")
    runtime_folder: Annotated[FolderPath, AfterValidator(covered_folder)] = Field(
        Path("/run/labhub"),
        description="Folder of the servers' runtime directories; a tmpfs is mounted there when it "
        "is not one already.",
    )
    certificate_crt: FilePath | None = Field(
        None,
        description="TLS certificate chain, PEM. Without one the hub speaks plain HTTP.",
        examples=["/etc/ssl/hub.crt"],
        json_schema_extra=also_from("CERTIFICATE_CRT"),
    )
    certificate_key: FilePath | None = Field(
        None,
        description="Private key of the certificate, PEM, closed to others.",
        examples=["/etc/ssl/private/hub.key"],
        json_schema_extra=also_from("CERTIFICATE_KEY"),
    )
    subdomain_host: Annotated[str, AfterValidator(_subdomain_host)] = Field(
        "",
        description="The address of the hub, such as https://hub.example.org, when every person's "
        "server has a name of its own below it, such as NAME.hub.example.org. Browsers then keep "
        "what runs in a server apart from the hub and from other servers. Needs wildcard DNS and a "
        "certificate for hub.example.org and *.hub.example.org; running servers are restarted "
        "once. Empty: servers share the hub's address, and a page in one can act on the hub as "
        "whoever visits it.",
        examples=["https://hub.example.org"],
    )

    @property
    def url(self) -> str:
        """Return the address that people open, with a trailing slash."""
        if address := self.subdomain_host or self.public_url:
            return address + "/"
        scheme = "https" if self.certificate_crt else "http"
        host = f"[{self.bind}]" if ":" in self.bind else self.bind
        return f"{scheme}://{host}:{self.port}/"

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach the hub."""
        host = urlsplit(self.url).hostname or ""
        return is_loopback(self.bind) and (is_loopback(host) or _is_local_name(host))


class Openbis(Section):
    """The openBIS beside the hub; servers find its address as OPENBIS_URL."""

    url: Annotated[str, AfterValidator(_openbis_url)] = Field(
        "",
        description="Address of openBIS, such as https://openbis.example.org. Empty: none.",
        examples=["https://openbis.example.org"],
        json_schema_extra=also_from("OPENBIS_URL"),
    )
    eln_service_port: Port = Field(
        8002,
        description="Port on which notebooks come in from the openBIS ELN. Kept for the image of "
        "openBIS; nothing listens there in this version.",
        json_schema_extra=also_from("JUPYTERHUB_INTEGRATION_SERVICE_PORT"),
    )


class Engine(Section):
    """The Docker Engine that runs the servers."""

    socket: Annotated[str, AfterValidator(_socket)] = Field(
        "unix:///var/run/docker.sock", description="Address of the engine's API."
    )
    calls_at_once: Whole = Field(16, ge=1, le=256, description="Engine calls under way at once.")
    call_timeout_s: Number = Field(
        60, gt=0, le=600, description="Deadline of one engine call, seconds."
    )
    pull_timeout_s: Number = Field(
        1800,
        gt=0,
        le=86400,
        description="Deadline of one pull, seconds. One that is silent for 120 s ends sooner.",
    )


class Registry(Section):
    """A private registry for the images. Public registries need no entry."""

    host: Annotated[
        str,
        shaped(
            r"(([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?)?",
            "a host name, with :PORT where needed, and nothing before or after it",
        ),
    ] = Field(
        "", description="Host and port of the registry, such as quay.io.", examples=["quay.io"]
    )
    username: str = Field(
        "", description="Name to sign in to the registry with.", examples=["robot"]
    )
    password: SecretStr | None = Field(
        None, min_length=1, description="Password or token; rather set password_file."
    )


class Build(Section):
    """How `labhub images build` makes images."""

    base_image: Image = Field(
        "debian:bookworm-slim", description="Image that the notebook image starts from."
    )
    extra_ca_files: tuple[FilePath, ...] | None = Field(
        None,
        description="CA certificates that builds need behind a TLS-inspecting proxy. Not set: what "
        "lies in /usr/local/share/ca-certificates, or the file that PIP_CERT or REQUESTS_CA_BUNDLE "
        "names.",
        examples=[("/usr/local/share/ca-certificates/institute.crt",)],
    )
