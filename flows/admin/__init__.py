"""Flows, versions, instances and steps as operators see them; statuses move by buttons and actions only."""

from flows.admin import flows, instances, versions

__all__ = ["flows", "instances", "versions"]
