"""`labhub images build [NAME]`: build the images below `images/`."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.console import Console

from cli.build import build_image
from cli.build_context import image_names, read_context
from cli.engine_process import connect
from cli.machine import Machine
from cli.options import ConfigOption
from cli.steps import Steps
from hub_config.loading import load_settings

images = typer.Typer(no_args_is_help=True, help="Images that servers run.")


@images.callback()
def _images() -> None:
    """Images that servers run."""


@images.command()
def build(
    name: Annotated[
        str | None,
        typer.Argument(help="A folder below images/. Without it: all.", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Build images for this machine, as labhub/NAME:local. What did not change is taken as it is.

    Servers that run keep the image they started with; the next start takes the new one.
    """
    settings = load_settings(config)
    steps = Steps(Console())
    contexts = [
        read_context(each, settings.build, os.environ)
        for each in ([name] if name else image_names())
    ]
    client = connect(settings.engine)
    for context in contexts:
        build_image(steps, client, settings, Machine.this(), context)
