"""The settings of one installation: read once from `CBMIR_*` at an entry point, then handed in."""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import get_type_hints

from cbmir.errors import BadRequest

SECRET_BYTES = 32
"""Of a secret key that is made here; it is written in hexadecimal digits."""


@dataclass(frozen=True)
class Settings:
    """Each field is the environment variable `CBMIR_` + its name in capitals; a secret may also be the path
    of a file that holds it, in `CBMIR_<NAME>_FILE`."""

    data: Path = Path("cbmir-data")
    """Folder of everything that the installation keeps: database, pictures, weights, uploads, sockets."""

    database_url: str = field(default="", repr=False)
    """SQLAlchemy URL; empty means a SQLite file in `data`. May hold a password."""

    broker_url: str = field(default="", repr=False)
    """Redis URL; empty means a Redis that cbmir starts itself on a private socket. May hold a password."""

    secret_key: str = field(default="", repr=False)
    """Signs sessions and turns patient ids into pseudonyms; empty means the one kept in `data`. Hosts that share
    a database must share it."""

    host: str = "127.0.0.1"
    """Address that the web binds to; any but loopback asks for `username` and `password`."""

    port: int = 8000
    """TCP port of the web."""

    username: str = ""
    """Name for HTTP Basic authentication; empty means none is asked, which only loopback allows."""

    password: str = field(default="", repr=False)
    """Password that goes with `username`."""

    trusted_hosts: str = ""
    """Host names, separated by commas, that requests may name beside loopback (against DNS rebinding)."""

    max_upload_bytes: int = 512 * 1024 * 1024
    """Largest request body in bytes; a larger one is refused with 413."""

    max_file_bytes: int = 2 * 1024 * 1024 * 1024
    """Largest file that is read into memory, in bytes: a picture, a deflated object, or a member of a zip. Other
    DICOM objects on disk are read frame by frame, whatever their size."""

    max_pixels: int = 50_000_000
    """Most pixels of one frame that are decoded: bounds memory to 1 GB a frame."""

    max_unpacked_bytes: int = 64 * 1024 * 1024 * 1024
    """Most bytes that one zip may unpack to: a zip bomb stops here."""

    frames: str = "spread"
    """Which frames of an object are indexed: `all`; `every:N`; `spread`, evenly, at most `max_frames`; or
    `representative`, at most `max_frames` that differ, for which every frame is decoded."""

    max_frames: int = 64
    """Most frames indexed of one object, unless `frames` is `all`."""

    window: str = "auto"
    """How grey pictures are windowed: `auto`, by the object's own VOI LUT or window, else by percentiles; `voi`,
    the object's own, else all values; `full`, all values; or CENTER,WIDTH."""

    crop: str = "none"
    """`tissue` crops each picture to the region that holds tissue, away from burned-in text and markers."""

    waveform: str = "traces"
    """How ECG and EEG are drawn: `traces` or `spectrogram`."""

    picture_side: int = 512
    """Longer side in pixels of a stored picture: enough for a screen and for every encoder of today."""

    batch_size: int = 64
    """Pictures encoded at once in extraction."""

    threads: int = 0
    """Threads in one process; 0 means one for retrieval, and one for each core in extraction and training."""

    nothing_similar_below: float = 0.05
    """Confidence below which an answer begins with "nothing similar": about this share of ordinary queries is then
    called so by mistake. 0 means that none is judged, which saves its time."""

    index: str = "exact"
    """Where features are searched: `exact`, in files of the data folder; `hnsw`, there too, but approximate;
    `pgvector`, approximate, in PostgreSQL; or `milvus`, approximate, in a Milvus at `milvus_url`."""

    milvus_url: str = field(default="", repr=False)
    """`http://USER:PASSWORD@HOST:19530` of a Milvus, or a file that `milvus-lite` opens for one process alone."""

    queries_kept_days: int = 0
    """Days after which a search is deleted with its answer, its explanations and the picture that was handed in for
    it; 0 keeps them for ever."""

    heartbeat_seconds: float = 5.0
    """How often a running job says that it lives, in seconds."""

    heartbeat_timeout_seconds: float = 30.0
    """After this silence, in seconds, a running job counts as dead and is queued again."""

    @property
    def resolved_database_url(self) -> str:
        """The database URL, with the embedded default filled in."""
        return self.database_url or f"sqlite:///{self.data.absolute() / 'cbmir.sqlite'}"

    @property
    def pictures(self) -> Path:
        """Folder of the stored 2D pictures."""
        return self.data / "pictures"

    @property
    def weights(self) -> Path:
        """Folder of the trained encoders' weights."""
        return self.data / "weights"

    @property
    def training(self) -> Path:
        """Folder of the checkpoints of unfinished trainings."""
        return self.data / "training"

    @property
    def uploads(self) -> Path:
        """Folder of files handed in over the web, until their job is done."""
        return self.data / "uploads"

    @property
    def indexes(self) -> Path:
        """Folder of the index files, which are made from the database whenever they are missing."""
        return self.data / "indexes"

    @property
    def spool(self) -> Path:
        """Folder of objects fetched from archives, until they are recorded."""
        return self.data / "spool"

    @property
    def received(self) -> Path:
        """Folder of objects that were sent to `cbmir archive serve`, until they are recorded."""
        return self.data / "received"

    @property
    def certificates(self) -> Path:
        """Folder of certificates and keys, laid there by hand, that the web may name for archives."""
        return self.data / "certificates"

    @property
    def set_aside(self) -> Path:
        """Folder of the bytes of uploaded files that are in quarantine."""
        return self.data / "quarantine"

    @property
    def resolved_secret_key(self) -> str:
        """The secret key; made and kept in `data`, readable by its owner alone, where none is configured.

        Raises:
            cbmir.errors.BadRequest: if the kept one is not whole.
        """
        return self.secret_key or _kept_secret((self.data / "secret.key").absolute())

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **overrides: object) -> Settings:
        """Read `CBMIR_*`; `overrides` that are not None win.

        Raises:
            cbmir.errors.BadRequest: if a value is not of its field's type.
        """
        environment = os.environ if environment is None else environment
        hints = get_type_hints(cls)
        values: dict[str, object] = {}
        for each in fields(cls):
            text = _from_environment(environment, each.name)
            if text is not None:
                values[each.name] = _parse(each.name, text, hints[each.name])
        values.update({name: value for name, value in overrides.items() if value is not None})
        return cls(**values)  # type: ignore[arg-type]


