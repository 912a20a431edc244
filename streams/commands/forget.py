"""`marquee forget`: users are gone from serving at once, and from all that was learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.commands.options import broker_options, json_option, print_json, settings_of
from streams.contract import rules

if TYPE_CHECKING:
    from streams.roles.forgetting import Forgotten


@click.command(epilog="Example: marquee forget 4711 --prove --broker 127.0.0.1:9092")
@click.argument("users", metavar="USER...", nargs=-1, required=True)
@click.option(
    "--prove",
    is_flag=True,
    help="Before anything is adopted, copy the log without them to topics of its own, learn the copy as any log, and "
    "compare the hashes.",
)
@click.option("--serving-only", is_flag=True, help="Write the tombstones alone; what was learned stays.")
@broker_options
@json_option
def forget(
    users: tuple[str, ...], prove: bool, serving_only: bool, config: Path | None, broker: str | None,
    prefix: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Forget each USER: no slate, no history, no dead letter, and no number that was learned from what they did.

    Tombstones on users.v1 end serving them within a second. Then the state is learned again from before their first
    interaction, without a record of theirs, while the trainer goes on; at the end it starts again from the new state.
    Run it where the trainer's snapshots are. The records that producers wrote stay on their topics until you delete
    them, and are left out of every replay; see docs/operations.md.
    """
    settings = settings_of(config=config, broker=broker, prefix=prefix)
    if wrong := [user for user in users if not is_id(user)]:
        raise click.UsageError(f"expected user ids of 1 to {rules.MAX_ID_CHARS} characters, got {wrong[0][:100]!r}")
    if prove and serving_only:
        raise click.UsageError("expected one of --prove and --serving-only, got both: tombstones prove nothing")
    from streams.commands.rebuilding import prepare, progress

    prepare(settings)
    from streams.roles import forgetting

    def say(line: str) -> None:
        if not as_json:
            click.echo(line)

    if serving_only:
        at_ms = forgetting.erase_from_serving(settings, users)
        print_json({"users": len(set(users)), "at_ms": at_ms}) if as_json else say("serving forgets at once")
        return 0
    with progress("learning without them", is_shown=not as_json) as heard:
        done = forgetting.forget(settings, users, proves=prove, heard=heard, say=say)
    if as_json:
        print_json(_plain(done))
    else:
        _say(done)
    return 0


def is_id(text: str) -> bool:
    """Whether the contract may have a user of this id: no other one has records."""
    is_text = not any("\ud800" <= char <= "\udfff" for char in text)  # bytes of the shell that are no UTF-8
    return is_text and 0 < len(text) <= rules.MAX_ID_CHARS


def _plain(done: Forgotten) -> dict[str, Any]:
    proof = done.proof
    return {
        "users": done.users,
        "interactions": done.interactions,
        "letters": done.letters,
        "from_step": done.from_step,
        "step": done.step,
        "state_hash": done.state_hash,
        "proof": None if proof is None else {**proof._asdict(), "is_same": proof.state_hash == done.state_hash},
    }


def _say(done: Forgotten) -> None:
    click.echo(
        f"forgotten: {done.users} users, {done.interactions:,} interactions, {done.letters} dead letters; steps "
        f"{done.from_step} to {done.step} learned without them, state {done.state_hash}"
    )
    if done.proof is not None:
        click.echo(
            f"proven: a copy of the log with {done.proof.records:,} records and none of theirs "
            f"({done.proof.left_out:,} left out) gives the same state"
        )
    click.echo("the trainer takes it now, or when it starts; its figure `untold` falls to 0 as recommenders follow")
