"""What the single-user server imports and does not use, for the versions that this was tried with.

Other versions are imported as usual: what is not needed there nobody has looked at. The tests
compare a server with and without lazy modules; try them before you add a version.
"""

import os
import sys
from importlib.machinery import PathFinder

from .lazy import LazyFinder

# Package -> the versions that this was tried with, and its modules: each with the classes that are
# taken from it at once (name -> the module that takes it).
KNOWN: dict[str, tuple[tuple[str, ...], dict[str, dict[str, str]]]] = {
    "jupyterhub": (
        ("6.1.1",),
        {
            "jupyterhub.orm": {},
            "jupyterhub.roles": {},
            "jupyterhub.handlers": {},
            "jupyterhub.handlers.pages": {"HealthCheckHandler": "jupyterhub.log"},
        },
    ),
    "sqlalchemy": (
        ("2.1.9",),
        {"sqlalchemy": {}, "sqlalchemy.exc": {"SQLAlchemyError": "jupyterhub.utils"}},
    ),
    "jupyterlab": (
        ("4.6.6",),
        {"jupyterlab.extensions.pypi": {"PyPIExtensionManager": "jupyterlab.extensions"}},
    ),
    # What lists of extensions and kernels on a gateway need.
    "requests": (("2.34.2",), {"requests": {}}),
    # notebook_shim asks for one path.
    "IPython": (("9.18.1",), {"IPython": {}}),
    "websocket_client": (("1.9.2",), {"websocket": {}}),
}
# Parts of lazy packages that do without them.
ALONE = ("IPython.paths", "IPython.utils", "IPython.utils.importstring", "IPython.utils.path")
# Who takes classes from whom: if one of them is not known, the other is imported as usual, too.
TOGETHER = ("jupyterhub", "sqlalchemy")


def make_lazy() -> list[str]:
    """Make the modules lazy that are not needed, from now on.

    Returns:
        What was not done, one line each: packages whose version is not known.
    """
    unknown = [name for name, (versions, _) in KNOWN.items() if not is_known(name, versions)]
    left_out = {*unknown, *(TOGETHER if set(TOGETHER) & set(unknown) else ())}
    modules = {
        module: takers
        for name, (_, lazy) in KNOWN.items()
        if name not in left_out
        for module, takers in lazy.items()
        if module not in sys.modules
    }
    sys.meta_path.insert(0, LazyFinder(modules, ALONE))
    return [
        f"labhub: this version of {name} is not known, all of it is imported" for name in unknown
    ]


def is_known(package: str, versions: tuple[str, ...]) -> bool:
    """Tell whether the package that would be imported is one of these versions, and is there."""
    module = next(iter(KNOWN[package][1])).partition(".")[0]
    spec = PathFinder.find_spec(module)
    if spec is None or not spec.origin:
        return False
    place = os.path.dirname(os.path.dirname(spec.origin))
    return any(
        os.path.exists(os.path.join(place, f"{package.lower()}-{version}.dist-info", "METADATA"))
        for version in versions
    )
