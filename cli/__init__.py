"""The commands of labhub: one file per command, and modules for what they share.

The commands speak to a running hub through its API. Nothing imports this package.
"""

from pathlib import Path

PROJECT_FOLDER = Path(__file__).resolve().parent.parent
"""The folder that holds `labhub`, `jupyterhub_config.py` and everything else."""
