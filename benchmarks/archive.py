"""What following a real Orthanc costs: a first sync, from C-STORE to findable, and from a deletion to gone.

    python benchmarks/archive.py [sync arrive delete] [--instances N] [--rounds 3] [--apart] [--json FILE]

It starts an Orthanc of its own (Debian's orthanc, orthanc-dicomweb, dcmtk and curl are needed) and the workers.
A first sync is measured in turns with its parts, so that a neighbour's load on the machine hits all alike: `curl`
makes a request for each object, `fetch` brings all objects to disk and does nothing else, `sync` converts and
records them too, and `index` extracts features besides. All these know beforehand what there is: `bring` lists it
while it fetches, and `first` converts and records besides, as a worker does. The peer, `client`, is what one writes
with dicomweb-client: it lists, and brings each object to disk by a request of its own. Each runs in a process of
its own, on a new installation. With `--apart` Orthanc has the first core and we the others, as if it stood on a
machine of its own, which archives do.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import hospital
import requests
from dicomweb_client import DICOMwebClient
from following import arrivals, deletions
from pydicom import Dataset
from requests.adapters import HTTPAdapter

from cbmir.archive import registry
from cbmir.archive.connection import ArchiveKind
from cbmir.archive.dicomweb import entries
from cbmir.services.archives.extraction import Extraction
from cbmir.services.archives.registered import followed
from cbmir.services.archives.sweep import sweep
from cbmir.services.archives.sync import synchronise
from cbmir.services.conversion.isolation import Isolation
from cbmir.types import RemoteInstance

KINDS = (ArchiveKind.DICOMWEB, ArchiveKind.ORTHANC)
STEPS = ("curl", "fetch", "sync", "index", "bring", "first")
PEERS = {ArchiveKind.DICOMWEB: ("client",)}
BARE = {"sync": "fetch", "index": "fetch", "first": "bring"}
"""What of a step is the archive's."""

SHARE, MEDIAN_SECONDS, LATE_SECONDS, GONE_SECONDS = 0.30, 2.0, 5.0, 60.0
"""Goals: our share of a first sync; median and 99 % from C-STORE to findable; the longest deletion."""


def main() -> None:
    """Measure, print, and write the JSON if asked to."""
    asked = _arguments()
    if asked.step:
        print(
            json.dumps(perform(asked.step, ArchiveKind(asked.kind), hospital.Orthanc(**json.loads(asked.server))))
        )
        return
    result: dict[str, Any] = {"machine": hospital.machine()}
    print(" | ".join(f"{name} {value}" for name, value in result["machine"].items()))
    if "sync" in asked.parts:
        result["sync"] = first_sync(asked.instances, asked.rounds, asked.kinds, apart=asked.apart)
    if "arrive" in asked.parts:
        result["arrive"] = arrive(asked.arrivals, asked.per_second)
    if "delete" in asked.parts:
        result["delete"] = delete(asked.deletions)
    print(f"the machine's load was {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["sync", "arrive", "delete"])
    parser.add_argument("--instances", type=int, default=2000, help="objects of a first sync, 128 KB each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", type=ArchiveKind, default=KINDS, help="protocols of a first sync")
    parser.add_argument("--arrivals", type=int, default=300)
    parser.add_argument("--per-second", type=float, default=5.0)
    parser.add_argument("--deletions", type=int, default=12)
    parser.add_argument("--apart", action="store_true", help="Orthanc on a core of its own")
    parser.add_argument("--json", type=Path)
    for inner in ("--step", "--kind", "--server"):
        parser.add_argument(inner, help=argparse.SUPPRESS)
    return parser.parse_args()


def first_sync(count: int, rounds: int, kinds: Sequence[ArchiveKind], *, apart: bool) -> dict[str, Any]:
    """Every step of the protocols, in turns."""
    theirs, ours = (0, f"1-{(os.cpu_count() or 2) - 1}") if apart else (None, None)
    steps = {kind: (*STEPS, *PEERS.get(kind, ())) for kind in kinds}
    found: dict[str, dict[str, list[dict[str, float]]]] = {
        kind: {step: [] for step in steps[kind]} for kind in kinds
    }
    with tempfile.TemporaryDirectory() as folder, hospital.orthanc(Path(folder) / "orthanc", core=theirs) as server:
        hospital.draw(Path(folder) / "objects", count)
        hospital.send(server, Path(folder) / "objects")
        for _ in range(rounds):
            for kind in kinds:
                for step in steps[kind]:
                    found[kind][step].append(_apart(step, kind, server, ours))
    for name, runs in found.items():
        _print_sync(name, count, runs)
    return found


def _apart(step: str, kind: ArchiveKind, server: hospital.Orthanc, cores: str | None) -> dict[str, float]:
    """A step in a process of its own, with what Orthanc used of the processor meanwhile."""
    used = server.processor_seconds()
    words = ["--step", step, "--kind", kind, "--server", json.dumps(asdict(server))]
    command = [*hospital.on_cores(cores), sys.executable, __file__, *words]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, float] = json.loads(told.splitlines()[-1])
    print(f"  {kind} {step}: {figures['seconds']:.1f} s", file=sys.stderr)
    return {**figures, "archive_processor_seconds": server.processor_seconds() - used}


