"""Modules that are loaded when somebody touches them, and not before.

JupyterHub's single-user server imports the hub's database layer and never uses it. A lazy module
stands in `sys.modules` and in its package like the real one. The first attribute that it does not
have loads it in place, so whoever looks gets the real thing, only later. A few classes are taken
from such modules at once (`from sqlalchemy.exc import SQLAlchemyError`): another class stands in
for those (`stand_in.py`) until the module is loaded, and then the real one takes its place.

Nothing below site-packages is changed. The threads of a server may touch one at the same time.
"""

import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Optional

from .stand_in import make_stand_in

# What the import system looks for, and sets itself where the module has it.
_ASKED_BY_IMPORT = ("__path__", "__file__", "__cached__")
_pending: dict[str, "_LazyLoader"] = {}
_lock = threading.RLock()


class _LazyModule(ModuleType):
    """A module that is not loaded yet. What the import system sets does not load it."""

    def __getattr__(self, name: str) -> Any:
        """Load the module and return its attribute; called only for what is not there yet."""
        if name not in _ASKED_BY_IMPORT:
            load(self.__name__)
        if name in self.__dict__:
            return self.__dict__[name]
        if type(self) is _LazyModule:  # or it is being loaded, by this very thread
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self, name)


class _LazyLoader(Loader):
    """Makes a lazy module in place of executing it.

    Args:
        spec: Of the real module.
        takers: Name of a class in it -> the module that takes it at once.
    """

    def __init__(self, spec: ModuleSpec, takers: dict[str, str]) -> None:
        self.spec = spec
        self.real = spec.loader
        self.takers = takers
        self.stand_ins = {name: make_stand_in(spec.name, name, load) for name in takers}

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the lazy module."""
        return _LazyModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module as it is, but for the classes that stand in."""
        module.__dict__.update(self.stand_ins)
        _pending[module.__name__] = self

    def withdraw(self, module: ModuleType) -> None:
        """Take the stand-ins out of the module: who asks for such a name now shall load it."""
        for name, stand_in in self.stand_ins.items():
            if module.__dict__.get(name) is stand_in:
                del module.__dict__[name]

    def load(self, module: ModuleType) -> None:
        """Execute the real module in place, and give its classes to those who took stand-ins."""
        self.withdraw(module)
        self.spec.loader = self.real
        self.real.exec_module(module)  # type: ignore[union-attr] # the finder has looked
        if type(module) is _LazyModule:
            module.__class__ = ModuleType  # type: ignore[assignment]
        for name, taker in self.takers.items():
            holder = sys.modules.get(taker)
            if holder and holder.__dict__.get(name) is self.stand_ins[name]:
                setattr(holder, name, getattr(module, name))


class _LoadedLoader(Loader):
    """Gives the import system a module that was loaded while it looked for it."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.spec = module.__spec__

    @classmethod
    def spec_for(cls, module: ModuleType) -> ModuleSpec:
        """Return a spec that leads to the module; the import system takes the module's own."""
        spec = ModuleSpec(module.__name__, cls(module))
        module.__spec__ = spec
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module."""
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """Leave it as it was."""
        module.__spec__ = self.spec


class LazyFinder(MetaPathFinder):
    """Finds the modules that are to be lazy; put it first into `sys.meta_path`.

    Args:
        modules: Name of each -> its classes that are taken at once (name -> who takes it).
        alone: Other modules of lazy packages that do not need their package to be loaded.
    """

    def __init__(self, modules: dict[str, dict[str, str]], alone: Sequence[str] = ()) -> None:
        self.modules = modules
        self.alone = alone

    def find_spec(
        self, name: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        """Return a lazy spec for what is listed; load the package of what is not."""
        if name not in self.modules:
            package = name.rpartition(".")[0]
            if name not in self.alone and type(sys.modules.get(package)) is _LazyModule:
                load(package)
                if name in sys.modules:  # along with its package
                    return _LoadedLoader.spec_for(sys.modules[name])
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            spec.loader = _LazyLoader(spec, self.modules[name])
        return spec


def load(name: str) -> None:
    """Load a lazy module now, its packages first; do nothing for any other."""
    with _lock:
        if name not in _pending:
            return
        load(name.rpartition(".")[0])
        loader = _pending.pop(name, None)
        if loader is None:  # its package has touched it
            return
        try:
            loader.load(sys.modules[name])
        except BaseException:
            _pending[name] = loader  # as an import that failed: the next one tries again
            raise


def withdraw_stand_ins() -> None:
    """Let nobody take a stand-in from now on: whoever asks for such a class loads its module."""
    for name, loader in list(_pending.items()):
        loader.withdraw(sys.modules[name])
