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
    if generator.device.type == "cuda":
        found["cuda"] = torch.cuda.get_rng_state(generator.device)
    return found


def restore_states(generator: torch.Generator, found: dict[str, Tensor]) -> None:
    """Undo ``states``, on a device of the same type."""
    generator.set_state(found["noise"].cpu())
    torch.set_rng_state(found["cpu"].cpu())
    if generator.device.type == "cuda":
        torch.cuda.set_rng_state(found["cuda"].cpu(), generator.device)
