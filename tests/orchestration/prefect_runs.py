"""`prefect_runs.py [["hourly", {…}], …]`, in Prefect's environment: runs flows on their own server, and prints what came of it.

As JSON: of each the state, the states and attempts of its tasks, and all that the server holds of these.
"""

import asyncio
import json
import sys
from typing import Any

import scoreline_flows
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.testing.utilities import prefect_test_harness


async def of_server(flow_run: Any) -> tuple[dict[str, list[Any]], list[str]]:
    """The tasks of a flow's run, and all that the server holds of them as text."""
    async with get_client() as client:
        found = await client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run])))
    return {task.name: [str(task.state_name), task.run_count] for task in found}, [
        task.model_dump_json() for task in found
    ]


def came_of(name: str, params: dict[str, Any]) -> dict[str, Any]:
    """Run a flow once."""
    state = getattr(scoreline_flows, name)(**params, return_state=True)
    tasks, held = asyncio.run(of_server(state.state_details.flow_run_id))
    return {"state": str(state.name), "message": str(state.message), "tasks": tasks, "rendered": held}


with prefect_test_harness(server_startup_timeout=120):
    print(json.dumps([came_of(name, params) for name, params in json.loads(sys.argv[1])]))
