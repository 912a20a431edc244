"""What each part of the ranking is worth: the log evaluated again and again, each time with one part left out.

Prints the table of docs/evaluation.md. Two logs that chose the defaults, so the parts that help these are kept; what
they give elsewhere is for `--logs` to find.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.bench_quality import METRICS, evaluate
from benchmarks.engine import say
from benchmarks.report import Figure, report

LOGS, FIRST, QUICK = ("ml-100k", "movietweetings"), 50_000, 2_000
PARTS: Mapping[str, str] = {
    "everything": "",
    "no towers": '[model.towers]\nflavour = "counts"\n',
    "towers without content": '[model.towers]\nflavour = "collaborative"\n',
    "towers without IDs": '[model.towers]\nflavour = "content"\n',
    "towers read as the last step left them": "[model.towers]\naverage = 0.0\n",
    "towers learn without replay": "[model.training]\nreplayed = 0.0\n",
    "half as many tower steps": "[model.training]\nevents_per_step = 64\n",
    "twice as many tower steps": "[model.training]\nevents_per_step = 16\n",
    "no re-ranker": "[model]\ncandidates = 0\n",
    "no bias of pairs": "[model]\nsuccessor_rate = 0.0\ncompany_rate = 0.0\n",
    "no bias of an item": "[model]\nbias_rate = 0.0\n",
    "no bias on a surface": "[model]\nsurface_rate = 0.0\n",
    "combiner half as quick": "[model]\ncombiner_rate = 0.5\n",
}


def main() -> None:
    """Evaluate and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"only {QUICK:,} events: to see that it runs")
    parser.add_argument("--first", type=int, default=FIRST, help=f"events of each log (default: {FIRST:,})")
    parser.add_argument("--logs", nargs="+", default=list(LOGS), help="names or paths")
    options = parser.parse_args()
    first = QUICK if options.quick else options.first
    whole: dict[str, tuple[float, ...]] = {}
    rows, figures = [], []
    with tempfile.TemporaryDirectory() as folder:
        for part, settings in PARTS.items():
            path = Path(folder) / "marquee.toml"
            path.write_text(settings, encoding="utf-8")
            cells = []
            for log in options.logs:
                found = evaluate(log, ["--config", str(path)], first)
                values = tuple(found[metric] for metric in METRICS)
                against = whole.setdefault(log, values)
                cells.append(f"{values[0]:.4f} / {values[1]:.4f}")
                figures.append(Figure(name=f"{log}, HR@10, {part}", ours=values[0], peer=against[0], unit=""))
            rows.append(f"| {part} | " + " | ".join(cells) + " |")
            say(rows[-1])
    print(
        "\n".join(
            [f"| left out or changed | {' | '.join(options.logs)} |", "|---" * (1 + len(options.logs)) + "|", *rows]
        )
    )
    report(*figures, events_of_each_log=first)


if __name__ == "__main__":
    main()
