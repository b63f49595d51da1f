// Files as somebody else has them, which notes when the disk had no answer: that a file is not there, or may not be
// read, is one; that the disk failed, or that there are no descriptors, is none. Who decides by what is found, and not
// found, asks whether that was all.
#pragma once

#include "client/files.h"

namespace cproto::client {

class NotingFiles final : public Files {
 public:
  explicit NotingFiles(Files& files) : files_(files) {}

  // errno of the first operation since forget() that had no answer, those on files opened here among them; 0: none.
  int trouble() const { return trouble_; }
  void forget() { trouble_ = 0; }

  // What is opened is not to outlive this.
  int open(const std::string& path, Access access, std::unique_ptr<OpenFile>& opened) override;
  std::optional<FileFacts> facts_of(const std::string& path) const override;
  int list(const std::string& directory, std::vector<std::string>& names) const override;
  std::string follow_links(const std::string& path) const override { return files_.follow_links(path); }
  int make_directory(const std::string& path, unsigned mode) override;
  int sync_directory(const std::string& path) override;
  int remove(const std::string& path) override;
  std::int64_t clock_ns() const override { return files_.clock_ns(); }

 private:
  class Handle;
  int note(int error) const;

  Files& files_;
  mutable int trouble_ = 0;
};

}  // namespace cproto::client
