"""The engine `extract`: a blurb out of the item's own sentences, refused if it names what the record does not."""

from __future__ import annotations

from pathlib import Path

from streams.contract.events import ContentKind
from streams.cores import blurb as core
from streams.studio import footage
from streams.studio.checks import Check
from streams.studio.engines import Draft, Job
from streams.studio.errors import EngineError, SpecError


class Extract:
    """The sentences that say most; nothing that is not in the record."""

    name = "extract"
    version = "1"
    capability: ContentKind = "blurb"
    requires = "nothing"
    licence = "Apache-2.0"
    weights_sha256 = ""

    def available(self) -> str | None:
        """It always can."""
        return None

    def produce(self, job: Job, workdir: Path) -> Draft:
        """``spec``: ``max_chars`` (280)."""
        most = round(footage.number_in(job.spec, "max_chars", core.MOST_CHARS, least=20, most=2000))
        wanted, own = core.language_of(job.locale), core.language_of(job.item.language)
        if wanted and own and wanted != own and job.item.text:
            raise SpecError(
                f"expected a task in the item's language {own!r}, got {wanted!r}; this engine does not translate"
            )
        text = core.write(job.item, locale=job.locale, most_chars=most)
        if not text:
            raise EngineError("expected an item with a title, tags or text, got an empty record")
        path = workdir / "blurb.txt"
        path.write_text(text + "\n", encoding="utf-8")
        read = path.read_text(encoding="utf-8").rstrip("\n")
        invented = core.unfounded(read, job.item, locale=job.locale)
        checks = [
            Check(name="chars", value=len(read), is_ok=0 < len(read) <= most, expected=f"1 to {most}"),
            Check(
                name="unfounded", value=len(invented), is_ok=not invented,
                expected=f"only names and numbers of the record, got {', '.join(invented[:5]) or 'none'}",
            ),
        ]  # fmt: skip
        return Draft(path=str(path), media_type="text/plain", suffix=".txt", checks=checks)


extract = Extract()
