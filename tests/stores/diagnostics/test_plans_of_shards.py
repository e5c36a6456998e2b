"""What `X-Explain: plans` tells of the plans of a mongos. None is at hand: they are as MongoDB's manual shows them on
its pages "Explain Results" and "Routing with mongos"."""

from __future__ import annotations

from typing import Any

from api.stores.diagnostics.plans import without_values

SEEKING: dict[str, Any] = {
    "stage": "FETCH",
    "filter": {"name": {"$eq": "secret"}},
    "inputStage": {
        "stage": "IXSCAN",
        "keyPattern": {"userId": 1, "createdAt": -1},
        "indexName": "idx_designs_userId_createdAt",
        "indexBounds": {"userId": ['["secret", "secret"]']},
    },
}
SHOWN = {
    "stage": "FETCH",
    "inputStage": {
        "stage": "IXSCAN",
        "keyPattern": {"userId": 1, "createdAt": -1},
        "indexName": "idx_designs_userId_createdAt",
    },
}


def planned(name: str) -> dict[str, Any]:
    """What one shard says."""
    return {
        "shardName": name,
        "connectionString": f"{name}/db.internal:27018",
        "serverInfo": {"host": "db.internal", "port": 27018},
        "parsedQuery": {"userId": {"$eq": "secret"}},
        "winningPlan": SEEKING,
        "rejectedPlans": [SEEKING],
    }


def test_a_query_names_its_shards() -> None:
    merged = {"stage": "SHARD_MERGE_SORT", "shards": [planned("first"), planned("second")]}
    told = {"queryPlanner": {"mongosPlannerVersion": 1, "winningPlan": merged}, "serverInfo": {"host": "db.internal"}}

    assert without_values(told) == {
        "queryPlanner": {
            "winningPlan": {
                "stage": "SHARD_MERGE_SORT",
                "shards": [{"shardName": name, "winningPlan": SHOWN} for name in ("first", "second")],
            }
        }
    }


def test_an_aggregation_names_its_shards() -> None:
    told = {
        "mergeType": "router",
        "splitPipeline": {"shardsPart": [{"$match": {"userId": "secret"}}], "mergerPart": []},
        "shards": {
            "first": {
                "host": "db.internal:27018",
                "stages": [
                    {"$cursor": {"queryPlanner": {"parsedQuery": {"userId": "secret"}, "winningPlan": SEEKING}}},
                    {"$group": {"_id": "secret"}},
                ],
            }
        },
    }

    assert without_values(told) == {
        "mergeType": "router",
        "shards": {"first": {"stages": [{"$cursor": {"queryPlanner": {"winningPlan": SHOWN}}}, {}]}},
    }
