"""The rules written as loops, from the program that times ours against them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

LOOPS = Path(__file__).parents[2] / "tools" / "benchmarks" / "scoring_by_loop.py"


@pytest.fixture(scope="session")
def by_loop() -> ModuleType:
    specification = importlib.util.spec_from_file_location("scoring_by_loop", LOOPS)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
