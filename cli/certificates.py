"""Extra certificate authorities for builds behind a TLS-inspecting proxy.

Which files: what the settings say; else what lies where Debian keeps an institution's certificates;
else the file that PIP_CERT or REQUESTS_CA_BUNDLE names. `update-ca-certificates` in the image takes
one certificate per file, so a file that holds many is split.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cli.errors import CommandError

LOCAL_FOLDER = Path("/usr/local/share/ca-certificates")
VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE")
_PEM = re.compile(
    r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----.+?-----END (?:TRUSTED )?CERTIFICATE-----", re.DOTALL
)


def extra_ca_files(
    configured: Sequence[Path] | None, environ: Mapping[str, str], folder: Path = LOCAL_FOLDER
) -> list[Path]:
    """Return the files with extra certificate authorities, in order.

    Args:
        configured: `build.extra_ca_files`; None when it is not set, empty for none at all.
        environ: The environment.
        folder: Where Debian keeps an institution's certificates.
    """
    if configured is not None:
        return list(configured)
    if local := sorted(folder.rglob("*.crt")):
        return local
    for variable in VARIABLES:
        if environ.get(variable):
            return [Path(environ[variable])]
    return []


def read_certificates(files: Sequence[Path]) -> dict[str, bytes]:
    """Return file name -> one PEM certificate, as `update-ca-certificates` wants them.

    Raises:
        CommandError: a file cannot be read or holds no certificate.
    """
    certificates: dict[str, bytes] = {}
    for file in files:
        try:
            found = _PEM.findall(file.read_text(encoding="latin-1"))
        except OSError as error:
            raise CommandError(
                f"The CA file {file} cannot be read: {error.strerror}",
                "mend it, or say which files to use with build.extra_ca_files",
            ) from error
        if not found:
            raise CommandError(
                f"The CA file {file} holds no certificate in PEM form",
                f"openssl x509 -inform der -in {file} -out NEW.crt turns a DER file into PEM",
            )
        for number, text in enumerate(found, 1):
            name = file.stem if len(found) == 1 else f"{file.stem}-{number}"
            while f"{name}.crt" in certificates:  # the same file name in two folders
                name += "-x"
            certificates[f"{name}.crt"] = (text + "\n").encode("latin-1")
    return certificates
