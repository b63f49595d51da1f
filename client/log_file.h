// An open log file, read from front to back: which file it is, how far it was read, and whether it still is what it
// was.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "client/files.h"
#include "client/log_place.h"
#include "proto/time.h"

namespace cproto::client {

inline bool is_same(const FileFacts& file, const FilePlace& place) {
  return file.device == place.device && file.inode == place.inode;
}
// 0 for a regular file, else the errno that says best why it cannot be a log.
int why_no_log(unsigned mode);

class LogFile {
 public:
  LogFile() = default;
  LogFile(LogFile&& other) noexcept { *this = std::move(other); }
  LogFile& operator=(LogFile&& other) noexcept;

  // Returns 0 or errno. Reading begins at `offset`.
  [[nodiscard]] int open(Files& files, const std::string& path, std::uint64_t offset = 0);
  void close();
  bool is_open() const { return file_ != nullptr; }

  // `offset` is the next byte to be read.
  const FilePlace& place() const { return place_; }
  const FileFacts& facts() const { return facts_; }

  // Looks at the file again, and returns false if it is not the one it was, but shorter than what was read of it, or
  // begun anew; then place() is what it was before.
  [[nodiscard]] bool look();
  // The offset is one byte behind the end, and there is no LF at the end: who counts lines has counted one.
  bool is_past_line_feed() const;
  // What is said of `place` fits this file, whatever its inode is.
  bool fits(const FilePlace& place) const;
  // There is more than was read. Looks.
  bool has_grown() { return is_open() && look() && place_.size_seen > place_.offset; }

  // Reads at the offset and leaves it where it is. Returns how much, or -1 and errno.
  std::ptrdiff_t read(std::span<std::uint8_t> room) const;
  void advance(std::size_t bytes) { place_.offset += bytes; }
  void rewind(std::size_t bytes) { place_.offset -= bytes; }
  // Behind the last LF; at the front if there is none. Returns 0 or errno.
  [[nodiscard]] int seek_last_line();
  // The file was truncated: begins at its front as with a new one.
  void restart();

  // When it was opened, or last had more. Kept by who reads.
  Instant grew_at{};
  // Nobody writes to it any more: it is a copy that was made of a log before that was truncated.
  bool is_copy = false;

 private:
  // Returns 0 or errno; then it is not known.
  [[nodiscard]] int look(bool& is_same);

  std::unique_ptr<OpenFile> file_;
  FilePlace place_;
  FileFacts facts_;
};

}  // namespace cproto::client
