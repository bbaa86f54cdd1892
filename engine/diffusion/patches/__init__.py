"""What can be put on a model without touching its weights.

Implementations of `hooks.NetworkPatch`, `guiders.GuidancePatch` and `schedules.ProcessPatch`.
"""
