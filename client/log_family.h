// The files a rotated log has become: its neighbours in the directory, and in which order they were written.
//
// A log is rotated by giving it another name (app.log.1, app.log-20260101, app-20260101.log, app.log.old), or by
// copying it to such a name and truncating it; later what was set aside is compressed (app.log.2.gz) and removed. Only
// a name that looks like that makes a file a rotated log: app.log.errors is another log.
//
// The order has three witnesses: the number or the date in the name, the time of birth and the time of modification.
// Each can be wrong: some number upwards; a copy or a restored backup is born late; a file is written to late. What at
// least two say, or the only one that has something to say, is believed; if they contradict each other it is unclear.
// Both times are of one clock, and that may have been put back: what it says is weighed by the rest of the family.
#pragma once

#include <compare>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/log_file.h"

namespace cproto::client {

// What the name of a rotated log says about when that was.
struct Rotation {
  // unspecific: "old", or a date that does not begin with its year.
  enum class Kind { number, date, unspecific };
  Kind kind = Kind::unspecific;
  std::string digits;  // without leading zeros for a number

  bool operator==(const Rotation&) const = default;
};

// `name` as a rotated `log` (file names, without directory or what a compressor appends); nullopt if it is none.
std::optional<Rotation> rotation_of(std::string_view name, std::string_view log);

// One file of the directory.
struct Relative {
  std::string path;
  FileFacts facts;
  bool is_log = false;  // it has the log's own name
  bool is_compressed = false;
  std::optional<Rotation> rotation;

  bool operator==(const Relative& other) const {
    return path == other.path && facts.device == other.facts.device && facts.inode == other.facts.inode;
  }
};

// The log `path` (without links), if it is there, its rotated and compressed relatives, and every other regular file of
// the directory whose inode is one of `inodes`. nullopt if the directory does not stand still for it.
using Family = std::vector<Relative>;
std::optional<Family> find_family(const Files& files, const std::string& path, std::span<const std::uint64_t> inodes);

// In which order the files of a family were written. Keeps nothing of it.
class Chronology {
 public:
  explicit Chronology(const Family& family);

  // When `file` was written, seen from `other`: less before it, greater after it, equivalent if that is unclear.
  std::weak_ordering written(const Relative& file, const Relative& other) const;

 private:
  bool is_out_of_time(const Relative& file) const;
  bool is_ahead(const Relative& file) const;
  int compare_births(const Relative& file, const Relative& other) const;

  FileFacts log_;    // all zero: it is not there
  int numbers_ = 0;  // -1: the newest file has the smallest number, 1: the largest; 0: the times do not tell
};

// ENOENT also if another file has its name now.
[[nodiscard]] int open(Files& files, LogFile& opened, const Relative& file, std::uint64_t offset = 0);

// `log`, of which few bytes were known, still begins with these and was copied, truncated and filled again all the
// same: there is a copy, made since, that goes on otherwise.
bool is_refilled(Files& files, const Family& family, const LogFile& log, const FilePlace& place);

// Opens the file that was read up to `place`, there: the one with that inode, if it was not refilled; else a copy of
// it, which is the oldest file that begins as it did and was not modified before it. Not open if there is none, or it
// was renamed meanwhile.
LogFile find_file(Files& files, const Family& family, const FilePlace& place);

// What was written after `file`, up to and with what is to be read next.
struct Succession {
  const Relative* next = nullptr;        // uncompressed; after everything else the log itself
  std::vector<const Relative*> lost;     // compressed
  std::vector<const Relative*> unclear;  // may belong here, or before `file`
};
// Views of `family`, which may leave out what is known.
Succession find_next(const Chronology& order, const Family& family, const Relative& file);

// How much a compressed log held, modulo 4 GiB; nullopt where only decompressing it would tell.
std::optional<std::uint64_t> uncompressed_size(Files& files, const std::string& path);

}  // namespace cproto::client
