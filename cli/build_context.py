"""What an image is built from: files, build arguments, and the hash that names them all.

The context holds `images/NAME`, `startup_scripts` and, below `images/NAME/extra-ca`, the extra
certificate authorities. Owners and times are levelled, so that the same sources give the same bytes
on every machine and the engine's cache holds.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli import PROJECT_FOLDER
from cli.certificates import extra_ca_files, read_certificates
from cli.errors import CommandError
from hub_config.settings import Build

SOURCE_LABEL = "org.labhub.source"
SHARED_FOLDER = "startup_scripts"
CA_FOLDER = "extra-ca"


@dataclass(frozen=True)
class Context:
    """Everything that one image is built from.

    Attributes:
        name: Folder of the image below `images/`.
        files: Path in the context -> (mode, content).
        arguments: Build arguments that belong to the image.
    """

    name: str
    files: Mapping[str, tuple[int, bytes]]
    arguments: Mapping[str, str]

    @property
    def tag(self) -> str:
        """Return the tag that the image gets."""
        return f"labhub/{self.name}:local"

    @property
    def dockerfile(self) -> str:
        """Return the path of the Dockerfile in the context."""
        return f"images/{self.name}/Dockerfile"

    def hash(self) -> str:
        """Return the hash of all files, modes and arguments."""
        total = hashlib.sha256(json.dumps(dict(self.arguments), sort_keys=True).encode())
        for path, (mode, content) in sorted(self.files.items()):
            total.update(f"\0{path}\0{mode:o}\0{len(content)}\0".encode())
            total.update(content)
        return total.hexdigest()

    def tar(self) -> io.BytesIO:
        """Return the context as the engine wants it."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for path, (mode, content) in sorted(self.files.items()):
                entry = tarfile.TarInfo(path)
                entry.mode, entry.size = mode, len(content)
                archive.addfile(entry, io.BytesIO(content))
        buffer.seek(0)
        return buffer


def image_names(project: Path = PROJECT_FOLDER) -> list[str]:
    """Return the names of the images that labhub can build."""
    return sorted(path.parent.name for path in project.glob("images/*/Dockerfile"))


def read_context(
    name: str, build: Build, environ: Mapping[str, str], project: Path = PROJECT_FOLDER
) -> Context:
    """Read everything that an image is built from.

    Args:
        name: Folder of the image below `images/`.
        build: `[build]` of the settings.
        environ: The environment, which may name a CA file.
        project: The project's folder.

    Raises:
        CommandError: there is no such image, or a CA file is wrong.
    """
    if name not in image_names(project):
        known = ", ".join(image_names(project))
        raise CommandError(f"There is no image called {name}", f"the images are: {known}")
    files = _read_files(project, f"images/{name}") | _read_files(project, SHARED_FOLDER)
    certificates = read_certificates(extra_ca_files(build.extra_ca_files, environ))
    for file, content in certificates.items():
        files[f"images/{name}/{CA_FOLDER}/{file}"] = (0o644, content)
    arguments = {
        "BASE_IMAGE": build.base_image,
        "JUPYTERHUB_VERSION": importlib.metadata.version("jupyterhub"),
        "EXTRA_CA": _label(certificates),
    }
    return Context(name, files, arguments)


def proxy_arguments(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the build arguments that hand this machine's HTTP proxies to a build.

    The engine knows these names: they reach the build and are not kept in the image.
    """
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "FTP_PROXY")
    both = [name for pair in ((name, name.lower()) for name in names) for name in pair]
    return {name: environ[name] for name in both if environ.get(name)}


def _read_files(project: Path, folder: str) -> dict[str, tuple[int, bytes]]:
    files = {}
    for root, folders, names in os.walk(project / folder):
        # No caches of linters and editors: they would make every build look like a new one.
        folders[:] = [name for name in folders if name != "__pycache__" and name[0] != "."]
        for name in names:
            path = Path(root, name)
            is_own_ca = path.parent.name == CA_FOLDER and path.suffix == ".crt"
            if name == ".gitignore" or is_own_ca or path.suffix == ".pyc":
                continue
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            files[str(path.relative_to(project))] = (mode, path.read_bytes())
    return files


def _label(certificates: Mapping[str, bytes]) -> str:
    """Name the certificate authorities; a whole bundle is named by its number."""
    if len(certificates) > 8:
        return f"{len(certificates)} certificates"
    return ",".join(sorted(certificates))
