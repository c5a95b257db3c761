"""Delivery to a webhook and a broker that fail for a while: nothing is lost, and the order is kept."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

import dn2.extras
from dn2.errors import InputError, MissingExtra
from dn2.monitor import delivering
from dn2.monitor.arriving import Arrived
from dn2.monitor.delivering import Delivery
from dn2.monitor.journal import Journal, Result
from dn2.monitor.mqtt import Mqtt
from dn2.monitor.sinks import NotTaken
from dn2.monitor.webhook import Webhook, read_secret
from small_sinks import MOSQUITTO, Broker, Hook, Listener, SmallBroker, free_port, needs_mosquitto, wait_for

UNCHANGED = '{"state": "unchanged"}'


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(delivering, "LOOK", 0.02)


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    yield journal
    journal.close()


def fill(journal: Journal, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        file = Arrived(f"{number}.png", 1, number)
        journal.record([file], [Result(file, "accept", json.dumps({"item": file.name}))], {})


def delivery_to(sink, journal: Journal) -> Delivery:
    journal.join([sink.name])
    return Delivery(sink, journal, 0.02, 0.05)


def finish(delivery: Delivery) -> None:
    delivery.end()
    wait_for(lambda: delivery.has_ended(0.01))
    assert delivery.failure is None


def test_a_webhook_that_refuses_for_a_while_is_given_all_in_order(journal, caplog):
    caplog.set_level("INFO", "dn2")
    hook = Hook()
    hook.statuses = [204, 503, 404, 500]
    with hook.open() as url:
        delivery = delivery_to(Webhook(url), journal)
        fill(journal, 3)
        delivery.start()
        wait_for(lambda: len(hook.messages) == 3)
        fill(journal, 2, 3)
        delivery.tell()
        finish(delivery)
    assert [message["sequence"] for message in hook.messages] == [1, 2, 3, 4, 5]
    assert hook.messages[0] == {"id": f"{journal.name}-1", "sequence": 1, "item": "0.png"}
    assert hook.headers[1]["Idempotency-Key"] == f"{journal.name}-2"
    assert hook.headers[1]["Content-Type"].startswith("application/json")
    assert journal.left(delivery.sink.name) == 0
    assert "the answer was 503 Service Unavailable; results are kept for it" in caplog.text
    assert "takes results again" in caplog.text


def test_a_webhook_that_is_away_is_waited_for_and_what_is_left_goes_on_later(journal):
    hook = Hook(free_port())
    sink = Webhook(f"http://127.0.0.1:{hook.port}/hook")
    delivery = delivery_to(sink, journal)
    fill(journal, 2)
    delivery.start()
    time.sleep(0.1)
    finish(delivery)  # as the watch ends
    assert journal.left(sink.name) == 2
    again = Delivery(Webhook(f"http://127.0.0.1:{hook.port}/hook"), journal, 0.02, 0.05)
    with hook.open():
        again.start()
        finish(again)
    assert [message["sequence"] for message in hook.messages] == [1, 2]


def test_no_redirection_is_followed(journal):
    hook = Hook()
    hook.statuses = [302, 307]
    with hook.open() as url:
        delivery = delivery_to(Webhook(f"{url}?key=1"), journal)
        fill(journal, 1)
        delivery.start()
        wait_for(lambda: hook.messages)
        finish(delivery)
    assert hook.paths == ["/hook?key=1"]
    assert "key" not in delivery.sink.words


def test_the_token_is_read_for_each_connection(journal, tmp_path):
    (tmp_path / "token").write_text("first\n")
    hook = Hook()
    with hook.open() as url:
        sink = Webhook(url, tmp_path / "token")
        journal.join([sink.name])
        fill(journal, 2)
        one, two = journal.after(0, 2)
        sink.send([one])
        (tmp_path / "token").write_text("second")
        sink.close()
        sink.send([two])
        sink.close()
        (tmp_path / "token").unlink()
        with pytest.raises(NotTaken, match="token cannot be read"):
            sink.send([two])
    assert [headers["Authorization"] for headers in hook.headers] == ["Bearer first", "Bearer second"]


def test_a_connection_that_the_server_has_ended_is_opened_again(journal):
    hook = Hook()
    fill(journal, 0)
    journal.join(["hook"])
    fill(journal, 2)
    one, two = journal.after(0, 2)
    with hook.open() as url:
        sink = Webhook(url)
        sink.send([one])
    with hook.open():
        assert sink.send([two]) == 1
        sink.close()
    assert [message["sequence"] for message in hook.messages] == [1, 2]


def test_a_token_on_its_way_in_plain_text_is_warned_of(tmp_path, caplog):
    (tmp_path / "token").write_text("secret")
    Webhook("http://127.0.0.1/hook", tmp_path / "token")
    Webhook("https://plant.example/hook", tmp_path / "token")
    assert caplog.text == ""
    Webhook("http://plant.example/hook", tmp_path / "token")
    assert "the token goes to plant.example as plain text: use https://" in caplog.text


@pytest.mark.parametrize(
    "url", ["plant.example/hook", "ftp://plant.example", "http://", "http://a b/", "http://é.example", "http://a:x/"]
)
def test_what_is_no_url_of_a_webhook_is_refused(url):
    with pytest.raises(InputError, match=r"webhook must be a URL of http:// or https:// with a host"):
        Webhook(url)


def test_a_password_in_the_url_of_a_webhook_is_refused_and_not_shown():
    with pytest.raises(InputError, match="give a token in a file, with webhook_token_file") as refused:
        Webhook("https://me:secret@plant.example/")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"two\nlines", b"\xff", b"x" * 9_000])
def test_a_file_that_holds_no_secret_is_refused(tmp_path, content):
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(InputError, match="must hold one line of printable ASCII"):
        read_secret(tmp_path / "token", "webhook_token_file")


def test_a_file_that_is_missing_is_no_secret(tmp_path):
    with pytest.raises(InputError, match=r"webhook_token_file: .* cannot be read: No such file"):
        Webhook("https://plant.example", tmp_path / "token")


def test_what_fails_for_another_reason_ends_the_delivery(journal):
    class Broken(Webhook):
        def send(self, entries):
            raise ZeroDivisionError

    delivery = delivery_to(Broken("http://127.0.0.1:9/"), journal)
    fill(journal, 1)
    delivery.start()
    wait_for(lambda: delivery.has_ended(0.01))
    assert isinstance(delivery.failure, ZeroDivisionError)
    delivery.stop()


# MQTT


@needs_mosquitto
def test_a_broker_is_given_all_in_order_also_after_it_was_away(journal, tmp_path):
    broker, state = Broker(tmp_path / "broker"), [UNCHANGED]
    broker.start()
    listener = Listener(broker.port, "plant/#")
    delivery = delivery_to(Mqtt(f"mqtt://127.0.0.1:{broker.port}/plant/line1", None, lambda: state[0]), journal)
    try:
        fill(journal, 30)
        delivery.start()
        wait_for(lambda: len(listener.of("plant/line1/items")) == 30)
        broker.stop()
        fill(journal, 30, 30)
        delivery.tell()
        time.sleep(0.1)
        state[0] = '{"state": "changed"}'
        broker.start()
        wait_for(lambda: len({message["sequence"] for message in listener.of("plant/line1/items")}) == 60)
        finish(delivery)
        sequences = [message["sequence"] for message in listener.of("plant/line1/items")]
        assert list(dict.fromkeys(sequences)) == list(range(1, 61))
        wait_for(lambda: listener.of("plant/line1/status")[-1:] == ["offline"])
        late = Listener(broker.port, "plant/line1/drift")  # the same subscriber, for whom the state is kept
        wait_for(lambda: late.of("plant/line1/drift") == [{"state": "changed"}])
        late.close()
        states = [message["state"] for message in listener.of("plant/line1/drift")]
        assert list(dict.fromkeys(states)) == ["unchanged", "changed"]
        assert listener.of("plant/line1/status")[:2] == ["online", "offline"]
        assert "online" in listener.of("plant/line1/status")[2:]
    finally:
        listener.close()
        delivery.stop()
        broker.stop()


@pytest.fixture
def small_broker():
    broker = SmallBroker()
    yield broker
    broker.close()


def test_what_a_broker_has_not_acknowledged_is_sent_again_in_order(journal, small_broker):
    small_broker.left = 5  # the state of the watch, that of drift, and three results
    state = [UNCHANGED]
    delivery = delivery_to(Mqtt(f"mqtt://127.0.0.1:{small_broker.port}/line1", None, lambda: state[0]), journal)
    fill(journal, 30)
    delivery.start()
    wait_for(lambda: delivery._said is not None)
    assert journal.position(delivery.sink.name) == 3
    small_broker.left = None
    wait_for(lambda: len(small_broker.of("line1/items")) >= 30)
    state[0] = '{"state": "changed"}'
    wait_for(lambda: small_broker.of("line1/drift")[-1:] == [{"state": "changed"}])
    finish(delivery)
    assert [message["sequence"] for message in small_broker.of("line1/items")] == list(range(1, 31))
    assert small_broker.of("line1/status") == ["online", "online", "offline"]
    assert {topic: retained for topic, _, retained in small_broker.messages} == {
        "line1/items": False,
        "line1/drift": True,
        "line1/status": True,
    }
    assert all("line1/status" in will and "offline" in will for will in small_broker.wills)
    assert f"dn2-{journal.name}" in small_broker.wills[0]


def test_the_password_of_a_broker_is_read_for_each_connection(journal, small_broker, tmp_path):
    password = tmp_path / "password"
    password.write_text("first")
    sink = Mqtt(f"mqtt://dn2@127.0.0.1:{small_broker.port}/line1", password, lambda: UNCHANGED)
    sink.start(journal)
    small_broker.refuses = 5
    with pytest.raises(NotTaken, match="the broker refused: Not authorized"):
        sink.rest()
    small_broker.refuses = 0
    password.write_text("second")
    sink.rest()
    sink.close()
    assert "first" in small_broker.wills[0]
    assert "second" in small_broker.wills[1]
    password.unlink()
    with pytest.raises(NotTaken, match="cannot be read"):
        sink.rest()


@needs_mosquitto
def test_a_broker_that_asks_for_a_password_says_so(journal, tmp_path):
    broker = Broker(tmp_path / "broker")
    settings = tmp_path / "broker" / "mosquitto.conf"
    settings.write_text(settings.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    broker.start()
    try:
        sink = Mqtt(f"mqtt://127.0.0.1:{broker.port}/line1", None, lambda: UNCHANGED)
        sink.start(journal)
        with pytest.raises(NotTaken, match="the broker refused: Not authorized"):
            sink.rest()
    finally:
        broker.stop()


def test_a_broker_that_is_not_there_is_waited_for(journal):
    sink = Mqtt(f"mqtt://127.0.0.1:{free_port()}/line1", None, lambda: UNCHANGED)
    sink.start(journal)
    with pytest.raises(ConnectionRefusedError):
        sink.rest()
    sink.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("broker.example/line1", r"mqtt must be a URL of mqtt:// or mqtts:// with a host"),
        ("http://broker.example/line1", r"got one of http"),
        ("mqtt://broker.example", r"must end in a topic without \+ and #"),
        ("mqtt://broker.example/line+", r"must end in a topic without \+ and #"),
        ("mqtt://broker.example/$SYS", r"must end in a topic"),
        ("mqtt://me:secret@broker.example/line1", r"give a password in a file, with mqtt_password_file"),
    ],
)
def test_what_is_no_url_of_a_broker_is_refused(url, words):
    with pytest.raises(InputError, match=words) as refused:
        Mqtt(url, None, lambda: UNCHANGED)
    assert "secret" not in str(refused.value)


def test_a_password_goes_with_a_user(tmp_path):
    (tmp_path / "password").write_text("secret")
    with pytest.raises(InputError, match=r"mqtt_password_file goes with a user: mqtt mqtt://USER@HOST/TOPIC"):
        Mqtt("mqtt://broker.example/line1", tmp_path / "password", lambda: UNCHANGED)


def test_without_paho_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(dn2.extras.sys.modules, "paho.mqtt.client", None)
    with pytest.raises(MissingExtra, match=r"pip install 'dn2\[mqtt\]'"):
        Mqtt("mqtt://broker.example/line1", None, lambda: UNCHANGED)


def test_the_broker_is_found_where_debian_installs_it():
    assert MOSQUITTO is None or Path(MOSQUITTO).exists()
