#include "config/conflicts.h"

#include <string_view>

#include "config/address.h"
#include "config/credentials.h"

namespace cproto::config {
namespace {

// A frame is never split over segments, and a segment that holds only one or two would be mostly padding.
constexpr std::uint64_t kPacketsPerSegmentMin = 4;

std::string shown(const Key& key, const Config& config) { return show(key.domain, key.get(config)); }

// `rule` ends before the other key's name and value.
Conflict conflict(const Key& key, std::string_view rule, const Key& other, const Config& config) {
  return {&key, &other, shown(key, config), std::string(rule) + " " + other.path() + " = " + shown(other, config)};
}

void check_exposure(const Config& config, std::vector<Conflict>& found) {
  const auto& host = config.listen.host;
  if (config.listen.insecure || has_tls(config.tls)) return;
  for (std::size_t i = 0; i < host.size(); ++i) {
    if (is_loopback(host[i])) continue;
    found.push_back({find_key("listen", "host"), find_key("listen", "insecure"), quote(host[i]),
                     "other hosts could send without encryption; set up [tls] (cprotoctl key add NAME), or say "
                     "insecure = true",
                     i});
    return;  // one mistake, however many addresses it concerns
  }
}

void check_sizes(const Config& config, std::vector<Conflict>& found) {
  const Key& packet = *find_key("session", "max_packet_size");
  const Key& window = *find_key("session", "window_bytes");
  const Key& segment = *find_key("store", "segment_size");
  if (config.session.max_packet_size > config.store.segment_size / kPacketsPerSegmentMin)
    found.push_back(conflict(packet, "must be at most a quarter of", segment, config));
  // One frame may always be in flight, whatever its size.
  if (config.session.window_bytes < config.session.max_packet_size)
    found.push_back(conflict(window, "must be at least", packet, config));
}

void check_certificates(const Config& config, std::vector<Conflict>& found) {
  const Key& certificate = *find_key("tls", "certificate");
  const Key& key = *find_key("tls", "certificate_key");
  const Key& authority = *find_key("tls", "client_ca");
  if (config.tls.certificate.empty() != config.tls.certificate_key.empty()) {
    const bool has_one = !config.tls.certificate.empty();
    found.push_back(conflict(has_one ? certificate : key, "goes with", has_one ? key : certificate, config));
  }
  if (!config.tls.client_ca.empty() && config.tls.certificate.empty())
    found.push_back(conflict(authority, "goes with", certificate, config));
}

}  // namespace

std::vector<Conflict> conflicts(const Config& config) {
  std::vector<Conflict> found;
  check_exposure(config, found);
  check_sizes(config, found);
  check_certificates(config, found);
  return found;
}

std::vector<Conflict> doubts(const Config& config) {
  const auto session = config.session.forget_session_after;
  const auto unfinished = config.session.forget_unfinished_after;
  const bool outlived = session.count() != 0 && (unfinished.count() == 0 || unfinished > session);
  if (!outlived) return {};
  return {conflict(*find_key("session", "forget_session_after"),
                   "a session takes its unfinished messages with it, before",
                   *find_key("session", "forget_unfinished_after"), config)};
}

}  // namespace cproto::config
