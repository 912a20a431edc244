"""`marquee studio`: the studio's engines on files of this machine, with no broker."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.commands import studio_vision
from streams.commands.options import config_option, json_option, print_json, settings_of
from streams.printable import printable

if TYPE_CHECKING:
    from streams.studio.rendering import Outcome

MOST_PATH, MOST_REASON = 4_096, 2_000
FILM = click.argument("film", type=click.Path(path_type=Path, dir_okay=False))
title_option = click.option("--title", default="", help="The item's title.")
out_option = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to; by default beside here, named by the film.",
)
aspect_option = click.option("--aspect", default=None, help="Width to height, such as 9:16, 1:1 or source.")


@click.group(epilog="Example: marquee studio cut film.mp4 --target 30s --aspect 9:16")
def studio() -> None:
    """Engines that make content, on files of this machine; `marquee run --role studio` does so for content tasks."""


studio.add_command(studio_vision.train)
studio.add_command(studio_vision.evaluate)


@studio.command(epilog="Example: marquee studio engines --json")
@config_option
@json_option
def engines(config: Path | None, as_json: bool) -> int:
    """The engines in the order in which they are tried, and why one is not available."""
    from streams.studio import engines as registry
    from streams.studio.means import means_of

    settings = settings_of(config=config)

    found = [
        {
            "name": engine.name, "version": engine.version, "capability": engine.capability,
            "requires": engine.requires, "licence": engine.licence, "unavailable": engine.available(),
        }
        for engine in registry.load(settings.studio.engines, means_of(settings))
    ]  # fmt: skip
    if as_json:
        print_json({"engines": found})
        return 0
    for one in found:
        state = "available" if one["unavailable"] is None else f"not available: {one['unavailable']}"
        shown = f"{one['capability']:<10} {one['name']:<10} {one['licence']:<12} {state}"
        click.echo(printable(shown, most=MOST_REASON))
    return 0


@studio.command(epilog="Example: marquee studio cut film.mp4 --target 30s --aspect 9:16")
@FILM
@click.option("--target", default="30s", show_default=True, help="Length of the reel, seconds.")
@aspect_option
@click.option("--follow", is_flag=True, help="The window follows the subject of each shot, by our own detector.")
@click.option("--blur-background", is_flag=True, help="All but the subject of each shot.")
@click.option("--hide", metavar="CLASS,...", default="", help="Blur figures: person, car, ball, box, star.")
@title_option
@out_option
@config_option
@json_option
def cut(
    film: Path, target: str, aspect: str | None, follow: bool, blur_background: bool, hide: str, title: str,
    out: Path | None, config: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """A reel of a film's best shots, of a length and an aspect, with an edit list beside it."""
    try:
        target_s = float(target.removesuffix("s"))
    except ValueError:
        raise click.BadParameter(f"expected seconds, such as 30s, got {target!r}", param_hint="--target") from None
    spec: dict[str, Any] = {"target_s": target_s, **({"aspect": aspect} if aspect else {})}
    spec |= {"background": "blur"} if blur_background else {}
    spec |= {"hide": [one.strip() for one in hide.split(",") if one.strip()]} if hide else {}
    item = _film_item(film, title)
    first = ["follow"] if follow else []
    return _make("cut", item, spec, film=film, out=out, config=config, as_json=as_json, first=first)


@studio.command(epilog="Example: marquee studio image film.mp4 --aspect 16:9 --title 'Night Train'")
@FILM
@aspect_option
@click.option("--width", type=int, default=1280, show_default=True, help="At most so many pixels across.")
@title_option
@out_option
@config_option
@json_option
def image(
    film: Path, aspect: str | None, width: int, title: str, out: Path | None, config: Path | None, as_json: bool
) -> int:
    """A film's best picture, cropped, with its title on it where one is given."""
    spec = {"width": width, "title": bool(title), **({"aspect": aspect} if aspect else {})}
    return _make("image", _film_item(film, title), spec, film=film, out=out, config=config, as_json=as_json)


