"""What is counted in all slots, in the formats of Prometheus and OpenMetrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from math import inf
from typing import Final

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from api.metrics.families import FAMILIES, Family
from api.metrics.memory import EXEMPLAR, Memory

Labels = tuple[str, ...]


class Totals(Collector):
    """The figures of all processes together. Those that have ended count on in the counters, and not in the gauges."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def collect(self) -> Iterator[Metric]:
        cells: dict[str, dict[Labels, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
        exemplars: dict[tuple[str, Labels], list[list[bytes]]] = defaultdict(list)
        for slot in self._memory.slots():
            is_there = slot.owner > 0
            for family, labels, values, kept in slot.read():
                if is_there or family.kind != "gauge":
                    cells[family.name][labels].append(values)
                    if kept:
                        exemplars[family.name, labels].append(kept)
        for family in FAMILIES.values():
            series = cells[family.name]
            match family.kind:
                case "counter":
                    yield _counter(family, series)
                case "gauge":
                    yield _gauge(family, series)
                case "histogram":
                    yield _histogram(family, series, exemplars)
        yield from _processes([slot.owner for slot in self._memory.slots() if slot.owner > 0])


def _counter(family: Family, series: dict[Labels, list[list[float]]]) -> Metric:
    metric = CounterMetricFamily(family.name, family.meaning, labels=family.labels)
    for labels, values in sorted(series.items()):
        metric.add_metric(labels, sum(each for (each,) in values))
    return metric


def _gauge(family: Family, series: dict[Labels, list[list[float]]]) -> Metric:
    metric = GaugeMetricFamily(family.name, family.meaning, labels=family.labels)
    for labels, values in sorted(series.items()):
        metric.add_metric(labels, family.merge(each for (each,) in values))
    return metric


def _histogram(
    family: Family, series: dict[Labels, list[list[float]]], exemplars: dict[tuple[str, Labels], list[list[bytes]]]
) -> Metric:
    metric = HistogramMetricFamily(family.name, family.meaning, labels=family.labels)
    bounds = [_shown(bound) for bound in family.bounds]
    for labels, values in sorted(series.items()):
        total, *counts = (sum(column) for column in zip(*values, strict=True))
        kept = [max(column, key=_moment) for column in zip(*exemplars.get((family.name, labels), ()), strict=True)]
        upto = 0.0
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
        for number, (bound, count) in enumerate(zip(bounds, counts, strict=True)):
            upto += count
            exemplar = _exemplar(kept[number]) if kept else None
            buckets.append((bound, upto) if exemplar is None else (bound, upto, exemplar))
        metric.add_metric(labels, buckets, total)
    return metric


def _shown(bound: float) -> str:
    return "+Inf" if bound == inf else str(bound)


def _moment(exemplar: bytes) -> float:
    moment: float = EXEMPLAR.unpack(exemplar)[2]
    return moment


def _exemplar(kept: bytes) -> Exemplar | None:
    trace, value, moment = EXEMPLAR.unpack(kept)
    return Exemplar({"trace_id": trace.hex()}, value, moment) if moment else None


_OF_ONE: Final = frozenset({"process_start_time_seconds", "process_max_fds"})
"""Of these, the least of all processes is shown; of the others, the sum."""


def _processes(owners: Sequence[int]) -> Iterator[Metric]:
    """Memory and files of these processes, as Linux tells them. Their CPU time is counted: it outlives them."""
    found: dict[str, list[Metric]] = defaultdict(list)
    for owner in owners:
        for metric in ProcessCollector(pid=partial(str, owner), registry=None).collect():
            if metric.type == "gauge":
                found[metric.name].append(metric)
    for name, metrics in found.items():
        merge = min if name in _OF_ONE else sum
        value = merge(metric.samples[0].value for metric in metrics)
        yield GaugeMetricFamily(name, metrics[0].documentation, value=value)
