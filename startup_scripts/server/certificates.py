"""The certificates of TLS, read when the first connection needs them.

aiohttp makes two contexts while it is imported and fills each with all certificates of the system:
30 ms each. A server that speaks plain HTTP with its hub never needs them. Read later, they are also
those that the owner's `SSL_CERT_FILE` names.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

READERS = ("set_default_verify_paths", "load_default_certs")


class _LaterCertificates(ssl.SSLContext):
    """A context that reads the certificates before its first connection."""

    _read = False

    def _read_certificates(self) -> None:
        if not self._read:
            self._read = True
            self.set_default_verify_paths()

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        """Read the certificates, then do as usual."""
        self._read_certificates()
        return super().wrap_bio(*arguments, **named)

    def wrap_socket(self, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        """Read the certificates, then do as usual."""
        self._read_certificates()
        return super().wrap_socket(*arguments, **named)

    def get_ca_certs(self, *arguments: Any) -> Any:
        """Read the certificates, then do as usual."""
        self._read_certificates()
        return super().get_ca_certs(*arguments)

    def cert_store_stats(self) -> dict[str, int]:
        """Read the certificates, then do as usual."""
        self._read_certificates()
        return super().cert_store_stats()


@contextmanager
def certificates_read_later() -> Iterator[None]:
    """Let contexts that are made meanwhile read the system's certificates when they are used."""

    def postpone(context: ssl.SSLContext, *_: object) -> None:
        context.__class__ = _LaterCertificates

    own = {name: vars(ssl.SSLContext).get(name) for name in READERS}
    for name in READERS:
        setattr(ssl.SSLContext, name, postpone)
    try:
        yield
    finally:
        for name, method in own.items():
            if method is None:  # the C class has it
                delattr(ssl.SSLContext, name)
            else:
                setattr(ssl.SSLContext, name, method)
