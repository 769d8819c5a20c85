"""An S3 server as a local process: moto's, which speaks S3's own protocol and keeps its objects in memory."""

import sys

import urllib3

from stack.server import HOST, NotReady, Server


class S3(Server):
    """One server, with the bucket `bank`."""

    name = "S3"
    bucket = "bank"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def environment(self) -> dict[str, str]:
        """By these delta-rs and Hadoop find it, as any S3."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "scoreline",
            "AWS_SECRET_ACCESS_KEY": "scoreline",
            "AWS_REGION": "us-east-1",
        }

    def _prepare(self, ports: list[int]) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(ports[0])]

    def _check_ready(self) -> None:
        try:
            answer = urllib3.request("PUT", f"{self.url}/{self.bucket}", timeout=5, retries=False)
        except urllib3.exceptions.HTTPError as error:
            raise NotReady(str(error)) from error
        if answer.status != 200:
            raise NotReady(f"the bucket's making was answered by {answer.status}")
