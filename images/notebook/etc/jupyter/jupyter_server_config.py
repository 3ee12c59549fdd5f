"""Settings of every notebook server in this image; ~/.jupyter may change them."""

import os
from pathlib import Path

c = get_config()  # noqa: F821

c.ServerApp.root_dir = str(Path.home())
# Stopping is the hub's: its page starts the server again.
c.ServerApp.quit_button = False
# A home on a network file system has no trash on the same disk.
c.FileContentsManager.delete_to_trash = False
# No questions to other sites when JupyterLab opens; extensions come with the image.
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"

# SQLite does not belong on a network file system. The start chain makes this folder.
local = os.environ.get("LABHUB_LOCAL", "")
if local and os.access(local, os.W_OK):
    c.NotebookNotary.db_file = f"{local}/nbsignatures.db"
