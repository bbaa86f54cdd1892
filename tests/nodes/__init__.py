"""The nodes, called as plain functions, and what the protocol sees of them."""
