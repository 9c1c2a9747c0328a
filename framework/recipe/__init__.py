"""Recipes: from a TOML file to checked, frozen options of every part."""

from framework.recipe.describe import OptionView, describe
from framework.recipe.files import find_recipe, recipe_names
from framework.recipe.options import EvaluateOptions, OptimizerOptions, TrainOptions
from framework.recipe.recipe import MAIN, Chosen, DataChoice, EvaluateChoice, Objective, Recipe
from framework.recipe.resolve import load_recipe, parse_recipe, peek_data, vary
from framework.recipe.sweep import Sweep
from framework.recipe.toml import write_toml

__all__ = [
    "MAIN",
    "Chosen",
    "DataChoice",
    "EvaluateChoice",
    "EvaluateOptions",
    "Objective",
    "OptimizerOptions",
    "OptionView",
    "Recipe",
    "Sweep",
    "TrainOptions",
    "describe",
    "find_recipe",
    "load_recipe",
    "parse_recipe",
    "peek_data",
    "recipe_names",
    "vary",
    "write_toml",
]
