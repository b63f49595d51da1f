#include "daemon/log_event.h"

#include <array>

namespace cproto {

namespace {

struct Entry {
  LogEvent event;
  std::string_view id;
};

// In the order of the enumerators. Drawn once with uuidgen; queries depend on them.
constexpr std::array kEntries = {
    Entry{LogEvent::none, ""},
    Entry{LogEvent::listening, "956fd5577b5e43e48265e3e423adef53"},
    Entry{LogEvent::recovered, "bd1ad57215994ab4a0749ca4069c1e96"},
    Entry{LogEvent::stopping, "646387e6b4524c629442682355de8027"},
    Entry{LogEvent::stopped, "e82ce2c6661d46a8b4a70f2af5a53c72"},
    Entry{LogEvent::stopped_undelivered, "8de2d91ce14c4030830e474e360cdbf5"},
    Entry{LogEvent::reloaded, "fcad003e7bac4efa96df73388d214f80"},
    Entry{LogEvent::reload_refused, "7e8f8ebe2b684490bb12a31493c1e1bb"},
    Entry{LogEvent::restart_needed, "1fd6e0435ab240fd9f1faf84a02f4f1e"},
    Entry{LogEvent::store_created, "c942735e863a4c92b0045b114f9967a8"},
    Entry{LogEvent::journal_damaged, "b4375c0b51144fc6a14832f0a6a8fbba"},
    Entry{LogEvent::session_began, "f7eee93cf54e466c84d3d2e2bd08ecc9"},
    Entry{LogEvent::session_ended, "9dec150a54a442e2b42cdbc09478e953"},
    Entry{LogEvent::connection_lost, "23dc038fcd584dd88011c5252a80f2c9"},
    Entry{LogEvent::connection_regained, "399f0a5e136c4d41baad5522c4625d12"},
    Entry{LogEvent::connection_taken_over, "3901e73fca5c468cabde788d49a6a7c8"},
    Entry{LogEvent::session_restarted, "b9575b8e65394d7db5e2aa87838acb2a"},
    Entry{LogEvent::client_refused, "be732a893abd4fc6940052ecdb806778"},
    Entry{LogEvent::message_refused, "a0a54aac73ad46f589f6bf6395d6f1ae"},
    Entry{LogEvent::not_a_client, "9fc3923933df4b9bb34dd26d9779701a"},
    Entry{LogEvent::too_many_connections, "a759d66ddd0742b4bde35f5eb4a763b9"},
    Entry{LogEvent::disk_full, "71dc107c3c5e48fbba5d9280bed2686c"},
    Entry{LogEvent::disk_failed, "8eb61faa99174d8b94508779f4480e35"},
    Entry{LogEvent::disk_stalled, "26791f9b12204ce9a5e151af9f130a9d"},
    Entry{LogEvent::disk_works, "c78e92525f334801b56e5ba711ec9c26"},
    Entry{LogEvent::inbox_blocked, "efe75657bd2f43b0819ecf2d150d79cc"},
    Entry{LogEvent::inbox_writable, "0abb1a7d20d2473cbc2cde269ffdbfc2"},
    Entry{LogEvent::inbox_changed, "f86320d650df404ab97e259f4075841f"},
    Entry{LogEvent::open_to_others, "7ac72f7f439f4d2fa144210f937597a5"},
    Entry{LogEvent::few_descriptors, "8fe592070d864dd1a1641bdf019b28e1"},
    Entry{LogEvent::volatile_store, "11a14758282f47a4ab96c903db43c3b5"},
    Entry{LogEvent::sockets_differ, "182b9a27544447e8800894136851aec3"},
    Entry{LogEvent::lines_lost, "342fb20b73864e6fbf84336d10a13251"},
    Entry{LogEvent::client_kicked, "35aa852a922b41f68e992e5419e9aff9"},
    Entry{LogEvent::session_forgotten, "0a4d46f90c004c6cbc3c2e3bcfb20511"},
    Entry{LogEvent::disk_low, "5e2ae2837a5d4bc795e4d1c025b58546"},
    Entry{LogEvent::inbox_limit, "ebb8eff6540f4b9a99370af8cf628607"},
    Entry{LogEvent::senders_held, "7d9dcd7dc7064c78a049c52e4d13fd53"},
    Entry{LogEvent::overloaded, "2a097edc4e234be8a85cd05b953a11ff"},
    Entry{LogEvent::stuck, "19ec402e55224720afa02290a6041282"},
    Entry{LogEvent::certificate_expires, "d9ceeb591ed64ccf826d21588620c009"},
    Entry{LogEvent::stream_away, "7c5adf7bfc484874ba843b774dafbb31"},
    Entry{LogEvent::stream_full, "9bc33557089c46a4a84040ad6cba3b23"},
    Entry{LogEvent::stream_works, "a209b85876b04b059af52e3ef117c59f"},
};

constexpr bool are_in_order() {
  for (std::size_t i = 0; i < kEntries.size(); ++i)
    if (static_cast<std::size_t>(kEntries[i].event) != i) return false;
  return true;
}
static_assert(are_in_order());

}  // namespace

std::string_view message_id(LogEvent event) { return kEntries[static_cast<std::size_t>(event)].id; }

}  // namespace cproto
