"""What the registry's trouble looks like to a user, without a network."""

from __future__ import annotations

import pytest
import requests

from harness.core.errors import SetupError
from harness.distribution import registry
from tests.distribution.conftest import artifact


def failing(error, calls):
    def attempt(*_):
        calls.append(1)
        raise error

    return attempt


def test_no_network_is_retried_and_then_says_so(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(registry, "_fetch_once", failing(requests.ConnectionError("name not known"), calls))
    with pytest.raises(SetupError, match=r"org\.example:alpha:1\.0 could not be downloaded.*check the network"):
        registry.fetch_from_registry(artifact("alpha"), tmp_path)
    assert len(calls) == 3


def test_a_certificate_that_is_not_trusted_is_told_apart(monkeypatch, tmp_path):
    calls = []
    untrusted = requests.exceptions.SSLError("certificate verify failed")
    monkeypatch.setattr(registry, "_fetch_once", failing(untrusted, calls))
    with pytest.raises(SetupError, match=r"3 attempts ended in SSLError: .*REQUESTS_CA_BUNDLE must name a PEM file"):
        registry.fetch_from_registry(artifact("alpha"), tmp_path)


def test_the_variable_it_names_is_the_one_that_is_read(monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)

    def verified():
        asked = requests.Session().merge_environment_settings("https://example.org", {}, None, None, None)
        return asked["verify"]

    monkeypatch.setenv("SSL_CERT_FILE", "/one.pem")
    assert verified() in (True, None)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/two.pem")
    assert verified() == "/two.pem"


def test_absence_is_not_retried(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(registry, "_fetch_once", failing(RuntimeError("not found"), calls))
    with pytest.raises(SetupError, match=r"org\.example:alpha:1\.0 is missing from the package registry"):
        registry.fetch_from_registry(artifact("alpha"), tmp_path)
    assert len(calls) == 1
