"""Where metrics are asked for."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from railiance.adapters.prometheus import Prometheus


class PrometheusServer(Block):
    """A Prometheus server, and the token it may want.

    Example:
        ```python
        from blocks import PrometheusServer

        PrometheusServer(url="http://prometheus.monitoring:9090").save("production")
        ```
    """

    _block_type_name = "Prometheus server"
    _block_type_slug = "railiance-prometheus-server"
    _description = "A Prometheus server, and the token it may want."

    url: str = Field(
        pattern=r"^https?://[^@?#]+$",
        description="Where it answers, without /api and without a password in it",
        examples=["http://prometheus.monitoring:9090"],
    )
    token: SecretStr | None = Field(default=None, description="Bearer token, if the server wants one")

    def connect(self) -> Prometheus:
        """Return the server."""
        return Prometheus(self.url, self.token.get_secret_value() if self.token else None)
