"""Read a hook once, and find out how to run it.

The bytes that were read are what is run, from a private copy. A hook is started by its first line
even where it is not executable: shares of other systems lose that bit.
"""

import os
import shutil

from beneath import open_beneath
from trust import Admin, Refused

LARGEST = 4 * 1024 * 1024


def read_hook(folder: int, name: str, path: str, admin: Admin) -> bytes:
    """Return the content of a hook; raise FileNotFoundError where there is none."""
    with open(open_beneath(folder, name, path), "rb") as hook:
        before = os.fstat(hook.fileno())
        admin.check(path, before)
        if before.st_nlink > 1:  # none: it was replaced just now, and this is the one before
            raise Refused(f"{path} has a second name (hard link): put a copy of its own there")
        content = hook.read(LARGEST + 1)
        after = os.fstat(hook.fileno())
    if len(content) > LARGEST:
        raise Refused(f"{path} is larger than {LARGEST // 1048576} MiB: let it call a program")
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        raise Refused(f"{path} was being changed: start the server again")
    return content


def command_words(content: bytes, path: str, search_path: str) -> list[str]:
    """Return the words that start a hook, without the name of its copy."""
    if not content.strip():
        raise Refused(f"{path} is empty: write a script, or remove it")
    if content.startswith(b"\x7fELF"):
        return []
    first = content.split(b"\n", 1)[0]
    if first.endswith(b"\r"):
        raise Refused(f"{path} has Windows line ends (CRLF): run sed -i 's/\\r$//' on it")
    if first.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise Refused(f"{path} is not plain text: save it as UTF-8 without a byte order mark")
    if not first.startswith(b"#!"):
        return ["/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"]
    # As the kernel does: the rest of the line is one argument.
    words = os.fsdecode(first[2:].strip()).split(None, 1)
    program = words[0] if words else ""
    if os.path.basename(program) == "env":
        named = [word for word in words[1:] for word in word.split() if word[0] != "-"]
        program = next((word for word in named if "=" not in word), program)
    elif not program.startswith("/"):
        program = ""
    if not program or not shutil.which(program, path=search_path):
        raise Refused(f"the first line of {path} names no program of this image")
    return words
