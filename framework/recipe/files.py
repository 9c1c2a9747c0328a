"""From files, inheritance and overrides to one tree."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import tomli

from framework.errors import RecipeError, nearest
from framework.recipe.toml import write_value
from framework.recipe.tree import BY_NAME, OBJECTIVE_TABLES, OVERRIDE, Keys, Origin, Tree, Whole, kept, normal, selector

FOLDERS: Final = (Path("recipes"), Path(__file__).parents[2] / "recipes")
"""Where a recipe is looked for by name: in the working folder, then beside the framework."""


def recipe_names() -> list[str]:
    """Names of all recipes that can be asked for without a path."""
    return sorted({path.stem for folder in FOLDERS for path in folder.rglob("*.toml")})


def find_recipe(path_or_name: str | os.PathLike[str]) -> Path:
    """Find a recipe by path or by name. RecipeError where there is none, or more than one of that name."""
    asked = Path(path_or_name)
    if asked.suffix == ".toml" or len(asked.parts) > 1:
        if not asked.is_file():
            raise RecipeError(
                f"{asked}: no such file. Recipes that need no path: {', '.join(recipe_names()) or 'none'}."
            )
        return asked
    for folder in FOLDERS:
        found = sorted(folder.rglob(f"{asked}.toml"))
        if len(found) > 1:
            raise RecipeError(f"{asked}: several recipes have that name. Give a path: {', '.join(map(str, found))}.")
        if found:
            return found[0]
    names = recipe_names()
    listed = f"Recipes: {', '.join(names) or 'none'}."
    raise RecipeError(f'"{asked}": no such recipe.{nearest(str(asked), names)} {listed}')


def read_tree(path: Path, overrides: Sequence[str] = ()) -> Tree:
    """Read a recipe, those it inherits from and the overrides, later ones over earlier ones."""
    layers = _inherited(path, ())
    tree = Tree(_shown(path))
    for file, table in layers:
        if tree.values:
            # Numbers expected of the base are not expected of what differs from it, nor is its name this one's.
            tree.drop("name", "expected")
        _lay(tree, table, Origin(_shown(file)))
    override(tree, overrides)
    return tree


def parse_tree(text: str, file: str) -> Tree:
    """Read a resolved recipe from text, such as a checkpoint holds. It inherits from nothing."""
    tree = Tree(file)
    _lay(tree, _parse(text, file), Origin(file))
    return tree


def override(tree: Tree, overrides: Iterable[str]) -> None:
    """Lay ``key.key=value`` texts over a tree, all at once: a new part and its options may come in any order."""
    tree.merge(_layer(tree, overrides), lambda _: Origin(OVERRIDE))


def varied(tree: Tree, key: str, value: Any, place: str) -> Tree:
    """The tree with another value of one key, laid over it as an override is, and without sweeps.

    place: who asks for it, as messages show it.
    """
    found = tree.copy()
    found.merge(_laid(found, [(place, key.split("."), value)]), lambda _: Origin(f"{place}:"))
    found.drop("sweep")
    return found


def _layer(tree: Tree, overrides: Iterable[str]) -> dict[str, Any]:
    """The overrides as one table; ``tree`` is what they are meant for."""
    return _laid(tree, [(f"{OVERRIDE} {text}", *_assignment(text)) for text in overrides])


def _laid(tree: Tree, assignments: Iterable[tuple[str, list[str], Any]]) -> dict[str, Any]:
    """Assignments as one table: a place for messages, keys and a value each."""
    layer: dict[str, Any] = {}
    for place, keys, value in assignments:
        _refuse_misplaced(tree, place, keys, value)
        if isinstance(value, str) and selector(tuple(keys)) == "name":
            keys = [*keys, "name"]
        table = layer
        for key in keys[:-1]:
            if not isinstance(table.get(key), dict):
                table[key] = {}
            table = table[key]
        table[keys[-1]] = value
    return normal(layer, OVERRIDE)


def _refuse_misplaced(tree: Tree, place: str, keys: Sequence[str], value: Any) -> None:
    """Refuse an override that would make a table instead of changing one, or put something else in its place."""
    if selector(tuple(keys)) == "name" and not isinstance(value, (str, dict)):
        raise RecipeError(
            f"{place}: {'.'.join(keys)} = {write_value(value)}: must be text in quotes, the name of a part; its "
            f"options have keys of their own, {'.'.join(keys)}.OPTION."
        )
    if list(keys) == ["objective"] and not isinstance(value, list):
        raise RecipeError(f"{place}: an objective is no value. Name a key of one, as in objective.NAME.sampler.steps.")
    if keys[0] == "profile":
        raise RecipeError(f"{place}: the profile decides more than a key can. Use --profile.")
    if keys[0] == "embedded" and "embedded" not in tree.values:
        raise RecipeError(f"{place}: {tree.file} has no [embedded] overlay. Write one, or leave embedded. out.")
    if keys[0] not in BY_NAME or len(keys) == 1:
        return
    known, noun = tree.at((keys[0],)) or {}, keys[0]
    if keys[1] not in known:
        none = "only the unnamed one; leave objective.NAME. out" if noun == "objective" else "none"
        names = ", ".join(known) or none
        raise RecipeError(f'{place}: no {noun} "{keys[1]}".{nearest(keys[1], known)} {noun.capitalize()}s: {names}.')


def overlaid(tree: Tree, overrides: Sequence[str] = ()) -> Tree:
    """The tree of the embedded profile: the overlay over the rest, and the overrides over both.

    Where the overlay replaces the dataset, what the overrides say of that dataset, its files included, stays with it;
    so does what they say of a text source or of a sweep that is replaced as well.
    """
    small, layer = tree.copy(), _layer(tree, overrides)
    overlay = small.at(("embedded",)) or {}
    small.drop("embedded", "expected")
    small.merge(overlay, lambda path: Origin(tree.origin(("embedded", *path)).file, ("embedded",)))
    layer.pop("embedded", None)
    data = layer.get("data")
    if isinstance(data, dict) and _replaces(tree, ("data",)):
        lost = set(data) - kept(("data",)) | ({"text"} if _replaces(tree, ("data", "text")) else set())
        layer["data"] = {key: value for key, value in data.items() if key not in lost}
    sweeps, known = layer.get("sweep"), small.at(("sweep",)) or {}
    if isinstance(sweeps, dict) and not isinstance(sweeps, Whole):
        layer["sweep"] = {name: table for name, table in sweeps.items() if name in known}
    small.merge(layer, lambda _: Origin(OVERRIDE))
    return small


def _replaces(tree: Tree, path: Keys) -> bool:
    """Whether the overlay chooses another part for a table than the recipe does."""
    chosen = tree.at(("embedded", *path, "name"))
    return chosen is not None and tree.at((*path, "name")) not in (None, chosen)


def _lay(tree: Tree, table: dict[str, Any], origin: Origin) -> None:
    found = normal(table, origin.file)
    if "objective" in found:
        tree.drop(*OBJECTIVE_TABLES)
    tree.merge(found, lambda _: origin)


def _inherited(path: Path, heirs: tuple[Path, ...]) -> list[tuple[Path, dict[str, Any]]]:
    """Files and tables of a recipe and those it inherits from, the oldest first."""
    file = path.resolve()
    if file in [heir.resolve() for heir in heirs]:
        circle = " -> ".join(_shown(each) for each in (*heirs, path))
        raise RecipeError(f"{_shown(heirs[-1])} base: recipes inherit in a circle: {circle}. Remove one base.")
    try:
        table = _parse(path.read_text(encoding="utf-8"), _shown(path))
    except OSError as error:
        by = f' {_shown(heirs[-1])} base = "{path.name}" asks for it.' if heirs else ""
        raise RecipeError(f"{_shown(path)}: cannot be read ({error.strerror}).{by}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{_shown(path)}: not UTF-8 text ({error.reason}). Save it as UTF-8.") from error
    base = table.pop("base", None)
    if base is None:
        return [(path, table)]
    if not isinstance(base, str):
        raise RecipeError(f"{_shown(path)} base = {write_value(base)}: must be text in quotes, the path of a recipe.")
    return [*_inherited(path.parent / base, (*heirs, path)), (path, table)]


def _parse(text: str, file: str) -> dict[str, Any]:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        reason, _, place = str(error).partition(" (at ")
        line = re.match(r"line (\d+)", place)
        where = f"{file}:{line.group(1)}" if line else f"{file} (at its end)"
        raise RecipeError(f"{where}: not TOML: {reason}. Mend that line; text needs quotes.") from error


def _assignment(text: str) -> tuple[list[str], Any]:
    """Split ``key.key=value``; the value is TOML, or a bare word, which is text."""
    key, equals, raw = text.partition("=")
    keys = [part.strip() for part in key.split(".")]
    if not equals or not all(keys):
        raise RecipeError(f"{OVERRIDE} {text}: must be KEY=VALUE, as in {OVERRIDE} denoiser.kernel=9.")
    try:
        found = tomli.loads(f"value = {raw}")
    except tomli.TOMLDecodeError:
        return keys, raw.strip()
    return keys, found["value"] if list(found) == ["value"] else raw.strip()


def _shown(path: Path) -> str:
    """The path as messages show it: relative where it lies below the working folder."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
