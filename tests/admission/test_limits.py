"""Limits: each at its value and one above, by HTTP; what is refused is not validated, let alone executed."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from graphql import FragmentDefinitionNode, get_introspection_query, parse
from sqlalchemy import text
from starlette.applications import Starlette

from api.admission import document_cache as documents_module
from api.admission import structure
from api.admission.document_cache import Document, DocumentCache, documents
from api.admission.refusals import CAP
from api.admission.structure import structure_of
from api.config.settings import Settings
from api.errors import as_app_error
from api.http.application import create_app
from api.stores.stores import Stores
from tests.support.graphql import respond, sent
from tests.support.signing_in import as_admin

pytestmark = pytest.mark.anyio

Serve = Callable[..., Any]


@asynccontextmanager
async def limited(settings: Settings, **limits: Any) -> AsyncIterator[httpx.AsyncClient]:
    """An admin's client of an application with these limits."""
    app = create_app(settings.model_copy(update=limits))
    transport = httpx.ASGITransport(app=app)
    base = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")
    async with app.router.lifespan_context(app), base, as_admin(base, app) as admin:
        yield admin


@pytest.fixture(autouse=True)
def no_documents(clean_stores: None) -> None:
    documents.clear()


def nested(levels: int) -> str:
    """A query whose fields nest so deep."""
    return "{viewer{" + "createdBy{" * (levels - 2) + "id" + "}" * levels


FILTERED = "query ($filter: DesignFilter) { designs(filter: $filter) { totalCount } }"
NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
AVATARS = "query ($n: Int) { avatars(first: $n) { nodes { id } } }"

LIMITS: dict[str, tuple[int, Callable[[int], tuple[str, dict[str, Any]]]]] = {
    "max_document_length": (100, lambda n: ("{__typename}" + " " * (n - 12), {})),
    "max_tokens": (50, lambda n: ("{" + "__typename " * (n - 2) + "}", {})),
    "max_depth": (4, lambda n: (nested(n), {})),
    "max_root_fields": (3, lambda n: ("{" + " ".join(f"a{i}: __typename" for i in range(n)) + "}", {})),
    "max_aliases": (3, lambda n: ("{viewer{" + " ".join(f"a{i}: id" for i in range(n)) + "}}", {})),
    "max_fields": (6, lambda n: ("{viewer{" + "id " * (n - 1) + "}}", {})),
    "max_list_items": (5, lambda n: (NODES, {"ids": ["x"] * n})),
    "max_variable_values": (6, lambda n: (NODES, {"ids": ["x"] * (n - 1)})),
    "max_input_objects": (4, lambda n: (FILTERED, {"filter": {"or": [{}] * (n - 1)}})),
    "max_cost": (32, lambda n: (AVATARS, {"n": n - 2})),
}


@pytest.mark.parametrize("limit", LIMITS)
async def test_a_limit_is_kept_at_its_value_and_not_above(settings: Settings, limit: str) -> None:
    maximum, request = LIMITS[limit]
    async with limited(settings, **{limit: maximum}) as client:
        query, variables = request(maximum)
        within = await respond(client, query, **variables)
        query, variables = request(maximum + 1)
        above = await respond(client, query, **variables)

    assert not [error for error in within.get("errors", ()) if error["extensions"]["code"] == "TOO_COMPLEX"]
    assert "data" in within
    assert "data" not in above
    (error,) = above["errors"]
    assert error["extensions"] == {
        **{"code": "TOO_COMPLEX", "limit": limit.upper(), "maximum": maximum, "value": maximum + 1}
    }
    assert error["message"].endswith(f": {maximum + 1}, at most {maximum}.")


