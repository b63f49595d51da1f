#include "daemon/metrics.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

namespace cproto {

namespace {

std::string number(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

// One family of samples after another, each with what Prometheus' rules ask for: HELP, TYPE, base units.
class Exposition {
 public:
  void counter(std::string_view name, std::string_view help, std::uint64_t value) {
    family(name, "counter", help);
    sample(name, "", std::to_string(value));
  }
  void gauge(std::string_view name, std::string_view help, double value) {
    family(name, "gauge", help);
    sample(name, "", number(value));
  }
  void family(std::string_view name, std::string_view type, std::string_view help) {
    text_.append("# HELP ").append(name).append(" ").append(help).append("\n");
    text_.append("# TYPE ").append(name).append(" ").append(type).append("\n");
  }
  // `labels` with their braces, or empty.
  void sample(std::string_view name, std::string_view labels, std::string_view value) {
    text_.append(name).append(labels).append(" ").append(value).append("\n");
  }
  template <std::size_t N>
  void histogram(const std::string& name, std::string_view help, const Histogram<N>& histogram) {
    family(name, "histogram", help);
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < N; ++i) {
      below += histogram.in(i);
      sample(name + "_bucket", "{le=\"" + number(histogram.bounds()[i]) + "\"}", std::to_string(below));
    }
    sample(name + "_bucket", "{le=\"+Inf\"}", std::to_string(histogram.count()));
    sample(name + "_sum", "", number(histogram.sum()));
    sample(name + "_count", "", std::to_string(histogram.count()));
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

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

void add_store(Exposition& out, const DaemonView& view) {
  const StoreCounters& counters = view.store.counters();
  const Delivery::Backlog backlog = view.store.delivery().backlog(view.now);
  double blocked = 0;
  view.store.delivery().visit_blocked([&](const InboxLog&) { ++blocked; });
  out.histogram("cproto_fdatasync_seconds", "Time of the journal's fdatasync.", counters.sync_seconds);
  out.histogram("cproto_batch_bytes", "Size of the journal's batches.", counters.batch_bytes);
  out.counter("cproto_disk_failures_total", "Writes and syncs of the journal that failed.", counters.failures);
  out.gauge("cproto_disk_trouble", "1 while the disk takes nothing, or does not answer.", view.trouble.empty() ? 0 : 1);
  out.gauge("cproto_journal_segments", "Segments of the journal in use.",
            static_cast<double>(view.store.journal().segments_in_use()));
  out.gauge("cproto_journal_backlog_bytes", "Durable in the journal and not yet in the inbox.",
            static_cast<double>(backlog.bytes));
  out.gauge("cproto_delivery_backlog_batches", "Batches durable in the journal and not yet in the inbox.",
            static_cast<double>(backlog.batches));
  out.gauge("cproto_delivery_lag_seconds", "For how long the oldest of them has been durable.", seconds(backlog.lag));
  out.gauge("cproto_inbox_logs_blocked", "Logs of the inbox that cannot be written.", blocked);
}

// Nothing of a file system that is not watched.
void add_space(Exposition& out, const SpaceWatch& space) {
  const auto each = [&](const std::string& name, std::string_view help,
                        std::uint64_t (*figure)(const SpaceWatch::Place&)) {
    out.family(name, "gauge", help);
    for (const auto& [of, place] : {std::pair("store", &space.store()), std::pair("inbox", &space.inbox())})
      if (place->is_known) out.sample(name, "{of=\"" + std::string(of) + "\"}", std::to_string(figure(*place)));
  };
  each("cproto_disk_free_bytes", "Free on the file system, less what is still to be delivered to it.",
       [](const auto& place) { return place.space.free; });
  each("cproto_disk_floor_bytes", "Senders wait while less is free.", [](const auto& place) { return place.floor; });
  out.gauge("cproto_inbox_clients_full", "Clients that wait, as their inbox is as large as it may be.",
            static_cast<double>(space.full_clients().size()));
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
  add_store(out, view);
  add_space(out, view.store.space());
  add_memory(out, view.store);
  return out.take();
}

}  // namespace cproto
