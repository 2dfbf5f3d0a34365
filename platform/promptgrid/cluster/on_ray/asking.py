"""Asking a cluster, before Ray is imported, whether it is there and whether it wants a token."""

from __future__ import annotations

import re

from promptgrid.spec import Refused

ANSWER_SECONDS = 20.0
_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
_PLACE = re.compile(r"\[?[A-Za-z0-9_.:-]+\]?:\d{1,5}")


def wants_token(address: str) -> bool | None:
    """Whether the cluster at ``address`` wants a token; None where that cannot be asked: ``auto``, ``ray://...``.

    A driver that shows a token to a cluster without one is answered, but takes no calls from it: every pack would be
    lost. And Ray decides about tokens once, when it is imported.

    Raises:
        Refused: nothing that speaks Ray's language answers there.
    """
    if not _PLACE.fullmatch(address):
        return None
    import grpc

    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary(_ALIVE, request_serializer=bytes, response_deserializer=bytes)
        try:
            ask(b"", timeout=ANSWER_SECONDS)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                return True
            if error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
                raise no_cluster(address, error.details() or "") from error
            return None  # a Ray that calls it otherwise
    return False


def no_cluster(address: str, why: object) -> Refused:
    """The refusal of an address where no cluster answers."""
    return Refused(
        f"no Ray cluster answers: {' '.join(str(why).split())[:200]}",
        where=f"--address {address}",
        hint="start one with `ray start --head`, or leave --address out to use this machine",
    )
