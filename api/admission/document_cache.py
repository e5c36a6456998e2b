"""A cache of documents, which are parsed, measured, validated and priced once. The key is their text.

The cache is bounded by bytes as well as by number, since a parsed document can take a hundred times as much as its
text.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    ValuesOfCorrectTypeRule,
    parse,
    specified_rules,
    validate,
)
from graphql.utilities import get_operation_ast
from graphql.validation.rules import overlapping_fields_can_be_merged
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from api.admission.introspection import introspection_errors, introspects
from api.admission.literals import LocatedLiterals
from api.admission.price import price_of
from api.admission.price_expression import Price
from api.admission.refusals import TooComplex, require
from api.admission.structure import structure_of
from api.config.settings import Settings
from api.fields.costs import Costs

MAX_DOCUMENTS: Final = 1000
"""The number of documents that are kept at most."""
TOKEN_BYTES: Final = 1000
"""About how much memory a token takes: its node, the token itself, and its location."""
MAX_REFUSED: Final = 1000
"""The number of texts that are remembered for having too many tokens, 16 bytes of each."""
MAX_COMMENTS: Final = 1000
MAX_ERRORS: Final = 50
"""The most validation errors that are reported for a small document."""
MAX_PRINTED: Final = 10_000
"""The most tokens that all error messages together may print. One message may print most of a document, so fewer errors
are reported for large documents."""
MAX_COMPARISONS: Final = 5000
"""The most pairs of fields with the same name that validation compares. graphql-core counts two for each pair."""

_ABORTED: Final = "Validation aborted."
"""The message of graphql-core when it stops comparing fields."""

_RULES: Final = (
    *(LocatedLiterals if rule is ValuesOfCorrectTypeRule else rule for rule in specified_rules),
    *(MaybeNullValidationRule, OneOfInputValidationRule),
)

overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 2 * MAX_COMPARISONS


class Document:
    """One document with its measured structure, its validation errors, and the prices of its operations."""

    def __init__(self, text: str, settings: Settings) -> None:
        """Raises GraphQLSyntaxError, and TooComplex."""
        require("The document is too long", "max_document_length", settings.max_document_length, len(text))
        self.node = _parsed(text, settings)
        self.tokens = self.node.token_count
        self.bytes = len(text) + self.tokens * TOKEN_BYTES
        self.structure = structure_of(self.node)
        self._within: Settings | None = None
        self._introspects = introspects(text)
        self._introspection: list[GraphQLError] | None = None
        self._verdicts: dict[bool, list[GraphQLError]] = {}
        self._prices: dict[str | None, Price] = {}

    @property
    def is_new(self) -> bool:
        """Whether it is still to be validated."""
        return not self._verdicts

    @property
    def operations(self) -> list[OperationDefinitionNode]:
        """All operations of the document."""
        return [node for node in self.node.definitions if isinstance(node, OperationDefinitionNode)]

    def require(self, settings: Settings) -> None:
        """Raise TooComplex where the document has more than these settings allow."""
        if self._within is settings:
            return
        require("Too many tokens", "max_tokens", settings.max_tokens, self.tokens)
        self.structure.require(settings)
        self._within = settings

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation with this name; without a name, the only operation."""
        return get_operation_ast(self.node, name)

    def root_fields(self, operation: OperationDefinitionNode) -> frozenset[str]:
        """The names of the root fields that the operation selects, in fragments, too."""
        fragments = {
            node.name.value: node for node in self.node.definitions if isinstance(node, FragmentDefinitionNode)
        }
        names: set[str] = set()
        rest, seen = [operation.selection_set], set[str]()
        while rest:
            for selection in rest.pop().selections:
                if isinstance(selection, FieldNode):
                    names.add(selection.name.value)
                elif isinstance(selection, InlineFragmentNode):
                    rest.append(selection.selection_set)
                elif isinstance(selection, FragmentSpreadNode) and (name := selection.name.value) not in seen:
                    seen.add(name)
                    if name in fragments:
                        rest.append(fragments[name].selection_set)
        return frozenset(names)

    def errors(self, schema: GraphQLSchema, *, hide_suggestions: bool = False) -> list[GraphQLError]:
        """The validation errors, none for a valid document. Call `require` first: validation of a huge one takes
        long."""
        errors = self._verdicts.get(hide_suggestions)
        if errors is None:
            most = min(MAX_ERRORS, MAX_PRINTED // self.tokens)
            errors = validate(schema, self.node, _RULES, max_errors=max(1, most), hide_suggestions=hide_suggestions)
            if errors and errors[-1].message == _ABORTED:
                errors[-1] = _too_intricate()
            self._verdicts[hide_suggestions] = errors
        return errors

    def introspection_errors(self, schema: GraphQLSchema) -> list[GraphQLError]:
        """The errors of a valid document where introspection is not allowed."""
        if not self._introspects:
            return []
        if self._introspection is None:
            self._introspection = introspection_errors(schema, self.node)
        return self._introspection

    def price(self, operation: OperationDefinitionNode, costs: Costs) -> Price:
        """What an operation of a valid document may cost."""
        name = operation.name.value if operation.name else None
        price = self._prices.get(name)
        if price is None:
            price = self._prices[name] = price_of(operation, self.node, costs)
        return price


class DocumentCache:
    """The documents that were used most recently."""

    def __init__(self, max_documents: int = MAX_DOCUMENTS) -> None:
        self._max_documents = max_documents
        self._documents: OrderedDict[str, Document] = OrderedDict()
        self._refused: OrderedDict[bytes, None] = OrderedDict()
        self.bytes = 0
        """About how many bytes the cached documents take."""
        self.parsed = self.hits = 0
        """How many texts weren't there, and had to be parsed."""
        self.when_forgotten: list[Callable[[DocumentNode], None]] = []
        """Called with each document that leaves the cache, so that others don't keep it alive."""

    @property
    def misses(self) -> int:
        """Documents that weren't kept; `hits` are operations whose documents were."""
        return self.parsed

    def __len__(self) -> int:
        return len(self._documents)

    def get(self, text: str, settings: Settings) -> Document:
        """The document with this text. Raises GraphQLSyntaxError, and TooComplex."""
        document = self._documents.get(text)
        if document is not None:
            self._documents.move_to_end(text)
            document.require(settings)
            return document
        digest = _digest(text, settings)
        if digest is not None and digest in self._refused:
            self._refused.move_to_end(digest)
            raise _too_many_tokens(settings)
        self.parsed += 1
        try:
            document = Document(text, settings)
        except TooComplex:
            if digest is not None:
                self._refuse(digest)
            raise
        self._keep(text, document, settings.document_cache_size)
        document.require(settings)
        return document

    def is_subscription(self, text: str, name: str | None, settings: Settings) -> bool:
        """Whether a request asks for a subscription."""
        try:
            operation = self.get(text, settings).operation(name)
        except (GraphQLError, TooComplex):
            return False  # the error is reported when it is executed
        return operation is not None and operation.operation is OperationType.SUBSCRIPTION

    def mutations(self, text: str, name: str | None, settings: Settings) -> frozenset[str]:
        """The names of the mutations that a request asks for; none for other operations and for invalid documents."""
        try:
            document = self.get(text, settings)
            operation = document.operation(name)
        except (GraphQLError, TooComplex):
            return frozenset()  # the error is reported when it is executed
        if operation is None or operation.operation is not OperationType.MUTATION:
            return frozenset()
        return document.root_fields(operation)

    def clear(self) -> None:
        """Forget all documents."""
        self._documents.clear()
        self._refused.clear()
        self.bytes = 0

    def _refuse(self, digest: bytes) -> None:
        self._refused[digest] = None
        if len(self._refused) > MAX_REFUSED:
            self._refused.popitem(last=False)

    def _keep(self, text: str, document: Document, max_bytes: int) -> None:
        self._documents[text] = document
        self.bytes += document.bytes
        while self._documents and (len(self._documents) > self._max_documents or self.bytes > max_bytes):
            _, oldest = self._documents.popitem(last=False)
            self.bytes -= oldest.bytes
            for forget in self.when_forgotten:
                forget(oldest.node)


def _too_intricate() -> GraphQLError:
    what = "Fields of one name, or fragments in fragments, are too many to compare"
    error = TooComplex(what, "max_comparisons", MAX_COMPARISONS, MAX_COMPARISONS + 1)
    return GraphQLError(error.message, original_error=error)


def _digest(text: str, settings: Settings) -> bytes | None:
    """What a text is remembered by that may have too many tokens. Each token takes a character."""
    if not settings.max_tokens < len(text) <= settings.max_document_length:
        return None
    return hashlib.blake2b(
        text.encode(errors="surrogatepass"), digest_size=16, salt=b"%d" % settings.max_tokens
    ).digest()


def _too_many_tokens(settings: Settings) -> TooComplex:
    return TooComplex("Too many tokens", "max_tokens", settings.max_tokens, settings.max_tokens + 1)


def _parsed(text: str, settings: Settings) -> DocumentNode:
    try:
        return parse(text, max_lexical_tokens=settings.max_tokens, max_comments=MAX_COMMENTS)
    except GraphQLError as error:
        if error.message.endswith(f"Document contains more than {settings.max_tokens} tokens. Parsing aborted."):
            raise _too_many_tokens(settings) from None
        raise


documents: Final = DocumentCache()
"""The cache of this process."""
