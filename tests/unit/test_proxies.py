"""Proxies of the user's: for what they are meant for, never for this machine."""

from __future__ import annotations

import pytest

from workq_helpers.errors import ManagementUnavailableError
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.management import Management
from workq_helpers.rabbitmq.proxies import is_loopback, proxy_for
from workq_helpers.text import without_login

#: As shells, companies and tools set them; httpx itself stops at some.
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"]
)
def test_this_machine_is_never_asked_for_through_a_proxy(host: str) -> None:
    assert is_loopback(host)
    url = f"http://[{host}]:15672" if ":" in host else f"http://{host}:15672"
    assert proxy_for(url, {"http": "http://proxy:1", "all": "socks5://proxy:1"}) is None


@pytest.mark.parametrize("host", ["broker", "128.0.0.1", "localhost.example", "notlocalhost", "::2"])
def test_another_machine_is(host: str) -> None:
    assert not is_loopback(host)
    url = f"http://[{host}]" if ":" in host else f"http://{host}"
    assert proxy_for(url, {"http": "proxy:1"}) == "http://proxy:1"


@pytest.mark.parametrize(
    ("exempt", "url", "is_exempt"),
    [
        ("localhost,127.0.0.0/8,::1/128", "http://broker:15672", False),
        ("broker", "http://broker:15672", True),
        ("broker:15672", "http://broker:15672", True),
        ("broker:80", "http://broker:15672", False),
        (".example.com", "http://rabbit.example.com", True),
        ("*.example.com", "http://rabbit.example.com", True),
        ("example.com", "http://notexample.com", False),
        ("10.0.0.0/8", "http://10.1.2.3:15672", True),
        ("10.0.0.0/8", "http://11.1.2.3:15672", False),
        ("fd00::/8", "http://[fd00::5]:15672", True),
        ("[fd00::5]:15672", "http://[fd00::5]:15672", True),
        ("10.0.0.0/8", "http://[fd00::5]:15672", False),
        ("a b,,/, ://x", "http://broker", False),
        ("*", "http://broker", True),
    ],
)
def test_what_no_proxy_is_for(exempt: str, url: str, is_exempt: bool) -> None:
    assert (proxy_for(url, {"http": "http://proxy:1", "no": exempt}) is None) is is_exempt


def test_what_macos_has_in_its_settings_counts_with_their_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"http": "http://proxy:1"})
    monkeypatch.setattr("urllib.request.proxy_bypass", lambda host: host.endswith(".local"))
    assert proxy_for("http://broker:15672") == "http://proxy:1"
    assert proxy_for("http://broker.local:15672") is None


def test_the_proxy_of_the_scheme_goes_before_the_one_for_all() -> None:
    proxies = {"https": "http://one:1", "all": "http://two:2"}
    assert proxy_for("https://broker", proxies) == "http://one:1"
    assert proxy_for("http://broker", proxies) == "http://two:2"
    assert proxy_for("http://broker", {"https": "http://one:1"}) is None


@pytest.mark.parametrize(
    "variables",
    [
        {"ALL_PROXY": "socks5://proxy:1080"},
        {"NO_PROXY": "localhost,::1/128", "HTTP_PROXY": "http://proxy:1"},
        {"NO_PROXY": "[::1]", "ALL_PROXY": "nonsense://x"},
    ],
)
def test_a_broker_here_is_asked_whatever_proxies_there_are(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    endpoint = Endpoint("127.0.0.1", 5672, "anna", "s3cret", management_url="http://127.0.0.1:1")
    with Management(endpoint) as management, pytest.raises(ManagementUnavailableError, match="can't be reached"):
        management.version()


@pytest.mark.parametrize(
    "proxy", ["socks5://bert:pass@proxy:1080", "nonsense://bert:pass@x", "http://bert:pass@x:port"]
)
def test_a_proxy_that_can_not_be_used_is_a_sentence(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    endpoint = Endpoint("broker.example", 5672, "anna", "s3cret", management_url="http://broker.example:15672")
    with pytest.raises(ManagementUnavailableError) as caught:
        Management(endpoint)
    assert f"through the proxy {proxy.replace('bert:pass@', '')}" in str(caught.value)
    assert "add broker.example to NO_PROXY" in str(caught.value)
    assert "pass" not in str(caught.value).partition("Sending")[0]


def test_a_proxy_is_shown_without_its_login() -> None:
    assert without_login("http://bert:p%40ss@proxy:3128/") == "http://proxy:3128/"
    assert without_login("bert:pass@proxy:3128") == "proxy:3128"
    assert without_login(":pass@proxy:3128") == "proxy:3128"
    assert without_login("at http://bert:p/a@ss@proxy:3128, http://other/") == "at http://proxy:3128, http://other/"


@pytest.mark.parametrize("text", ["ada@example.org", "ada@example.org wants tea: now", "mailto:ada@example.org", "@ 3"])
def test_an_e_mail_address_has_no_login(text: str) -> None:
    assert without_login(text) == text


def test_a_proxy_whose_password_has_a_slash_is_told_without_any_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://bert:s3c/r3t@proxy:3128")
    endpoint = Endpoint("broker", 5672, "u", "p", management_url="http://broker:15672")
    with pytest.raises(ManagementUnavailableError) as caught:
        Management(endpoint)
    assert "s3c" not in str(caught.value)
    assert "r3t" not in str(caught.value)
