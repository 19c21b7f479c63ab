"""A Prometheus server: the only metrics client, and the gateway's counters as Prometheus has them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

from railiance.domain.errors import Broken, Unavailable
from railiance.domain.ports import Clock, GatewayReading, Sample
from railiance.domain.queries import counters_query

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_LOOK_BACK = 300.0  # seconds; as long as Prometheus itself believes in a sample
_HELP = 'Is the URL right and the server up? `--without prometheus`, or source = "gateway", does without it.'


@dataclass(frozen=True, slots=True)
class Series:
    """One raw series: its labels and its samples (time in seconds since the epoch, value), oldest first."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]


class Prometheus:
    """The port `Metrics`, on a real server.

    Args:
        url: Where it answers, without `/api`.
        token: A bearer token, if it wants one.
        timeout: Seconds for one call.
    """

    def __init__(self, url: str, token: str | None = None, *, timeout: int = 5) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._client: Any = None

    def query(self, promql: str) -> list[tuple[Mapping[str, str], float]]:
        """Return the vector of an instant query (a scalar as one entry without labels).

        Args:
            promql: The query; it must answer an instant vector or a scalar.

        Returns:
            The entries; those that are not a number are left out, so that NaN is no data.

        Raises:
            Unavailable: The server does not answer (code PROMETHEUS_UNREACHABLE).
            Broken: It refused the query, or answered nonsense.
        """
        return _vector(self._ask(promql), promql)

    def series(self, selector: str) -> list[Series]:
        """Return the raw samples of a range selector, such as `up[5m]`.

        Raises:
            Unavailable: The server does not answer (code PROMETHEUS_UNREACHABLE).
            Broken: It refused the query, or answered nonsense.
        """
        return [_series(entry, selector) for entry in self._ask(selector)]

    def _ask(self, promql: str) -> Any:
        """Send one instant query."""
        from prometheus_api_client.exceptions import PrometheusApiClientException  # noqa: PLC0415 - slow to load
        from requests import JSONDecodeError, RequestException  # noqa: PLC0415 - slow to load

        try:
            return self._connected().custom_query(promql, timeout=self._timeout)
        except PrometheusApiClientException as error:
            _refused(self._place, promql, error)
        except (JSONDecodeError, KeyError, TypeError) as error:
            raise Broken("PROMETHEUS_NONSENSE", f"{self._place} did not answer as Prometheus does") from error
        except RequestException as error:
            raise _unreachable(self._place, error) from error

    def _connected(self) -> Any:
        """Return the client, made at the first call."""
        if self._client is None:
            from prometheus_api_client import PrometheusConnect  # noqa: PLC0415 - slow to load
            from requests import Session  # noqa: PLC0415 - slow to load
            from urllib3.util import Retry  # noqa: PLC0415 - slow to load

            session = Session()
            # A proxy of the environment cannot reach this machine's loopback addresses.
            session.trust_env = urlsplit(self._url).hostname not in _LOOPBACK
            headers = {"Authorization": f"Bearer {self._token}"} if self._token else None
            # No hidden retries: who asks decides whether to ask again.
            self._client = PrometheusConnect(
                self._url, headers=headers, retry=Retry(total=0), session=session
            )
        return self._client

    @property
    def _place(self) -> str:
        """Return the server's address without secrets."""
        parts = urlsplit(self._url)
        return f"Prometheus at {parts.scheme}://{parts.hostname}:{parts.port or 80}"