def _print_sync(kind: str, count: int, steps: Mapping[str, list[dict[str, float]]]) -> None:
    print(f"\nfirst sync of {count:,} objects of 128 KB by {kind}")
    print(
        f"{'':<8}{'seconds':>9}{'spread':>16}{'objects/s':>11}{'to curl':>9}{'own CPU':>9}{'Orthanc':>9}"
        f"{'peak MB at 10 %, end':>24}"
    )
    limit = _median(steps["curl"], "seconds")
    for step, runs in steps.items():
        seconds = [run["seconds"] for run in runs]
        middle = statistics.median(seconds)
        peaks = f"{_median(runs, 'early_mb'):.0f}, {_median(runs, 'peak_mb'):.0f}" if "peak_mb" in runs[0] else ""
        print(
            f"{step:<8}{middle:>9.1f}{f'{min(seconds):.1f} to {max(seconds):.1f}':>16}{count / middle:>11.0f}"
            f"{middle / limit:>9.2f}{_median(runs, 'processor_seconds'):>9.1f}"
            f"{_median(runs, 'archive_processor_seconds'):>9.1f}{peaks:>24}"
        )
    for step, bare in BARE.items():
        shares = [1 - one["seconds"] / run["seconds"] for one, run in zip(steps[bare], steps[step], strict=True)]
        each = _percents(shares)
        print(f"our share of {step}: {statistics.median(shares):.0%} ({each}); goal under {SHARE:.0%}")
    if "client" in steps:
        _print_beside_client(steps)
    print(f"to list them all took {_median(steps['sync'], 'listing_seconds'):.1f} s before")


def _print_beside_client(steps: Mapping[str, list[dict[str, float]]]) -> None:
    ratios = [one["seconds"] / run["seconds"] for one, run in zip(steps["first"], steps["client"], strict=True)]
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"first over what the client takes to bring them: {statistics.median(ratios):.2f} ({each})")


