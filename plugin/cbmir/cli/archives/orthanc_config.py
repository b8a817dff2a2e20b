"""`cbmir archive orthanc-config`: what to write into Orthanc's configuration."""

from __future__ import annotations

import click

from cbmir.archive import orthanc_config
from cbmir.cli.context import Context, print_json
from cbmir.errors import BadRequest
from cbmir.settings import Settings, is_loopback


@click.command("orthanc-config")
@click.argument("name", required=False, default="")
@click.option(
    "--url", help="Base URL of cbmir's web, as browsers and Orthanc see it; this installation's by default."
)
@click.option(
    "--script", is_flag=True, help="For the script that Orthanc loads; else the buttons of Orthanc Explorer 2."
)
@click.pass_obj
def orthanc_config_command(context: Context, name: str, url: str | None, script: bool) -> None:
    """Print what belongs into Orthanc's configuration, as JSON.

    By default the buttons "Similar images" of Orthanc Explorer 2, which need no script. With --script, what makes
    Orthanc load the script of plugin/orthanc, which tells cbmir what is stored and deleted in the archive NAME.
    """
    from cbmir.services.archives.registered import refuse_all_but_orthanc

    address = url or _own_address(context.settings)
    if name:
        refuse_all_but_orthanc(context.database, name)
    if script:
        print_json(orthanc_config.script(address, name, context.settings.username))
    else:
        print_json(orthanc_config.buttons(address))


def _own_address(settings: Settings) -> str:
    if not is_loopback(settings.host):
        reason = "cbmir's web listens for other machines, and the name by which they reach it is not known here."
        raise BadRequest(reason, "Give its base URL with --url.")
    return f"http://127.0.0.1:{settings.port}"
