"""Triggers: hooks, the queue, its worker, watch, and the service."""
