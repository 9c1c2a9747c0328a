"""The two processes as parts: Gaussian and one-step."""
