"""Requests that are made to take long: documents, variables and results up to what the limits let through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson
from graphql import get_introspection_query

MIB: Final = 1024 * 1024
BODY: Final = MIB - 1000
"""Bytes that a request may have, and room for the rest of it."""

Input = tuple[str, bytes]
"""What it is, and a request's body."""


def _operation(query: str, variables: dict[str, Any] | None = None) -> bytes:
    return orjson.dumps({"query": query, "variables": variables or {}})


def _many(pattern: str, count: int, glue: str = " ") -> str:
    """The pattern so often, `%d` its number."""
    return glue.join(pattern.replace("%d", str(number)) for number in range(count))


def bodies() -> Iterator[Input]:
    """JSON that is hard on whoever reads it."""
    yield "1 MiB of brackets", b'{"query":"{__typename}","variables":{"a":[' + b"[]," * (BODY // 3) + b"[]]}}"
    yield "1 MiB of objects", b'{"query":"{__typename}","variables":{"a":[' + b"{}," * (BODY // 3) + b"{}]}}"
    yield "1 MiB of numbers", b'{"query":"{__typename}","variables":{"a":[' + b"1," * (BODY // 2) + b"1]}}"
    yield "1 MiB of names", _operation("{__typename}", {f"k{number}": 1 for number in range(BODY // 12)})
    yield "JSON 100,000 deep", b'{"query":"{__typename}","variables":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    yield "JSON 900 deep", b'{"query":"{__typename}","variables":{"a":' + b"[" * 900 + b"]" * 900 + b"}}"
    yield "1 MiB of text in a variable", _operation("query($q:ID!){node(id:$q){id}}", {"q": "x" * BODY})
    yield "1 MiB of escapes", b'{"query":"{__typename}","variables":{"a":"' + b"\\u0000" * (BODY // 6) + b'"}}'
    yield "a batch of 1 MiB", b"[" + b'{"query":"{__typename}"},' * (BODY // 25) + b'{"query":"{a}"}]'


def texts(length: int) -> Iterator[Input]:
    """Documents that are long, and little else."""
    yield "1 MiB of document", _operation("{__typename}" + " " * BODY)
    for name, piece in {"spaces": " ", "commas": ",", "comments": "#\n", "lines": "\n", "BOMs": "﻿"}.items():
        yield f"document of {name}", _operation("{__typename}" + piece * ((length - 20) // len(piece)))
    for name, (opening, piece, closing) in {
        "block text of lines": ('"""', "\n", '"""'),
        "block text of indented lines": ('"""', "\n  ", '"""'),
        "block text of quotes": ('"""', '\\"""', '"""'),
        "text of escapes": ('"', "\\n", '"'),
        "text of code points": ('"', "\\u{1F600}", '"'),
        "number": ("", "1", ""),
    }.items():
        literal = opening + piece * ((length - 50) // len(piece)) + closing
        yield f"document of one {name}", _operation(f"{{node(id:{literal}){{id}}}}")
    yield "document of one name", _operation("{" + "x" * (length - 10) + "}")
    yield "document of one name for a type", _operation("{...on " + "U" * (length - 50) + "{id}}")
    yield "long names that differ little", _operation("{" + _many("y" * (length // 25 - 8) + "%d", 24) + "}")


def documents(tokens: int) -> Iterator[Input]:
    """Documents of all the tokens that are allowed, each hard on another part of validation."""

    def fill(pattern: str, each: int, before: str = "{", after: str = "}") -> bytes:
        return _operation(before + _many(pattern, (tokens - 20) // each) + after)

    yield "too many tokens", fill("a", 1, "{a " + "a " * 20)
    yield "fields of one name", fill("__typename", 1)
    yield "unknown fields", fill("catalogItemz%d", 1)
    yield "unknown fields below", fill("catalogItemz%d", 1, "{users{nodes{", "}}}")
    yield "one alias, other arguments", fill('a:avatar(id:"%d"){id}', 11)
    yield "one alias, other fields", fill("a:b%d", 3, "{users{nodes{", "}}}")
    yield "one name, nested differently", fill("users{nodes{a%d:id}}", 8)
    yield "one name, filters that differ", fill("users(first:%d filter:{isActive:true}){nodes{id}}", 18)
    yield "fragments, each spread twice", fill("fragment F%d on Query{...F%d ...F%d}", 10, "{...F0}", "")
    yield (
        "a chain of fragments",
        _operation("{...F0}" + _many("fragment F%d on Query{...G%d}", tokens // 8).replace("G", "F1")),
    )
    links = (tokens - 20) // 10
    twice = " ".join(f"fragment F{n} on User{{...F{n + 1} ...F{n + 1}}}" for n in range(links))
    yield "exponential fragments", _operation(f"{{viewer{{...F0}}}} {twice} fragment F{links} on User{{id}}")
    wide = " ".join(
        f"fragment F{n} on User{{createdBy{{...F{n + 1}}} updatedBy{{...F{n + 1}}}}}" for n in range(tokens // 16)
    )
    yield "fragments that branch", _operation(f"{{viewer{{...F0}}}} {wide} fragment F{tokens // 16} on User{{id}}")
    cycle = " ".join(
        f"fragment F{n} on User{{createdBy{{...F{(n + 1) % (tokens // 12)}}}}}" for n in range(tokens // 12)
    )
    yield "a cycle of fragments", _operation(f"{{viewer{{...F0}}}} {cycle}")
    star = tokens // 14
    yield (
        "fragments next to each other",
        _operation("{viewer{" + _many("...F%d", star) + "}}" + _many("fragment F%d on User{a%d:firstName}", star)),
    )
    yield (
        "fragments of equal fields",
        _operation("{viewer{" + _many("...F%d", star) + "}}" + _many("fragment F%d on User{id email}", star)),
    )
    yield "fragments nobody spreads", fill("fragment F%d on User{id}", 7, "{__typename}", "")
    yield "fragments of one name", fill("fragment F on User{id}", 7, "{viewer{...F}}", "")
    yield "unknown fragments", fill("...F%d", 2)
    yield "unknown types", fill("...on Userr%d{id}", 6)
    yield "variables nobody uses", fill("$v%d:Int", 4, "query(", "){__typename}")
    yield "variables of unknown types", fill("$v%d:Userr%d", 4, "query(", "){__typename}")
    yield "variables of one name", fill("$v:Int", 4, "query(", "){__typename}")
    yield "variables that are not there", fill("users(first:$v%d){totalCount}", 10)
    many = tokens // 20
    yield (
        "operations and fragments with variables",
        _operation(
            _many("query Q%d{...F}", many)
            + " fragment F on Query{"
            + _many("users(first:$v%d){totalCount}", many)
            + "}"
        ),
    )
    yield "directives of one kind", fill("@skip(if:false)", 7, "{__typename ", "}")
    yield "unknown directives", fill("@skipp%d", 2, "{__typename ", "}")
    yield "unknown arguments", fill("firstt%d:1", 3, "{users(", "){totalCount}}")
    yield "an argument again and again", fill("first:1", 3, "{users(", "){totalCount}}")
    yield "empty filters", fill("{}", 2, "{designs(filter:{or:[", "]}){totalCount}}")
    yield "filters with unknown fields", fill("{ownerr:1}", 5, "{designs(filter:{or:[", "]}){totalCount}}")
    yield "one filter, unknown fields", fill("ownerr%d:1", 3, "{designs(filter:{", "}){totalCount}}")
    yield "values of another type", fill('"x"', 1, "{designs(filter:{or:[", "]}){totalCount}}")
    yield "values of an enum that has none", fill("PUBLISHEDD%d", 1, "{designs(filter:{status:[", "]}){totalCount}}")
    yield "200 levels", _operation("{" + "users{nodes{owner{" * 66)
    yield "100 levels of users", _operation("{viewer{" + "createdBy{" * 97 + "id" + "}" * 99)
    yield "100 levels of filters", _operation("{designs(filter:" + "{not:" * 100 + "{}" + "}" * 100 + "){totalCount}}")
    yield "100 levels of a list type", _operation("query($v:" + "[" * 100 + "Int" + "]" * 100 + "){__typename}")
    yield "inline fragments", fill("...on User{id}", 6, "{viewer{", "}}")
    yield "inline fragments in each other", _operation("{viewer{" + "...on User{" * 90 + "id " * 300 + "}" * 92)
    yield (
        "aliases with filters that differ",
        _operation(
            "{"
            + _many("users(first:%d,filter:{or:[{isActive:true} {isActive:false} {isActive:true}]}){nodes{id}}", 55)
            + "}"
        ),
    )
    five = "id email firstName lastName role"
    yield (
        "fragments of five fields, spread by a fragment each",
        _operation(
            "{viewer{...F0 ...G0}}"
            + _many(f"fragment F%d on User{{{five} ...F#%d}}", tokens // 26).replace("#", "1")
            + _many(f"fragment G%d on User{{{five}}}", tokens // 26)
        ),
    )
    queries = tokens // 25
    yield (
        "operations that share fragments",
        _operation(
            _many("query Q%d($a:Int){" + _many("...F%d", 5) + "}", queries)
            + _many("fragment F%d on Query{users(first:$a){totalCount}}", 5)
        ),
    )
    yield (
        "a field again and again, with variables",
        _operation("query(" + _many("$v%d:Int", 100) + "){" + _many("users(first:$v%d){nodes{id}}", 100) + "}"),
    )
    yield "a syntax error at the end", fill("a", 1, "{", "")
    yield "operations", fill("query Q%d{__typename}", 5, "", "")
    yield "a type system", fill("type T%d{a:Int}", 7, "{__typename} ", "")
    yield "introspection", _operation(get_introspection_query())
    yield (
        "introspection of introspection",
        _operation("{__schema{types{" + _many("a%d:fields{name description type{name kind}}", 40) + "}}}"),
    )
    yield (
        "introspection, deep",
        _operation("{__schema{types{fields{type{" + _many("a%d:fields{name description args{name}}", 12) + "}}}}}"),
    )


def variables(values: int, items: int) -> Iterator[Input]:
    """Variables of all the values that are allowed, and of more."""
    designs = "query($f:DesignFilter){designs(filter:$f){totalCount}}"
    yield "50,000 empty filters", _operation(designs, {"f": {"or": [{}] * 50_000}})
    yield "100,000 ids", _operation("query($i:[ID!]!){nodes(ids:$i){id}}", {"i": ["x"] * 100_000})
    yield "filters in one list", _operation(designs, {"f": {"or": [{}] * items}})
    yield "filters in many lists", _operation(designs, {"f": {"or": [{"or": [{}] * min(items, values // 20)}] * 18}})
    yield "wrong filters in many lists", _operation(designs, {"f": {"or": [{"or": [{"ownerr": 1}] * 200}] * 18}})
    yield "filters 240 deep", _operation(designs, {"f": _nested("not", 240)})
    yield "wrong ids", _operation("query($i:[ID!]!){nodes(ids:$i){id}}", {"i": [{}] * items})
    yield "unknown variables", _operation("{__typename}", {f"v{number}": number for number in range(values)})
    item = {"name": "x", "type": "FABRIC", "properties": {"color": "red", "tags": ["a", "b"]}, "price": 1}
    import_ = "mutation($i:ImportCatalogItemsInput!){importCatalogItems(input:$i){imported errors{message}}}"
    yield "an import", _operation(import_, {"i": {"items": [item] * items}})
    yield "an import of nothing right", _operation(import_, {"i": {"items": [{"name": 1}] * items}})
    wrong = item | {"assetUrl": "x", "price": -1, "name": ""}
    yield "an import of wrong values", _operation(import_, {"i": {"items": [wrong] * items}})
    layer = {"type": "FABRIC", "position": {"x": 1, "y": 2, "z": 3}, "scale": {"x": 1, "y": 1}, "visible": True}
    create = "mutation($i:CreateDesignInput!){createDesign(input:$i){design{id} errors{message}}}"
    yield "a design of layers", _operation(create, {"i": {"name": "x", "layers": [layer] * 200}})
    yield "a design of too many layers", _operation(create, {"i": {"name": "x", "layers": [layer] * items}})


def _nested(name: str, levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {name: value}
    return value


_DESIGN = "id name status version createdAt updatedAt metadata{tags description}"
_LAYERS = "layers{layerId type position{x y z} rotation scale{x y} color visible catalogItem{id name thumbnailUrl}}"


def results() -> Iterator[Input]:
    """Operations that return as much as their cost allows."""
    designs = f"designs(first:90){{nodes{{{_DESIGN}}}}}"
    yield "designs of 50 users", _operation(f"{{users(first:50){{nodes{{{designs}}}}}}}")
    yield "designs of 100 users", _operation(f"{{users(first:100){{nodes{{{designs}}}}}}}")
    yield "designs with layers", _operation(f"{{designs(first:100){{nodes{{{_DESIGN} {_LAYERS}}}}}}}")
    layers = _LAYERS.replace("thumbnailUrl", "")  # so that two pages just fit into an answer
    page = f"designs(first:100){{nodes{{{_DESIGN} {layers}}}}}"
    for count in (2, 4):
        yield f"{count} pages of designs with layers", _operation("{" + _many(f"a%d:{page}", count) + "}")
    whole = "query($n:Int!){" + _many(f"a%d:{page}", 2).replace("first:100", "first:$n") + "}"
    yield "2 pages of designs with layers, by variable", _operation(whole, {"n": 100})
    owned = f"users(first:2){{nodes{{{page}}}}}"
    yield "designs with layers of their owners", _operation(f"{{{owned}}}")
    yield (
        "designs of users with layers",
        _operation(f"{{users(first:20){{nodes{{designs(first:20){{nodes{{{_DESIGN} {_LAYERS}}}}}}}}}}}"),
    )
    leaves = _many("a%d:name", 40)
    yield "many leaves", _operation(f"{{users(first:90){{nodes{{designs(first:100){{nodes{{{leaves}}}}}}}}}}}")
    yield "cursors", _operation("{users(first:90){nodes{designs(first:100){edges{cursor node{id}}}}}}")
    owners = "owner{" + "createdBy{" * 10 + "id" + "}" * 11
    yield "deep", _operation(f"{{designs(first:100){{nodes{{{owners}}}}}}}")
    literal = "{or:[" + "{} " * 400 + "]}"
    below = "designs(first:1,filter:%s){nodes{id}}"
    yield "a filter for each parent", _operation(f"{{users(first:90){{nodes{{{below % literal}}}}}}}")
    yield (
        "a filter for each parent, by variable",
        _operation(f"query($f:DesignFilter){{users(first:90){{nodes{{{below % '$f'}}}}}}}", {"f": {"or": [{}] * 99}}),
    )
    yield "counts", _operation("{users(first:100){nodes{designs{totalCount} avatars{totalCount}}}}")
    yield "nodes", _operation("query($i:[ID!]!){nodes(ids:$i){id __typename}}", {"i": ["VXNlcjox"] * 100})
