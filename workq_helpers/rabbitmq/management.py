"""`Management`: what the course asks of a broker's management API."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import httpx
from packaging.version import Version

from workq_helpers.errors import (
    BrokerError,
    InvalidArgumentError,
    LoginRefusedError,
    ManagementError,
    ManagementUnavailableError,
    VirtualHostRefusedError,
)
from workq_helpers.interrupts import deferred
from workq_helpers.rabbitmq.connecting import tls_context
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.proxies import proxy_for
from workq_helpers.rabbitmq.routes import Routes, routes_of
from workq_helpers.rabbitmq.translation import certificate_advice
from workq_helpers.text import shortened, without_login

__all__ = ["Management", "QueueCounts", "path_of"]

_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 10.0  # deleting a virtual host full of queues takes seconds

#: What `/api/nodes` has of alarms, and of what there is too little then.
_ALARMS = {"disk_free_alarm": "disk space", "mem_alarm": "memory"}
_LONGEST_REASON = 200  # some are Erlang's whole state

#: The only listing that is current: all others come from statistics that are up to 8 s old.
_CURRENT = {"disable_stats": "true", "enable_queue_totals": "true"}
_PLAIN = {"disable_stats": "true"}

#: Names that lead elsewhere in a URL, however they are written.
_NOT_IN_A_PATH = (".", "..")


class QueueCounts(NamedTuple):
    """What the broker says about one queue.

    Attributes:
        ready: Messages that wait to be delivered.
        unacknowledged: Messages delivered and not yet acknowledged.
        durable: Whether the queue survives a restart.
        type: ``"classic"``, ``"quorum"`` or ``"stream"``.
    """

    ready: int
    unacknowledged: int
    durable: bool
    type: str


class Management:
    """The management API of one broker; any thread may use it.

    Raises:
        ManagementUnavailableError: If the endpoint has no address of the API.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        if not endpoint.management_url:
            raise ManagementUnavailableError(
                f"There is no management API for the broker at {endpoint.place}. {_WITHOUT_IT}"
            )
        self._endpoint = endpoint
        self._url = endpoint.management_url
        self._client = _client(endpoint, self._url)

    def close(self) -> None:
        """Close its connections; calling it again does nothing."""
        self._client.close()

    def __enter__(self) -> Management:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Management {self._url} as {self._endpoint.username!r}>"

    # -- the broker -------------------------------------------------------------------------------------

    def version(self) -> Version:
        """Return the version of RabbitMQ."""
        overview = self._get("/api/overview", params=_PLAIN)
        return Version(str(overview["rabbitmq_version"]).partition("+")[0])

    def is_started(self) -> bool:
        """Say whether the broker has finished starting.

        It accepts connections some 0.1 s before, in which its answers about queues are slow and wrong.
        """
        answer = self._send("GET", "/api/nodes", params={"columns": "name,running"}, any_answer=True)
        return answer.is_success and _is_json(answer) and any(row.get("running") for row in answer.json())

    def running_nodes(self) -> set[str]:
        """Return the names of the nodes that have started and know of this one, itself among them."""
        rows = self._rows("/api/nodes", params={"columns": "name,running"})
        return {row["name"] for row in rows if row.get("running")}

    def is_administrator(self) -> bool:
        """Say whether the user may create and delete virtual hosts."""
        return "administrator" in self._get("/api/whoami")["tags"]

    def deprecated_features(self) -> dict[str, bool]:
        """Return the deprecated features that the broker knows, and whether it permits each.

        Returns:
            By name. Empty on a broker that has no such list (before 3.13); a feature is missing where the
            broker does not say how it stands (before 4.1).
        """
        answer = self._send("GET", "/api/deprecated-features", absent_ok=True)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        return {row["name"]: row["state"] == "permitted" for row in answer.json() if "state" in row}

    # -- virtual hosts ----------------------------------------------------------------------------------

    def virtual_hosts(self) -> list[str]:
        """Return the names of the virtual hosts that the user may see."""
        return [row["name"] for row in self._virtual_host_rows({"columns": "name"})]

    def create_virtual_host(self, name: str) -> None:
        """Create a virtual host, in which the user may do everything; no error if it is there already.

        Raises:
            VirtualHostRefusedError: If the user may not create any.
        """
        # Then a queue declared without a type is classic, as the lessons say, whatever the broker prefers.
        settings = {"default_queue_type": "classic", "description": "A lesson of the work queues course."}
        self._send("PUT", path_of("vhosts", name), json=settings, virtual_host=name)

    def delete_virtual_host(self, name: str) -> None:
        """Delete a virtual host and all in it, closing its connections; no error if there is none.

        Raises:
            VirtualHostRefusedError: If the user may not delete it.
        """
        _not_default(name, "deleted")
        self._send("DELETE", path_of("vhosts", name), virtual_host=name, absent_ok=True)

    def empty_virtual_host(self, name: str) -> None:
        """Delete every queue and every exchange of its own from a virtual host, which stays.

        Raises:
            VirtualHostRefusedError: If the user may not do so.
        """
        _not_default(name, "emptied")
        for queue in self._rows(path_of("queues", name), params=_PLAIN, virtual_host=name):
            self._send("DELETE", path_of("queues", name, queue["name"]), virtual_host=name, absent_ok=True)
        for exchange in self._rows(path_of("exchanges", name), params=_PLAIN, virtual_host=name):
            if exchange["name"] and not exchange["name"].startswith("amq."):
                path = path_of("exchanges", name, exchange["name"])
                self._send("DELETE", path, virtual_host=name, absent_ok=True)

    def queue_counts(self, virtual_host: str) -> dict[str, QueueCounts]:
        """Return the queues of a virtual host and how many messages each holds at this moment.

        On brokers that the course started these are current for classic queues, and 0.2 s old at most for
        quorum queues. On others a quorum queue reports every 5 s, and a listing that took long is repeated
        for five times as long. A queue made a moment ago may be missing.

        Raises:
            VirtualHostRefusedError: If there is no such virtual host, or not for this user.
        """
        path = path_of("queues", virtual_host)
        rows = self._rows(path, params=_CURRENT, virtual_host=virtual_host)
        if not rows and self._get(path, params=_PLAIN, virtual_host=virtual_host):
            # A broker that has only just started finds none, for a second; the list without counts is right.
            rows = self._rows(path, params=_CURRENT, virtual_host=virtual_host)
        return {row["name"]: _counts(row) for row in rows}

    def published(self, virtual_host: str) -> dict[str, int]:
        """Return how many messages clients published to each queue of a virtual host, as it tells some seconds late.

        A restart of the broker takes the count back to 0; dead letters are not in it.

        Raises:
            VirtualHostRefusedError: If there is no such virtual host, or not for this user.
        """
        columns = {"columns": "name,message_stats.publish"}
        rows = self._rows(path_of("queues", virtual_host), params=columns, virtual_host=virtual_host)
        return {row["name"]: (row.get("message_stats") or {}).get("publish", 0) for row in rows}  # [] for nothing

    def queue_declaration(self, virtual_host: str, queue: str) -> Mapping[str, Any]:
        """Return how a queue was declared, in the API's words as `durable` and `arguments`; nothing if it is gone.

        Nothing can be asked of a queue named ``"."`` or ``".."``: it counts as gone.
        """
        if queue in _NOT_IN_A_PATH:
            return {}
        path = path_of("queues", virtual_host, queue)
        answer = self._send("GET", path, params=_PLAIN, virtual_host=virtual_host, absent_ok=True)
        return dict(answer.json()) if answer.is_success else {}

    def queue_members(self, virtual_host: str) -> list[dict[str, Any]]:
        """Return where each queue of a virtual host is: its `name`, `type`, `leader` and `followers`.

        A classic queue is on one node, its leader.

        Raises:
            VirtualHostRefusedError: If there is no such virtual host, or not for this user.
        """
        rows = self._rows(path_of("queues", virtual_host), params=_CURRENT, virtual_host=virtual_host)
        return [_members(row) for row in rows]

    def routes(self, virtual_host: str) -> Routes:
        """Return the exchanges of a virtual host with their bindings, and where its queues' dead letters go.

        Raises:
            VirtualHostRefusedError: If there is no such virtual host, or not for this user.
        """
        exchanges, bindings, queues = (
            self._rows(path_of(kind, virtual_host), params=_PLAIN, virtual_host=virtual_host)
            for kind in ("exchanges", "bindings", "queues")
        )
        return routes_of(exchanges, bindings, queues)

    # -- requests ---------------------------------------------------------------------------------------

    def _get(self, path: str, params: Mapping[str, str] | None = None, virtual_host: str = "") -> Any:
        return self._send("GET", path, params=params, virtual_host=virtual_host).json()

    def _rows(self, path: str, params: Mapping[str, str] | None = None, virtual_host: str = "") -> list[Any]:
        """Return a listing, without the empty lists that stand in it for what went while it was made, or is new."""
        return [row for row in self._get(path, params, virtual_host) if row]

    def _virtual_host_rows(self, params: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return what is told of each virtual host; RabbitMQ 4.3 leaves out the name of one that is being deleted."""
        return [row for row in self._rows("/api/vhosts", params=params) if "name" in row]

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        virtual_host: str = "",
        absent_ok: bool = False,
        any_answer: bool = False,
    ) -> httpx.Response:
        """Send one request and return its answer, unless it is a refusal the caller doesn't allow for."""
        try:
            answer = self._request(method, path, params, json)
        except httpx.TransportError as error:
            raise self._unavailable(error) from error
        if any_answer or (absent_ok and answer.status_code == httpx.codes.NOT_FOUND):
            return answer
        if answer.is_success and (method != "GET" or _is_json(answer)):  # other web servers answer pages
            return answer
        raise self._refused(answer, virtual_host)

    def _request(
        self, method: str, path: str, params: Mapping[str, str] | None, json: Mapping[str, Any] | None
    ) -> httpx.Response:
        try:
            return self._client.request(method, path, params=params, json=json)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # The broker had closed the idle connection this went out on. What we send may be sent twice.
            return self._client.request(method, path, params=params, json=json)

    def _unavailable(self, error: httpx.TransportError) -> BrokerError:
        refused = next((each for each in _chain(error) if isinstance(each, ssl.SSLCertVerificationError)), None)
        if refused is not None:
            return ManagementUnavailableError(
                f"The TLS certificate of the management API at {self._url} can't be trusted: {refused.verify_message}. "
                f"{certificate_advice(refused)}"
            )
        reason = str(error).rstrip(".")
        if isinstance(error, httpx.TimeoutException):
            reason = "it did not answer in time"
        return ManagementUnavailableError(
            f"The management API at {self._url} can't be reached: {reason or type(error).__name__}. {_WITHOUT_IT}"
        )

    def _refused(self, answer: httpx.Response, virtual_host: str) -> BrokerError:
        reason, code, user = _reason(answer), answer.status_code, self._endpoint.username
        if code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            if reason in ("Login failed", "Not_Authorized"):
                return LoginRefusedError(
                    f"The management API at {self._url} refused the login of user {user!r} ({code} "
                    f"{reason}). {self._endpoint.advice('Correct the login')}"
                )
            if virtual_host and "management" not in reason.lower():
                return VirtualHostRefusedError(
                    f"User {user!r} may not do that with virtual host {virtual_host!r} ({code} {reason}). "
                    "Ask the broker's administrator for the tag 'administrator'"
                    + (
                        f", or name a virtual host that is yours at the end of {at}."
                        if (at := self._endpoint.named_by)
                        else "."
                    )
                )
            return ManagementUnavailableError(
                f"User {user!r} may not use the management API at {self._url} ({code} {reason}). Ask the "
                f"broker's administrator for the tag 'management'. {_WITHOUT_IT}"
            )
        if code == httpx.codes.NOT_FOUND and virtual_host:
            return VirtualHostRefusedError(
                f"The broker has no virtual host {virtual_host!r}, or not for user {user!r} ({code} "
                f"{reason}). Open the lesson again to get a new one."
            )
        if code == httpx.codes.NOT_FOUND or answer.is_success:
            return ManagementUnavailableError(
                f"What answers at {self._url} is not RabbitMQ's management API ({code}). {_WITHOUT_IT}"
            )
        mend = self._shortage() or "See the broker's log, for example with `workq broker logs`."
        return ManagementError(
            f"The management API at {self._url} answered {code} {reason} to {answer.request.method} "
            f"{answer.request.url.path}. {mend}"
        )

    def _shortage(self) -> str:
        """Return of what the broker has too little, for which it refuses much and says why nowhere else."""
        with contextlib.suppress(httpx.TransportError):
            answer = self._request("GET", "/api/nodes", {"columns": ",".join(_ALARMS)}, None)
            rows = answer.json() if answer.is_success and _is_json(answer) else []
            if short := [of for alarm, of in _ALARMS.items() if any(row and row.get(alarm) for row in rows)]:
                return f"RabbitMQ is short of {' and '.join(short)}: free some on its machine, and try again."
        return ""


def _client(endpoint: Endpoint, url: str) -> httpx.Client:
    """Return what asks the API, through a proxy only where one is named for that very address."""
    proxy = proxy_for(url)
    try:
        with deferred():  # httpx imports half of itself when its first client is made
            return httpx.Client(
                base_url=url,
                auth=(endpoint.username, endpoint.password),
                timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
                # The context takes 30 ms to make; without TLS nobody asks for it.
                verify=tls_context(endpoint) if urlsplit(url).scheme == "https" else False,
                proxy=proxy,
                trust_env=False,  # httpx stops at what other programs let pass, and at proxies for other addresses
            )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        if proxy is None:
            raise
        reason = "the course has no SOCKS" if isinstance(error, ImportError) else "its address is none that can be used"
        host = urlsplit(url).hostname
        raise ManagementUnavailableError(
            f"The management API at {url} can't be asked through the proxy {without_login(proxy)}: {reason}. If this "
            f"machine reaches {host} without a proxy, add {host} to NO_PROXY; or name one whose address begins with "
            f"http:// in {'HTTPS_PROXY' if url.startswith('https:') else 'HTTP_PROXY'}. {_WITHOUT_IT}"
        ) from error


_WITHOUT_IT = (
    "Sending, consuming and the log work without it; the broker's own counts and a fresh virtual host for "
    "each lesson do not. Enable it on the broker with `rabbitmq-plugins enable rabbitmq_management`, and "
    "set WORKQ_MANAGEMENT_URL if it is not at its usual port."
)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def path_of(*parts: str) -> str:
    """Return the path of what has these names, each of which may be any text but two.

    Args:
        *parts: The kind, such as ``"queues"``, and names.

    Raises:
        InvalidArgumentError: A name is ``"."`` or ``".."``: however they are written, another path would be meant.
    """
    for part in parts:
        if part in _NOT_IN_A_PATH:
            raise InvalidArgumentError(
                f"The name {part!r} can't be named in a call of the management API. Choose another, and delete a queue "
                f"of that name with channel.queue_delete(queue={part!r})."
            )
    return "/api/" + "/".join(quote(part, safe="") for part in parts)


def _counts(row: Mapping[str, Any]) -> QueueCounts:
    return QueueCounts(
        ready=row.get("messages_ready", 0),  # missing for the moment in which a queue comes to be
        unacknowledged=row.get("messages_unacknowledged", 0),
        durable=row["durable"],
        type=row.get("type", "classic"),
    )


def _members(row: Mapping[str, Any]) -> dict[str, Any]:
    leader = row.get("leader") or row.get("node") or ""
    others = [each for each in row.get("members", ()) if each != leader]
    return {"name": row["name"], "type": row.get("type", "classic"), "leader": leader, "followers": others}


def _not_default(name: str, deed: str) -> None:
    if name == "/":
        raise InvalidArgumentError(
            f"The virtual host '/' is not {deed}: others may use it. Name another, made for the course."
        )


def _is_json(answer: httpx.Response) -> bool:
    return str(answer.headers.get("content-type", "")).startswith("application/json")


def _reason(answer: httpx.Response) -> str:
    """Return the broker's own words for a refusal."""
    body = answer.json() if _is_json(answer) else None
    if isinstance(body, dict):
        words = " ".join(str(body.get("reason") or body.get("error") or answer.reason_phrase).split())
        return shortened(words, _LONGEST_REASON)
    return answer.reason_phrase
