"""`cbmir archive`: the archives (PACS) that are followed."""

from __future__ import annotations

import click

from cbmir.cli.archives.add import add_command, print_checks
from cbmir.cli.archives.edit import edit_command
from cbmir.cli.archives.orthanc_config import orthanc_config_command
from cbmir.cli.archives.report import report_command, teach_command
from cbmir.cli.archives.serve import serve_command
from cbmir.cli.archives.words import Words
from cbmir.cli.context import Context, json_option, print_json
from cbmir.words import counted


@click.group("archive")
def archive_command() -> None:
    """Follow archives (PACS): what they hold is indexed, what they delete is deleted."""


@archive_command.command("test")
@click.argument("name")
@json_option
@click.pass_obj
def test_command(context: Context, name: str, as_json: bool) -> int:
    """Reach an archive, log in, and say what it can do; exit status 1 if something is wrong."""
    from cbmir.services.archives.check import test
    from cbmir.services.archives.registered import connection_to

    checks = test(connection_to(context.database, context.settings, name))
    if as_json:
        print_json([vars(each) for each in checks])
        return 0 if all(each.fine for each in checks) else 1
    return 0 if print_checks(checks) else 1


@archive_command.command("sync")
@click.argument("name")
@click.option("--again", is_flag=True, help="Fetch everything again, also what seems unchanged.")
@click.option("--accept-deletions", is_flag=True, help="Believe an archive that lists nothing any more.")
@json_option
@click.pass_obj
def sync_command(context: Context, name: str, again: bool, accept_deletions: bool, as_json: bool) -> None:
    """Compare an archive as a whole, delete what is gone from it, and fetch what is new.

    Where workers run (`cbmir up`) they follow it by themselves: this asks them to compare it now.
    """
    from cbmir.services.archives.catch_up import sync

    asked = {"again": again, "accept_deletions": accept_deletions}
    with context.progress("sync") as progress:
        done = sync(context.database, context.settings, name, progress, **asked)
    if as_json:
        print_json({"handed_to_workers": done is None, **(done.as_json() if done else {})})
    elif done is None:
        click.echo(
            f"Workers, or another `archive sync`, follow {name}, and compare it now; `cbmir archive status` tells "
            "how it goes. If that one was killed, this is known after half a minute: ask again then."
        )
    else:
        synced = done.fetched
        click.echo(
            f"{synced.ingested:,} fetched, {synced.duplicates:,} known already, {synced.quarantined:,} put into "
            f"the quarantine, {synced.failed:,} not to be had, {done.deleted:,} deleted."
            + (f" `cbmir archive status {name}` says why objects are not to be had." if synced.failed else "")
        )


@archive_command.command("status")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@json_option
@click.pass_obj
def status_command(context: Context, names: tuple[str, ...], as_json: bool) -> int:
    """Say how each archive is: reached or not, how far behind, what is wrong; exit status 1 if something is."""
    from cbmir.services.archives.backlog import backlog
    from cbmir.services.archives.status import of, overview

    with context.database.read() as session:
        found = [of(session, name) for name in names] if names else overview(session)
        received = backlog(session, context.settings)
    if as_json:
        print_json([each.as_json() for each in found])
    for each in [] if as_json else found:
        click.echo(Words(each).line)
        for said in Words(each).complaints:
            click.echo(f"    {said}")
    if received.objects:
        click.echo(f"{received.reason} {received.remedy}" if received.reason else f"{received.said}.", err=as_json)
    elif not found and not as_json:
        click.echo("No archive is followed: `cbmir archive add NAME ADDRESS` adds one.")
    return 1 if received.reason or any(each.error_code or each.troubled for each in found) else 0


@archive_command.command("verify")
@click.argument("name")
@json_option
@click.pass_obj
def verify_command(context: Context, name: str, as_json: bool) -> int:
    """Compare every object of an archive with the index, change nothing, and print the differences; exit status 1
    if there are any."""
    from cbmir.services.archives.registered import followed
    from cbmir.services.archives.verify import verify

    with followed(context.database, context.settings, name) as archive, context.progress("verify") as progress:
        verified = verify(archive, progress)
    if as_json:
        print_json(verified.as_json())
        return 1 if verified.differences else 0
    for each in verified.differences:
        click.echo(f"{each.kind}: {each.sop_instance_uid} (study {each.study_instance_uid})")
    click.echo(
        f"{verified.listed:,} objects in the archive: {verified.held:,} held here, {verified.skipped:,} without a "
        f"picture or not wanted, {verified.set_aside:,} set aside; "
        f"{counted(len(verified.differences), 'difference')}."
    )
    if verified.by_uid_alone:
        click.echo(
            f"{verified.by_uid_alone:,} were compared by UID alone, since the archive gives no digest: one "
            f"that was replaced under its UID is not seen. `cbmir archive sync {name} --again` fetches all again."
        )
    return 1 if verified.differences else 0


@archive_command.command("pause")
@click.argument("name")
@click.pass_obj
def pause_command(context: Context, name: str) -> None:
    """Leave an archive alone until it is resumed."""
    from cbmir.services.archives.steering import pause

    pause(context.database, name)
    click.echo(f"{name} is left alone; `cbmir archive resume {name}` follows it again.")


@archive_command.command("resume")
@click.argument("name")
@click.pass_obj
def resume_command(context: Context, name: str) -> None:
    """Follow a paused archive again."""
    from cbmir.services.archives.steering import resume

    resume(context.database, name)
    click.echo(f"{name} is followed again.")


@archive_command.command("remove")
@click.argument("name")
@click.option("--keep-images", "delete_images", flag_value="no", help="The images that came from it stay.")
@click.option("--delete-images", "delete_images", flag_value="yes", help="They are deleted here, features too.")
@click.pass_obj
def remove_command(context: Context, name: str, delete_images: str | None) -> None:
    """Follow an archive no longer. Say what is to become of its images."""
    from cbmir.services.archives.registered import remove

    if delete_images is None:
        raise click.UsageError("Say --keep-images or --delete-images.")
    deleted = remove(context.database, context.settings, name, delete_images=delete_images == "yes")
    click.echo(f"{name} is removed; {deleted:,} images were deleted.")


for command in (add_command, edit_command, orthanc_config_command, report_command, serve_command, teach_command):
    archive_command.add_command(command)
