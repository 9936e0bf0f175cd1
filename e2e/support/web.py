"""One HTTP request, without redirects and without exceptions for statuses."""

import http.client
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

TIMEOUT_S = 20


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)

    def text(self):
        return self.body.decode()

    def problem(self):
        """The stable code of a problem+json body; fails if it is none."""
        kind = self.headers.get("content-type", "")
        assert kind.startswith("application/problem+json"), f"{self.status} {kind}: {self.body[:200]!r}"
        problem = self.json()
        assert problem["status"] == self.status, problem
        assert problem["title"], problem
        return problem["code"]


def request(method, url, body=None, headers=None, timeout=TIMEOUT_S):
    """Names of the answer's headers are in lower case."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target or "/", body=body, headers=headers or {})
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read())
    finally:
        connection.close()


def get(url, **options):
    return request("GET", url, **options)
