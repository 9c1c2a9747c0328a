"""Diffusion methods for natural-language video localization behind four interfaces."""
