"""Seeds and generator states: what makes a run repeatable and a resumed run the same run."""

from __future__ import annotations

import torch
from torch import Tensor


def seed_everything(seed: int, device: torch.device) -> torch.Generator:
    """Seed the global generators (initial weights, dropout) and return the one that training noise is drawn from."""
    torch.manual_seed(seed)
    generator = torch.Generator(device=device)
    generator.manual_seed(seed)
    return generator


def states(generator: torch.Generator) -> dict[str, Tensor]:
    """State of every generator that training draws from, as byte tensors."""
    found = {"noise": generator.get_state(), "cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_rng_state()
    return found


def restore_states(generator: torch.Generator, found: dict[str, Tensor]) -> None:
    """Undo ``states``; a CUDA state is left out where there is no such device."""
    generator.set_state(found["noise"].cpu())
    torch.set_rng_state(found["cpu"].cpu())
    if "cuda" in found and torch.cuda.is_available():
        torch.cuda.set_rng_state(found["cuda"].cpu())
