"""Device, precision and what a manifest says about the machine."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy
import torch

from framework.errors import UserError


def choose_device(wanted: str) -> torch.device:
    """``auto``, ``cpu`` or ``cuda`` (also ``cuda:1``) to a device that is there."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = wanted.partition(":")
    if kind not in ("cpu", "cuda") or (":" in wanted and not (kind == "cuda" and number.isdigit())):
        raise UserError(f"--device {wanted}: no such device. Use auto, cpu, cuda or cuda:NUMBER.")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise UserError(
            f"--device {wanted}: torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices. "
            "Use one of them, cpu or auto."
        )
    return torch.device(wanted)


def choose_precision(wanted: str, device: torch.device) -> torch.dtype:
    """``auto`` is float32 on CPU and, on CUDA, bfloat16 where the device has it, else float16."""
    named = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if wanted != "auto":
        if wanted == "fp16" and device.type == "cpu":
            raise UserError(
                'train.precision = "fp16": float16 training needs CUDA. Use "auto", "float32" or "bf16" on CPU.'
            )
        return named[wanted]
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def describe_environment(device: torch.device) -> dict[str, Any]:
    """Versions, device and revision, for the manifest of a run."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "device": f"{device.type} ({name})",
        "threads": torch.get_num_threads(),
        "git": _revision(),
    }


def _revision() -> str | None:
    """Git revision of the checkout that the framework runs from, with ``+`` where it has changes; None elsewhere."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        changes = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")
