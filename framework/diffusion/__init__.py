"""Schedules, timestep pairs and single steps: mathematics on tensors."""
