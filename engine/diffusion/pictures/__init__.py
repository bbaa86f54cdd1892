"""Arithmetic on pictures (batch, h, w, channels) and masks (batch, h, w), values in 0..1."""
