"""The engine `smollm`: a small language model writes texts of bounded words; the first that keeps the rules is it."""

from __future__ import annotations

import os
from pathlib import Path

from streams.contract.events import ContentKind
from streams.cores import blurb, blurb_prompts, blurb_rules
from streams.errors import TextEncoderError
from streams.replay.fetch import PublicLog
from streams.studio import footage, written
from streams.studio.engines import Draft, Job
from streams.studio.errors import EngineError, SpecError
from streams.studio.means import Means
from streams.text.files import SMOLLM, SMOLLM_FILE, find_files, how_to_get, read_checked


class SmolLM:
    """SmolLM2-135M-Instruct, in JAX on the processor."""

    name = "smollm"
    version = "1"
    capability: ContentKind = "blurb"
    requires = "the weights of SmolLM2: `marquee fetch smollm`, 93 MB"
    licence = "Apache-2.0"

    def __init__(self, means: Means | None = None, model: PublicLog = SMOLLM) -> None:
        self.means = means or Means()
        self.model = model
        self.weights_sha256 = model.files[SMOLLM_FILE]

    def equipped(self, means: Means) -> SmolLM:
        """The engine that looks for its weights there."""
        return SmolLM(means, self.model)

    def available(self) -> str | None:
        """Whether the weights are on this machine."""
        if self._folder() is None:
            return f"expected the weights of SmolLM2 on this machine, got none; {how_to_get(self.model)}"
        return None

    def produce(self, job: Job, workdir: Path) -> Draft:
        """``spec``: ``max_chars`` (280)."""
        most = round(footage.number_in(job.spec, "max_chars", blurb.MOST_CHARS, least=20, most=2000))
        reason = blurb_rules.why_not_english(job.item, job.locale)
        if reason is not None:
            raise SpecError(reason)
        folder = self._folder()
        if folder is None or not blurb.record_words(job.item):
            raise EngineError("expected weights, and an item with a title, tags or text; got none")
        if self.means.cache_dir:
            from streams.kernel_cache import use_program_cache

            use_program_cache(Path(self.means.cache_dir))
        from streams.text.smollm import Writer  # brings JAX

        try:
            writer = Writer(read_checked(folder, SMOLLM_FILE, self.model))
            answers = writer.answers(
                blurb_prompts.conversation(job.item), seed=job.seed,
                may=writer.only(blurb_rules.words_for(job.item)),
            )  # fmt: skip
        except TextEncoderError as error:
            raise EngineError(str(error)) from error
        texts = [answer.text for answer in answers]
        return written.first_fit(texts, job.item, workdir, most_chars=most, is_closed=True)

    def _folder(self) -> Path | None:
        return find_files(Path(self.means.models_dir or os.devnull), self.model)


smollm = SmolLM()
