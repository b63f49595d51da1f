// What a journal says, applied (STORE.md §5): sessions and their marks to the registry, what is undelivered to
// delivery. The first pass learns what later records say of earlier ones; the second applies all of them in order,
// through the same duplicate filter as the network.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>

#include "daemon/delivery.h"
#include "daemon/disk.h"
#include "daemon/file_intake.h"
#include "daemon/log.h"
#include "daemon/records.h"
#include "daemon/recovery.h"
#include "daemon/session_registry.h"

namespace cproto {

class Replay {
 public:
  // `on_progress`, if there is one, hears now and then what is done.
  Replay(Disk& disk, SessionRegistry& registry, FileIntake& intake, Delivery& delivery, Log& log,
         const std::function<void(const std::string&)>& on_progress)
      : disk_(disk), registry_(registry), intake_(intake), delivery_(delivery), log_(log), on_progress_(on_progress) {}

  // Damage is said and passed over; what is intact is kept.
  void run(Chain& chain);
  // For how long daemons have run with this store, as far as the journal knows. After run().
  Duration running_time() const { return running_time_; }

 private:
  void say_progress(const char* doing, const ChainBatch& batch, const Chain& chain) const;
  void first_pass(Chain& chain);
  void second_pass(Chain& chain);
  void apply(const Record& record, std::uint64_t batch);
  void apply_skipped(SessionEntry& entry, const Record& record);
  void apply_file(SessionEntry& entry, FileRecord file, std::uint64_t batch);
  void apply_frames(SessionEntry& entry, const Record& record);
  void apply_frame(SessionEntry& entry, Seq number, ByteView frame);

  Disk& disk_;
  SessionRegistry& registry_;
  FileIntake& intake_;
  Delivery& delivery_;
  Log& log_;
  const std::function<void(const std::string&)>& on_progress_;
  Duration running_time_{0};
  std::unordered_map<std::uint64_t, bool> has_position_;  // sessions whose mark was read
};

}  // namespace cproto
