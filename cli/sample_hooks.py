"""The admins' folder of a new hub: sample hooks to begin with, and a place for the hooks' logs.

Only folders within the data folder are made and filled: one elsewhere (a file server, say) is the
operator's. What is there is never touched.
"""

from __future__ import annotations

import os
from pathlib import Path

from cli import PROJECT_FOLDER
from hub_config.settings import Hooks

EXAMPLES = PROJECT_FOLDER / "startup_scripts" / "examples"
# The set-group-id bit: hooks that an admin adds later belong to the admins' group, as their check
# when a server starts demands.
HOOK_FOLDER_MODE = 0o2775
HOOK_MODE = 0o775
LOG_FOLDER_MODE = 0o750
ADMIN_FOLDER_MODE = 0o755


def copy_sample_hooks(hooks: Hooks, data_folder: Path, examples: Path = EXAMPLES) -> list[str]:
    """Make the folders of hooks and logs when missing; fill an empty hook folder with samples.

    Args:
        hooks: `[hooks]` of the settings.
        data_folder: The hub's data folder.
        examples: Where the samples are.

    Returns:
        The names of the files that were copied.
    """
    for folder, mode in ((hooks.folder, HOOK_FOLDER_MODE), (hooks.log_folder, LOG_FOLDER_MODE)):
        if folder.is_relative_to(data_folder) and not folder.exists():
            _make_folders(folder, mode, data_folder, hooks)
    if not hooks.folder.is_relative_to(data_folder) or any(hooks.folder.iterdir()):
        return []
    copied = []
    for sample in sorted(examples.glob("*.sh")):
        target = hooks.folder / sample.name
        target.write_bytes(sample.read_bytes())
        os.chown(target, hooks.admin_uid, hooks.admin_gid)
        target.chmod(HOOK_MODE)  # after chown, which would clear bits
        copied.append(sample.name)
    return copied


def _make_folders(folder: Path, mode: int, data_folder: Path, hooks: Hooks) -> None:
    """Make a folder, and the ones between it and the data folder, for the admins."""
    missing = [folder, *folder.parents]
    missing = [path for path in missing if path.is_relative_to(data_folder) and not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700)
        if path == data_folder:
            continue
        os.chown(path, hooks.admin_uid, hooks.admin_gid)
        path.chmod(mode if path == folder else ADMIN_FOLDER_MODE)
