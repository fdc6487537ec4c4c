"""What can be told about a machine that does not speak: its key at the bucket, and whether its address answers."""

from __future__ import annotations

import socket
from dataclasses import replace

from infra import object_store
from infra.object_store import DESIRED, StoreConfig

PORTS = (443, 80, 22)  # what the cloud's firewall may let through


def refused_key(store: StoreConfig, node: str, node_secret: str) -> str:
    """Why the store refuses the machines' key, tried from here on the desired state of `node` (which is there); ""
    where it works, or where the config holds no such key (the cloud gives it to the machine)."""
    from botocore.exceptions import BotoCoreError, ClientError

    if not store.node_access_key or not node_secret:
        return ""
    s3 = object_store.client(replace(store, access_key=store.node_access_key, secret_key=node_secret))
    try:
        s3.get_object(Bucket=store.name, Key=DESIRED + node)["Body"].close()
    except ClientError as error:
        code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        return f"HTTP {status} {code}" if status in (400, 401, 403) else ""
    except BotoCoreError:
        return ""  # the operator's own calls say more
    return ""


def answer(address: str, timeout: float) -> str:
    """What a machine at `address` says first: "open" or "refused", with the port; "" where nothing answers."""
    for port in PORTS:
        try:
            socket.create_connection((address, port), timeout).close()
        except ConnectionRefusedError:
            return f"refused {port}"
        except OSError:
            continue
        return f"open {port}"
    return ""


def answers(address: str) -> bool:
    """Whether something at `address` answers at all, be it with a refusal; within three seconds."""
    return bool(answer(address, 1.0))


def reach(address: str, timeout: float = 2.0) -> str:
    """Whether something at `address` answers at all: one line for an error message."""
    how, _, port = answer(address, timeout).partition(" ")
    if how == "refused":
        return f"{address} is up (it refuses port {port}), so its system runs and its agent does not speak"
    if how:
        return f"{address} is up (port {port} is open), so it runs and can't write to the bucket"
    return f"{address} answers on no port: it is off, still booting, or cut off from the network"
