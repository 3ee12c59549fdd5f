"""Start the single-user server at once: `PYTHON -s -B .../startup_scripts/server [ARGUMENT...]`.

Where no standby was waiting, or where its interpreter does not fit its owner's environment. `-s`
keeps the user's packages away until the server's own are imported.
"""

import os
import sys

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
from server.preload import preload  # noqa: E402
from server.serve import serve  # noqa: E402

preload()
serve(sys.argv[1:], dict(os.environ))
