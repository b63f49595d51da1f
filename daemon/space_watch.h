// Room for what comes: the free space of the file systems of store and inbox ([limits] free_space), and the size of a
// client's folder in the inbox (inbox_per_client). Below a limit nothing new is taken, and who sends is told why; what
// was received goes its way to the disk and to the inbox all the same.
//
// Happy path: handle_timeout -> a job asks the file systems -> all is well until next_deadline(). What is received
// brings the next look forward: the more of it, the sooner. Failure modes: a file system that cannot be asked is taken
// to be as it was.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "daemon/disk.h"
#include "daemon/inbox_census.h"
#include "daemon/log.h"
#include "daemon/repeats.h"
#include "proto/error.h"
#include "proto/time.h"

namespace cproto {

struct SpaceLimits {
  std::uint64_t free_space = 0;        // bytes; 5 % of the file system where that is less; 0: none
  std::uint64_t inbox_per_client = 0;  // bytes; 0: none
};

struct SpaceOptions {
  std::string store;  // directories
  std::string inbox;
  SpaceLimits limits;
  std::function<Instant()> now;
  std::function<std::string()> time_of_day;    // "02:14", for sentences; empty: unknown
  std::function<void()> on_listed;             // the census knows anew who has a folder
  std::function<std::uint64_t()> undelivered;  // bytes received that are still to go into the inbox
  std::function<void()> on_below;              // again and again while it is below the floor
};

class SpaceWatch {
 public:
  enum class Level : std::uint8_t { plenty, low, below };
  // A directory and the file system it is on.
  struct Place {
    std::string directory;
    SpaceStatus space;        // free: behind what is still to go there
    std::uint64_t floor = 0;  // in force there
    Level level = Level::plenty;
    bool is_known = false;
  };

  SpaceWatch(Disk& disk, const SpaceOptions& options, Log& log);
  ~SpaceWatch() { *alive_ = false; }
  SpaceWatch(const SpaceWatch&) = delete;
  SpaceWatch& operator=(const SpaceWatch&) = delete;

  // For the start, before anybody is served: waits for the disk.
  void look_now();
  void set_limits(const SpaceLimits& limits);

  void note_received(const std::string& client, std::uint64_t bytes);
  // Somebody wants to know which clients have a folder.
  void list_soon();
  void handle_timeout();
  Instant next_deadline() const;

  // Why nothing is taken from anybody; nullptr if it is.
  const Error* trouble() const { return trouble_ ? &*trouble_ : nullptr; }
  // Why nothing is taken from this client. Lives until the next call.
  const Error* trouble(const std::string& client);
  // Bytes to leave free where the parts of files are.
  std::uint64_t keep_free() const { return inbox().floor; }

  const Place& store() const { return places_[0]; }
  const Place& inbox() const { return places_[1]; }
  bool is_one_file_system() const { return store().space.device == inbox().space.device; }
  // Clients that are at inbox_per_client.
  const std::set<std::string>& full_clients() const { return full_; }
  const InboxCensus& census() const { return census_; }
  InboxCensus& census() { return census_; }

 private:
  Instant now() const { return options_.now(); }
  Job looking_job();
  void look();
  void on_looked(const JobResult& result);
  void judge(Place& place);
  const Place& worst() const;
  void on_level(Level before);
  void begin_below();
  void set_trouble();
  void say_level();
  std::string largest() const;
  void judge_client(const std::string& client);
  void judge_clients();
  void on_measured();
  bool is_watching() const { return options_.limits.free_space > 0; }
  bool bounds_clients() const { return options_.limits.inbox_per_client > 0; }

  Disk& disk_;
  SpaceOptions options_;
  Log& log_;
  InboxCensus census_;
  std::array<Place, 2> places_;
  Instant look_at_ = kNever;
  bool is_looking_ = false;
  std::uint64_t undelivered_ = 0;                   // at the last look
  std::uint64_t received_ = 0;                      // since then
  std::uint64_t received_max_ = ~std::uint64_t{0};  // of it, before the next
  Level level_ = Level::plenty;
  std::string since_;  // time of day
  std::optional<Error> trouble_;
  bool must_say_ = false;  // a line waits for the sizes of the folders
  Instant say_by_ = kNever;
  bool was_low_said_ = false;
  Repeats below_lines_;
  std::string more_below_;  // behind the line that is due
  Instant measure_at_ = kNever;
  Instant measuring_since_{};
  std::optional<Instant> listed_at_;
  std::set<std::string> full_;
  Error client_trouble_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cproto
