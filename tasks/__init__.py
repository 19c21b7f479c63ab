"""Prefect tasks: each connects, calls one verb of an adapter, and wraps the answer in a domain value."""
