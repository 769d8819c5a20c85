"""`airflow_runs.py [["hourly", {…}], …]`, in Airflow's environment: runs DAGs by `dag.test()`, and prints what came of it.

As JSON: of each the state, the states and attempts of its tasks, and what their templates were rendered to.
"""

import json
import sys
from typing import Any

import scoreline_dags
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.utils.session import create_session
from sqlalchemy import select


def came_of(name: str, params: dict[str, Any]) -> dict[str, Any]:
    """Run a DAG once."""
    run = getattr(scoreline_dags, name).test(run_conf=params)
    tasks = {task.task_id: [str(task.state), task.try_number] for task in run.get_task_instances()}
    with create_session() as session:
        rendered = [str(fields) for fields in session.scalars(select(RenderedTaskInstanceFields.rendered_fields))]
    return {"state": str(run.state), "tasks": tasks, "rendered": rendered}


print(json.dumps([came_of(name, params) for name, params in json.loads(sys.argv[1])]))
