"""Run code in a kernel of a person's server, as a notebook in the browser does."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import requests
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from tests.support.hub import Visitor

KERNEL_TIMEOUT_S = 60


def run_in_kernel(visitor: Visitor, code: str) -> str:
    """Return what a new Python kernel of a person's server prints for some code."""
    made = visitor.api("POST", f"users/{visitor.name}/tokens", json={"note": "test"}).json()
    headers = {"Authorization": f"token {made['token']}"}
    server = f"{visitor.url}user/{visitor.name}/api/kernels"
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(headers)
        kernel = session.post(server, timeout=30).json()["id"]
        try:
            return asyncio.run(_execute(f"{server}/{kernel}/channels", headers, code))
        finally:
            session.delete(f"{server}/{kernel}", timeout=30).raise_for_status()
            visitor.api("DELETE", f"users/{visitor.name}/tokens/{made['id']}")


async def _execute(url: str, headers: dict[str, str], code: str) -> str:
    request = HTTPRequest(url.replace("http", "ws", 1), headers=headers)
    async with asyncio.timeout(KERNEL_TIMEOUT_S):
        channels = await websocket_connect(request)
        printed, asked = "", await _ask(channels, code)
        while True:
            message = await channels.read_message()
            assert message, f"the kernel's connection was closed: {channels.close_reason}"
            fields: dict[str, Any] = json.loads(message)
            if fields["parent_header"].get("msg_id") != asked:
                continue
            if fields["msg_type"] == "stream":
                printed += fields["content"]["text"]
            if fields["msg_type"] == "execute_reply":
                assert fields["content"]["status"] == "ok", fields["content"]
            if fields["msg_type"] == "status" and fields["content"]["execution_state"] == "idle":
                channels.close()
                while await channels.read_message() is not None:
                    pass
                return printed


async def _ask(channels: Any, code: str) -> str:
    """Send code for execution; return the message's id (Jupyter messaging protocol 5.3)."""
    message_id = uuid.uuid4().hex
    header = {"msg_id": message_id, "msg_type": "execute_request", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    message = {
        "header": {**header, "username": "", "session": uuid.uuid4().hex},
        "parent_header": {},
        "metadata": {},
        "content": {**content, "user_expressions": {}, "stop_on_error": True},
        "buffers": [],
        "channel": "shell",
    }
    await channels.write_message(json.dumps(message))
    return message_id
