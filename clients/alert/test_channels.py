"""Alerts from a real server to receivers that hold to the documents of Slack, PagerDuty, SNS and SMTP: told, told again after
a refusal that passes, repeated, resolved; with a text far beyond what any of them takes."""

import contextlib
import email
import email.policy
import json
import pathlib
import subprocess
import sys

import boto3
import pytest
from mainspring_server import ROOT, Mainspring
from receivers import Answer, Mail, PagerDuty, Refusal, Slack
from test_alerts import ask, deployed, until

sys.path.insert(0, str(ROOT / "tools"))
import services

KEY = "0123456789abcdef0123456789abcdef"
# PagerDuty is where it is: the server is shown another table of hosts, and a certificate of ours.
HOST, PAGERDUTY = "127.77.0.1", "events.pagerduty.com"
RUNBOOK = "https://wiki.example.com/" + "runbook/" * 600


@contextlib.contextmanager
def topic():
    """The address of a private SNS, a topic, and how the messages of a queue behind it are read."""
    aws = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    with services.s3() as bucket:
        endpoint = bucket.rpartition("/")[0]
        sns, sqs = (boto3.client(name, endpoint_url=endpoint, **aws) for name in ("sns", "sqs"))
        arn = sns.create_topic(Name="alerts")["TopicArn"]
        queue = sqs.create_queue(QueueName="alerts")["QueueUrl"]
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])
        seen = []

        def messages():
            seen.extend(json.loads(m["Body"]) for m in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=3600).get("Messages", []))
            return seen

        yield endpoint, arn, messages


def certificate(folder):
    """One for PagerDuty's name, signed by itself."""
    files = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={PAGERDUTY}", "-addext", f"subjectAltName=DNS:{PAGERDUTY}",
                    "-addext", "basicConstraints=critical,CA:FALSE", "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


def elsewhere(folder):
    """A command that shows what it runs where PagerDuty is; nothing where this user may not."""
    hosts = folder / "hosts"
    hosts.write_text(pathlib.Path("/etc/hosts").read_text() + f"\n{HOST} {PAGERDUTY}\n")
    under = ["unshare", "--mount", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]
    return under if subprocess.run([*under, "true"], capture_output=True).returncode == 0 else ()


