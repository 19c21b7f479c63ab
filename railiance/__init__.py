"""Railiance takes an application from a laptop to production on Kubernetes and back, safely."""

__version__ = "0.1.0"
