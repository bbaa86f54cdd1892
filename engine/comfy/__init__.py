"""ComfyUI-style node packs: their classes as nodes, their values at the border, the modules they import."""
