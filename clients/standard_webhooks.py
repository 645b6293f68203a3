"""What a receiver of Standard Webhooks (https://www.standardwebhooks.com) does with a request."""

import base64
import hashlib
import hmac
import json
import time


def opened(handler, key):
    """The notice in a POST to an `http.server` handler, with its `id`; `key` is in base 64. Fails where it is not signed with it, or is not of now."""
    body = handler.rfile.read(int(handler.headers["content-length"]))
    signed = f"{handler.headers['webhook-id']}.{handler.headers['webhook-timestamp']}.".encode() + body
    ours = "v1," + base64.b64encode(hmac.new(base64.b64decode(key), signed, hashlib.sha256).digest()).decode()
    assert hmac.compare_digest(ours, handler.headers["webhook-signature"])
    assert abs(time.time() - int(handler.headers["webhook-timestamp"])) < 60
    return json.loads(body) | {"id": handler.headers["webhook-id"]}
