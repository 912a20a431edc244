"""Renders the Helm chart and compares it with what the tests look at; `--write` keeps what it renders.

`make check-deploy`; needs `helm` on the path. The rendered files carry a digest of the chart, so that the tests notice
a chart that was changed and not rendered again, also where there is no helm.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
CHART: Final = ROOT / "deploy" / "helm" / "marquee"
CHECKS: Final = ROOT / "deploy" / "helm" / "checks"
RENDERED: Final = ROOT / "tests" / "deploy" / "rendered"
KUBERNETES: Final = "1.31.0"
HOW: Final = (
    "helm is not there; with Go: go install helm.sh/helm/v3/cmd/helm@v3.22.0, which takes some minutes, and "
    "$(go env GOPATH)/bin on the PATH; else see https://helm.sh/docs/intro/install/"
)
REFUSED: Final = {
    "no broker": ([], "kafka.broker must be"),
    "SASL without a user": (["kafka.security.protocol=SASL_SSL"], "kafka.security.username must be"),
    "SASL without a Secret": (
        ["kafka.security.protocol=SASL_SSL", "kafka.security.username=u"], "passwordSecret.name must name a Secret",
    ),
    "a console without hosts": (["console.enabled=true"], "console.hosts must name"),
    "a studio beside a store, without one": (
        ["studio.enabled=true", "snapshots.url=s3://b/p"], "studio.store must name a store",
    ),
    "settings that the chart makes": (["settings.metrics.port=1"], "settings.metrics is made of other values"),
}  # fmt: skip
"""What must not render: settings beside the broker, and what helm says."""


def digest_of_chart() -> str:
    """SHA-256 over the chart and the values that it is rendered with."""
    files = sorted([*CHART.rglob("*"), *CHECKS.glob("*")])
    told = hashlib.sha256()
    for path in (one for one in files if one.is_file()):
        told.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return told.hexdigest()


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What helm says."""
    return subprocess.run(["helm", *arguments], capture_output=True, text=True, timeout=120, check=False)


def rendered(values: Path) -> str:
    """The manifests for these values, as they are kept.

    Raises:
      SystemExit: helm does not take them.
    """
    found = helm("template", "m", str(CHART), "--kube-version", KUBERNETES, "--values", str(values))
    if found.returncode:
        sys.exit(f"{values.name}: {found.stderr}")
    lines = "\n".join(line.rstrip() for line in found.stdout.splitlines())
    return f"# Written by `make check-deploy RENDER=--write` of a chart with digest {digest_of_chart()}\n{lines}\n"


def problems(*, writes: bool) -> list[str]:
    """What is wrong with the chart; keeps what it renders where ``writes`` says so."""
    found: list[str] = []
    for values in sorted(CHECKS.glob("*.yaml")):
        lint = helm("lint", "--strict", "--kube-version", KUBERNETES, str(CHART), "--values", str(values))
        found += [f"helm lint, {values.name}: {lint.stdout}{lint.stderr}"] if lint.returncode else []
        text, path = rendered(values), RENDERED / values.name
        if writes:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            found.append(f"{path.relative_to(ROOT)} is not what the chart renders; make check-deploy RENDER=--write")
    for what, (ones, says) in REFUSED.items():
        broker = [] if what == "no broker" else ["kafka.broker=k:1"]
        settings = [word for one in (*broker, *ones) for word in ("--set", one)]
        told = helm("template", "m", str(CHART), "--kube-version", KUBERNETES, *settings)
        if told.returncode == 0 or says not in told.stderr:
            found.append(f"expected helm to refuse {what} with {says!r}, got: {told.stderr or 'manifests'}")
    return found


def main() -> None:
    """Says what is wrong, with exit status 1."""
    if shutil.which("helm") is None:
        sys.exit(HOW)
    wrong = problems(writes="--write" in sys.argv[1:])
    for line in wrong:
        print(line)
    if wrong:
        sys.exit(1)
    print(f"the chart lints, renders what the tests look at, and refuses what it should ({len(REFUSED)} cases)")


if __name__ == "__main__":
    main()
