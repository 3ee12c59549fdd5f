"""Settings of every IPython kernel in this image; ~/.ipython may change them."""

import os

c = get_config()  # noqa: F821

# SQLite does not belong on a network file system. The start chain makes this folder.
local = os.environ.get("LABHUB_LOCAL", "")
if local and os.access(local, os.W_OK):
    c.HistoryAccessor.hist_file = f"{local}/ipython-history.sqlite"
    c.HistoryManager.hist_file = f"{local}/ipython-history.sqlite"
