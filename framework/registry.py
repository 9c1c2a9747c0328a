"""What is installed: parts and hooks of the framework and of every plugin, each plugin through the same door.

A plugin that is broken is put aside whole, with a message that names it and the remedy; everything else keeps working.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import sys
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Final

import attrs
import pluggy
import tomli

import framework.data
import framework.metrics
import framework.post
import framework.samplers
import framework.targets
from framework import hookspecs
from framework.core.part import KINDS, Part
from framework.errors import PluginError, RecipeError, nearest

GROUP: Final = "nlvl.plugins"
DISTRIBUTION: Final = "nlvl"
DISABLE: Final = "NLVL_DISABLE"
OWN: Final = "framework"
"""The plugin that the framework's own parts are said to come from."""
ROOT: Final = Path(__file__).parents[1]
"""The folder that holds the framework: a checkout, or site-packages."""
HOOKS: Final = tuple(name for name, found in vars(hookspecs).items() if hasattr(found, f"{hookspecs.PROJECT}_spec"))
INTERFACE_NAME: Final = f"{hookspecs.PROJECT}_interface"
NAME: Final = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)?")
RESERVED: Final = {"dataset": ("name", "text"), "metric": ("rule",)}
"""Keys of a recipe's table that are no options; ``name`` where a kind is not listed."""


