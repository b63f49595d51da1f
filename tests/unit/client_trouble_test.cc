#include "client/trouble.h"

#include <doctest/doctest.h>
#include <uv.h>

#include "proto/frame.h"

using namespace cproto;
using namespace cproto::client;

namespace {

const ServerAddress kLogs{"logs", 7780};

Unreachable at(std::initializer_list<Unreachable::Attempt> attempts) { return {0, attempts}; }

Trouble said(ErrorCode code) { return failed("logs:7780", Error::of(code), true, nullptr); }

}  // namespace

TEST_CASE("trouble: an address is told once") {
  CHECK(place(kLogs, "192.0.2.7") == "logs:7780 (192.0.2.7)");
  CHECK(place({"192.0.2.7", 9}, "192.0.2.7") == "192.0.2.7:9");
  CHECK(place({"::1", 9}, "::1") == "[::1]:9");
}

TEST_CASE("trouble: unreachable says where, why and what to look at") {
  CHECK(unreachable(kLogs, at({{"192.0.2.7", UV_ECONNREFUSED}})).sentence ==
        "logs:7780 (192.0.2.7): connection refused; is cprotod running, and does it listen on this address?");
  CHECK(unreachable(kLogs, at({{"192.0.2.7", UV_ETIMEDOUT}})).sentence ==
        "logs:7780 (192.0.2.7): no answer in 5 s (a firewall?)");
  CHECK(unreachable(kLogs, at({{"::1", UV_ECONNREFUSED}, {"127.0.0.1", UV_ECONNREFUSED}})).sentence ==
        "logs:7780 (::1, 127.0.0.1): connection refused; is cprotod running, and does it listen on this address?");
  const Trouble mixed = unreachable(kLogs, at({{"2001:db8::7", UV_ENETUNREACH}, {"192.0.2.7", UV_ETIMEDOUT}}));
  CHECK(mixed.sentence == "logs:7780 (2001:db8::7: network is unreachable; 192.0.2.7: no answer in 5 s): not reached");
  CHECK(mixed.status == Status::unavailable);
  CHECK_FALSE(mixed.is_final);
}

TEST_CASE("trouble: a name that does not exist is told from a name service that does not answer") {
  const Trouble unknown = unreachable(kLogs, {UV_EAI_NONAME, {}});
  CHECK(unknown.status == Status::no_host);
  CHECK(unknown.sentence == "logs: no such host name");
  const Trouble silent = unreachable(kLogs, {UV_EAI_AGAIN, {}});
  CHECK(silent.status == Status::unavailable);
  CHECK(silent.sentence == "logs: the name service does not answer");
}

TEST_CASE("trouble: no descriptors left is not the network's fault") {
  CHECK(unreachable(kLogs, at({{"192.0.2.7", UV_EMFILE}})).status == Status::os_error);
}

TEST_CASE("trouble: a frame that is larger than it was sent has been damaged on the way, and the client comes back") {
  CHECK_FALSE(said(ErrorCode::frame_too_large).is_final);
}

TEST_CASE("trouble: each class of error is acted upon") {
  CHECK_FALSE(said(ErrorCode::peer_silent).is_final);

  const Trouble full = failed("logs:7780", Error::retry_after(ErrorCode::disk_full, 3s), true, nullptr);
  CHECK_FALSE(full.is_final);
  CHECK(full.pause == 3s);
  CHECK(full.status == Status::temp_fail);
  CHECK(full.sentence == "logs:7780 says: the server's disk is full or below its floor");

  CHECK(said(ErrorCode::unsupported_version).is_final);
  CHECK(said(ErrorCode::unsupported_version).status == Status::protocol);
  CHECK(said(ErrorCode::bad_client_id).status == Status::no_permission);
  CHECK(said(ErrorCode::superseded).status == Status::temp_fail);
  CHECK(said(ErrorCode::bad_message_order).is_final);
  CHECK(said(ErrorCode::too_many_refusals).comes_back_at_once);
}

TEST_CASE("trouble: what a server lost is named, waited for, and ends with 76") {
  const StoreId ours{0x51, 0xaa, 0x01, 0x02};
  for (const ErrorCode code : {ErrorCode::unknown_session, ErrorCode::other_store, ErrorCode::store_behind}) {
    const Trouble trouble = failed("logs:7780", Error::of(code), true, &ours);
    CHECK_FALSE(trouble.is_final);
    CHECK_FALSE(trouble.comes_back_at_once);
    CHECK(trouble.status == Status::protocol);
    CHECK(trouble.sentence.find(std::string(find_error(code)->sentence)) != std::string::npos);
    CHECK(trouble.sentence.find("belongs to store 51aa0102. Is its disk mounted? Nothing was sent") !=
          std::string::npos);
  }
}

TEST_CASE("trouble: a session that never reached the disk begins again without a word") {
  Error error = Error::of(ErrorCode::unknown_session);
  error.error_class = ErrorClass::retry_now;
  CHECK(failed("logs:7780", error, true, nullptr).comes_back_at_once);
}

TEST_CASE("trouble: a stranger is quoted") {
  CHECK(not_cproto("logs:22", as_bytes("SSH-2.0-OpenSSH_9.2\r\n")).sentence ==
        "logs:22 does not speak cproto: it says \"SSH-2.0-OpenSSH_9.2\"");
  const Bytes alert{0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46};
  CHECK(not_cproto("logs:443", alert).sentence == "logs:443 does not speak cproto in the clear: it wants TLS");
}

TEST_CASE("trouble: of what is said in plain text to one who began TLS, only that there is no room is believed") {
  const auto trouble_of = [](const Error& error) {
    Bytes payload;
    encode_error(error, payload);
    TlsTrouble tls{TlsTrouble::Kind::not_tls, {}, {}};
    encode_frame(FrameType::error, {}, payload, tls.plain);
    return tls_failed("logs:7781", tls, false);
  };
  const Trouble full = trouble_of(Error::retry_after(ErrorCode::too_many_connections, 2s));
  CHECK_FALSE(full.is_final);
  CHECK(full.pause == 2s);
  CHECK(full.sentence == "logs:7781 says: too many connections");
  const Trouble other = trouble_of(Error::of(ErrorCode::wrong_identity));
  CHECK(other.is_final);
  CHECK(other.sentence == "logs:7781: it does not speak TLS; is [tls] set up there?");
}

TEST_CASE("trouble: TLS that fails in the middle of a session was damaged on the way, and the client comes back") {
  const TlsTrouble damaged{TlsTrouble::Kind::not_tls, "wrong version number", {}};
  CHECK_FALSE(tls_failed("logs:7781", damaged, true).is_final);
  CHECK(tls_failed("logs:7781", damaged, true).sentence == "logs:7781: connection lost (TLS: wrong version number)");
}

TEST_CASE("trouble: the beginning of a SYN-ACK or ERROR is no stranger's, however little of it has come") {
  Bytes frame;
  encode_frame(FrameType::error, {}, as_bytes("anything"), frame);
  for (std::size_t size = 0; size <= frame.size(); ++size) CHECK(looks_like_cproto(ByteView(frame).first(size)));
  CHECK_FALSE(looks_like_cproto(as_bytes("220 mail ESMTP")));
  CHECK_FALSE(looks_like_cproto(as_bytes("HTTP/1.1 400 Bad Request")));
}