@pytest.mark.parametrize("name", ["max_depth", "max_root_fields", "max_aliases", "max_fields", "max_tokens"])
async def test_limits_count_what_fragments_have(settings: Settings, name: str) -> None:
    texts = {
        "max_depth": "{viewer{...A}} fragment A on User{createdBy{...B}} fragment B on User{createdBy{id}}",
        "max_root_fields": "{...A ...B} fragment A on Query{a:viewer{id} viewer{id}} fragment B on Query{c:__typename}",
        "max_aliases": "{viewer{...A createdBy{...A}}} fragment A on User{a:id b:id}",
        "max_fields": "{viewer{...A createdBy{...A}}} fragment A on User{id}",
        "max_tokens": "{viewer{...A}} fragment A on User{id}",
    }
    has = {"max_depth": 4, "max_root_fields": 3, "max_aliases": 4, "max_fields": 4, "max_tokens": 14}
    async with limited(settings, **{name: has[name] - 1}) as client:
        body = await respond(client, texts[name])
        assert [error["extensions"]["value"] for error in body["errors"]] == [has[name]]
    async with limited(settings, **{name: has[name]}) as client:
        assert "errors" not in await respond(client, texts[name])


async def test_a_list_in_the_document_is_limited_too(settings: Settings) -> None:
    async with limited(settings, max_list_items=3) as client:
        body = await respond(client, '{ designs(filter: {or: [{id: ["a", "b", "c", "d"]}]}) { totalCount } }')

    assert body["errors"][0]["extensions"] == {
        **{"code": "TOO_COMPLEX", "limit": "MAX_LIST_ITEMS", "maximum": 3, "value": 4}
    }


async def test_refusals_have_the_status_of_a_bad_request(settings: Settings) -> None:
    async with limited(settings, max_depth=2) as client:
        answer = await client.post(
            "/graphql", json={"query": nested(3)}, headers={"accept": "application/graphql-response+json"}
        )

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "TOO_COMPLEX"


async def test_nothing_is_validated_or_sent_for_what_is_refused(
    app: Starlette, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    validated = []
    monkeypatch.setattr(documents_module, "validate", lambda *args, **kwargs: validated.append(args))
    async with limited(settings, max_depth=3, max_aliases=2) as client:
        with sent(app) as counted:
            deep = await respond(client, nested(4))
            aliased = await respond(client, "{a: nothing b: nothing c: nothing}")

    assert deep["errors"][0]["extensions"]["limit"] == "MAX_DEPTH"
    assert aliased["errors"][0]["extensions"]["limit"] == "MAX_ALIASES"
    assert validated == []
    assert counted.counts == (0, 0)


@pytest.mark.parametrize(
    "query",
    [
        get_introspection_query(),
        get_introspection_query(
            specified_by_url=True,
            directive_is_repeatable=True,
            schema_description=True,
            input_value_deprecation=True,
            one_of=True,
        ),
    ],
    ids=["plain", "with every option"],
)
async def test_introspection_passes(settings: Settings, query: str) -> None:
    async with limited(settings, report_cost=True) as client:
        body = await respond(client, query)

    assert "errors" not in body
    assert len(body["data"]["__schema"]["types"]) > 100
    assert body["extensions"]["cost"]["requested"] < settings.max_cost


async def test_introspection_of_everything_everywhere_does_not(settings: Settings) -> None:
    fields = " ".join(f"a{number}: fields {{ name }}" for number in range(20))
    async with limited(settings) as client:
        body = await respond(client, f"{{ __schema {{ types {{ fields {{ type {{ {fields} }} }} }} }} }}")

    assert body["errors"][0]["extensions"]["limit"] == "MAX_COST"


def exponential(links: int) -> str:
    """Fragments that each spread the next one twice, in two places."""
    pattern = "fragment F%d on User{createdBy{...F%d} updatedBy{...F%d}}"
    chain = " ".join(pattern % (number, number + 1, number + 1) for number in range(links))
    return f"{{viewer{{...F0}}}} {chain} fragment F{links} on User{{id}}"


def test_each_definition_is_walked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    walked = []
    own_part = structure._own_part

    def counting(definition: Any) -> Any:
        walked.append(definition)
        return own_part(definition)

    monkeypatch.setattr(structure, "_own_part", counting)
    document = parse(exponential(30))

    found = structure_of(document)

    assert len(walked) == len(document.definitions) == 32
    assert found.depth == 32
    assert found.fields == CAP  # 2^31 and some
    assert found.aliases == 0


async def test_exponential_fragments_are_refused(settings: Settings) -> None:
    query = exponential(13)
    assert len(query) == 766
    async with limited(settings) as client:
        body = await respond(client, query)

    assert body["errors"][0]["extensions"] == {
        **{"code": "TOO_COMPLEX", "limit": "MAX_FIELDS", "maximum": 1000, "value": 3 * 2**13 - 1}
    }


def test_fragments_spread_twice_in_one_place_are_the_same_fields() -> None:
    chain = " ".join(f"fragment F{n} on Query{{...F{n + 1} ...F{n + 1}}}" for n in range(200))

    found = structure_of(parse(f"{{...F0}} {chain} fragment F200 on Query{{a: __typename}}"))

    assert (found.fields, found.aliases, found.depth, found.root_fields) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    "query",
    [
        "{...A} fragment A on Query{...A}",
        "{...A} fragment A on Query{...B} fragment B on Query{...A viewer{id}}",
        "{viewer{...A}} fragment A on User{createdBy{...B}} fragment B on User{updatedBy{...A}}",
        "{...Missing}",
        "{...A} fragment A on Query{__typename} fragment A on Query{...A}",
        "{__typename} type Query{a: Int}",
    ],
)
async def test_what_is_not_valid_is_left_to_validation(settings: Settings, query: str) -> None:
    document = parse(query)
    structure_of(document)
    fragments = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
    assert len(fragments) <= 2

    async with limited(settings) as client:
        body = await respond(client, query)

    assert {error["extensions"]["code"] for error in body["errors"]} == {"GRAPHQL_VALIDATION_FAILED"}


