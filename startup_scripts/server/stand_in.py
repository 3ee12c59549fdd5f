"""Classes that stand in for those of a lazy module, where one is taken before it is loaded.

What is asked for instances of such a class, or whether an exception is one, is answered truly as
long as the module is not loaded: there are none. Every other use loads it.
"""

import sys
from collections.abc import Callable
from typing import Any


class _StandIn(type):
    """The type of these classes."""

    load: Callable[[], type]

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        """Make an instance of the real class."""
        return cls.load()(*arguments, **named)

    def __getattr__(cls, name: str) -> Any:
        """Return an attribute of the real class."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(cls.load(), name)


def make_stand_in(module: str, name: str, load_module: Callable[[str], None]) -> type:
    """Return a class that stands in.

    Args:
        module: The lazy module.
        name: Of the class in it. Exceptions are known by the end of their name, `Error`.
        load_module: Loads the module.
    """

    def load() -> type:
        load_module(module)
        real: type = getattr(sys.modules[module], name)
        return real

    base = Exception if name.endswith("Error") else object
    return _StandIn(name, (base,), {"__module__": module, "load": staticmethod(load)})
