from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import framework

ROOT = Path(__file__).parents[1]

PUBLIC = ["Localizer", "Moment", "RunResult", "UserError", "VideoIndex", "__version__", "hookimpl", "load", "run"]


def test_the_public_interface_is_what_it_was() -> None:
    assert framework.__all__ == PUBLIC
    assert all(getattr(framework, name) is not None for name in PUBLIC)


def test_functions_that_others_call_keep_their_names() -> None:
    for module, names in {
        framework.moments: ("iou", "giou", "nms"),
        framework.targets: ("MapPyramid",),
        framework.diffusion: ("schedule", "ddim_step"),
        framework.metrics: ("rank",),
    }.items():
        for name in names:
            assert callable(getattr(module, name)), name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        framework.nothing  # noqa: B018


def test_packages_need_no_import_of_their_own() -> None:
    code = "import framework; framework.moments.iou; framework.targets.MapPyramid; framework.metrics.rank"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_importing_the_framework_loads_no_torch() -> None:
    code = "import sys, framework.cli; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_nothing_in_the_tree_speaks_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    words = [f"/{name}/" for name in ("work", "tmp", "root", "farm")]
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in (".py", ".toml", ".md", ".txt", ".j2", ".css", ".js") and path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not [word for word in words if word in text], name
