"""The service's OpenAPI description, made from the records that it reads and writes."""

from typing import Any, Final

import msgspec

from ml.schema import REQUIRED_FIELDS, Transaction
from serving.answers import Answer, Prediction, Refused
from serving.customers import CustomerState
from serving.mappings import Mappings
from serving.requests import MOST_IN_A_BATCH

EXAMPLE: Final = {
    "transaction_id": "t-0001",
    "event_time": "2026-05-28T12:00:00.000Z",
    "customer_id": "c-0001",
    "amount": 42.5,
    "currency": "EUR",
    "merchant_id": "m-0001",
    "merchant_category": "groceries",
    "country": "NL",
    "latitude": 52.1,
    "longitude": 4.3,
    "channel": "chip",
    "device_id": None,
}
"""A transaction that is answered wherever the service runs."""

SPARKOV: Final = {
    "trans_num": "0b242abb623afc578575680df30655b9",
    "trans_date_trans_time": "2026-05-28 12:00:00",
    "cc_num": 2703186189652095,
    "amt": 4.97,
    "merchant": "fraud_Rippin, Kub and Mann",
    "category": "misc_net",
    "merch_lat": 36.011293,
    "merch_long": -82.048315,
    "city_pop": 3495,
    "lat": 36.0788,
    "long": -81.1781,
}
"""A question by the columns of a data set (docs/replay.md)."""

_LEAST: Final = {name: EXAMPLE[name] for name in REQUIRED_FIELDS}
_BATCH: Final = [EXAMPLE | {"transaction_id": f"t-{number:04}", "amount": 10.0 * number} for number in (3, 4)]
_SPARKOV: Final = {"summary": "By the columns of Sparkov", "value": SPARKOV, "x-query": "?mapping=sparkov"}


def _one(letter: str) -> dict[str, dict[str, object]]:
    """Transactions that are answered; their names begin so, since what is in the log already is a duplicate."""
    return {
        "all": {"summary": "All fields of a transaction", "value": EXAMPLE | {"transaction_id": f"{letter}-0001"}},
        "least": {"summary": "The required fields alone", "value": _LEAST | {"transaction_id": f"{letter}-0002"}},
    }


EXAMPLES: Final = {
    "transactions": _one("t") | {"batch": {"summary": "A batch, answered in its order", "value": _BATCH}},
    "predict": _one("p") | {"sparkov": _SPARKOV},
}
"""By operation: bodies that are answered with 200."""

_KEY: Final = {"type": "http", "scheme": "bearer", "description": "An API key, where the service was given any."}


def description(version: str) -> dict[str, Any]:
    """OpenAPI 3.1 of the service."""
    schemas, components = msgspec.json.schema_components(
        [Transaction, Answer, Prediction, Refused, CustomerState], ref_template="#/components/schemas/{name}"
    )
    transaction, answer, prediction, refused, customer = schemas
    problem = {"application/problem+json": {"schema": refused}}
    refusals = {
        status: {"description": words, "content": problem}
        for status, words in {
            "401": "A key is needed.",
            "408": "The request did not arrive whole within ten seconds.",
            "413": "The request or the transaction is too large.",
            "421": "Another machine has the customer's partition; `location` says which.",
            "422": "The body is no transaction; `field` names what is wrong.",
            "429": "The caller's rate is used up; Retry-After says when to come back.",
            "500": "An error of the service's own; its log says which.",
            "503": "Too many requests wait, or the service is not ready.",
        }.items()
    }
    duplicate = {
        "409": {"description": "The transaction was judged before, at that place in the log.", "content": problem}
    }
    other = {"description": "Anything else is answered by a refusal in its place; the others are judged."}
    batch = {"type": "array", "items": {"anyOf": [transaction, other]}, "minItems": 1, "maxItems": MOST_IN_A_BATCH}
    answers = {"type": "array", "items": {"anyOf": [answer, refused]}}
    timeout = {
        "name": "timeout_ms",
        "in": "query",
        "description": "How long to wait for the judgement before the policy's fallback is answered.",
        "schema": {"type": "number", "minimum": 1, "maximum": 60_000},
    }
    mapping = {
        "name": "mapping",
        "in": "query",
        "description": "The data set whose columns the body has in place of a transaction's fields (docs/replay.md).",
        "schema": {"type": "string", "enum": Mappings().names},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Scoreline",
            "version": version,
            "description": "Judges payments at once, by the judgement of the streaming job, over the same log.",
        },
        "components": {"schemas": components, "securitySchemes": {"key": _KEY}},
        "security": [{}, {"key": []}],
        "paths": {
            "/transactions": {
                "post": {
                    "operationId": "transactions",
                    "summary": "Put a transaction into the log, and answer with its judgement",
                    "parameters": [timeout],
                    "requestBody": _body("transactions", {"oneOf": [transaction, batch]}),
                    "responses": {
                        "200": _json(
                            "The judgement; of a batch one answer each, in its order.", {"oneOf": [answer, answers]}
                        ),
                        **refusals,
                        **duplicate,
                    },
                }
            },
            "/predict": {
                "post": {
                    "operationId": "predict",
                    "summary": "What would this transaction's score be? Nothing is recorded",
                    "parameters": [mapping],
                    "requestBody": _body("predict", {"anyOf": [transaction, {"type": "object"}]}),
                    "responses": {"200": _json("The score that it would have.", prediction), **refusals, **duplicate},
                }
            },
            "/customers/{customer_id}": {"get": _customer(customer, problem)},
            "/health": {"get": _plain("health", "Whether the process is alive")},
            "/ready": {
                "get": _plain("ready", "Whether requests are answered: the state is caught up and a model is loaded")
                | {
                    "responses": {
                        "200": {"description": "Ready."},
                        "503": {"description": "Not ready; `state` says why."},
                    }
                }
            },
            "/metrics": {"get": _plain("metrics", "What Prometheus reads")},
            "/openapi.json": {"get": _plain("openapi", "This description")},
            "/docs": {"get": _plain("docs", "This description as a page, from which its examples can be sent")},
        },
    }


def _body(operation: str, schema: object) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema, "examples": EXAMPLES[operation]}}}


def _json(words: str, schema: object) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": schema}}}


def _customer(schema: object, problem: object) -> dict[str, Any]:
    words = {
        "401": "A key is needed.",
        "404": "The service has no keys, or the customer is not known.",
        "421": "Another machine has the customer's partition; `location` says which.",
        "429": "The caller's rate is used up; Retry-After says when to come back.",
        "503": "The service is not ready.",
    }
    return {
        "operationId": "customer",
        "summary": "What the state knows of a customer; off unless the service was given keys",
        "security": [{"key": []}],
        "parameters": [
            {
                "name": "customer_id",
                "in": "path",
                "required": True,
                "description": "As in the transactions.",
                "schema": {"type": "string"},
            }
        ],
        "responses": {
            "200": _json("What was learned.", schema),
            **{status: {"description": text, "content": problem} for status, text in words.items()},
        },
    }


def _plain(name: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "security": [{}],
        "responses": {"200": {"description": "As said."}},
    }