class PrometheusGateway:
    """The port `Gateway` over a Prometheus that scrapes the gateway.

    Args:
        metrics: The server.
        clock: Tells how old the samples are.
        names_of: Gives the names under which the gateway counts a backend (`gateway.service_names`).
        stale: Seconds for which a gateway pod may go without a scrape, at least; three scrapes, if those are
            rarer.
    """

    def __init__(
        self,
        metrics: Prometheus,
        clock: Clock,
        names_of: Callable[[str, str, int], Sequence[str]],
        *,
        stale: float = 15.0,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._names_of = names_of
        self._stale = stale

    def read(self, backends: Mapping[str, tuple[str, str, int]]) -> GatewayReading:
        """Return the counters by track as they were last scraped.

        Args:
            backends: Track to (namespace, Service, port number).

        Returns:
            The reading, dated by its newest scrape; so asking twice between two scrapes gives the same one.
            Not `complete` while a gateway pod that was scraped in the last minutes no longer is.

        Raises:
            Unavailable: The server does not answer, or knows no gateway (code GATEWAY_MISSING).
        """
        tracks = {name: track for track, backend in backends.items() for name in self._names_of(*backend)}
        scrapes = self._scrapes()
        starts = {instance: samples[-1] for instance, samples in scrapes.items()}
        scraped = {instance: at for instance, (at, _) in starts.items()}
        if not scraped:
            raise Unavailable("GATEWAY_MISSING", "Prometheus scrapes no Traefik", _HELP)
        samples: dict[str, list[Sample]] = {track: [] for track in backends}
        for (instance, name), (requests, errors) in self._counters(tracks, scraped).items():
            series = f"{_identity(instance, starts)}/{name}"
            samples[tracks[name]].append(Sample(series, requests, errors))
        now = self._clock.now()
        at = datetime.fromtimestamp(max(scraped.values()), UTC)
        lost = any(self._is_late(now.timestamp(), samples) for samples in scrapes.values())
        return GatewayReading(
            at=at,
            complete=not lost,
            samples={track: tuple(found) for track, found in samples.items()},
            pods=tuple(sorted(_identity(instance, starts) for instance in scraped)),
        )

    def _is_late(self, now: float, samples: Sequence[tuple[float, float]]) -> bool:
        """Tell whether a gateway pod missed three scrapes, at the pace at which it was scraped so far."""
        pace = (samples[-1][0] - samples[0][0]) / max(1, len(samples) - 1)
        return now - samples[-1][0] > max(self._stale, 3.0 * pace)

    def _scrapes(self) -> dict[str, tuple[tuple[float, float], ...]]:
        """Return by gateway pod when it was scraped, and when its process had started."""
        own = f'process_start_time_seconds{{job!=""}}[{_LOOK_BACK:.0f}s]'
        gateways = {
            _instance(series.labels)
            for series in self._metrics.series(f"traefik_config_reloads_total[{_LOOK_BACK:.0f}s]")
        }
        return {
            _instance(series.labels): series.samples
            for series in self._metrics.series(own)
            if _instance(series.labels) in gateways and series.samples
        }

    def _counters(
        self, names: Mapping[str, str], scraped: Mapping[str, float]
    ) -> dict[tuple[str, str], tuple[float, float]]:
        """Return requests and errors by gateway pod and name, all of one pod from the same scrape.

        Scrapes go on between our questions: the last sample is not always the one that belongs to the rest.
        """
        totals: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for label in ("service", "exported_service"):
            for series in self._metrics.series(counters_query(names, label, _LOOK_BACK)):
                instance, code = _instance(series.labels), series.labels.get("code", "")
                value = dict(series.samples).get(scraped.get(instance, -1.0))
                if value is None:
                    continue  # vanished: the scrape did not have it
                total = totals[instance, series.labels[label]]
                total[0] += value
                total[1] += value if len(code) == 3 and code.startswith("5") else 0.0
            if totals:
                break
        return {key: (requests, errors) for key, (requests, errors) in totals.items()}


def _identity(instance: str, starts: Mapping[str, tuple[float, float]]) -> str:
    """Return a gateway pod's identity; the start of its process makes a restart a new exporter."""
    started = datetime.fromtimestamp(starts[instance][1], UTC).replace(microsecond=0)
    return f"{instance}@{started.isoformat()}"


def _instance(labels: Mapping[str, str]) -> str:
    """Return which process a series comes from."""
    return labels.get("instance", "?")


def _vector(result: Any, promql: str) -> list[tuple[Mapping[str, str], float]]:
    """Return the entries of a vector or scalar."""
    try:
        if result and not isinstance(result[0], dict):  # a scalar is [time, "value"]
            result = [{"metric": {}, "value": result}]
        found = [(dict(entry["metric"]), float(entry["value"][1])) for entry in result]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise Broken("PROMETHEUS_NONSENSE", f"Prometheus answered no vector to: {promql}") from error
    return [(labels, value) for labels, value in found if not math.isnan(value)]


def _series(entry: Any, selector: str) -> Series:
    """Return one entry of a matrix."""
    try:
        samples = tuple((float(at), float(value)) for at, value in entry["values"])
        return Series(dict(entry["metric"]), samples)
    except (KeyError, TypeError, ValueError) as error:
        raise Broken("PROMETHEUS_NONSENSE", f"Prometheus answered no series to: {selector}") from error


def _refused(place: str, promql: str, error: Exception) -> NoReturn:
    """Sort an answer that is not 200: the server's trouble, or the query's."""
    words = str(error)
    if "Status Code 4" in words and "Status Code 429" not in words and "Status Code 408" not in words:
        raise Broken("PROMQL_REFUSED", f"{place} refused the query {promql}: {words[:300]}") from error
    raise _unreachable(place, error) from error


def _unreachable(place: str, error: Exception) -> Unavailable:
    """Return that nothing is known."""
    return Unavailable("PROMETHEUS_UNREACHABLE", f"{place} does not answer: {type(error).__name__}", _HELP)
