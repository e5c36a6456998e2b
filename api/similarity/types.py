"""The GraphQL types of the reasons why something is similar."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Final

import strawberry

from api.similarity.scoring import Match
from api.stores.views import Part

MOST_REASONS: Final = 5


@strawberry.enum(description="By what two things are compared.")
class SimilarityKind(Enum):
    TAGS = strawberry.enum_value("tags", description="The tags that both have.")
    COLOR = strawberry.enum_value("color", description="How far apart their colours look.")
    MATERIAL = strawberry.enum_value("material", description="What they are made of.")
    CATEGORY = strawberry.enum_value("category", description="Which kind of garment they are for.")
    TYPE = strawberry.enum_value("type", description="Silhouette, fabric or pattern.")


@strawberry.type(description="Something that makes two things similar, and how much it counts.")
class SimilarityReason(Part):
    kind: SimilarityKind = strawberry.field(description="What is compared.")
    weight: float = strawberry.field(
        description="How much it can count at most, from 0 to 1; the weights of all that the thing has are 1 together."
    )
    closeness: float = strawberry.field(description="How close it is, from 0 (not counted) to 1 (the same).")
    score: float = strawberry.field(description="Its part of the whole score: the weight times the closeness.")
    values: list[str] = strawberry.field(
        description="What both have, in the order of the alphabet; of colours, those of the other that are close."
    )


@strawberry.type(description="How similar something is, and why.")
class Similar(Part):
    score: float = strawberry.field(description="How similar it is, from 0 to 1: the scores of the reasons together.")
    reasons: list[SimilarityReason] = strawberry.field(
        description="Why it is similar, what counts most first; what isn't close at all is left out."
    )


def parts_of(matches: Sequence[Match], key: str) -> list[dict[str, Any]]:
    """What was found, as the parts that GraphQL shows; the id of the object is under this key."""
    return [
        {
            key: match.id,
            "score": match.score,
            "reasons": [
                {
                    "kind": reason.kind,
                    "weight": round(reason.weight, 4),
                    "closeness": round(reason.closeness, 4),
                    "score": round(reason.score, 4),
                    "values": list(reason.values),
                }
                for reason in match.reasons
            ],
        }
        for match in matches
    ]
