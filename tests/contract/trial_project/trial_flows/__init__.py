"""Small flows that try what the real ones rely on, without a cluster."""