def _median(runs: list[dict[str, float]], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def _percents(shares: list[float]) -> str:
    return ", ".join(f"{share:.0%}" for share in shares)


def perform(step: str, kind: ArchiveKind, server: hospital.Orthanc) -> dict[str, float]:
    """One step, in this process: its seconds and what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        if step == "curl":
            return _curl(server, kind, Path(folder))
        if step == "client":
            return _client(server, Path(folder))
        if step == "fetch":
            return _fetch(server, kind, Path(folder))
        if step == "bring":
            return _bring(server, kind, Path(folder))
        if step == "first":
            return _first(server, kind, Path(folder))
        return _sync(server, kind, Path(folder), encoder=step == "index")


def _curl(server: hospital.Orthanc, kind: ArchiveKind, folder: Path) -> dict[str, float]:
    """One GET an object, as many at one time as the adapter has, into nothing."""
    connection = server.connection(kind)
    config = folder / "curl"
    accept = 'multipart/related; type=\\"application/dicom\\"; transfer-syntax=*'
    lines = [f'user = "{server.username}:{server.password}"', "silent", "fail", f'header = "Accept: {accept}"']
    for each in _listed(server, kind):
        lines += [f'url = "{_url(connection.address, kind, each)}"', 'output = "/dev/null"']
    config.write_text("\n".join(lines))
    began = time.perf_counter()
    options = [
        "--no-progress-meter",
        "--parallel",
        "--parallel-immediate",
        "--parallel-max",
        str(connection.parallel),
    ]
    subprocess.run(["curl", *options, "--config", str(config)], check=True)
    used = os.times()
    return {"seconds": time.perf_counter() - began, "processor_seconds": used.children_user + used.children_system}


def _client(server: hospital.Orthanc, folder: Path) -> dict[str, float]:
    """All objects to disk by dicomweb-client, study by study, in as many threads as the adapter has."""
    connection = server.connection(ArchiveKind.DICOMWEB)
    session = requests.Session()
    session.auth = server.username, server.password
    session.mount("http://", HTTPAdapter(pool_maxsize=connection.parallel))
    client = DICOMwebClient(connection.address, session)

    def bring(entry: Mapping[str, Any]) -> None:
        study, series, uid = (
            entry[tag]["Value"][0] for tag in (entries.STUDY_UID, entries.SERIES_UID, entries.SOP_UID)
        )
        found: Dataset = client.retrieve_instance(study, series, uid, media_types=(("application/dicom", "*"),))
        found.save_as(folder / f"{uid}.dcm")

    began, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(connection.parallel) as pool:
        for study in client.search_for_studies():
            list(pool.map(bring, client.search_for_instances(study[entries.STUDY_UID]["Value"][0])))
    return {"seconds": time.perf_counter() - began, "processor_seconds": time.process_time() - used}


def _url(address: str, kind: ArchiveKind, each: RemoteInstance) -> str:
    if kind is ArchiveKind.ORTHANC:
        return f"{address}/instances/{each.remote_id}/file"
    series = f"{address}/studies/{each.study_instance_uid}/series/{each.series_instance_uid}"
    return f"{series}/instances/{each.sop_instance_uid}"


def _listed(server: hospital.Orthanc, kind: ArchiveKind) -> list[RemoteInstance]:
    archive = registry.connect(server.connection(kind))
    try:
        return [each for study in archive.studies() for each in archive.instances(study.study_instance_uid)]
    finally:
        archive.close()


def _fetch(server: hospital.Orthanc, kind: ArchiveKind, folder: Path) -> dict[str, float]:
    """All objects to disk, and nothing else done with them."""
    listed, watch = _listed(server, kind), _Watch()
    archive = registry.connect(server.connection(kind))
    began, used = time.perf_counter(), time.process_time()
    for done, each in enumerate(archive.fetch(listed, folder), start=1):
        assert each.file is not None, each.error
        each.file.unlink()
        watch.update(done, len(listed))
    figures = {"seconds": time.perf_counter() - began, "processor_seconds": time.process_time() - used}
    archive.close()
    return {**figures, **watch.figures()}


def _bring(server: hospital.Orthanc, kind: ArchiveKind, folder: Path) -> dict[str, float]:
    """All objects to disk, study by study as they are listed meanwhile, and nothing else done with them."""
    lister, fetcher = (registry.connect(server.connection(kind)) for _ in range(2))
    listed: SimpleQueue[list[RemoteInstance] | None] = SimpleQueue()

    def list_them() -> None:
        for study in lister.studies():
            listed.put(list(lister.instances(study.study_instance_uid)))
        listed.put(None)

    began, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(1) as pool:
        listing = pool.submit(list_them)
        for some in iter(listed.get, None):
            for each in fetcher.fetch(some, folder):
                assert each.file is not None, each.error
                each.file.unlink()
        listing.result()
    lister.close()
    fetcher.close()
    return {"seconds": time.perf_counter() - began, "processor_seconds": time.process_time() - used}


def _first(server: hospital.Orthanc, kind: ArchiveKind, folder: Path) -> dict[str, float]:
    """List the archive, and meanwhile fetch, convert and record what is listed already."""
    with (
        hospital.installation(folder, server.connection(kind), encoder=False) as (settings, database),
        followed(database, settings, "pacs") as lister,
        followed(database, settings, "pacs") as archive,
        Isolation() as isolation,
        ThreadPoolExecutor(1) as pool,
    ):
        _start(isolation)
        watch, began, used = _Watch(), time.perf_counter(), time.process_time()
        sweeping = pool.submit(sweep, lister)
        synced = synchronise(archive, watch, isolation, more_may_come=lambda: not sweeping.done())
        assert synced.ingested == synced.files == sweeping.result().pending, synced
        seconds, own = time.perf_counter() - began, time.process_time() - used
    return {"seconds": seconds, "processor_seconds": own, **watch.figures()}


def _sync(server: hospital.Orthanc, kind: ArchiveKind, folder: Path, *, encoder: bool) -> dict[str, float]:
    """List the archive, then all that a job does; the listing is told apart."""
    with (
        hospital.installation(folder, server.connection(kind), encoder=encoder) as (settings, database),
        followed(database, settings, "pacs") as archive,
        Isolation() as isolation,
    ):
        _start(isolation)
        began = time.perf_counter()
        sweep(archive)
        listing = time.perf_counter() - began
        watch, began, used = _Watch(), time.perf_counter(), time.process_time()
        extracting = Extraction(database, settings) if encoder else nullcontext()
        with extracting as extraction:
            after = extraction.wake if extraction else lambda: None
            synced = synchronise(archive, watch, isolation, after=after)
        seconds = time.perf_counter() - began
        assert synced.ingested == synced.files, synced
        own = time.process_time() - used
    return {"seconds": seconds, "processor_seconds": own, "listing_seconds": listing, **watch.figures()}


def _start(isolation: Isolation) -> None:
    """Have all processes started: a worker keeps them so."""
    with ThreadPoolExecutor(isolation.processes) as threads:
        waiting = [threads.submit(isolation.run, "", 0, time.sleep, 1.0) for _ in range(2 * isolation.processes)]
        for each in waiting:
            each.result()


@dataclass
class _Watch:
    """Progress that notes the process's peak resident memory at a tenth of the work, and at its end."""

    early_mb: float = field(default=0.0)

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        if not self.early_mb and total and done >= total / 10:
            self.early_mb = _peak_mb()

    def figures(self) -> dict[str, float]:
        return {"early_mb": self.early_mb, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


def _ways() -> list[str]:
    """How we learn of changes: by Orthanc's log and counts, and, if there is a route to tell us, by our script."""
    return ["log", "script"] if find_spec("cbmir_web.api.archives") else ["log"]


def arrive(count: int, per_second: float) -> dict[str, Any]:
    """From C-STORE to findable, by Orthanc's log and by our script's word."""
    found = {}
    for way in _ways():
        with tempfile.TemporaryDirectory() as folder:
            taken, answer = arrivals(Path(folder), count, per_second, script=way == "script")
        found[way] = {"seconds": taken, "query_seconds": answer}
        print(f"\nfrom C-STORE to findable at {per_second:g} objects/s, {count} objects, told by Orthanc's {way}")
        _print_times(taken)
        late = statistics.quantiles(taken, n=100)[98]
        print(
            f"to the goal: median {statistics.median(taken) / MEDIAN_SECONDS:.2f}, 99 % {late / LATE_SECONDS:.2f}"
        )
        print(f"then a query for the last one was answered in {answer:.2f} s")
    return found


def delete(count: int) -> dict[str, Any]:
    """From DELETE in Orthanc to gone here."""
    found = {}
    for way in _ways():
        with tempfile.TemporaryDirectory() as folder:
            found[way] = deletions(Path(folder), count, script=way == "script")
        print(f"\nfrom DELETE to gone, {count} objects one after the other, told by {way}")
        _print_times(found[way])
        print(f"the longest to the goal: {max(found[way]) / GONE_SECONDS:.2f}")
    return found


def _print_times(taken: list[float]) -> None:
    late = statistics.quantiles(taken, n=100)[98] if len(taken) > 99 else max(taken)
    middle = statistics.median(taken)
    print(f"median {middle:.2f} s, 99 % {late:.2f} s, {min(taken):.2f} to {max(taken):.2f} s")


if __name__ == "__main__":
    main()