def is_loopback(host: str) -> bool:
    """True if only programs on this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refuse_open_door(settings: Settings) -> None:
    """Refuse to serve patients' images to a network without asking for a password.

    Raises:
        cbmir.errors.BadRequest: if `host` is not loopback and no password is configured, or half of one anywhere.
    """
    if not is_loopback(settings.host) and not (settings.username and settings.password):
        raise BadRequest(
            f"{settings.host} can be reached from other machines, and no password is configured.",
            "Set CBMIR_USERNAME and CBMIR_PASSWORD (or CBMIR_PASSWORD_FILE), or bind to 127.0.0.1.",
        )
    if bool(settings.username) != bool(settings.password):
        raise BadRequest(
            "Of CBMIR_USERNAME and CBMIR_PASSWORD only one is set: no password would be asked for.", "Set both."
        )


def _from_environment(environment: Mapping[str, str], name: str) -> str | None:
    variable = f"CBMIR_{name.upper()}"
    path = environment.get(f"{variable}_FILE")
    if path is None:
        return environment.get(variable)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadRequest(f"{variable}_FILE names {path}, which cannot be read: {error.strerror}.") from error


_CALLED = {int: "a whole number", float: "a number"}


def _parse(name: str, text: str, kind: type) -> object:
    try:
        return kind(text)
    except ValueError as error:
        raise BadRequest(f"CBMIR_{name.upper()} must be {_CALLED[kind]}, not {text!r}.") from error


@lru_cache(maxsize=8)  # it is asked for with each object, and never changes
def _kept_secret(path: Path) -> str:
    if not path.exists():
        _keep_secret(path, secrets.token_hex(SECRET_BYTES))
    kept = path.read_text(encoding="ascii").strip()
    if len(kept) < 2 * SECRET_BYTES:  # anybody could make the pseudonyms of a key that is empty
        raise BadRequest(
            f"The secret key in {path} is empty or cut off.",
            "Put it back from a backup. If it is lost, remove the file: known patients get other pseudonyms then.",
        )
    return kept


def _keep_secret(path: Path, secret: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{secrets.token_hex(8)}")  # threads of one process may race too
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())  # an empty file after a power failure would be taken for the key
        with suppress(FileExistsError):  # another process was first: its key counts
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
