// Who may do what: each kind of credential against each thing one may want.
#include "daemon/authority.h"

#include <doctest/doctest.h>

using namespace cproto;

namespace {

using Proof = Identity::Proof;

const std::map<std::string, Config::Client> kClients = {
    {"narrow", {.channels = {"messages", "nginx"}, .files = false, .from = {"192.0.2.0/24", "2001:db8::1"}}},
    {"mapped", {.certificate_name = "host.example"}},
};

struct Action {
  const char* what;
  std::string client_id;
  std::string channel = "messages";
  MessageKind kind = MessageKind::text;
  std::string host = "192.0.2.1";
};

// By the proof of "narrow": what comes of each action. none: it may.
struct Row {
  Action action;
  ErrorCode plain;
  ErrorCode anonymous;
  ErrorCode key;
  ErrorCode certificate;
};

constexpr auto kMay = ErrorCode::none;
constexpr auto kNobody = ErrorCode::identity_required;
constexpr auto kOther = ErrorCode::wrong_identity;

}  // namespace

TEST_CASE("authority: who may do what") {
  const std::vector<Row> table = {
      {{"send lines as oneself", "narrow"}, kMay, kNobody, kMay, kMay},
      {{"send to a channel that is named", "narrow", "nginx"}, kMay, kNobody, kMay, kMay},
      {{"send to another channel", "narrow", "other"},
       ErrorCode::channel_not_allowed,
       kNobody,
       ErrorCode::channel_not_allowed,
       ErrorCode::channel_not_allowed},
      {{"send a file", "narrow", "messages", MessageKind::file},
       ErrorCode::files_not_allowed,
       kNobody,
       ErrorCode::files_not_allowed,
       ErrorCode::files_not_allowed},
      {{"come from another network", "narrow", "messages", MessageKind::text, "198.51.100.1"},
       ErrorCode::address_not_allowed,
       kNobody,
       ErrorCode::address_not_allowed,
       ErrorCode::address_not_allowed},
      {{"come from the other network", "narrow", "messages", MessageKind::text, "2001:db8::1"},
       kMay,
       kNobody,
       kMay,
       kMay},
      {{"send as somebody else", "web-1"}, kMay, kNobody, kOther, kOther},
      {{"send a file as somebody else", "web-1", "messages", MessageKind::file}, kMay, kNobody, kOther, kOther},
  };
  const Authority authority(kClients);
  for (const Row& row : table) {
    CAPTURE(row.action.what);
    Syn syn;
    syn.client_id = row.action.client_id;
    syn.channel = row.action.channel;
    syn.kind = row.action.kind;
    const auto code = [&](Proof proof, const std::string& name) {
      const auto error = authority.check(syn, {proof, name, {}}, row.action.host);
      return error ? error->code : ErrorCode::none;
    };
    CHECK(code(Proof::none, "") == row.plain);
    CHECK(code(Proof::anonymous, "") == row.anonymous);
    CHECK(code(Proof::key, "narrow") == row.key);
    CHECK(code(Proof::certificate, "narrow") == row.certificate);
  }
}

TEST_CASE("authority: a refusal says whose the proof is, or what is not allowed") {
  const Authority authority(kClients);
  Syn syn;
  syn.client_id = "narrow";
  CHECK(authority.check(syn, {Proof::key, "web-1", {}}, "192.0.2.1")->sentence ==
        "the key or the certificate belongs to another client: it is web-1's");
  CHECK(authority.check(syn, {}, "198.51.100.1")->sentence ==
        "the client may not come from this address: 198.51.100.1");
}

TEST_CASE("authority: a message may not be what its session could not have been") {
  const Authority authority(kClients);
  MessageHeader header;
  CHECK_FALSE(authority.check("narrow", header));
  header.channel = "other";
  CHECK(authority.check("narrow", header)->code == ErrorCode::channel_not_allowed);
  header = {};
  header.kind = MessageKind::file;
  CHECK(authority.check("narrow", header)->code == ErrorCode::files_not_allowed);
}

TEST_CASE("authority: who is not configured may do anything as itself") {
  const Authority authority(kClients);
  Syn syn;
  syn.client_id = "web-9";
  syn.kind = MessageKind::file;
  syn.channel = "any";
  CHECK_FALSE(authority.check(syn, {Proof::key, "web-9", {}}, "203.0.113.9"));
  CHECK_FALSE(authority.check("web-9", MessageHeader{}));
}
