"""A small real inference server: KServe v2 over HTTP (and gRPC), with Knative's request metrics.

Run as a process: `python v2_server.py '<JSON>'`; prints its ports. Each host behaves as the JSON says:
delay_ms, stall (second since the first request, length), error_every, wrong_every, nan_every, revision,
version, cold (ms more at first, requests until that has worn off), drift (ms more with each request), cached
(the response cache answers all), earlier_hits (of each replica's cache; they are asked in turn),
token (401 without it), json_only (binary tensors are refused). `tls` names files: cert, key, and client_ca.
"""

import asyncio
import itertools
import json
import ssl
import struct
import sys
import time
from pathlib import Path
from typing import Any

EDGES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5)


class Host:
    """One host name's behaviour and counts."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.revision = wanted.get("revision", "")
        self.version = wanted.get("version", "2")
        self.delay_s = wanted.get("delay_ms", 1) / 1000
        self.stall = wanted.get("stall")
        self.error_every = wanted.get("error_every", 0)
        self.wrong_every = wanted.get("wrong_every", 0)
        self.nan_every = wanted.get("nan_every", 0)
        self.cold = wanted.get("cold")
        self.drift_s = wanted.get("drift", 0) / 1000
        self.cached = wanted.get("cached", False)
        self.earlier_hits = itertools.cycle(wanted.get("earlier_hits", [0]))
        self.token = wanted.get("token", "")
        self.json_only = wanted.get("json_only", False)
        self.asked = 0
        self.body = wanted.get("body")
        self.named = wanted.get("named", True)
        self.numbers = itertools.count(1)
        self.first: float | None = None
        self.counts: dict[tuple[str, float], int] = {}

    async def wait(self) -> None:
        now = time.monotonic()
        self.first = self.first or now
        self.asked += 1
        delay = self.delay_s + self.drift_s * self.asked
        if self.cold:
            delay += self.cold[0] / 1000 * max(0.0, 1 - self.asked / self.cold[1])
        if self.stall and self.stall[0] <= now - self.first < self.stall[0] + self.stall[1]:
            delay = self.stall[0] + self.stall[1] - (now - self.first)
        await asyncio.sleep(delay)

    def observe(self, code: str, seconds: float) -> None:
        for edge in (*EDGES, float("inf")):
            if seconds <= edge:
                self.counts[code, edge] = self.counts.get((code, edge), 0) + 1
            else:
                self.counts.setdefault((code, edge), 0)

    def metrics(self) -> str:
        name, lines = "kn_serving_invocation_duration_seconds", []
        for (code, edge), count in sorted(self.counts.items()):
            labels = (
                f'namespace="default",serving_knative_dev_revision="{self.revision}",'
                f'http_response_status_code="{code}"'
            )
            le = "+Inf" if edge == float("inf") else f"{edge:g}"
            lines.append(f'{name}_bucket{{{labels},le="{le}"}} {count}')
            if edge == float("inf"):
                lines.append(f"{name}_count{{{labels}}} {count}")
        return "".join(line + "\n" for line in lines)


def scores(x: tuple[float, ...]) -> tuple[int, tuple[float, ...]]:
    """The model: label = whether the sum is positive, score = twice the input."""
    return int(sum(x) > 0), tuple(2 * value for value in x)


def answer(
    host: Host, x: tuple[float, ...], number: int, *, binary: bool
) -> tuple[bytes, int | None]:
    """A v2 answer, in the form of the request: binary tensors, or JSON alone."""
    label, score = scores(x)
    if host.wrong_every and number % host.wrong_every == 0:
        label = 1 - label
    if host.nan_every and number % host.nan_every == 0:
        score = (float("nan"), score[1])
    outputs: list[dict[str, Any]] = [
        {"name": "label", "datatype": "INT64", "shape": [1], "data": [label]},
        {"name": "score", "datatype": "FP32", "shape": [1, 2], "data": score},
    ]
    said = {"model_name": "m", "model_version": host.version, "outputs": outputs}
    if not binary:
        return json.dumps(said).encode(), None
    for one in outputs:
        del one["data"]
        one["parameters"] = {"binary_data_size": 8}
    header = json.dumps(said).encode()
    return header + struct.pack("<q", label) + struct.pack("<2f", *score), len(header)


def sent(headers: dict[str, str], body: bytes) -> tuple[tuple[float, ...], bool]:
    """The tensor of a request, and whether it came in binary."""
    length = int(headers.get("inference-header-content-length", len(body)))
    (tensor,) = json.loads(body[:length])["inputs"]
    assert tensor["name"] == "x"
    if "data" in tensor:
        return tuple(tensor["data"]), False
    return struct.unpack("<2f", body[length:]), True


class Server:
    """The HTTP side."""

    def __init__(self, hosts: dict[str, Host]) -> None:
        self.hosts = hosts

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.split("\r\n")
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                writer.write(await self.reply(lines[0], headers, body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    @staticmethod
    def statistics(host: Host) -> bytes:
        count = next(host.earlier_hits) + (host.asked if host.cached else 0)
        hits = {"cache_hit": {"count": count}}
        text = json.dumps({"model_stats": [{"name": "m", "inference_stats": hits}]}).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text

    async def reply(self, line: str, headers: dict[str, str], body: bytes) -> bytes:
        if "/quit" in line:
            raise SystemExit
        if "/metrics" in line:
            text = "".join(host.metrics() for host in self.hosts.values()).encode()
            return (
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
                % len(text)
                + text
            )
        host, begun = self.hosts[headers["host"]], time.monotonic()
        if host.token and headers.get("authorization") != f"Bearer {host.token}":
            return b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"
        if line.split()[1].endswith("/stats"):
            return self.statistics(host)
        number = next(host.numbers)
        await host.wait()
        x, binary = sent(headers, body)
        fails = (host.error_every and number % host.error_every == 0) or (host.json_only and binary)
        host.observe("503" if fails else "200", time.monotonic() - begun)
        extra = f"x-tidegate-revision: {host.revision}\r\n" if host.revision and host.named else ""
        if fails:
            return f"HTTP/1.1 503 No\r\n{extra}Content-Length: 4\r\n\r\nbusy".encode()
        content, at = answer(host, x, number, binary=binary)
        if host.body is not None:
            content, at = host.body.encode(), len(host.body)
        extra += f"Inference-Header-Content-Length: {at}\r\n" * (at is not None)
        return (
            f"HTTP/1.1 200 OK\r\n{extra}Content-Length: {len(content)}\r\n\r\n".encode() + content
        )


async def grpc_port(host: Host, tls: dict[str, str] | None) -> int:
    """Serve gRPC with tritonclient's own stubs."""
    import grpc
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    class Service(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
        async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
            number = next(host.numbers)
            await host.wait()
            given = dict(context.invocation_metadata())
            if host.token and given.get("authorization") != f"Bearer {host.token}":
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
            if host.error_every and number % host.error_every == 0:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "busy")
            await context.send_initial_metadata((("x-tidegate-revision", host.revision),))
            label, score = scores(struct.unpack("<2f", request.raw_input_contents[0]))
            if host.wrong_every and number % host.wrong_every == 0:
                label = 1 - label
            reply = service_pb2.ModelInferResponse(
                model_name=request.model_name, model_version=host.version
            )
            reply.outputs.add(name="label", datatype="INT64", shape=[1])
            reply.outputs.add(name="score", datatype="FP32", shape=[1, 2])
            reply.raw_output_contents.extend([struct.pack("<q", label), struct.pack("<2f", *score)])
            return reply

    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Service(), server)
    if tls:
        pair = (Path(tls["key"]).read_bytes(), Path(tls["cert"]).read_bytes())
        vouched = Path(tls["client_ca"]).read_bytes() if "client_ca" in tls else None
        credentials = grpc.ssl_server_credentials([pair], vouched, vouched is not None)
        port: int = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    globals()["_kept"] = server
    return port


def context_of(tls: dict[str, str] | None) -> ssl.SSLContext | None:
    """TLS of the HTTP side."""
    if not tls:
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.get("client_ca"))
    made.load_cert_chain(tls["cert"], tls["key"])
    made.verify_mode = ssl.CERT_REQUIRED if "client_ca" in tls else ssl.CERT_NONE
    return made


async def main() -> None:
    wanted = json.loads(sys.argv[1])
    hosts, tls = {name: Host(one) for name, one in wanted["hosts"].items()}, wanted.get("tls")
    http = await asyncio.start_server(Server(hosts).client, "127.0.0.1", 0, ssl=context_of(tls))
    ports = {"http": http.sockets[0].getsockname()[1]}
    if wanted.get("grpc"):
        ports["grpc"] = await grpc_port(next(iter(hosts.values())), tls)
    print(json.dumps(ports), flush=True)
    await http.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
