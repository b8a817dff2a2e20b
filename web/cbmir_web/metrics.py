"""The archive's counts as Prometheus metrics, read from the database when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from cbmir.services.archives.backlog import Backlog, backlog
from cbmir.services.archives.status import ArchiveStatus, overview
from cbmir.services.retrieval.library import Statistics, statistics
from cbmir.settings import Settings
from cbmir.store.session import Database


class Archive(Collector):
    """A collector over one installation."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: so that registering it does not ask the database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The counts of this moment.

        Raises:
            cbmir.errors.DatabaseUnavailable: if the database does not answer.
        """
        with self._database.read() as session:
            counted, followed = statistics(session), overview(session)
            received = backlog(session, self._settings)
        yield GaugeMetricFamily("cbmir_instances", "Stored objects.", value=counted.instances)
        yield GaugeMetricFamily("cbmir_frames", "2D images.", value=counted.frames)
        yield GaugeMetricFamily("cbmir_quarantined", "Files that could not be used.", value=counted.quarantined)
        yield _features(counted)
        yield _jobs(counted)
        yield _archives(followed)
        yield _archive_objects(followed)
        yield from _received(received)


def _features(counted: Statistics) -> GaugeMetricFamily:
    family = GaugeMetricFamily("cbmir_features", "Features by encoder.", labels=["encoder"])
    for encoder, number in counted.features.items():
        family.add_metric([encoder], number)
    return family


def _jobs(counted: Statistics) -> GaugeMetricFamily:
    family = GaugeMetricFamily("cbmir_jobs", "Jobs by kind and state.", labels=["kind", "state"])
    for (kind, state), number in counted.jobs.items():
        family.add_metric([kind, state], number)
    return family


def _archives(followed: list[ArchiveStatus]) -> GaugeMetricFamily:
    family = GaugeMetricFamily("cbmir_archive_connected", "1 if the archive answered last.", labels=["archive"])
    for each in followed:
        family.add_metric([each.name], float(bool(each.connected)))
    return family


def _archive_objects(followed: list[ArchiveStatus]) -> GaugeMetricFamily:
    said = "Objects of each archive by what became of them; behind: still to be fetched."
    family = GaugeMetricFamily("cbmir_archive_objects", said, labels=["archive", "state"])
    for each in followed:
        for state in ("behind", "held", "skipped", "set_aside", "deleted"):
            family.add_metric([each.name, state], getattr(each, state))
    return family


def _received(waits: Backlog) -> Iterator[GaugeMetricFamily]:
    said = "Objects that `cbmir archive serve` received and no worker has recorded yet."
    yield GaugeMetricFamily("cbmir_received_waiting", said, value=waits.objects)
    longest = "How long the one that waits longest has waited."
    yield GaugeMetricFamily("cbmir_received_waiting_seconds", longest, value=waits.waited.total_seconds())
