// Who has a folder in the inbox, and how much is in it. The inbox belongs to its owner, who takes from it what he
// likes: so folders are counted and measured now and then, beside everything else, and what was received since is
// added.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/disk.h"

namespace cproto {

class InboxCensus {
 public:
  struct Size {
    std::string client;
    std::uint64_t bytes = 0;
  };
  // `on_listed` is called when the folders were listed again; `on_measured` when a round of measuring, or a folder
  // measured by itself, is over.
  struct Hooks {
    std::function<void()> on_listed;
    std::function<void()> on_measured;
  };

  InboxCensus(Disk& disk, const std::string& inbox, Hooks hooks)
      : disk_(disk), inbox_(inbox), hooks_(std::move(hooks)) {}
  ~InboxCensus() { *alive_ = false; }
  InboxCensus(const InboxCensus&) = delete;
  InboxCensus& operator=(const InboxCensus&) = delete;

  // For the start, before anybody is served: waits for the disk.
  void list_now();

  // One at a time: no effect while another is under way. One job of the pool after another, a folder each.
  void list() { begin(false); }
  void measure_all() { begin(true); }
  void measure(const std::string& client);
  bool is_busy() const { return is_busy_; }
  // All folders were measured at least once.
  bool is_measured() const { return is_measured_; }

  void note_received(const std::string& client, std::uint64_t bytes) { folders_[client].received += bytes; }

  // As far as it was measured, and what was received since.
  std::uint64_t bytes_of(const std::string& client) const;
  // At most `count`, the largest first.
  std::vector<Size> largest(std::size_t count) const;
  // Calls `each` with every client that has a folder.
  void visit(const std::function<void(const std::string& client)>& each) const;

 private:
  struct Folder {
    std::uint64_t measured = 0;
    std::uint64_t received = 0;  // since then
    std::uint64_t before = 0;    // of it: when the measuring under way began
    std::uint64_t bytes() const { return measured + received; }
  };

  void begin(bool measures);
  void take_names(bool measures);
  void measure_next();
  void on_measured(const std::string& client, JobResult result);
  void end();

  Disk& disk_;
  std::string inbox_;
  Hooks hooks_;
  std::map<std::string, Folder> folders_;
  std::vector<std::string> names_;    // of the listing under way
  std::deque<std::string> queue_;     // to be measured
  std::uint64_t measured_bytes_ = 0;  // of the job under way
  bool is_busy_ = false;
  bool is_round_ = false;  // all of them are measured
  bool is_measured_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cproto
