"""One job in a process of its own: fetches what it needs, tries the engines in their order, and tells the outcome.

Standard input is one `Errand`; standard output gets a line for each engine that is tried, then one for the outcome. So
whoever started it knows which engine was at work when it had to be ended.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from streams.contract.events import Asset, ContentTask, Item
from streams.cores.blurb import language_of
from streams.processors import give_way_as_group
from streams.studio import checks, engines
from streams.studio.engines import Draft, Job
from streams.studio.errors import SourceError, SpecError, StudioError
from streams.studio.means import Means
from streams.studio.sources import Sources
from streams.studio.speech_means import SpeechMeans
from streams.studio.store import sha256_of

TEXT_TYPES: Final = ("text/vtt", "application/x-subrip", "text/srt")


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is told."""

    task: ContentTask
    item: Item
    workdir: str
    seed: int
    roots: list[str] = []
    hosts: list[str] = []
    engines: list[str] = []
    speech: SpeechMeans = SpeechMeans()
    skip: list[str] = []
    seconds: float = 300.0
    memory_bytes: int = 3 << 30
    file_bytes: int = 8 << 30
    environment: list[str] = []
    means: Means = Means()


class Trying(msgspec.Struct, frozen=True, kw_only=True, tag="trying"):
    """An engine begins."""

    engine: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True, tag="outcome"):
    """How it ended: with a draft, or with a reason; ``refused`` where no engine could ever do it."""

    draft: Draft | None = None
    engine: dict[str, Any] = {}
    inputs: dict[str, str] = {}
    figures: dict[str, float] = {}
    reason: str | None = None
    refused: bool = False


def render(errand: Errand, tell: Callable[[Trying], None]) -> Outcome:
    """Tries the engines until one gives a draft that passes its checks; every failure of one is part of the reason."""
    workdir, task = Path(errand.workdir), errand.task
    sources = Sources(roots=[Path(one) for one in errand.roots], hosts=errand.hosts, most_bytes=errand.file_bytes)
    try:
        job, inputs = _job(errand, sources, workdir)
    except (SourceError, SpecError) as error:
        return Outcome(reason=str(error), refused=True)
    reasons: list[str] = []
    figures: dict[str, float] = {}
    last: dict[str, Any] = {}
    is_refused = True
    for engine in engines.order(engines.load(errand.engines, errand.means), task.kind, skip=errand.skip):
        lacking = engine.available()
        if lacking is not None:
            reasons.append(f"{engine.name}: {lacking}")
            is_refused = False
            continue
        tell(Trying(engine=engine.name))
        last = {
            "name": engine.name, "version": engine.version, "licence": engine.licence,
            "weights_sha256": engine.weights_sha256, "seed": job.seed,
        }  # fmt: skip
        room = workdir / engine.name.replace("/", "-")
        room.mkdir(exist_ok=True)
        try:
            draft = engine.produce(job, room)
        except SpecError as error:
            reasons.append(f"{engine.name}: {error}")
            continue
        except (StudioError, OSError, ValueError, ArithmeticError, LookupError, MemoryError) as error:
            is_refused = False
            reasons.append(f"{engine.name}: {error if isinstance(error, StudioError) else repr(error)}")
            continue
        figures = checks.figures(draft.checks)
        failure = checks.first_failure(draft.checks)
        if failure is None and not Path(draft.path).resolve().is_relative_to(room.resolve()):
            failure = f"expected a file in the work folder, got {draft.path}"
        if failure is None:
            return Outcome(draft=draft, engine=last, inputs=inputs, figures=figures)
        is_refused = False
        reasons.append(f"{engine.name}: {failure}")
    if not reasons:
        return Outcome(reason=f"expected an engine for {task.kind}, got none", refused=not errand.skip)
    return Outcome(reason="; ".join(reasons), figures=figures, engine=last, inputs=inputs, refused=is_refused)


def _job(errand: Errand, sources: Sources, workdir: Path) -> tuple[Job, dict[str, str]]:
    task, inputs = errand.task, {}
    found: dict[str, str | None] = {}
    text_language, lacks_text = task.spec.get("text_language", ""), None
    if not isinstance(text_language, str):
        raise SpecError(f"expected spec.text_language to be a language, got {text_language!r}")
    for name, types in (("source", ("video/",)), ("text_source", TEXT_TYPES)):
        uri = task.spec.get(name)
        if uri is None and name == "source" and task.kind != "blurb":
            uri = asset_of(errand.item, types, None)
        elif uri is None and task.kind != "blurb":
            try:
                uri = asset_of(errand.item, types, task.locale)
            except SpecError as error:  # the film's own words may do
                lacks_text = str(error)
                if task.kind == "dub" and errand.speech.translate_url:
                    foreign = next(asset for asset in errand.item.assets if asset.media_type.startswith(types))
                    uri, text_language = foreign.uri, foreign.language or errand.item.language or ""
        if uri is not None and not isinstance(uri, str):
            raise SpecError(f"expected spec.{name} to be an address, got {uri!r}")
        if uri is None:
            found[name] = None
            continue
        room = workdir / name
        room.mkdir(exist_ok=True)
        path = sources.fetch(uri, room)
        inputs[uri] = sha256_of(path)
        found[name] = str(path)
    spec = cast(dict[str, Any], task.spec)
    job = Job(
        task_id=task.task_id, kind=task.kind, item=errand.item, spec=spec, locale=task.locale, seed=errand.seed,
        source=found["source"], text_source=found["text_source"], text_language=text_language, lacks_text=lacks_text,
        speech=errand.speech, seconds=errand.seconds, memory_bytes=errand.memory_bytes, file_bytes=errand.file_bytes,
    )  # fmt: skip
    return job, inputs


def asset_of(item: Item, types: tuple[str, ...], locale: str | None) -> str | None:
    """Address of the item's first asset of such a type, in the language of ``locale`` where one is given.

    Raises:
      SpecError: there are such assets, and all are in other languages: nothing here translates.
    """
    assets: list[Asset] = [asset for asset in item.assets if asset.media_type.startswith(types)]
    wanted = language_of(locale)
    spoken = [language_of(asset.language or item.language) for asset in assets]
    fit = [asset.uri for asset, own in zip(assets, spoken, strict=True) if not wanted or not own or own == wanted]
    if assets and not fit:
        raise SpecError(
            f"expected a text in {wanted!r} among the item's assets, got {', '.join(sorted(set(spoken)))}; nothing "
            "here translates: name one in spec.text_source"
        )
    return fit[0] if fit else None


def main() -> None:
    """The child's whole life."""
    give_way_as_group()  # as nice as the worker that started it
    errand = msgspec.json.decode(sys.stdin.buffer.read(), type=Errand)

    def tell(line: Trying | Outcome) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stdout.buffer.flush()

    tell(render(errand, tell))


if __name__ == "__main__":
    main()
