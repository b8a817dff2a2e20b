"""What the forms call their fields: for the labels before them, and for the errors about them."""

from __future__ import annotations

from collections.abc import Mapping

ARCHIVE: Mapping[str, str] = {
    "address": "Address",
    "name": "Name",
    "kind": "Protocol",
    "username": "User name",
    "password": "Password",
    "token": "Bearer token",
    "token_url": "Token URL",
    "client_id": "Client id",
    "client_secret": "Client secret",
    "scope": "Scope",
    "authority": "Its certificate is signed by",
    "certificate": "Our certificate",
    "key": "Its private key",
    "modalities": "Only these modalities",
    "without_modalities": "Not these modalities",
    "body_parts": "Only these body parts",
    "since": "First study date",
    "until": "Last study date",
    "viewer": "Viewer",
    "tls": "Encrypt DIMSE associations",
    "calling_aet": "Our AE title",
    "parallel": "Requests at once",
    "requests_per_second": "Requests a second at most",
    "timeout_seconds": "Seconds that an answer may take",
    "recheck_days": "Days within which each study is fetched again",
}
"""Of the forms that add and edit an archive."""

SEARCH: Mapping[str, str] = {
    "sop_instance_uid": "SOP Instance UID of an image in the archive",
    "frame_number": "Frame, of several",
    "k": "How many hits",
    "one_per": "One hit of each",
    "encoder": "Encoder",
}
"""Of the form that asks for similar images."""