class Registry:
    """Parts by kind and name, hooks, and what could not be loaded. Made by ``load_registry``."""

    def __init__(self, disabled: Iterable[str] = ()) -> None:
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.disabled = frozenset(disabled)
        self._broken: dict[str, PluginError] = {}
        self._lost: dict[str, str] = {}
        self._parts: dict[tuple[str, str], tuple[Part, str]] = {}

    @property
    def plugins(self) -> tuple[str, ...]:
        """Names of the plugins that work, in the order they were loaded."""
        return tuple(name for name, plugin in self.manager.list_name_plugin() if plugin is not None)

    @property
    def failures(self) -> tuple[PluginError, ...]:
        """What could not be loaded and why, one message a plugin."""
        return tuple(self._broken.values())

    def parts(self, kind: str | None = None) -> tuple[Part, ...]:
        """All parts, or those of one kind, ordered by kind and name."""
        found = [part for part, _ in self._parts.values() if kind in (None, part.kind)]
        return tuple(sorted(found, key=lambda part: (KINDS.index(part.kind), part.name)))

    def named(self, name: str) -> tuple[Part, ...]:
        """All parts of that name; they differ in kind."""
        return tuple(part for part in self.parts() if part.name == name)

    def plugin(self, part: Part) -> str:
        """Name of the plugin that registered ``part``."""
        return self._parts[part.kind, part.name][1]

    def part(self, kind: str, name: str, where: str, key: str = "name") -> Part:
        """Look up a part; ``where`` and ``key`` say what asked for it, as in ``charades.toml [target]`` and ``name``.

        Raises RecipeError with the nearest part, those installed and the broken plugin that may have had it.
        """
        if (kind, name) in self._parts:
            return self._parts[kind, name][0]
        names = [part.name for part in self.parts(kind)]
        raise RecipeError(
            f'{where} {key} = "{name}": no such {kind}.{self._instead(name, names)} '
            f"Installed: {', '.join(names) or 'none'}."
        )

    def _instead(self, name: str, names: list[str]) -> str:
        """Why a part may be missing: its plugin is switched off or broken, it is of another kind, it is misspelt."""
        plugin = self._lost.get(name, name.partition(".")[0])
        if plugin in self.disabled:
            return f' Plugin "{plugin}" is switched off by {DISABLE}.'
        if plugin in self._broken:
            return f" It may belong to a plugin that could not be loaded: {self._broken[plugin]}"
        if others := self.named(name):
            return f' "{name}" is a {others[0].kind}.'
        absent = sorted({*self._broken, *self.disabled})
        return nearest(name, names) + (f" Not loaded: plugins {', '.join(absent)}." if absent else "")

    def add(self, name: str, load: Callable[[], object]) -> None:
        """Load and register one plugin, or put it aside and remember why."""
        if name in self.disabled:
            return
        try:
            if name == OWN or self.manager.has_plugin(name):
                raise PluginError("another plugin has that name.")
            self._register(_loaded(load), name)
        except PluginError as error:
            remedy = f"Mend or uninstall it, or set {DISABLE}={name} to do without it."
            self._broken[name] = PluginError(f'plugin "{name}": {error} {remedy}')

    def _register(self, plugin: object, name: str) -> None:
        _refuse_other_interface(plugin)
        _refuse_unmarked(plugin)
        try:
            self.manager.register(plugin, name)
            self._refuse_uncalled(plugin)
            self.add_parts(self._contributed(plugin), name)
        except (PluginError, pluggy.PluginValidationError, ValueError) as error:
            if self.manager.get_plugin(name) is plugin:
                self.manager.unregister(name=name)
            if isinstance(error, PluginError):
                raise
            raise PluginError(f"{_line(error)}.") from error

    def _refuse_uncalled(self, plugin: object) -> None:
        """Refuse hooks that would never run: misspelt ones, and wrappers, as each hook is called on its own."""
        callers = self.manager.get_hookcallers(plugin)
        if not callers:
            raise PluginError(f"nothing in it is marked @hookimpl. Hooks: {', '.join(HOOKS)}.")
        for caller in callers:
            if not caller.has_spec():
                raise PluginError(
                    f'there is no hook "{caller.name}".{nearest(caller.name, HOOKS)} Hooks: {", ".join(HOOKS)}.'
                )
            if any(impl.plugin is plugin and (impl.wrapper or impl.hookwrapper) for impl in caller.get_hookimpls()):
                raise PluginError(f"{caller.name} is a wrapper, which is never called. Mark it by @hookimpl alone.")

    def _contributed(self, plugin: object) -> Sequence[Part]:
        found: list[Part] = []
        for impl in self.manager.hook.register_parts.get_hookimpls():
            if impl.plugin is plugin:
                given = _loaded(impl.function)
                if not isinstance(given, (list, tuple)) or not all(isinstance(part, Part) for part in given):
                    raise PluginError("register_parts must return a list of Part.")
                found += given
        return found

    def add_parts(self, parts: Sequence[Part], plugin: str) -> None:
        """Add all parts of a plugin or none; PluginError where one is malformed or its name is taken."""
        added: dict[tuple[str, str], tuple[Part, str]] = {}
        try:
            for part in parts:
                check_part(part)
                key = (part.kind, part.name)
                if taken := (self._parts | added).get(key):
                    raise PluginError(f'{part.kind} "{part.name}" is registered already, by {taken[1]}. Rename one.')
                added[key] = (part, plugin)
        except PluginError:
            self._lost |= {part.name: plugin for part in parts}
            raise
        self._parts |= added

    def refuse_unknown_disabled(self, known: Iterable[str]) -> None:
        """Report names in NLVL_DISABLE that switch nothing off."""
        names = list(known)
        for name in sorted(self.disabled - set(names)):
            listed = f"Plugins: {', '.join(names) or 'none'}."
            self._broken[name] = PluginError(f'{DISABLE}: no plugin "{name}".{nearest(name, names)} {listed}')


def load_registry(plugins: Mapping[str, object] | None = None) -> Registry:
    """Collect the framework's own parts, every installed plugin and ``plugins`` (name -> module or object).

    Never raises for a broken plugin: see ``Registry.failures``. Plugins named in the environment variable NLVL_DISABLE,
    separated by commas, are left out.
    """
    registry = Registry(name for word in os.environ.get(DISABLE, "").split(",") if (name := word.strip()))
    for package in (framework.targets, framework.samplers, framework.data, framework.post, framework.metrics):
        registry.add_parts(package.PARTS, OWN)
    entries = entry_points()
    for entry in entries:
        registry.add(entry.name, entry.load)
    for name, plugin in (plugins or {}).items():
        registry.add(name, functools.partial(_given, plugin))
    registry.refuse_unknown_disabled([*(entry.name for entry in entries), *(plugins or {})])
    registry.manager.check_pending()
    return registry