async def test_documents_are_parsed_and_validated_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {"parse": 0, "validate": 0, "structure_of": 0, "price_of": 0}
    for name in calls:
        original = getattr(documents_module, name)

        def counting(*args: Any, name: str = name, original: Any = original, **kwargs: Any) -> Any:
            calls[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(documents_module, name, counting)
    async with limited(settings) as client:
        for size in (1, 2, 3):
            assert "errors" not in await respond(client, AVATARS, n=size)

    assert calls == {"parse": 1, "validate": 1, "structure_of": 1, "price_of": 1}


def test_the_cache_is_bounded_by_bytes_and_by_number(settings: Settings) -> None:
    known = DocumentCache(max_documents=3)
    first = known.get("{a}", settings)
    assert known.get("{a}", settings) is first
    for name in "bcd":
        known.get(f"{{{name}}}", settings)
    assert len(known) == 3
    assert known.get("{a}", settings) is not first  # it was the oldest

    size = first.bytes
    small = settings.model_copy(update={"document_cache_size": 2 * size})
    known.clear()
    for name in "abc":
        known.get(f"{{{name}}}", small)
        assert known.bytes <= 2 * size
    assert len(known) == 2
    known.get("{" + "a " * 500 + "}", small)  # too large to be kept
    assert (len(known), known.bytes) == (0, 0)


async def test_a_document_that_is_forgotten_is_kept_by_nobody(settings: Settings) -> None:
    # given: room for three
    size = Document("{a0: avatars { totalCount }}", settings).bytes
    async with limited(settings, document_cache_size=3 * size) as client:
        for number in range(9):
            assert "errors" not in await respond(client, f"{{a{number}: avatars {{ totalCount }}}}")
        gc.collect()
        before = Counter(type(each).__name__ for each in gc.get_objects())["DocumentNode"]

        for number in range(9):
            assert "errors" not in await respond(client, f"{{b{number}: avatars {{ totalCount }}}}")

        gc.collect()
        assert Counter(type(each).__name__ for each in gc.get_objects())["DocumentNode"] == before
        assert len(documents) == 3


def test_a_document_that_is_known_is_held_to_each_settings(settings: Settings) -> None:
    strict = settings.model_copy(update={"max_depth": 2})
    known = DocumentCache()
    known.get(nested(3), settings)

    with pytest.raises(Exception, match=r"Fields nest too deep: 3, at most 2\."):
        known.get(nested(3), strict)


def test_what_was_refused_is_not_parsed_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []

    def counting(document: str, **limits: Any) -> Any:
        parsed.append(document)
        return parse(document, **limits)

    monkeypatch.setattr(documents_module, "parse", counting)
    monkeypatch.setattr(documents_module, "MAX_REFUSED", 2)
    strict = settings.model_copy(update={"max_tokens": 5, "max_depth": 2})
    known = DocumentCache()
    many = ["{" + name * 5 + "}" for name in ("a ", "b ", "c ")]

    for asked, reason in [
        (many[0], "Too many tokens: 6, at most 5."),
        ("{a{b{c}}}", "Too many tokens"),
        ("{a", "Syntax"),
    ]:
        for _ in range(2):
            with pytest.raises(Exception, match=reason):
                known.get(asked, strict)
    for asked in [nested(3), nested(3)]:
        with pytest.raises(Exception, match="Fields nest too deep"):
            known.get(asked, strict.model_copy(update={"max_tokens": 100}))
    assert parsed == [many[0], "{a{b{c}}}", "{a", "{a", nested(3)]

    # and: others may have more tokens; only the last refusals are remembered
    assert known.get(many[0], settings).tokens == 7
    known.clear()
    parsed.clear()
    for asked in [*many, many[2], many[0]]:
        with pytest.raises(Exception, match="Too many tokens"):
            known.get(asked, strict.model_copy(update={"max_tokens": 4}))
    assert parsed == [*many, many[0]]


def test_validation_compares_a_bounded_number_of_fields(settings: Settings) -> None:
    from api.schema import schema

    text = "{" + " ".join(f'a: avatar(id: "{number}") {{ id }}' for number in range(150)) + "}"
    (error,) = Document(text, settings.model_copy(update={"max_aliases": 1000})).errors(schema._schema)

    assert as_app_error(error) is not None
    assert error.message.endswith(": 5001, at most 5000.")


def test_large_documents_get_fewer_errors(settings: Settings) -> None:
    from api.schema import schema

    small = Document("{" + " ".join(f"x{number}" for number in range(60)) + "}", settings)
    large = Document("{" + " ".join(f"x{number}" for number in range(1000)) + "}", settings)

    assert len(small.errors(schema._schema)) == 51  # and that there are more
    assert len(large.errors(schema._schema)) == 10


async def test_an_operation_ends_at_its_deadline(settings: Settings, stores: Stores) -> None:
    # given: one connection, and a table that nobody can read
    one = {"postgres_pool_size": 1, "postgres_max_overflow": 0, "postgres_pool_timeout": 60.0}
    async with limited(settings, execution_timeout=1.0, **one) as client, stores.engine.connect() as locking:
        await locking.execute(text("LOCK TABLE avatar.avatars IN ACCESS EXCLUSIVE MODE"))

        answer = await client.post("/graphql", json={"query": "{ avatars { totalCount } }"})
        await locking.rollback()
        next_answers = await asyncio.gather(*(respond(client, "{ users { totalCount } }") for _ in range(3)))

    # then: it is refused, and its connection is back for those who come next
    assert answer.status_code == 504
    assert answer.json() == {
        "errors": [
            {
                "message": "The operation took longer than 1 s.",
                "extensions": {"code": "TIMEOUT", "limit": "EXECUTION_TIMEOUT", "maximum": 1.0},
            }
        ]
    }
    assert next_answers == [{"data": {"users": {"totalCount": 0}}}] * 3
