"""Room on the machine: a new broadcast that does not fit is refused, one that runs is never turned away."""

import publishers
from support import server as servers
from support import web
from support.server import Server
from support.waiting import until

SDP = {"Content-Type": "application/sdp"}
CONNECT_S = 30
# Less than any ladder takes: an idle machine takes one broadcast all the same.
LITTLE = {"HEADWATER_TRANSCODE__CORES": "0.1", "HEADWATER_TRANSCODE__LOAD_MAX_PERCENT": "90"}


def post(server, key):
    return web.request("POST", server.whip, publishers.offer(), SDP | {"Authorization": f"Bearer {key}"})


def test_a_second_broadcast_finds_no_room_until_the_first_has_ended():
    with Server(env=LITTLE) as server:
        first, second = server.new_channel(), server.new_channel()
        with publishers.aiortc(server.whip, first.key) as publisher:
            first.wait_state("live")
            answer = post(server, second.key)
            assert answer.status == 503 and int(answer.headers["retry-after"]) > 0
            assert answer.problem() == "no_room"
            # The publisher of the one that runs comes back, here before its old session is over.
            with publishers.aiortc(server.whip, first.key) as again:
                publishers.wait_event(again, "connected")
                publishers.wait_event(publisher, "ended", CONNECT_S)
                first.wait_state("live")
                assert post(server, second.key).problem() == "no_room"
                broadcast = first.state()["broadcast"]
                again.kill()
            with publishers.aiortc(server.whip, first.key) as back:
                publishers.wait_event(back, "connected")
                until(lambda: first.state()["state"] == "live", CONNECT_S, "it goes on")
                assert first.state()["broadcast"] == broadcast
                back.stop()
        first.wait_state("ended", CONNECT_S)
        with publishers.aiortc(server.whip, second.key) as publisher:
            second.wait_state("live", CONNECT_S)
            assert server.metric("headwater_transcoder_cores_in_use") > 0
            publisher.stop()
        until(lambda: server.metric("headwater_transcoder_cores_in_use") == 0, CONNECT_S, "all room is given back")
        assert server.metric("headwater_ingest_sessions_refused_total", code="no_room") == 2


def test_of_two_that_come_at_once_one_gets_the_last_room_and_gives_it_back_if_it_never_begins():
    with Server(env=LITTLE) as server:
        first, second = server.new_channel(), server.new_channel()
        answer = post(server, first.key)
        assert answer.status == 201
        assert post(server, second.key).problem() == "no_room"
        session = server.url + answer.headers["location"]
        assert web.request("DELETE", session, headers={"Authorization": f"Bearer {first.key}"}).status == 200
        until(lambda: post(server, second.key).status == 201, CONNECT_S, "its room is given back")


def test_the_doctor_says_for_how_many_broadcasts_there_is_room():
    data = servers.data_folder()
    found = servers.run("doctor", "--data", data, "--listen", "127.0.0.1:0",
                        env={"HEADWATER_TRANSCODE__CORES": "2", "HEADWATER_TRANSCODE__LOAD_MAX_PERCENT": "90"})
    line, = [line for line in found.stdout.splitlines() if " room: " in line]
    assert line.startswith("ok") and "for 3 broadcast(s)" in line, line
