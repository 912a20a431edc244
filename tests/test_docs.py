"""The docs name what the code has: a page that has fallen behind fails here."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import msgspec
import pytest
import yaml
from aiokafka.partitioner import murmur2

from streams import cli
from streams.contract import access, codec, events, rules, topics
from streams.contract.dead_letters import Origin, Redrive, dead_letter
from streams.cores import redrive
from streams.metrics_settings import PORT_OF
from streams.roles import studio_figures
from streams.roles.planner import PlannerRole
from streams.roles.trainer import Trainer
from streams.settings import Settings
from streams.telemetry import exported
from streams.transport.child import EXIT_ORPHANED
from streams.transport.reader import EXIT_AFTER_ERROR, EXIT_HELPLESS
from tests.contract_tables import NESTED, FieldRow, rows
from tests.factories import NOW_MS
from tests.setting_rows import MODEL_TABLES, model_rows, setting_rows

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EVENTS = (DOCS / "events.md").read_text(encoding="utf-8")
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = (
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    ROOT / "benchmarks" / "README.md",
    *sorted(DOCS.rglob("*.md")),
)
WRITTEN_BY_COMMANDS = {"benchmarks/results.md"}
"""Files that a command writes: `make bench`."""
CARRIED = {spec.name: spec.event_type for spec in topics.TOPICS if spec.event_type is not None}


def section(title: str, page: str = EVENTS) -> str:
    """The text under a heading, down to the next heading of the same or a higher level."""
    match = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^##? |^\1 |\Z)", page, re.MULTILINE | re.DOTALL)
    assert match is not None, f"the page has no section {title!r}"
    return match[2]


def table(text: str) -> list[list[str]]:
    """Cells of the body rows of all tables in a text."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if not line.startswith(("|---", "| ---"))
    ]


def assert_documents(text: str, expected: list[FieldRow]) -> None:
    """The first table lists exactly these fields, each with type, default, limits and a meaning."""
    documented = [row for row in table(text) if len(row) == 5][1:]
    assert [" | ".join(row[:4]) for row in documented] == [row.markdown().strip("| ") for row in expected]
    assert all(len(row[4]) > 5 for row in documented), "a field has no meaning"


@pytest.mark.parametrize("topic", CARRIED)
def test_each_field_of_each_topic_is_documented(topic: str) -> None:
    assert_documents(section(topic), rows(CARRIED[topic]))


@pytest.mark.parametrize("part", NESTED, ids=lambda part: part.__name__)
def test_each_field_of_each_part_is_documented(part: type[events.Record]) -> None:
    assert_documents(section(part.__name__), rows(part))


def test_every_record_of_the_contract_is_on_a_topic_or_part_of_one() -> None:
    assert set(CARRIED.values()) | set(NESTED) == set(events.Record.__subclasses__())


@pytest.mark.parametrize("topic", CARRIED)
def test_each_example_decodes_and_shows_the_required_fields(topic: str) -> None:
    examples = re.findall(r"```json\n(.*?)```", section(topic), re.DOTALL)
    assert examples
    for example in examples:
        event = codec.decode(CARRIED[topic], example.encode(), timestamp_ms=NOW_MS)
        assert isinstance(event, CARRIED[topic]), event
        assert set(json.loads(example)) <= {row.name for row in rows(CARRIED[topic])}


def test_the_table_of_topics_is_the_code_s() -> None:
    documented = [row[:4] + row[5:] for row in table(section("Topics"))[1:]]
    assert documented == [
        [
            f"`{spec.name}`",
            f"`{spec.key}`" if spec.key else "none",
            str(spec.partitions),
            spec.cleanup,
            spec.tombstone or "nothing: it is skipped",
        ]
        for spec in topics.TOPICS
    ]


def test_the_table_of_actions_is_the_code_s() -> None:
    for name, _, learned, again in table(section("Actions"))[1:]:
        word = name.strip("`")
        assert (word in rules.LEARNED_ACTIONS) == (learned == "yes"), word
        shown = "never" if word in rules.HIDING_ACTIONS else "yes" if word in rules.REWATCHABLE_ACTIONS else "no"
        assert again == shown, word
    assert {row[0].strip("`") for row in table(section("Actions"))[1:]} == rules.ACTION_WORDS


