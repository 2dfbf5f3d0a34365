"""The grid floor: plans, runners, submission. The only floor that knows Ray, which is imported when it is used."""

from promptgrid.cluster.execution import Options, RunSummary, execute
from promptgrid.cluster.planner import Plan, make_plan
from promptgrid.cluster.submit import submit

__all__ = ["Options", "Plan", "RunSummary", "execute", "make_plan", "submit"]
