"""The file that an instance came from, read once more while it is still the same."""

from __future__ import annotations

from cbmir.archive.folder import Content, Source, sha256_of, sources_at, unreadable
from cbmir.errors import NotFound
from cbmir.settings import Settings
from cbmir.store.tables import Instance


def read_again(instance: Instance, settings: Settings) -> tuple[Source, Content]:
    """Where an instance came from, and what is in it.

    Raises:
        cbmir.errors.NotFound: if it is no longer there, or is another file now.
        cbmir.errors.UnusableInput: if it cannot be read, or is in a zip that is damaged now.
    """
    source = _source(instance, settings)
    try:
        content = source.read()
        found = sha256_of(content)
    except OSError as error:
        raise unreadable(instance.file_name, error) from error
    if found != instance.sha256:
        raise NotFound(
            f"Where {instance.file_name} came from there is another file now.", "Ingest it again from where it is."
        )
    return source, content


def _source(instance: Instance, settings: Settings) -> Source:
    for found in sources_at(instance.origin, instance.file_name, settings):
        if isinstance(found, Source) and found.origin == instance.origin:
            return found
        if not isinstance(found, Source):
            raise found.error
    raise NotFound(f"{instance.file_name} is no longer where it was.", "Ingest it again from where it is now.")
