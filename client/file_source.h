// Each file a message of kind file: its name, size, mode and time, its bytes, and the digest they come to (PROTOCOL
// §4.7). One that is missing, unreadable or no file is named, and the others go on; one that changes while it is sent
// is given up.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/file_bookmark.h"
#include "client/file_reader.h"
#include "client/machine.h"
#include "client/source.h"

namespace cproto::client {

class FileSource final : public Source {
 public:
  struct File {
    std::string path;  // "-" is standard input
    std::string name;  // under which it arrives
  };

  FileSource(Machine& machine, std::vector<File> files, std::function<void()> wake)
      : disk_(machine.files()),
        files_(std::move(files)),
        reader_(machine, wake),
        stream_(machine.make_stream(std::move(wake))) {}

  Piece peek(std::size_t packet_size) override;
  void take(std::size_t bytes, bool is_complete) override;
  void skip() override;
  void stop() override { is_stopped_ = true; }
  bool is_drained() override { return is_stopped_ || index_ == files_.size(); }
  std::optional<Bytes> take_bookmark() override;
  Resumed resume(const Bookmark& bookmark, const Progressed& progressed) override;
  bool can_continue() const override;
  std::string name(std::uint64_t number) const override;
  Noun noun() const override { return {"file", "files"}; }
  std::optional<std::uint64_t> total() const override { return files_.size(); }
  bool is_lost_by_giving_up() const override;
  bool holds_writer() const override { return stream_->is_open() && stream_->has_writer(); }

 private:
  enum class Step { closed, header, bytes, digest, last };

  const File& file() const { return files_[index_]; }
  std::optional<Problem> open();
  std::optional<Problem> open_stream();
  Piece next_bytes(std::size_t packet_size);
  Piece next_of_stream(std::size_t packet_size);
  Piece broken(Problem problem) const { return {Piece::Kind::broken, {}, false, std::move(problem), {}, {}}; }
  std::optional<Problem> change() const;
  void next_file();

  Files& disk_;
  std::vector<File> files_;
  FileReader reader_;
  std::unique_ptr<Stream> stream_;  // of a pipe or standard input
  FileDigest streamed_;             // what came from it
  std::size_t index_ = 0;
  Step step_ = Step::closed;
  std::shared_ptr<const OpenFile> open_;  // the reader's, too
  FileIdentity identity_;
  std::uint32_t mode_ = 0;
  bool is_stream_ = false;
  bool must_restart_ = false;
  std::string restart_reason_;
  bool is_stopped_ = false;
  std::uint64_t marked_pieces_ = 0;
  bool must_mark_ = false;
};

// The name a path's file arrives under: what is behind its last slash.
std::string base_name(const std::string& path);

}  // namespace cproto::client
