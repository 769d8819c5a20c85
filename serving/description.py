"""The service's OpenAPI description, made from the records that it reads and writes."""

from typing import Any, Final

import msgspec

from ml.schema import Transaction
from serving.answers import Answer, Prediction, Refused
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

_KEY: Final = {"type": "http", "scheme": "bearer", "description": "An API key, where the service was given any."}


def description(version: str) -> dict[str, Any]:
    """OpenAPI 3.1 of the service."""
    schemas, components = msgspec.json.schema_components(
        [Transaction, Answer, Prediction, Refused], ref_template="#/components/schemas/{name}"
    )
    transaction, answer, prediction, refused = schemas
    problem = {"application/problem+json": {"schema": refused}}
    refusals = {
        status: {"description": words, "content": problem}
        for status, words in {
            "401": "A key is needed.",
            "413": "The request or the transaction is too large.",
            "422": "The body is no transaction; `field` names what is wrong.",
            "429": "The caller's rate is used up; Retry-After says when to come back.",
            "503": "Too many requests wait, or the service is not ready.",
        }.items()
    }
    duplicate = {
        "409": {"description": "The transaction was judged before, at that place in the log.", "content": problem}
    }
    batch = {"type": "array", "items": transaction, "minItems": 1, "maxItems": MOST_IN_A_BATCH}
    answers = {"type": "array", "items": {"anyOf": [answer, refused]}}
    timeout = {
        "name": "timeout_ms",
        "in": "query",
        "description": "How long to wait for the judgement before the policy's fallback is answered.",
        "schema": {"type": "number", "minimum": 1, "maximum": 60_000},
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
                    "requestBody": _body({"oneOf": [transaction, batch]}),
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
                    "requestBody": _body(transaction),
                    "responses": {"200": _json("The score that it would have.", prediction), **refusals, **duplicate},
                }
            },
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
        },
    }


def _body(schema: object) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema, "example": EXAMPLE}}}


def _json(words: str, schema: object) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": schema}}}


def _plain(name: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "security": [{}],
        "responses": {"200": {"description": "As said."}},
    }
