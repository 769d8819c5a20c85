"""The dashboards as code: what is in dashboards/ is made from these modules by `python -m grafana write`."""
