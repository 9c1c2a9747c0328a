"""From a tree of tables to a recipe: parts looked up, options checked, every mistake reported at once."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs

from framework.core.options import between, one_of, option
from framework.core.part import Part
from framework.data.options import DataOptions
from framework.errors import PluginError, Problems, RecipeError, nearest
from framework.recipe.files import find_recipe, overlaid, override, parse_tree, read_tree, varied
from framework.recipe.options import EvaluateOptions, TrainOptions
from framework.recipe.recipe import MAIN, Chosen, DataChoice, EvaluateChoice, Objective, Recipe
from framework.recipe.structure import Structurer
from framework.recipe.sweep import Sweep, read_sweeps
from framework.recipe.tree import OBJECTIVE_TABLES, OVERRIDE, PART_TABLES, Keys, Tree, selector
from framework.recipe.values import Mismatch, convert, wording
from framework.registry import RESERVED, Registry, load_registry

TABLES: Final = (*PART_TABLES, "layout", "objective", "weights", "train", "evaluate", "expected", "sweep")
TOP: Final = ("name", "seed", "profile", *TABLES, "embedded")
OVERLAY: Final = ("seed", *TABLES)
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
OBJECTIVE: Final = re.compile(r"[A-Za-z0-9_-]+")
"""The name of an objective, which goes into names of weights and of loss terms; a dot would part those."""
DEFAULTS: Final[Mapping[str, str]] = {"rows": "own", "text": "learned"}
"""The part of a table that may be left out."""
T = TypeVar("T")


def _file_name(value: str) -> str | None:
    return None if NAME.fullmatch(value) else "must be letters, digits, dots, hyphens and underscores"


@attrs.frozen
class Head:
    """The keys above the tables."""

    name: str = option(doc="name of the recipe and of the folder of its runs; it is not inherited", rule=_file_name)
    seed: int = option(0, doc="seed of weights, order and noise", rule=between(0, 2**63 - 1))
    profile: str = option("full", doc="written by a run, never by hand", rule=one_of("full", "embedded"))


def load_recipe(
    path_or_name: str | os.PathLike[str], overrides: Sequence[str] = (), registry: Registry | None = None
) -> Recipe:
    """Read, merge and check a recipe, its overlay included.

    overrides: texts such as ``denoiser.kernel=9``. Raises RecipeError where a file cannot be read as TOML, and Problems
    with one line for each mistake in what it says.
    """
    path = find_recipe(path_or_name)
    return _recipe(read_tree(path, overrides), path, registry, overrides)


def parse_recipe(text: str, source: Path, registry: Registry | None = None, overrides: Sequence[str] = ()) -> Recipe:
    """Read a resolved recipe from its text, as a checkpoint holds it; ``source`` is named in messages."""
    tree = parse_tree(text, str(source))
    override(tree, overrides)
    return _recipe(tree, source, registry, ())


def peek_data(
    path_or_name: str | os.PathLike[str], overrides: Sequence[str] = (), registry: Registry | None = None
) -> DataChoice | None:
    """Read the [data] table alone, so that files can be checked beside other mistakes; None where it is wrong too."""
    tree = read_tree(find_recipe(path_or_name), overrides)
    return Resolver(tree, registry or load_registry(), []).data()


def _recipe(tree: Tree, source: Path, registry: Registry | None, overrides: Sequence[str]) -> Recipe:
    registry = registry or load_registry()
    problems: list[str] = []
    overlay = None
    found = Resolver(tree, registry, problems).resolve(source)
    if isinstance(tree.at(("embedded",)), dict):
        small = overlaid(tree, overrides)
        small.values["profile"] = "embedded"
        overlay = functools.partial(_embedded, small, source)
        Resolver(small, registry, problems).resolve(source)
    if problems or found is None:
        raise Problems(problems)
    return attrs.evolve(found, overlay=overlay)


def _embedded(small: Tree, source: Path, registry: Registry | None) -> Recipe:
    problems: list[str] = []
    found = Resolver(small, registry or load_registry(), problems).resolve(source)
    if found is None:
        raise Problems(problems)
    return found


def vary(recipe: Recipe, sweep: Sweep, value: Any, registry: Registry | None = None) -> Recipe:
    """The recipe with one value of a sweep in place of its own, and without sweeps.

    Raises RecipeError or Problems, as ``load_recipe`` does, where the value is wrong.
    """
    tree = varied(recipe.tree, sweep.key, value, recipe.where(f"sweep.{sweep.name}"))
    problems: list[str] = []
    found = Resolver(tree, registry or load_registry(), problems).resolve(recipe.source)
    if found is None:
        raise Problems(problems)
    return found


class Resolver:
    """Resolves one tree; what is wrong is added to ``problems``."""

    def __init__(self, tree: Tree, registry: Registry, problems: list[str]) -> None:
        self.tree, self.registry = tree, registry
        self.structure = Structurer(tree, problems)

    def resolve(self, source: Path) -> Recipe | None:
        """Return the recipe, None where anything is wrong with it."""
        self._refuse_unknown_tables()
        head = self.structure.build(Head, ())
        data = self.data()
        encoder = self._part("encoder", ("encoder",))
        objectives = self._objectives()
        weights = self._weights()
        post = self._part("post", ("post",))
        train = self._whole(TrainOptions, "train")
        evaluate = self._evaluate()
        expected = self._expected()
        sweeps = read_sweeps(self.structure)
        self._refuse_unread_layout()
        if not (head and data and encoder and post and train and evaluate) or self.structure.complaints:
            return None
        recipe = Recipe(
            name=head.name,
            seed=head.seed,
            profile=head.profile,
            data=data,
            layout=dict(self.structure.layout),
            encoder=encoder,
            objectives=objectives,
            weights=weights,
            post=post,
            train=train,
            evaluate=evaluate,
            expected=expected,
            sweeps=sweeps,
            source=source,
            tree=self.tree,
            overlay=None,
        )
        self._check_sweeps(recipe)
        return None if self.structure.complaints else recipe

    def _check_sweeps(self, recipe: Recipe) -> None:
        """Resolve the recipe with each value of each sweep; every value of an unknown key has the same mistake."""
        for sweep in recipe.sweeps:
            found: list[Recipe] = []
            for value in sweep.values:
                try:
                    found.append(vary(recipe, sweep, value, self.registry))
                except Problems as error:
                    for problem in error.problems:
                        self._complain(problem)
                except RecipeError as error:
                    self._complain(str(error))
                else:
                    continue
                if not _has(recipe.resolved, sweep.key.split(".")):
                    break
            if any(each in found[:number] for number, each in enumerate(found)):
                place = self.tree.place(("sweep", sweep.name, "values"))
                self._complain(f"{place}: no value may stand there twice.")

    def _refuse_unknown_tables(self) -> None:
        for path, known in ((), TOP), (("embedded",), OVERLAY):
            owner = "the overlay" if path else "a recipe"
            for key in self.structure.table(path):
                if key not in known:
                    place, close = self._written((*path, key)), nearest(key, {*known, "base"} - {key})
                    self._complain(f"{place}: {owner} has no such key.{close} Keys: {', '.join(known)}.")

    def _written(self, path: Keys) -> str:
        """Place of a value, or of a table; of an override that reaches into a table, all of it."""
        value = self.tree.at(path)
        if not isinstance(value, dict):
            return self.tree.place(path)
        if self.tree.origin(path).file == OVERRIDE and value:
            return self._written((*path, next(iter(value))))
        return self.tree.table(path)

    def _complain(self, problem: str) -> None:
        self.structure.complain(problem)

    def _whole(self, cls: type[T], table: str) -> T | None:
        """Build a class that is a table of its own."""
        self.structure.refuse_unknown((table,), _names(cls), f"[{table}]")
        return self.structure.build(cls, (table,))

    def _part(self, kind: str, path: Keys, among: type | None = None) -> Chosen | None:
        """Look up the part that a table chooses and build its options; ``among``: class that shares its table."""
        part = self._lookup(kind, path)
        if part is None:
            return None
        generic = _names(among) if among else set()
        for name in sorted(generic & _names(part.options)):
            self._complain(
                f'plugin "{self.registry.plugin(part)}": {kind} "{part.name}" has an option {name}, as [{path[0]}] has '
                "for all of them. The plugin must rename it."
            )
        known = generic | _names(part.options)
        self.structure.refuse_unknown(path, known, part.name, besides=RESERVED.get(kind, ("name",)))
        try:
            options = self.structure.build(part.options, path)
        except PluginError as error:
            self._complain(f'plugin "{self.registry.plugin(part)}": {kind} "{part.name}": {error}')
            return None
        return None if options is None else Chosen(part, options)

    def _lookup(self, kind: str, path: Keys) -> Part | None:
        key = str(selector(path))
        name = self.structure.table(path).get(key, DEFAULTS.get(kind))
        if name is None:
            names = ", ".join(part.name for part in self.registry.parts(kind))
            self._complain(f"{self.tree.table(path)}: {key} is missing. Write {key} = and one of: {names or 'none'}.")
            return None
        here = (*path, key)
        if not isinstance(name, str):
            self._complain(f"{self.tree.place(here)}: must be text in quotes, the name of a {kind}.")
            return None
        override = self.tree.at(here) is not None and self.tree.origin(here).file == OVERRIDE
        try:
            if override:
                return self.registry.part(kind, name, OVERRIDE, ".".join(here))
            return self.registry.part(kind, name, self.tree.table(path), key)
        except RecipeError as error:
            self._complain(str(error))
            return None

    def data(self) -> DataChoice | None:
        """Resolve the [data] table."""
        options = self.structure.build(DataOptions, ("data",))
        dataset = self._part("dataset", ("data",), DataOptions)
        text = self._part("text", ("data", "text"))
        return DataChoice(options, dataset, text) if options and dataset and text else None

    def _evaluate(self) -> EvaluateChoice | None:
        options = self.structure.build(EvaluateOptions, ("evaluate",))
        metric = self._part("metric", ("evaluate",), EvaluateOptions)
        return EvaluateChoice(metric=metric, **attrs.asdict(options)) if options and metric else None

    def _objectives(self) -> tuple[Objective, ...]:
        if "objective" not in self.tree.values:
            return self._whole_objectives({MAIN: ()})
        names = list(self.structure.table(("objective",)))
        for table in OBJECTIVE_TABLES:
            if table in self.tree.values:
                self._complain(
                    f"{self._written((table,))}: the recipe has several objectives, so this belongs to one of them: "
                    f"objective.NAME.{table} with NAME one of {', '.join(names)}."
                )
        if not names:
            self._complain(f"{self.tree.place(('objective',))}: a recipe needs one objective at least.")
        for name in names:
            if not OBJECTIVE.fullmatch(name):
                self._complain(
                    f'{self.tree.table(("objective", name))}: the name "{name}" must be letters, digits, underscores '
                    "and hyphens. Rename the objective."
                )
            self.structure.refuse_unknown(("objective", name), OBJECTIVE_TABLES, "an objective")
        return self._whole_objectives({name: ("objective", name) for name in names})

    def _whole_objectives(self, paths: Mapping[str, Keys]) -> tuple[Objective, ...]:
        found = []
        for name, path in paths.items():
            parts = {kind: self._part(kind, (*path, kind)) for kind in OBJECTIVE_TABLES}
            chosen = {kind: part for kind, part in parts.items() if part is not None}
            if len(chosen) == len(parts):
                found.append(Objective(name, **chosen))
        return tuple(found)

    def _weights(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, value in self.structure.table(("weights",)).items():
            try:
                found[name] = convert(value, float)
            except Mismatch:
                found[name] = -1.0
            if found[name] < 0:
                place = self.tree.place(("weights", name))
                self._complain(f"{place}: must be a number, at least 0 (factor of a loss term). The default is 1.0.")
        return found

    def _expected(self) -> dict[str, float | str]:
        found: dict[str, float | str] = {}
        for name, value in self.structure.table(("expected",)).items():
            hint = str if name == "source" else float
            try:
                found[name] = convert(value, hint)
            except Mismatch:
                place = self.tree.place(("expected", name))
                self._complain(f"{place}: must be {wording(hint)}. [expected] has numbers by metric, and their source.")
        return found

    def _refuse_unread_layout(self) -> None:
        """Refuse keys of [layout] that no part reads; not while parts are missing, since one of those may read them."""
        if self.structure.complaints:
            return
        for key in sorted(set(self.structure.layout) - self.structure.read):
            shared = sorted(self.structure.shared)
            self._complain(
                f"{self.tree.place(('layout', key))}: no part of this recipe reads it.{nearest(key, shared)} "
                f"Options that parts share: {', '.join(shared) or 'none'}."
            )


def _has(table: Any, keys: Sequence[str]) -> bool:
    for key in keys:
        if not isinstance(table, Mapping) or key not in table:
            return False
        table = table[key]
    return True


def _names(cls: type) -> set[str]:
    return set(attrs.fields_dict(cls))
