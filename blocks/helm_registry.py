"""Where charts are kept."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from railiance.adapters.chart_registry import ChartRegistry
from railiance.adapters.helm import helm_binary


class HelmRegistry(Block):
    """An OCI registry that holds charts, and how to log in to it.

    Example:
        ```python
        from blocks import HelmRegistry

        HelmRegistry(host="registry.example", username="reader", password="...").save("charts")
        ```
    """

    _block_type_name = "Helm registry"
    _block_type_slug = "railiance-helm-registry"
    _description = "An OCI registry that holds charts, and how to log in to it."

    host: str = Field(
        description="Host, with its port unless that is 443", examples=["registry.example:5000"]
    )
    username: str = Field(default="", description="Name to log in with; empty: no login")
    password: SecretStr = Field(default=SecretStr(""), description="Password or token of that name")
    plain_http: bool = Field(
        default=False, description="Talk without TLS; only for a registry on this machine"
    )

    def connect(self) -> ChartRegistry:
        """Return the registry; it logs in when it is used."""
        secret = self.password.get_secret_value()
        return ChartRegistry(helm_binary(), self.host, self.username, secret, self.plain_http)
