// Reads every batch of a journal that is open and checks it, one at a time and beside the work (cprotoctl verify).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "daemon/disk.h"
#include "daemon/journal.h"

namespace cproto {

class JournalCheck : public std::enable_shared_from_this<JournalCheck> {
 public:
  using Damage = std::function<void(const std::string& sentence)>;
  using Done = std::function<void(std::uint64_t batches)>;

  // Calls `damage` for each batch that is damaged, and `done` in the end with how many were read. What is written
  // meanwhile is not among them. If the journal goes before, neither is called again.
  static void begin(Disk& disk, Journal& journal, Damage damage, Done done);

 private:
  JournalCheck(Disk& disk, Journal& journal, Damage damage, Done done);
  void read_next();
  void on_read(const JobResult& result);
  // The next one that is still there; nullptr if there is none.
  const BatchPlace* next() const;

  Disk& disk_;
  Journal& journal_;
  std::weak_ptr<bool> journal_is_there_;
  Damage damage_;
  Done done_;
  std::uint64_t number_ = 0;  // of the batch being read
  std::uint64_t last_;
  std::uint64_t read_ = 0;
  Bytes bytes_;
};

}  // namespace cproto
