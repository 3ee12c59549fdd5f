"""Load the settings of labhub and hand them to JupyterHub."""

import sys

from hub_config.loading import SettingsError, load_settings
from hub_config.wiring import configure

try:
    settings = load_settings()
except SettingsError as error:
    sys.exit(str(error))
configure(get_config(), settings)  # noqa: F821 (JupyterHub defines get_config)