def test_the_filters_are_the_code_s() -> None:
    assert {row[0].strip("`") for row in table(section("Filters"))[1:]} == rules.KNOWN_FILTERS


def test_the_stages_of_dead_letters_are_the_code_s() -> None:
    stages = {value for name, value in vars(codec).items() if name.startswith("STAGE_")}
    documented = {row[0].strip("`") for row in table(section("dead-letters.v1")) if len(row) == 2}
    assert stages <= documented


def test_the_verdicts_on_dead_letters_are_the_code_s() -> None:
    documented = [row[0].strip("`") for row in table(section("Dead letters", OPERATIONS))[1:]]
    assert sorted(documented) == sorted(redrive.WHY)


def test_the_rights_are_the_code_s() -> None:
    rows = {row[0].strip("`"): row[1:] for row in table(section("Rights", OPERATIONS))[1:]}
    assert list(rows) == list(access.ACCESS)
    for who, (reads, writes, further) in rows.items():
        wanted = access.ACCESS[who]
        assert inline_code(reads) == [spec.name for spec in wanted.reads]
        assert inline_code(writes) == [spec.name for spec in wanted.writes]
        assert wanted.joins_group == ("its group" in further)
        assert wanted.checks == ("DescribeConfigs" in further)
        assert wanted.creates == ("and Create" in further)
        assert bool(wanted.deletes) == ("Delete on" in further)


def test_the_headers_of_dead_letters_are_the_code_s() -> None:
    redriven = Origin(
        topic="t", partition=0, offset=0, timestamp_ms=0, key=b"", redrive=Redrive(first="t/0/0", count=1)
    )
    letter = dead_letter(codec.Rejected(b"x" * (rules.MAX_RECORD_BYTES + 1), "r", "s"), redriven)
    documented = " ".join(row[0] for row in table(section("dead-letters.v1")) if len(row) == 2)
    assert all(f"`{name}`" in documented for name, _ in letter.headers)


@pytest.mark.parametrize(
    ("limit", "where"),
    [
        (rules.MAX_RECORD_BYTES, "Records"),
        (rules.MAX_NESTING, "Records"),
        (rules.MAX_SAFE_INT, "Records"),
        (rules.MAX_VALUE_CHARS, "Records"),
        (rules.MAX_RECORD_BYTES, "dead-letters.v1"),
        (rules.MAX_REASON_CHARS, "dead-letters.v1"),
        (rules.MAX_CLOCK_SKEW_MS, "dead-letters.v1"),
        (rules.MAX_CLOCK_SKEW_MS, "interactions.v1"),
    ],
)
def test_limits_in_prose_are_the_code_s(limit: int, where: str) -> None:
    assert re.search(rf"\b{limit}\b", section(where)), f"{limit} is not in section {where!r}"


def test_the_partition_numbers_are_kafka_s() -> None:
    vectors = [row for row in table(section("Records")) if len(row) == 3][1:]
    assert len(vectors) == 4
    for key, of_4, of_12 in vectors:
        hashed = murmur2(key.strip("`").encode()) & 0x7FFFFFFF
        assert (int(of_4), int(of_12)) == (hashed % 4, hashed % 12), key


def anchors_of(page: str) -> set[str]:
    """What a link may name behind its ``#``: the headings, as GitHub spells them."""
    titles = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_glossary_is_sorted_and_says_each_word_once() -> None:
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    words = [row[0].replace("`", "").lower() for row in table(text)[1:]]
    assert words == sorted(set(words))


# --- README and the other pages: commands, settings, metrics, paths ----------------------------------------------


def cell_words(text: str) -> list[str]:
    """Every text in backticks of the first cells of all tables, without the header rows."""
    return [word for row in table(text) for word in re.findall(r"`([^`]+)`", row[0])]