class Told:
    """A server whose alerts go to one receiver of each kind."""

    def __init__(self, stack, folder):
        under, files = elsewhere(folder), certificate(folder)
        self.slack, self.mail = Slack(), Mail()
        self.pagerduty = PagerDuty((HOST, 443), files) if under else None
        self.receivers = [receiver for receiver in (self.slack, self.mail, self.pagerduty) if receiver]
        for receiver in self.receivers:
            stack.callback(receiver.stop)
        endpoint, arn, self.messages = stack.enter_context(topic())
        env = {"MAINSPRING_SECRET_SLACK": self.slack.url, "MAINSPRING_SECRET_PAGERDUTY": KEY, "SSL_CERT_FILE": str(files[0]),
               "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        self.server = Mainspring("--alerts-reach", "anywhere", "--public-url", "https://ml.example.com", env=env, under=under)
        stack.callback(self.server.stop)
        ways = {
            "slack": {"url": {"env": "MAINSPRING_SECRET_SLACK"}},
            "pagerduty": {"routingKey": {"env": "MAINSPRING_SECRET_PAGERDUTY"}},
            "email": {"host": "127.0.0.1", "port": self.mail.port, "tls": "never", "from": "Mainspring <ml@example.com>", "to": ["ada@example.com", "bob@example.com"]},
            "sns": {"topic": arn, "endpoint": endpoint},
        }
        if not self.pagerduty:
            del ways["pagerduty"]
        for name, way in ways.items():
            self.server.apply(json.dumps({"apiVersion": "mainspring/v1", "kind": "AlertChannel", "name": name, "severity": "page", "on": ["slo"],
                                          "groupWait": "0ms", "groupInterval": "0ms", "repeat": "1m", name: way}))

    def mails(self):
        return [email.message_from_bytes(mail, policy=email.policy.default) for mail in self.mail.taken]

    def all_have(self, times):
        """Whether each receiver has taken so many messages."""
        return all(len(taken) >= times for taken in (self.messages(), *(receiver.taken for receiver in self.receivers)))

    def all_over(self):
        """Whether each receiver was told that it is over."""
        titles = [m["text"] for m in self.slack.taken], [m["Subject"] for m in self.messages()], [m["Subject"] for m in self.mails()]
        resolved = not self.pagerduty or any(m["event_action"] == "resolve" for m in self.pagerduty.taken)
        return resolved and all(any("[RESOLVED" in title for title in each) for each in titles)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What came of one alert: told, told again where it was not taken, repeated after a minute, over."""
    with contextlib.ExitStack() as stack:
        told = Told(stack, tmp_path_factory.mktemp("told"))
        # The first time all but SNS have something else to do.
        told.slack.script.append(Answer(429, {"retry-after": "9"}, "rate_limited"))
        told.mail.script.append("451 4.7.1 Try again later")
        if told.pagerduty:
            told.pagerduty.script.append(Answer(429))
        deployed(told.server, "slow", p99="1us", availability="99%", runbook=RUNBOOK)
        ask(told.server, "slow", 40)
        until("all have taken its repetition", lambda: told.all_have(2))
        told.server.deploy("slow", "models:/iris/1")
        until("all have taken its end", told.all_over)
        yield told


def test_slack_takes_an_alert_after_the_time_that_it_asked_for(told):
    first, second = told.slack.tries[:2]
    assert first.status == 429 and first.message == second.message and second.at - first.at >= 9
    assert {one.status for one in told.slack.tries} == {200, 429}, "nothing that its documents refuse"
    assert told.slack.taken[0]["text"].startswith("[FIRING] slow: 40 of 40 requests took longer than")


def test_pagerduty_has_one_incident_however_often_it_was_told_and_it_is_over(told):
    if not told.pagerduty:
        pytest.skip("the table of hosts cannot be replaced here: unshare --mount is refused")
    first, second = told.pagerduty.tries[:2]
    assert first.status == 429 and first.message == second.message and first.message["event_action"] == "trigger"
    assert {one.status for one in told.pagerduty.tries} == {202, 429}, "nothing that its documents refuse"
    (still, times), = told.pagerduty.incidents.values()
    assert not still and times >= 2
    assert told.pagerduty.taken[0]["payload"]["severity"] == "critical"


def test_a_mail_comes_once_with_all_of_it(told):
    first, second = (email.message_from_bytes(one.message) for one in told.mail.tries[:2])
    assert told.mail.tries[0].status == 451 and first["Message-ID"] == second["Message-ID"]
    assert {one.status for one in told.mail.tries} == {250, 451}, "nothing that the protocol refuses"
    firing = told.mails()[0]
    assert firing["Subject"].startswith("[FIRING] slow: 40 of 40") and firing["To"].count("@") == 2
    assert RUNBOOK in firing.get_content()


def test_a_topic_has_all_of_it(told):
    firing = told.messages()[0]
    assert firing["Subject"].startswith("[FIRING] slow: 40 of 40") and RUNBOOK in firing["Message"]
    assert firing["MessageAttributes"]["severity"] == {"Type": "String", "Value": "page"}


def test_who_tries_a_channel_is_told_what_the_receiver_said(told):
    for name, receiver, answer, says in (
        ("slack", told.slack, Answer(404, {}, "no_service"), "it answered 404: no_service"),
        ("pagerduty", told.pagerduty, Answer(400, {}, '{"status": "invalid event"}'), "invalid event"),
        ("email", told.mail, "550 5.1.1 Nobody is called that", "Nobody is called that"),
    ):
        if receiver is None:
            continue
        receiver.script.append(answer)
        done = told.server.cli("alert", "test", name, check=False)
        assert done.returncode == 3 and says in done.stderr, done.stderr
        assert "took a test notice" in told.server.cli("alert", "test", name)


SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "a" * 3000}}
TRIGGER = {"routing_key": KEY, "event_action": "trigger", "payload": {"summary": "a" * 1024, "source": "b", "severity": "info"}}


@pytest.mark.parametrize(("receiver", "right", "wrong"), [
    (Slack, {"blocks": [SECTION] * 50}, {"blocks": [SECTION] * 51}),
    (Slack, {"blocks": [SECTION]}, {"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "a" * 3001}}]}),
    (Slack, {"text": "a"}, {"text": ""}),
    (Slack, {"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "a" * 150}}]}, {"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "a" * 151}}]}),
    (PagerDuty, TRIGGER, TRIGGER | {"routing_key": KEY[1:]}),
    (PagerDuty, TRIGGER, TRIGGER | {"payload": TRIGGER["payload"] | {"summary": "a" * 1025}}),
    (PagerDuty, TRIGGER, TRIGGER | {"payload": TRIGGER["payload"] | {"severity": "page"}}),
    (PagerDuty, TRIGGER | {"event_action": "resolve", "dedup_key": "a"}, TRIGGER | {"event_action": "resolve"}),
])
def test_the_receivers_refuse_what_the_documents_refuse(receiver, right, wrong):
    one = receiver()
    try:
        assert one.judge(right).status < 300
        with pytest.raises(Refusal) as refused:
            one.judge(wrong)
        assert refused.value.args[0] == 400
    finally:
        one.stop()
