"""Checkpoints: one safetensors file that holds tensors and their description; loading never runs code."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from framework.errors import CheckpointError

SCHEMA: Final = 2
_KEY: Final = "nlvl"


def save(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write ``path`` (.safetensors) and a readable copy of ``meta`` beside it (.json).

    The description travels inside the tensor file too, and the file is put in place in one step, so that a crash leaves
    the old checkpoint or the new one, never half of each.
    """
    text = json.dumps({"schema": SCHEMA, **meta})
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    here = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(here, unfinished, {_KEY: text})
    except (SafetensorError, OSError) as error:
        unfinished.unlink(missing_ok=True)
        raise CheckpointError(
            f"{path}: cannot be written ({error}). Make room, or name another folder by --out."
        ) from error
    # The library makes files for their owner alone; a checkpoint is as readable as the rest of its run.
    os.chmod(unfinished, path.parent.stat().st_mode & 0o666)
    os.replace(unfinished, path)
    path.with_suffix(".json").write_text(json.dumps(json.loads(text), indent=2) + "\n", encoding="utf-8")


def load(path: Path, device: torch.device | str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint: its tensors on ``device`` and its description. Raises CheckpointError."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint. Name a run folder or a .safetensors file of one.")
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            meta = json.loads((file.metadata() or {}).get(_KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: truncated or not a checkpoint ({reason}). Copy it again or retrain.") from error
    if not isinstance(meta, dict):
        raise CheckpointError(
            f"{path}: a safetensors file without a description of ours; it is no checkpoint of a run."
        )
    if meta.get("schema") != SCHEMA:
        raise CheckpointError(
            f"{path}: schema {meta.get('schema')}, this version reads {SCHEMA}. Retrain or match versions."
        )
    return tensors, meta


@contextmanager
def described(path: Path) -> Iterator[None]:
    """Turn a description that lacks a key, or has one of a wrong kind, into one line."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: its description is damaged ({type(error).__name__}: {error}). Copy it again or retrain."
        ) from error


def restore(module: torch.nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load weights into ``module``; raises CheckpointError naming the first difference."""
    own = module.state_dict()
    for name in sorted(own.keys() ^ tensors.keys()):
        side = "lacks" if name in own else "has an extra"
        raise CheckpointError(f"{path}: {side} {name}; it was made by another recipe. Use the recipe.toml of its run.")
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            raise CheckpointError(
                f"{path}: {name} has shape {tuple(tensors[name].shape)}, the recipe wants {tuple(tensor.shape)}; "
                "it was made by another recipe. Use the recipe.toml of its run."
            )
    module.load_state_dict(dict(tensors))


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Split an optimizer's state into tensors, ``index.name``, and its groups, which JSON can hold."""
    state = optimizer.state_dict()
    tensors = {
        f"{index}.{name}": torch.as_tensor(value)
        for index, values in state["state"].items()
        for name, value in values.items()
    }
    return tensors, state["param_groups"]


def unpack_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """Undo ``pack_optimizer``."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": groups})
