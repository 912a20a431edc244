"""The hidden command that `marquee run` and the demo start for each role."""

from __future__ import annotations

from pathlib import Path

import click

from streams.commands.options import broker_options, settings_of
from streams.commands.run import ON_WISH, ROLES


@click.command(hidden=True, epilog="Example: marquee worker trainer")
@click.argument("role", type=click.Choice(ROLES + ON_WISH))
@broker_options
@click.option("--embedded", is_flag=True, help="The broker is the demo's.")
def worker(role: str, config: Path | None, broker: str | None, prefix: str | None, embedded: bool) -> None:
    """One role in this process; `marquee run` starts it."""
    from streams.kernel_cache import use_kernel_cache, use_program_cache
    from streams.processors import use_one_xla_thread

    settings = settings_of(config=config, broker=broker, prefix=prefix)
    if role == "console":  # above the roles, since it asks what commands ask; computes nothing
        from streams.console import serve

        serve.run(settings, config=config, is_embedded=embedded)
        return
    if role == "door":
        from streams.door import serve as door

        door.run(settings, is_embedded=embedded)
        return
    use_one_xla_thread()
    use_kernel_cache(settings.cache_dir)
    use_program_cache(settings.cache_dir)
    from streams.roles import app

    app.worker(role, settings, is_embedded=embedded)
