"""Stable Diffusion 1.x and 2.x as a library: tensors in, tensors out."""
