"""Whether each role's port for metrics is free, answers, or is somebody else's."""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
from collections.abc import Callable
from typing import Final

from streams.doctor import Finding
from streams.metrics_settings import PORT_OF, MetricsSettings

METRICS: Final = "metrics"
ASK_S: Final = 2.0


def check_metrics(settings: MetricsSettings, *, told: Callable[[str, int], str | None] | None = None) -> Finding:
    """Are the ports free, or do our roles answer there?

    Args:
      told: address and port -> the role that answers; "" where somebody else has the port, None where nobody has.
    """
    if not settings.port:
        return Finding(what=METRICS, verdict="ok", found="no port: roles answer no Prometheus and no health check")
    look = told or _told
    found = {role: look(settings.host, settings.port + offset) for role, offset in PORT_OF.items()}
    taken = [f"{settings.port + PORT_OF[role]} ({role})" for role, who in found.items() if who not in (None, role)]
    if taken:
        remedy = "end what listens there, or set metrics.port (MARQUEE_METRICS_PORT)"
        return Finding(what=METRICS, verdict="warning", found=f"taken by others: {', '.join(taken)}", remedy=remedy)
    answering = ", ".join(role for role, who in found.items() if who == role) or "no role yet"
    where = f"{settings.host}, ports {settings.port} to {settings.port + max(PORT_OF.values())}"
    if not ipaddress.ip_address(settings.host).is_loopback:
        where += ", open to whoever reaches this machine"
    return Finding(what=METRICS, verdict="ok", found=f"{where}; answering: {answering}")


def _told(host: str, port: int) -> str | None:
    """Who listens, as far as ``/healthz`` says."""
    address = ipaddress.ip_address(host)
    kind = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            pass
        else:
            return None
    ours = "127.0.0.1" if address.version == 4 else "::1"
    line = http.client.HTTPConnection(ours if address.is_unspecified else host, port, timeout=ASK_S)
    try:
        line.request("GET", "/healthz")
        return str(json.loads(line.getresponse().read(4_096)).get("role", ""))
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return ""
    finally:
        line.close()
