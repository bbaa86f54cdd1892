"""Easel's engine: the graph, its execution, jobs, and the diffusion library."""
