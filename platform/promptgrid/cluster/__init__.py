"""The grid floor: plans, runners, submission. The only floor that knows Ray, which is imported when it is used."""

from promptgrid.cluster.execution import Options, RunSummary, execute
from promptgrid.cluster.on_ray.submit import submit
from promptgrid.cluster.planner import Plan, make_plan

__all__ = ["Options", "Plan", "RunSummary", "execute", "make_plan", "submit"]
