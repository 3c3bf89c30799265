"""The gRPC server of a process: the face, with gRPC's own health and reflection services beside it."""

from __future__ import annotations

from google.protobuf.descriptor_pool import DescriptorPool
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from canario.errors import Conflict
from canario.serving import open_inference_pb2
from canario.serving.grpc_face import SERVICE, GrpcFace
from canario.serving.served import ServedVersion

_FRAME_BYTES = 64 * 1024
"""What a message may have beyond the longest body: names and shapes of the tensors."""


class GrpcServer:
    """A started server. Raises Conflict when the port is taken."""

    def __init__(self, served: ServedVersion, host: str, port: int) -> None:
        options = [
            ("grpc.max_receive_message_length", served.limits.longest_body_bytes + _FRAME_BYTES),
            ("grpc.so_reuseport", 0),  # two servers on one port would share its clients without a word
        ]
        self._server = aio.server(options=options)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # its stubs leave it out
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server, pool=_pool())
        self._server.add_generic_rpc_handlers((GrpcFace(served).handlers(),))
        try:
            self.port = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as taken:
            raise Conflict(f"gRPC port {port} of {host} is not free", hint="choose another with --grpc-port") from taken

    async def start(self) -> None:
        """Take requests, and say so."""
        await self._health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()

    async def begin_drain(self) -> None:
        """Take requests, and say that no more should come."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, longest_seconds: float) -> None:
        """Refuse new requests, finish the ones in flight, at most for so long."""
        await self._server.stop(longest_seconds)


def _pool() -> DescriptorPool:
    """All services in one pool, as reflection wants them."""
    pool = DescriptorPool()
    for file in (open_inference_pb2.DESCRIPTOR, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
        pool.AddSerializedFile(file.serialized_pb)
    return pool
