"""Rehearsals are asked for in code and over REST."""

from tests.engine.api.conftest import agree, api, client_of, forget_between_tests, schema

__all__ = ["agree", "api", "client_of", "forget_between_tests", "schema"]