@pytest.mark.parametrize(
    "title",
    [
        "Top of the file",
        "[security]",
        "[registry]",
        "[trainer]",
        "[recommender]",
        "[slates]",
        "[planner]",
        "[studio]",
        "[speech]",
        "[console]",
        "[door]",
        "[topics]",
        "[metrics]",
    ],
)
def test_each_setting_is_documented(title: str) -> None:
    documented = table(section(title, OPERATIONS))[1:]
    expected = setting_rows()["" if title == "Top of the file" else title.strip("[]")]
    assert [row[:4] for row in documented] == expected
    assert all(len(row[4]) > 5 for row in documented), "a setting has no meaning"


def test_every_table_of_settings_has_its_section() -> None:
    assert set(setting_rows()) == {
        "", "security", "registry", "trainer", "recommender", "slates", "planner", "studio", "speech", "console",
        "door", "topics", "metrics",
    }  # fmt: skip


@pytest.mark.parametrize("name", MODEL_TABLES)
def test_each_setting_of_the_model_is_documented(name: str) -> None:
    documented = table(section(f"[{name}]", OPERATIONS))[1:]
    assert [row[:3] for row in documented] == model_rows()[name]
    assert all(len(row[3]) > 5 for row in documented), "a setting has no meaning"


def test_each_metric_is_documented(tmp_path: Path) -> None:
    trainer = Trainer(Settings(snapshot_dir=tmp_path))
    trainer.telling._loss = 1.0
    outs = [*trainer._announcement(waiting=0, recovering=0), trainer.telling._prequential()]
    metrics = [
        msgspec.json.decode(out.value or b"", type=events.Metric) for out in outs if out.topic == topics.METRICS.name
    ]
    assert {metric.series for metric in metrics} == {"trainer", "prequential"}
    for metric in metrics:
        assert set(cell_words(section(metric.series, OPERATIONS))) == set(metric.values)


def test_each_exported_metric_is_documented() -> None:
    documented = {row[0].strip("`"): row[1:] for row in table(section("Exported metrics", OPERATIONS))[1:]}
    assert list(documented) == [exported.BUILD_INFO[0], *dict.fromkeys(one.name for one in exported.EXPORTED)]
    for one in exported.EXPORTED:
        kind, labels, whose, text = documented[one.name]
        roles = [
            role for role in exported.ROLES if any(role in x.roles for x in exported.EXPORTED if x.name == one.name)
        ]
        assert (kind, text) == (one.kind, one.help)
        assert inline_code(labels) == list(one.labels)
        assert whose == ("all" if roles == list(exported.ROLES) else ", ".join(roles))


def test_each_role_s_port_for_metrics_is_documented() -> None:
    documented = {row[0]: int(row[1]) for row in table(section("Watching it", OPERATIONS)) if row[1].isdecimal()}
    assert documented == {role: 9464 + offset for role, offset in PORT_OF.items()}


def test_each_alert_is_documented() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    documented = [(row[0].strip("`"), row[1]) for row in table(section("Alerts", OPERATIONS))[1:]]
    assert documented == [(one["alert"], one["labels"]["severity"]) for one in rules["groups"][0]["rules"]]


def test_each_figure_of_planner_and_studio_is_documented(tmp_path: Path) -> None:
    tally = studio_figures.Tally().figures(waiting=0, under_way={}, rendered_s=0.0, now_s=0.0)
    assert set(cell_words(section("studio", OPERATIONS))) == set(tally)
    planner = PlannerRole(Settings(snapshot_dir=tmp_path))
    assert set(cell_words(section("planner", OPERATIONS))) == set(planner.figures())


