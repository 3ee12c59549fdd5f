"""`labhub check-config`: are the settings right, and what do they mean?

Looks at files only and changes nothing. What is wrong ends the program with 1, in words, where all
commands' errors do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.options import ConfigOption
from hub_config.loading import find_file, load_settings
from hub_config.settings import DirectoryHome, NfsHome, Settings


def check_config(config: ConfigOption = None) -> None:
    """Check the settings. Tells all that is wrong at once, or what they amount to."""
    settings = load_settings(config)
    file = find_file(config, os.environ)
    console = Console()
    text = f"{file} is fine:" if file else "There is no hub.toml; the defaults are fine:"
    console.print(escape(text), soft_wrap=True, highlight=False)
    table = Table(box=None, show_header=False, padding=(0, 2))
    for name, value in summary(settings):
        table.add_row(name, escape(value))
    console.print(table)
    for note in notes(settings):
        console.print(f"[yellow]Note:[/] {escape(note)}", soft_wrap=True, highlight=False)


def summary(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what the settings amount to: name, value."""
    github = settings.login.github
    yield "address", settings.hub.url
    if settings.hub.subdomain_host:
        host = urlsplit(settings.hub.subdomain_host).hostname
        yield "servers", f"at names of their own, NAME.{host}"
    yield (
        "sign-in",
        f"GitHub, organisation {github.organization}"
        if github
        else "demo mode, three generated logins",
    )
    for profile in settings.profile:
        seen_by = f", for {' and '.join(profile.groups)}" if profile.groups else ""
        yield "profile", f"{profile.name}: {profile.image}{seen_by}"
    home = settings.home
    if isinstance(home, DirectoryHome):
        yield "homes", f"in {home.folder}"
    elif isinstance(home, NfsHome):
        yield "homes", f"on {home.server}, {home.export}"
    else:
        yield "homes", f"volumes of the engine, driver {home.driver}"
    for share in settings.share:
        writers = f", written by {' and '.join(share.read_write)}" if share.read_write else ""
        yield "share", f"{share.name} at {share.target}{writers}"
    yield "hooks", f"in {settings.hooks.folder}"


def notes(settings: Settings) -> Iterator[str]:
    """Yield what is allowed but worth a thought."""
    if not settings.hub.is_loopback and settings.hub.url.startswith("http://"):
        yield (
            "others reach the hub without TLS and could read along. Set hub.certificate_crt and "
            "hub.certificate_key, or hub.public_url where a proxy with TLS stands before it."
        )
    if not (settings.is_demo or settings.hub.subdomain_host):
        yield (
            "people's servers share the hub's address: a page in a server can act on the hub as "
            "whoever visits it, be it a TA or an admin. Give servers names of their own: set "
            "hub.subdomain_host."
        )
    for profile in settings.profile:
        if profile.sudo:
            yield f"profile {profile.name} grants sudo, which weakens the isolation of its servers."
