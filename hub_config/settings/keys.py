"""The model as a tree of keys: for nearest names, environment names, secrets and the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from .base import Section
from .findings import Key
from .model import Settings


@dataclass(frozen=True)
class Node:
    """One key of `hub.toml` and the keys beneath it.

    Attributes:
        path: The key's names from the top, without indices.
        field: Its declaration; None for the whole file.
        types: What a value may be, without None: scalar types, or tables.
        many: Whether it is a list.
        kinds: The keys beneath, by kind; a plain table has the one kind "", a value has none.
        in_list: Whether it stands in a list of tables, such as `[[profile]]`.
    """

    path: tuple[str, ...]
    field: FieldInfo | None
    types: tuple[Any, ...] = ()
    many: bool = False
    kinds: Mapping[str, Mapping[str, Node]] = default(default_factory=dict)
    in_list: bool = False

    @property
    def name(self) -> str:
        """Return the key as one writes it; a list of tables has empty brackets."""
        return ".".join(self.path)

    @property
    def is_table(self) -> bool:
        """Tell whether keys stand beneath."""
        return bool(self.kinds)

    @property
    def is_secret(self) -> bool:
        """Tell whether its value must never be shown."""
        return SecretStr in self.types

    @property
    def holds_secret(self) -> bool:
        """Tell whether it or a key beneath is a secret."""
        return self.is_secret or any(child.holds_secret for child in self.children())

    @property
    def is_required(self) -> bool:
        """Tell whether it must be given where its table is."""
        return self.field is not None and self.field.is_required()

    @property
    def environment(self) -> tuple[str, ...]:
        """Return the environment names that set it; the last one wins."""
        if self.is_table or self.many or self.in_list or len(self.path) < 2:
            return ()
        extra = self.field.json_schema_extra if self.field else None
        aliases = extra.get("environment", ()) if isinstance(extra, dict) else ()
        assert isinstance(aliases, Sequence)  # noqa: S101 (tells mypy what also_from() made)
        return (*map(str, aliases), "LABHUB_" + "_".join(self.path).upper())

    @property
    def sample(self) -> Any:
        """Return a value that is right: the default, or an example where that says nothing."""
        if self.field is None or self.is_table:
            return None
        value = self.field.get_default(call_default_factory=False)
        if not self.is_required and value not in (None, "", ()):
            return value
        return self.field.examples[0] if self.field.examples else None

    def children(self) -> Iterator[Node]:
        """Yield the keys beneath, each once, though several kinds may have it."""
        seen: set[str] = set()
        for keys in self.kinds.values():
            for name, child in keys.items():
                if name not in seen:
                    seen.add(name)
                    yield child

    def child(self, name: str, kind: str | None = None) -> Node | None:
        """Return a key beneath, of one kind or of the first that has it."""
        for this, keys in self.kinds.items():
            if name in keys and kind in (None, this, *([] if this else [kind])):
                return keys[name]
        return None

    def find(self, key: Sequence[str | int]) -> Node | None:
        """Return the node of a key; indices are passed over."""
        node: Node | None = self
        for part in key:
            if isinstance(part, str):
                node = node.child(part) if node else None
        return node

    def walk(self) -> Iterator[Node]:
        """Yield this node and all beneath, in the order of the model."""
        yield self
        for child in self.children():
            yield from child.walk()

    def without_tags(self, location: Sequence[str | int]) -> Key:
        """Return pydantic's location of an error as a key: without the kinds it goes through."""
        node: Node | None = self
        key: list[str | int] = []
        tag_next = False
        for part in location:
            if tag_next and part in (node.kinds if node else ()):
                tag_next = False
                continue
            key.append(part)
            if isinstance(part, str):
                node = node.child(part) if node else None
                tag_next = node is not None and len(node.kinds) > 1
        return tuple(key)


def _types(annotation: Any) -> tuple[tuple[Any, ...], bool]:
    """Return what a declaration takes, without None, and whether it takes a list of it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _types(arguments[0])
    if origin is tuple:
        return _types(arguments[0])[0], True
    if origin in (Union, UnionType):
        parts = [_types(argument) for argument in arguments if argument is not NoneType]
        return tuple(t for types, _ in parts for t in types), any(many for _, many in parts)
    if origin is Literal:
        return (str,), False
    return (annotation,), False


def _kind(model: type[Section]) -> str:
    return str(get_args(model.model_fields["kind"].annotation)[0])


def _keys(model: type[Section], path: tuple[str, ...], in_list: bool) -> dict[str, Node]:
    nodes = {}
    for name, info in model.model_fields.items():
        types, many = _types(info.annotation)
        here = (*path, name)
        kinds: dict[str, dict[str, Node]] = {}
        if all(isinstance(t, type) and issubclass(t, Section) for t in types):
            below = in_list or many
            kinds = {_kind(t) if len(types) > 1 else "": _keys(t, here, below) for t in types}
        nodes[name] = Node(here, info, types, many, kinds, in_list)
    return nodes


TREE = Node((), None, kinds={"": _keys(Settings, (), in_list=False)})
"""All of `hub.toml`."""