@studio.command(epilog="Example: marquee studio subtitle film.mkv --format srt --title 'Night Train'")
@FILM
@click.option(
    "--from", "source", type=click.Path(path_type=Path, dir_okay=False),
    help="SRT, VTT, or JSON with words and times; by default the film's own subtitle track, else what is said in it.",
)  # fmt: skip
@title_option
@click.option("--format", "form", type=click.Choice(["vtt", "srt"]), default="vtt", show_default=True)
@click.option("--burn", is_flag=True, help="Into the picture.")
@out_option
@config_option
@json_option
def subtitle(
    film: Path, source: Path | None, title: str, form: str, burn: bool, out: Path | None, config: Path | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Subtitles by the rules, of a text, a track or speech: lines, speed, gaps, breaks at clauses, changes of shot."""
    spec: dict[str, Any] = {"format": form, "burn": burn}
    item = _film_item(film, title)
    return _make("subtitles", item, spec, film=film, text=source, out=out, config=config, as_json=as_json)


@studio.command(epilog="Example: marquee studio dub film.mp4 --script lines.de.srt --locale de --voice espeak-ng")
@FILM
@click.option(
    "--script", type=click.Path(path_type=Path, dir_okay=False),
    help="SRT or VTT, or JSON with words and times; by default the film's subtitle track in that language.",
)  # fmt: skip
@click.option("--voice", default=None, help="Tried first: piper, piper:VOICE, flite:rms, espeak-ng, ...")
@click.option("--locale", default="en", show_default=True, help="The language of the dub.")
@click.option("--script-language", default=None, help="That of the script, if another: it is then translated.")
@out_option
@config_option
@json_option
def dub(
    film: Path, script: Path | None, voice: str | None, locale: str, script_language: str | None, out: Path | None,
    config: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """A film with its lines spoken in another language, over its own sound turned down; the picture as it is."""
    wishes = {"voice": voice, "text_language": script_language}
    spec: dict[str, Any] = {name: wish for name, wish in wishes.items() if wish is not None}
    item = _film_item(film, "")
    return _make("dub", item, spec, film=film, text=script, locale=locale, out=out, config=config, as_json=as_json)


@studio.command(epilog="Example: marquee studio blurb item.json --max-chars 200")
@click.argument("item", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--max-chars", type=int, default=280, show_default=True)
@click.option("--locale", default=None, help="What it is for, such as en-GB.")
@out_option
@config_option
@json_option
def blurb(item: Path, max_chars: int, locale: str | None, out: Path | None, config: Path | None, as_json: bool) -> int:
    """A few lines about an item, out of its record as `items.v1` has it; no name or number that is not in it."""
    from streams.contract import codec
    from streams.contract.events import Item

    try:
        read = item.read_bytes()
    except OSError as error:
        raise click.BadParameter(f"expected a readable file, got: {error}", param_hint="ITEM.json") from error
    record = codec.decode(Item, read, timestamp_ms=-1)
    if not isinstance(record, Item):
        raise click.BadParameter(
            f"expected an item's record as JSON, got: {printable(record.reason)}", param_hint="ITEM.json"
        )
    spec = {"max_chars": max_chars}
    return _make("blurb", record, spec, locale=locale, out=out, config=config, as_json=as_json, stem=item.stem)


def _film_item(film: Path, title: str) -> Any:
    from streams.contract.events import Item

    return Item(item_id=film.stem[:256] or "film", title=title)


def _make(
    kind: Any, item: Any, spec: dict[str, Any], *, film: Path | None = None, text: Path | None = None,
    locale: str | None = None, out: Path | None, config: Path | None, as_json: bool, stem: str | None = None,
    first: Sequence[str] = (),
) -> int:  # fmt: skip
    """Renders in a process of its own as the worker does; copies what was made, and prints its checks."""
    from streams.contract import ids
    from streams.contract.events import ContentTask, Gain
    from streams.cores.render import seed_of
    from streams.studio.means import means_of
    from streams.studio.rendering import Errand
    from streams.studio.speech_means import means_of_speech

    all_settings = settings_of(config=config)
    settings = all_settings.studio
    roots = []
    for name, path in (("source", film), ("text_source", text)):
        if path is not None:
            spec[name] = path.resolve().as_uri()
            roots.append(str(path.resolve().parent))
    task_id = ids.content_task_id(item_id=item.item_id, kind=kind, audience={}, locale=locale, spec=spec)
    gain = Gain(metric="none", value=0.0, interval=(0.0, 0.0))
    task = ContentTask(task_id=task_id, kind=kind, item_id=item.item_id, expected_gain=gain, locale=locale, spec=spec)
    with tempfile.TemporaryDirectory(prefix="marquee-studio-") as folder:
        errand = Errand(
            task=task, item=item, workdir=str(Path(folder) / "work"), seed=seed_of(settings.seed, task_id), roots=roots,
            engines=[*first, *settings.engines], means=means_of(all_settings),
            speech=means_of_speech(all_settings.speech),
            seconds=float(settings.deadline_s), memory_bytes=settings.memory_mb << 20,
            file_bytes=settings.file_mb << 20, environment=list(settings.environment),
        )  # fmt: skip
        outcome = _render(errand, float(settings.deadline_s), kind)
        made: list[Path] = []
        if outcome.draft is not None:
            target = out or Path(f"{stem or (film.stem if film else kind)}.{kind}{outcome.draft.suffix}")
            for source, to in [
                (outcome.draft.path, target),
                *((one, target.with_suffix(Path(one).suffix)) for one in outcome.draft.beside),
            ]:
                shutil.copyfile(source, to)
                made.append(to)
    _print(outcome, made, as_json=as_json)
    return 0 if outcome.draft is not None else 1


def _render(errand: Any, deadline_s: float, kind: str) -> Outcome:
    import asyncio

    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from streams.studio.jobs import carry_out

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task(f"{kind}: rendering and checking", total=None)
        return asyncio.run(carry_out(errand, deadline_s=deadline_s))


def _print(outcome: Outcome, made: list[Path], *, as_json: bool) -> None:
    from streams.studio.store import sha256_of

    checks = outcome.draft.checks if outcome.draft is not None else []
    if as_json:
        print_json(
            {
                "files": [{"path": str(path), "sha256": sha256_of(path)} for path in made],
                "engine": outcome.engine,
                "checks": [json.loads(_encoded(check)) for check in checks],
                "figures": outcome.figures,
                "error": outcome.reason,
            }
        )
        return
    for check in checks:
        verdict = "ok" if check.is_ok else "FAILED"
        click.echo(f"  {verdict:<7} {printable(check.name):<18} {check.value:<12g} {printable(check.expected)}")
    for path in made:
        click.echo(printable(str(path), most=MOST_PATH))
    if outcome.reason is not None:
        for name, value in outcome.figures.items():
            click.echo(f"  {'':<7} {printable(name):<18} {value:g}")
        click.echo(f"Error: {printable(outcome.reason, most=MOST_REASON)}", err=True)


def _encoded(check: Any) -> bytes:
    import msgspec

    return msgspec.json.encode(check)
