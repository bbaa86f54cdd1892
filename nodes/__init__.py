"""The nodes, one module per menu heading."""
