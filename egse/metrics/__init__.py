"""Metrics: what Prometheus scrapes, and what it needs to know (manual, chapter 19; docs/metrics.md).

- `egse.metrics.port`: the metrics port of a control server, fed by what it publishes.
- `egse.metrics.node`: processor, memory and disks of the machine.
- `egse.metrics.prometheus`, `.rules`, `.alertmanager`: configuration files, from Settings and installed servers.
- `egse.metrics.dashboards`: Grafana dashboards, from the TM dictionary and the same figures.

Nothing is imported here: a control server needs the first one only.
"""