def entry_points(root: Path = ROOT) -> list[EntryPoint]:
    """Entry points of all plugins, our own first, so that a clash of names is the other plugin's failure.

    Where our distribution is not installed, its entry points are read from the pyproject.toml in ``root``.
    """
    installed = {(entry.name, entry.value): entry for entry in importlib.metadata.entry_points(group=GROUP)}
    own = [entry for entry in installed.values() if entry.dist is not None and entry.dist.name == DISTRIBUTION]
    others = [entry for entry in installed.values() if entry not in own]
    return sorted(own or checkout_entry_points(root), key=_name) + sorted(others, key=_name)


def _name(entry: EntryPoint) -> str:
    return entry.name


def _given(plugin: object) -> object:
    return plugin


def checkout_entry_points(root: Path) -> list[EntryPoint]:
    """Entry points of a checkout that is used without being installed; its folder becomes importable."""
    file = root / "pyproject.toml"
    if not file.is_file():
        return []
    project = tomli.loads(file.read_text(encoding="utf-8"))["project"]
    if root not in [Path(entry).resolve() for entry in sys.path]:
        sys.path.append(str(root))
    return [EntryPoint(name, value, GROUP) for name, value in project["entry-points"][GROUP].items()]


def _loaded(load: Callable[[], Any]) -> Any:
    """Run a plugin's code; whatever it raises becomes a PluginError."""
    try:
        return load()
    except Exception as error:  # A plugin may fail in any way; the rest of the framework must not.
        raise PluginError(f"{type(error).__name__}: {_line(error)}.") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _refuse_other_interface(plugin: object) -> None:
    found = getattr(plugin, INTERFACE_NAME, hookspecs.INTERFACE)
    if type(found) is not int or found != hookspecs.INTERFACE:
        raise PluginError(
            f"its {INTERFACE_NAME} is {found!r}, but the hooks of this framework have version {hookspecs.INTERFACE}. "
            "Install releases of both that agree."
        )


def _refuse_unmarked(plugin: object) -> None:
    """Refuse a function named as a hook that pluggy would pass over in silence."""
    for name in HOOKS:
        found = getattr(plugin, name, None)
        if callable(found) and not hasattr(found, f"{hookspecs.PROJECT}_impl"):
            raise PluginError(f"{name} is not marked @hookimpl, so it would never be called.")


def check_part(part: Part) -> None:
    """Refuse a part that a recipe could not name or describe; raises PluginError."""
    place = f'{part.kind} "{part.name}"'
    if part.kind not in KINDS:
        raise PluginError(f"{place}: no such kind.{nearest(part.kind, KINDS)} Kinds: {', '.join(KINDS)}.")
    if not NAME.fullmatch(part.name):
        raise PluginError(f"{place}: a name is plugin.part, in small letters, digits and underscores.")
    if not callable(part.factory):
        raise PluginError(f"{place}: its factory cannot be called.")
    _check_options(part.options, place)
    for name in RESERVED.get(part.kind, ("name",)):
        if name in attrs.fields_dict(part.options):
            raise PluginError(
                f"{place}: an option cannot be called {name}; in a recipe that chooses a part. Rename it."
            )


def _check_options(options: type, place: str) -> None:
    """Require attrs, a documentation line on each option, and annotations that can be resolved."""
    if not (isinstance(options, type) and attrs.has(options)):
        raise PluginError(f"{place}: its options must be a class made by @attrs.frozen.")
    try:
        hints = typing.get_type_hints(options)
    except Exception as error:  # Evaluating an annotation can raise anything.
        raise PluginError(f"{place}: an annotation of its options cannot be resolved: {_line(error)}.") from error
    for field in attrs.fields(options):
        if not field.metadata.get("doc"):
            raise PluginError(f"{place}: option {field.name} has no documentation. Make it by option(..., doc=...).")
        if attrs.has(hints[field.name]):
            _check_options(hints[field.name], f"{place} {field.name}")