def test_the_commands_are_the_code_s() -> None:
    documented = [row[0] for row in table(section("Commands", OPERATIONS))[1:]]
    assert sorted(documented) == sorted(f"`marquee {name}`" for name in cli.COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_command_lines_are_understood(page: Path) -> None:
    for line in command_lines(page.read_text(encoding="utf-8")):
        name, *arguments = shlex.split(line)[1:]
        command = cli.marquee.get_command(click.Context(cli.marquee), name)
        assert command is not None, f"{page.name}: {line}"
        context = command.make_context(name, arguments)  # raises click.UsageError on an option that is not there
        if isinstance(command, click.Group):
            inner, part, rest = command.resolve_command(context, arguments)
            assert part is not None, f"{page.name}: {line}"
            part.make_context(inner, rest, parent=context)


def inline_code(text: str) -> list[str]:
    """Every text between single backticks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def command_lines(text: str) -> list[str]:
    """Every call of `marquee` in code blocks and between backticks that names its arguments."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    spans = inline_code(text)
    lines = [part for block in blocks for part in re.split(r"\n|&&|\|", block)] + [
        part for span in spans for part in span.split("&&")
    ]
    wanted = (re.sub(r"\s+[#>].*$|\s*&\s*$", "", line.strip()) for line in lines)
    calls = [line for line in wanted if re.match(r"marquee [a-z]", line)]
    return [line for line in calls if len(line.split()) > 2 or not needs_arguments(line.split()[1])]


def needs_arguments(name: str) -> bool:
    """Whether a command named alone, as in prose, could not be called so."""
    command = cli.marquee.get_command(click.Context(cli.marquee), name)
    if isinstance(command, click.Group):
        return True
    return command is not None and any(one.required for one in command.params)


def test_exit_codes_are_the_code_s() -> None:
    documented = {int(row[0]) for row in table(section("Exit codes", OPERATIONS))[1:]}
    named = {cli.FAILED, cli.WRONG_USAGE, cli.NO_BROKER, cli.INTERRUPTED}
    named |= {EXIT_AFTER_ERROR, EXIT_HELPLESS, EXIT_ORPHANED}
    assert documented == {0, *named}


def test_log_lines_are_those_that_are_said() -> None:
    sources = [*(ROOT / "streams").rglob("*.py"), *(ROOT / "models").rglob("*.py")]
    said = "".join(path.read_text(encoding="utf-8") for path in sources)
    for line in cell_words(section("Log lines", OPERATIONS)):
        assert line in said, f"docs/operations.md explains {line!r}, which nothing says"


@pytest.mark.parametrize("topic", [spec.name for spec in topics.TOPICS])
def test_each_topic_is_on_the_pages(topic: str) -> None:
    assert f"`{topic}`" in EVENTS
    assert any(f"`{topic}`" in page.read_text(encoding="utf-8") for page in PAGES if page.name != "events.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    rooms = "streams|models|index|docs|benchmarks|tests|deploy|requirements"
    named = set(re.findall(rf"`((?:{rooms})/[\w./*-]*)`", text)) - WRITTEN_BY_COMMANDS
    missing = [path for path in sorted(named) if not (ROOT / path).exists()]
    assert not missing
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_headings_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", text):
        target = (page.parent / link).read_text(encoding="utf-8") if link else text
        assert anchor in anchors_of(target), f"{link}#{anchor}"


def test_modules_named_in_commands_exist() -> None:
    for page in PAGES:
        for module in re.findall(r"python -m (benchmarks\.\w+)", page.read_text(encoding="utf-8")):
            assert (ROOT / (module.replace(".", "/") + ".py")).is_file(), module


def test_each_figure_has_its_command() -> None:
    rows = table(section("Figures", README))[1:]
    assert rows
    assert all(re.search(r"`(marquee|\.venv/bin/python -m benchmarks\.) ?\w+", row[3]) for row in rows)
    benched = {f"benchmarks.{path.stem}" for path in (ROOT / "benchmarks").glob("bench_*.py")}
    shown = {word for row in rows for word in re.findall(r"benchmarks\.bench_\w+", row[3])}
    assert shown == benched - {"benchmarks.bench_ablation"}, "the ablation is a table of docs/evaluation.md"


def test_make_targets_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [*inline_code(text), *"\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()]
        named = {match[1] for line in lines if (match := re.match(r"(?:[A-Z_]+=\S+ )?make ([a-z-]+)", line))}
        assert named <= targets, page.name


def test_decisions_are_numbered_without_gaps() -> None:
    pages = sorted((DOCS / "decisions").glob("*.md"))
    for number, page in enumerate(pages, start=1):
        assert page.name.startswith(f"{number:04d}-")
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {number:04d} ")
        assert [text.count(f"**{part}.**") for part in ("Context", "Decision", "Consequences")] == [1, 1, 1]
