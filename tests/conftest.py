"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the field's real annotations (data/) and outputs of the peers' official code (golden/)."""
    folder = Path(os.environ.get("NLVL_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real annotations: {folder} has no data folder; set NLVL_SHARED to the folder that has one")
    return folder
