"""Where a DIMSE peer is: `AE@HOST:PORT`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from cbmir.archive.dimse.network import checked_aet
from cbmir.errors import BadRequest

FORM = re.compile(r"(?P<aet>[^@]+)@(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:@/\s]+)):(?P<port>[0-9]{1,5})")
MAX_PORT = 65_535


@dataclass(frozen=True)
class Address:
    """An AE title, and the host and TCP port that it listens on."""

    aet: str
    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> Self:
        """Read `AE@HOST:PORT`; an IPv6 address stands in brackets.

        Raises:
            cbmir.errors.BadRequest: if it is not of this form.
        """
        found = FORM.fullmatch(text.strip())
        if found is None:
            raise BadRequest(f"{text} is no address of a DICOM node.", "Write AE@HOST:PORT, as PACS@10.0.0.5:104.")
        if not 0 < int(found["port"]) <= MAX_PORT:
            raise BadRequest(
                f"{text} names no port.", f"A port is a number from 1 to {MAX_PORT}, mostly 104 or 11112."
            )
        return cls(checked_aet(found["aet"]), found["six"] or found["host"], int(found["port"]))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.aet}@{host}:{self.port}"
