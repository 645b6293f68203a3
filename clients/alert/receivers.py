"""Receivers of alerts that hold to the documents of the real ones: they refuse what those say is refused, with their words,
and answer what a test has scripted for the next requests."""

import collections
import http.server
import json
import re
import socketserver
import ssl
import threading
import time

Answer = collections.namedtuple("Answer", "status headers body", defaults=({}, ""))
# What was sent, when, and what it was answered.
Try = collections.namedtuple("Try", "message at status")


class Refusal(Exception):
    """What is wrong with a request: a status, and the words of the body."""


class Scripted:
    """What all of them have: the answers to the next requests, and what came."""

    def __init__(self):
        self.script, self.tries = collections.deque(), []

    @property
    def taken(self):
        return [one.message for one in self.tries if one.status < 300]

    def serve(self, server):
        self.server, self.port = server, server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Web(Scripted):
    """One that takes JSON by POST. `judge` raises a Refusal, or says what the answer is."""

    def __init__(self, address=("127.0.0.1", 0), certificate=None):
        super().__init__()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = outer.answer(self.path, self.headers, body)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body.encode())))
                self.end_headers()
                self.wfile.write(answer.body.encode())

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(address, Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        self.serve(server)

    def answer(self, path, headers, body):
        message = None
        try:
            message = self.read(path, headers, body)
            # Whoever asks too often is told so whatever it says; what it says must be right all the same.
            answer = self.judge(message)
            answer = self.script.popleft() if self.script else answer
        except Refusal as refusal:
            answer = Answer(*refusal.args)
        self.tries.append(Try(message, time.monotonic(), answer.status))
        if answer.status < 300:
            self.took(message)
        return answer

    def took(self, message):
        pass


def need(so, *refusal):
    if not so:
        raise Refusal(*refusal)


class Slack(Web):
    """An incoming webhook. https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
    https://docs.slack.dev/reference/block-kit/blocks: status codes with a word as text, at most 50 blocks, 3,000 characters
    in a section's text, 150 of plain text in a header, one to ten elements in a context."""

    PATH = "/services/T00000000/B00000000/secret"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{self.PATH}"

    def read(self, path, headers, body):
        need(path == self.PATH, 403, {}, "invalid_token")
        need(headers["content-type"] == "application/json", 400, {}, "invalid_payload")
        try:
            message = json.loads(body)
        except ValueError:
            raise Refusal(400, {}, "invalid_payload") from None
        need(isinstance(message, dict), 400, {}, "invalid_payload")
        return message

    def judge(self, message):
        need(message.get("text") or message.get("blocks"), 400, {}, "no_text")
        need(isinstance(message.get("text", ""), str), 400, {}, "invalid_payload")
        need(len(message.get("text", "")) <= 40_000, 400, {}, "msg_too_long")
        blocks = message.get("blocks", [])
        need(isinstance(blocks, list) and len(blocks) <= 50, 400, {}, "invalid_blocks")
        for block in blocks:
            need(getattr(self, f"is_{block.get('type')}", lambda _: False)(block), 400, {}, "invalid_blocks")
        return Answer(200, {"content-type": "text/html"}, "ok")

    @staticmethod
    def is_text(text, kinds, most):
        return isinstance(text, dict) and text.get("type") in kinds and 0 < len(text.get("text", "")) <= most

    def is_header(self, block):
        return set(block) <= {"type", "text", "block_id", "level"} and self.is_text(block.get("text"), ("plain_text",), 150)

    def is_section(self, block):
        known = {"type", "text", "fields", "accessory", "block_id", "expand"}
        return set(block) <= known and self.is_text(block.get("text"), ("plain_text", "mrkdwn"), 3000)

    def is_context(self, block):
        elements = block.get("elements", [])
        return set(block) <= {"type", "elements", "block_id"} and 0 < len(elements) <= 10 and all(
            self.is_text(element, ("plain_text", "mrkdwn"), 3000) for element in elements)


class PagerDuty(Web):
    """Events API v2. https://developer.pagerduty.com/docs/events-api-v2/overview and its OpenAPI document: the required
    fields, 32 characters of routing key, 255 of `dedup_key`, 1,024 of summary, 512 KB an event; 202 with the key, 400 with
    what is wrong. It keeps its incidents."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        # By key: whether it is open, and how often it was triggered.
        self.incidents = {}

    @staticmethod
    def invalid(so, what):
        need(so, 400, {}, json.dumps({"status": "invalid event", "message": "Event object is invalid", "errors": [what]}))

    def read(self, path, headers, body):
        need(path == "/v2/enqueue", 404)
        need(len(body) <= 512 * 1024, 413)
        try:
            return json.loads(body)
        except ValueError:
            return self.invalid(False, "the event is no JSON")

    def judge(self, message):
        texts = lambda of, *names: all(isinstance(of.get(name, ""), str) for name in names)
        self.invalid(len(message.get("routing_key", "")) == 32, "Length of 'routing_key' is incorrect (should be 32 characters)")
        self.invalid(message.get("event_action") in ("trigger", "acknowledge", "resolve"), "'event_action' is invalid")
        self.invalid(texts(message, "dedup_key", "client", "client_url") and len(message.get("dedup_key", "")) <= 255, "'dedup_key' is too long")
        known = {"routing_key", "event_action", "dedup_key", "payload", "images", "links", "client", "client_url"}
        self.invalid(set(message) <= known, "an unknown field")
        if message["event_action"] != "trigger":
            self.invalid(message.get("dedup_key"), "'dedup_key' is missing or blank")
        else:
            payload = message.get("payload", {})
            for name in ("summary", "source", "severity"):
                self.invalid(isinstance(payload.get(name), str) and payload[name], f"'payload.{name}' is missing or blank")
            self.invalid(len(payload["summary"]) <= 1024, "'payload.summary' is too long")
            self.invalid(payload["severity"] in ("critical", "error", "warning", "info"), "'payload.severity' is invalid")
            self.invalid(texts(payload, "timestamp", "component", "group", "class"), "'payload' is invalid")
            self.invalid(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)", payload.get("timestamp", "2026-01-01T00:00:00Z")), "'payload.timestamp' is invalid")
            self.invalid(isinstance(payload.get("custom_details", {}), dict), "'payload.custom_details' is invalid")
            self.invalid(all(link.get("href") and texts(link, "href", "text") for link in message.get("links", [])), "'links' is invalid")
        key = message.get("dedup_key")
        return Answer(202, {"content-type": "application/json"}, json.dumps({"status": "success", "message": "Event processed", "dedup_key": key}))

    def took(self, message):
        trigger = message["event_action"] == "trigger"
        _, times = self.incidents.get(message["dedup_key"], (False, 0))
        self.incidents[message["dedup_key"]] = trigger, times + trigger


class Mail(Scripted):
    """A mail server by RFC 5321, without TLS and logins: lines of at most 1,000 bytes, one address a RCPT. What is scripted is
    the reply to the mail's data, `451 4.7.1 try later`; it keeps the mails as they came."""

    def __init__(self):
        super().__init__()
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, text):
                self.wfile.write(f"{text}\r\n".encode())

            def line(self):
                line = self.rfile.readline()
                return line if len(line) <= 1000 and line.endswith(b"\r\n") else b""

            def handle(self):
                self.say("220 mail.example.com ESMTP")
                while line := self.line():
                    word = line.decode().strip()
                    verb = word.split(":")[0].split(" ")[0].upper()
                    if verb == "QUIT":
                        return self.say("221 2.0.0 Bye")
                    if verb == "DATA":
                        self.data()
                    elif verb in ("EHLO", "HELO", "NOOP", "RSET") or re.fullmatch(r"(MAIL FROM|RCPT TO):<[^<>\s]+@[^<>\s]+>( \S+)*", word, re.I):
                        self.say("250 mail.example.com")
                    else:
                        self.say("501 5.5.4 Syntax error in parameters or arguments")

            def data(self):
                self.say("354 End data with <CR><LF>.<CR><LF>")
                lines = []
                while (line := self.line()) != b".\r\n":
                    if not line:
                        outer.tries.append(Try(b"".join(lines), time.monotonic(), 500))
                        return self.say("500 5.5.2 Line too long")
                    lines.append(line[1:] if line.startswith(b".") else line)
                reply = outer.script.popleft() if outer.script else "250 2.0.0 Ok: queued"
                # As a status, so that what is taken is below 300 here as well.
                outer.tries.append(Try(b"".join(lines), time.monotonic(), int(reply[:3])))
                self.say(reply)

        self.serve(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler))
