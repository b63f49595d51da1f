#include "config/schema.h"

#include <array>
#include <chrono>
#include <type_traits>

#include "proto/options.h"

namespace cproto::config {
namespace {

// Indexed by the enumerators.
constexpr std::array<std::string_view, 4> kLogLevels = {"error", "warn", "info", "debug"};
constexpr std::array<std::string_view, 2> kExistingFiles = {"replace", "keep"};
constexpr std::array<std::string_view, 2> kEngines = {"journal", "jetstream"};
constexpr std::array<std::string_view, 2> kUnknownSessions = {"refuse", "restart"};

constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kGiB = 1u << 30;

constexpr std::uint64_t kPathMax = 4095;        // Linux PATH_MAX without its NUL
constexpr std::uint64_t kGroupMax = 32;         // what useradd and its relatives allow
constexpr std::uint64_t kCountMax = 1'000'000;  // more than one process can serve; whoever wants more says 0
// The length of a binary message is stored in 32 bits.
constexpr std::uint64_t kMessageSizeMax = 2 * kGiB;

constexpr std::uint64_t kFileSizeMax = 1ull << 60;

constexpr std::uint64_t ms(std::chrono::milliseconds time) { return static_cast<std::uint64_t>(time.count()); }

constexpr Domain boolean() { return {Kind::boolean}; }
constexpr Domain hosts() { return {Kind::hosts}; }
constexpr Domain text(std::uint64_t min, std::uint64_t max) { return {Kind::text, min, max}; }
constexpr Domain names() { return {Kind::names}; }
constexpr Domain networks() { return {Kind::networks}; }
constexpr Domain word(std::span<const std::string_view> words) { return {Kind::word, 0, 0, false, words}; }
constexpr Domain count(std::uint64_t min, std::uint64_t max) { return {Kind::count, min, max}; }
constexpr Domain size(std::uint64_t min, std::uint64_t max) { return {Kind::size, min, max}; }
constexpr Domain time(std::chrono::milliseconds min, std::chrono::milliseconds max) {
  return {Kind::time, ms(min), ms(max)};
}
constexpr Domain or_no_limit(Domain domain) {
  domain.zero_is_no_limit = true;
  return domain;
}
constexpr Domain kLimit = or_no_limit(count(1, kCountMax));
constexpr Domain kAge = or_no_limit(time(1h, 24h * 36'500));

// Counts, sizes, and words by their index.
template <class T>
constexpr bool kIsNumber = std::is_enum_v<T> || (std::is_integral_v<T> && !std::is_same_v<T, bool>);

template <class T>
Value to_value(const T& member) {
  if constexpr (std::is_same_v<T, std::chrono::milliseconds>) {
    return ms(member);
  } else if constexpr (kIsNumber<T>) {
    return static_cast<std::uint64_t>(member);
  } else {
    return member;
  }
}

template <class T>
void from_value(const Value& value, T& member) {
  if constexpr (std::is_same_v<T, std::chrono::milliseconds>) {
    member = T(static_cast<typename T::rep>(std::get<std::uint64_t>(value)));
  } else if constexpr (kIsNumber<T>) {
    member = static_cast<T>(std::get<std::uint64_t>(value));
  } else {
    member = std::get<T>(value);
  }
}

template <auto Part, auto Member>
Value get(const Config& config) {
  return to_value(config.*Part.*Member);
}

template <auto Part, auto Member>
void set(Config& config, const Value& value) {
  from_value(value, config.*Part.*Member);
}

template <auto Part, auto Member>
constexpr Key key(std::string_view section, std::string_view name, Domain domain, Change change, std::string_view doc) {
  return {section, name, domain, change, doc, get<Part, Member>, set<Part, Member>};
}

template <auto Member>
constexpr ClientKey client_key(std::string_view name, Domain domain, std::string_view doc) {
  return {name, domain, doc, [](const Config::Client& client) { return to_value(client.*Member); },
          [](Config::Client& client, const Value& value) { from_value(value, client.*Member); }};
}

constexpr auto kReload = Change::by_reload;
constexpr auto kRestart = Change::by_restart;
using C = Config;

constexpr std::array kSections = {
    Section{"listen", ""},
    Section{"store", ""},
    Section{"jetstream", "With store.engine = \"jetstream\": see STREAM.md and SCALING.md in /usr/share/doc/cprotod."},
    Section{"inbox", ""},
    Section{"session", ""},
    Section{"limits", "Clients wait, and are told why, at any of these. Nothing that was acknowledged is dropped."},
    Section{"tls", ""},
    Section{"log", ""},
};

// clang-format off
constexpr std::array kKeys = {
    key<&C::listen, &C::Listen::host>("listen", "host", hosts(), kRestart,
        R"(Address, list of addresses, or "*" for all. Anything but loopback needs [tls], or insecure.)"),
    key<&C::listen, &C::Listen::port>("listen", "port", count(0, 65'535), kRestart, ""),
    key<&C::listen, &C::Listen::insecure>("listen", "insecure", boolean(), kRestart,
        "Take messages from other hosts unencrypted, and believe the name they give. Trusted networks only."),

    key<&C::store, &C::Store::engine>("store", "engine", word(kEngines), kRestart,
        R"(What keeps messages: "journal", this disk, or "jetstream", a stream of NATS. That one takes no files.)"),
    key<&C::store, &C::Store::directory>("store", "directory", text(1, kPathMax), kRestart,
        "Journal, unfinished files, sessions."),
    key<&C::store, &C::Store::segment_size>("store", "segment_size", size(kMiB, 4 * kGiB), kRestart,
        "Journal segments of this size are preallocated and reused."),

    key<&C::jetstream, &C::JetStream::url>("jetstream", "url", text(1, kPathMax), kRestart,
        "NATS servers, separated by commas; tls:// encrypts."),
    key<&C::jetstream, &C::JetStream::credentials>("jetstream", "credentials", text(0, kPathMax), kRestart,
        "Files: the user's credentials, and certificates that a server has to show one of."),
    key<&C::jetstream, &C::JetStream::ca>("jetstream", "ca", text(0, kPathMax), kRestart, ""),
    key<&C::jetstream, &C::JetStream::stream>("jetstream", "stream", text(1, 64), kRestart,
        "If there is no such stream it is made, with these replicas and limits, unless create is false."),
    key<&C::jetstream, &C::JetStream::create>("jetstream", "create", boolean(), kRestart, ""),
    key<&C::jetstream, &C::JetStream::replicas>("jetstream", "replicas", count(1, 5), kRestart, ""),
    key<&C::jetstream, &C::JetStream::max_bytes>("jetstream", "max_bytes", or_no_limit(size(kMiB, kFileSizeMax)),
        kRestart, "At max_bytes senders wait; after max_age what is old goes, and with it how far its sessions got."),
    key<&C::jetstream, &C::JetStream::max_age>("jetstream", "max_age", kAge, kRestart, ""),
    key<&C::jetstream, &C::JetStream::pack_size>("jetstream", "pack_size", size(1, kMiB), kRestart,
        "Messages of a session that wait are stored as one, up to this size. 1: each by itself, which is slower."),
    key<&C::jetstream, &C::JetStream::servers_sync>("jetstream", "servers_sync", boolean(), kRestart,
        "The servers sync before they acknowledge (sync_interval: always); what senders are told depends on it."),

    key<&C::inbox, &C::Inbox::directory>("inbox", "directory", text(0, kPathMax), kRestart,
        R"(<client>/<channel>.log and <client>/files/<name>. Empty: "inbox" in the store's directory.)"),
    key<&C::inbox, &C::Inbox::group>("inbox", "group", text(1, kGroupMax), kReload,
        "May read what arrives. Nothing here is ever deleted by cprotod."),
    key<&C::inbox, &C::Inbox::existing_file>("inbox", "existing_file", word(kExistingFiles), kReload,
        R"(A file whose name is there already: "replace" it, or "keep" both (name~1, name~2, ...).)"),

    key<&C::session, &C::Session::max_packet_size>("session", "max_packet_size", size(kPacketSizeMin, kPacketSizeMax),
        kReload, "Offered to clients; the smaller of both sides' values counts."),
    key<&C::session, &C::Session::window_size>("session", "window_size", count(1, kWindowMax), kReload, ""),
    key<&C::session, &C::Session::window_bytes>("session", "window_bytes", size(kPacketSizeMin, kGiB), kReload, ""),
    key<&C::session, &C::Session::keep_alive>("session", "keep_alive", time(100ms, 1h), kReload,
        "A peer that is silent for three of these is gone."),
    key<&C::session, &C::Session::handshake_timeout>("session", "handshake_timeout", time(100ms, 10min), kReload,
        "A connection whose handshake is not complete by then is closed."),
    key<&C::session, &C::Session::forget_unfinished_after>("session", "forget_unfinished_after", kAge, kReload,
        "Let go what no client came back for: half-sent messages and files, then the session itself."),
    key<&C::session, &C::Session::forget_session_after>("session", "forget_session_after", kAge, kReload, ""),
    key<&C::session, &C::Session::unknown>("session", "unknown", word(kUnknownSessions), kReload,
        R"(A client whose session this store does not know: "refuse", or "restart" behind what was acknowledged to it.)"),

    key<&C::limits, &C::Limits::free_space>("limits", "free_space", or_no_limit(size(kMiB, kFileSizeMax)), kReload,
        "Free space to leave (5 % of the disk, where that is less). A warning comes at twice this."),
    // One frame may always be in flight, so the smallest memory is one frame's.
    key<&C::limits, &C::Limits::memory>("limits", "memory", size(kPacketSizeMax, 1024 * kGiB), kReload,
        "Received and not yet on disk, all clients together."),
    key<&C::limits, &C::Limits::connections>("limits", "connections", kLimit, kReload,
        "Connections: in all, from one address, and with a handshake not yet complete."),
    key<&C::limits, &C::Limits::connections_per_address>("limits", "connections_per_address", kLimit, kReload, ""),
    key<&C::limits, &C::Limits::handshakes_pending>("limits", "handshakes_pending", kLimit, kReload, ""),
    key<&C::limits, &C::Limits::message_size>("limits", "message_size", size(1, kMessageSizeMax), kReload,
        "A larger message or file is refused; what is behind it is taken."),
    key<&C::limits, &C::Limits::file_size>("limits", "file_size", or_no_limit(size(1, kFileSizeMax)), kReload, ""),
    key<&C::limits, &C::Limits::inbox_per_client>("limits", "inbox_per_client", or_no_limit(size(kMiB, kFileSizeMax)),
        kReload, "Bytes in the inbox of one client."),
    key<&C::limits, &C::Limits::channels_per_client>("limits", "channels_per_client", kLimit, kReload,
        "Names in the inbox: channels of one client, and clients."),
    key<&C::limits, &C::Limits::clients>("limits", "clients", kLimit, kReload, ""),

    key<&C::tls, &C::Tls::keys>("tls", "keys", text(0, kPathMax), kReload,
        "On as soon as there is a key file or a certificate. Keys: cprotoctl key add NAME"),
    key<&C::tls, &C::Tls::certificate>("tls", "certificate", text(0, kPathMax), kReload, ""),
    key<&C::tls, &C::Tls::certificate_key>("tls", "certificate_key", text(0, kPathMax), kReload, ""),
    key<&C::tls, &C::Tls::client_ca>("tls", "client_ca", text(0, kPathMax), kReload,
        "Clients may show a certificate of this authority; its name is their client id."),
    key<&C::tls, &C::Tls::allow_plain>("tls", "allow_plain", boolean(), kReload,
        "Also accept plain text on this port, while clients are being changed over."),

    key<&C::log, &C::Log::level>("log", "level", word(kLogLevels), kReload,
        "error, warn, info, debug. To the journal under systemd, else to standard error."),
};

constexpr std::array kClientKeys = {
    client_key<&C::Client::channels>("channels", names(), "The channels it may send to; none named: any."),
    client_key<&C::Client::files>("files", boolean(), "Whether it may send files."),
    client_key<&C::Client::from>("from", networks(), "The networks it may come from; none named: any."),
    client_key<&C::Client::certificate_name>("certificate_name", text(0, 253),
        "The name in its certificate, where that is not the client's."),
};
// clang-format on

}  // namespace

std::string Key::path() const { return std::string(section).append(".").append(name); }

std::span<const Section> sections() { return kSections; }
std::span<const Key> keys() { return kKeys; }
std::span<const ClientKey> client_keys() { return kClientKeys; }

const Key* find_key(std::string_view section, std::string_view name) {
  for (const Key& key : kKeys) {
    if (key.section == section && key.name == name) return &key;
  }
  return nullptr;
}

}  // namespace cproto::config

namespace cproto {

std::vector<std::string> keys_needing_restart(const Config& old, const Config& next) {
  std::vector<std::string> paths;
  for (const config::Key& key : config::keys()) {
    if (key.change == config::Change::by_restart && key.get(old) != key.get(next)) paths.push_back(key.path());
  }
  return paths;
}

}  // namespace cproto
