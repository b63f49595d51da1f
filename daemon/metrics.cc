#include "daemon/metrics.h"

#include <algorithm>
#include <string_view>

#include "daemon/exposition.h"

namespace cproto {

namespace {

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

void add_connections(Exposition& out, const DaemonView& view) {
  const PeerCounters& counters = view.counters;
  out.gauge("cproto_connections", "Connections open now.", static_cast<double>(view.connections));
  out.gauge("cproto_handshakes_pending", "Of them, with a handshake not yet complete.",
            static_cast<double>(view.handshakes));
  out.counter("cproto_connections_delayed_total", "Times that connections had to wait for descriptors.",
              counters.accept_failures);
  out.counter("cproto_connections_accepted_total", "Connections taken.", counters.connections);
  out.counter("cproto_connections_silent_total", "Connections that said nothing.", counters.silent_probes);
  out.counter("cproto_handshakes_total", "Handshakes completed.", counters.sessions);
  if (view.certificate_left)
    out.gauge("cproto_certificate_expires_seconds", "Until the certificate expires.",
              static_cast<double>(*view.certificate_left));
  out.counter("cproto_tls_handshakes_total", "TLS handshakes completed.", counters.tls_handshakes);
  out.counter("cproto_tls_failures_total", "Connections on which TLS failed.", counters.tls_failures);
  out.counter("cproto_handshake_failures_total", "Connections that never became a client's.",
              counters.handshake_failures);
  out.family("cproto_refusals_total", "counter",
             "Connections, handshakes and messages refused, by what they were told.");
  for (const ErrorEntry& error : kErrors) {
    std::uint64_t count = 0;
    for (const auto* refused : {&counters.refused, &view.store.counters().refused})
      if (const auto it = refused->find(error.code); it != refused->end()) count += it->second;
    out.sample("cproto_refusals_total", "{code=\"" + std::string(error.name) + "\"}", std::to_string(count));
  }
}

void add_sessions(Exposition& out, const DaemonView& view) {
  std::uint64_t known = 0;
  std::uint64_t unfinished = 0;
  for (const auto& [index, entry] : view.store.registry().all()) {
    if (entry->is_forgotten) continue;
    ++known;
    if (entry->durable.message.is_begun) ++unfinished;
  }
  out.gauge("cproto_sessions", "Sessions that are not finished, connected or not.", static_cast<double>(known));
  out.counter("cproto_sessions_forgotten_total", "Sessions let go since no client came back for them.",
              view.store.counters().sessions_let_go);
  out.gauge("cproto_sessions_unfinished", "Sessions with a half-sent message.", static_cast<double>(unfinished));
}

void add_messages(Exposition& out, const PeerCounters& counters) {
  out.counter("cproto_messages_received_total", "Messages received, each counted once.", counters.messages);
  out.counter("cproto_received_bytes_total", "Payload received, without what came twice.", counters.payload_bytes);
  out.counter("cproto_acknowledgements_total", "Acknowledgements of something newly durable.",
              counters.acknowledgements);
  out.counter("cproto_duplicate_frames_total", "Frames retransmitted although they had been received.",
              counters.duplicates);
  out.counter("cproto_retransmissions_requested_total", "Damaged frames, each asked for again.",
              counters.damaged_frames);
}

void add_memory(Exposition& out, const Store& store) {
  out.gauge("cproto_memory_bytes", "Received and in memory.", static_cast<double>(store.held_bytes()));
  out.gauge("cproto_memory_limit_bytes", "What [limits] memory allows.", static_cast<double>(store.memory()));
  out.counter("cproto_reading_held_total", "Times that nobody was read, for want of memory or of journal.",
              store.counters().holds);
  out.counter("cproto_overloads_total", "Connections sent away as unfinished frames took too much memory.",
              store.partial_frames().overloads());
}

}  // namespace

std::string metrics_text(const DaemonView& view) {
  Exposition out;
  out.family("cproto_build_info", "gauge", "1, with the version as a label.");
  out.sample("cproto_build_info", "{version=\"" CPROTO_VERSION "\"}", "1");
  out.gauge("cproto_uptime_seconds", "For how long cprotod has been running.", seconds(view.now - view.started));
  add_connections(out, view);
  add_sessions(out, view);
  add_messages(out, view.counters);
  out.gauge("cproto_trouble", "1 while nothing becomes durable, or nothing answers.", view.trouble.empty() ? 0 : 1);
  view.store.add_metrics(out);
  add_memory(out, view.store);
  return out.take();
}

}  // namespace cproto
