"""Families of samples, with the prefix that all of ours have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

PREFIX = "mailweir_"
Samples = Iterable[tuple[tuple[str, ...], float]]
"""(label values, value) in the order of the labels' names."""


def gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def gauges(name: str, text: str, labels: str, samples: Samples) -> Metric:
    """`labels`: their names, with spaces between."""
    return _filled(GaugeMetricFamily(PREFIX + name, text, labels=labels.split()), samples)


def counter(name: str, text: str, value: float) -> Metric:
    """`name` without `_total`, which is added."""
    return CounterMetricFamily(PREFIX + name, text, value=value)


def counters(name: str, text: str, labels: str, samples: Samples) -> Metric:
    return _filled(CounterMetricFamily(PREFIX + name, text, labels=labels.split()), samples)


def each(values: Mapping[str, float]) -> Samples:
    """For one label."""
    return (((name,), value) for name, value in values.items())


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: Samples) -> Metric:
    for values, value in samples:
        family.add_metric(values, value)
    return family
