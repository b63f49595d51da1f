#include "client/noting_files.h"

#include <cerrno>
#include <utility>

namespace cproto::client {

namespace {

bool is_answer(int error) {
  switch (error) {
    case 0:
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EACCES:
    case EPERM:
    case EROFS:
    case EEXIST:
    case ELOOP:
    case ENAMETOOLONG:
    case ENXIO:
    case ENODEV:
    case EOPNOTSUPP:
    case ESTALE:  // the server of the file does not have it any more
    case EWOULDBLOCK: return true;
    default: return false;
  }
}

}  // namespace

class NotingFiles::Handle final : public OpenFile {
 public:
  Handle(const NotingFiles& files, std::unique_ptr<OpenFile> file) : files_(files), file_(std::move(file)) {}

  std::optional<FileFacts> facts() const override {
    auto facts = file_->facts();
    if (!facts) files_.note(errno);
    return facts;
  }
  std::ptrdiff_t read(std::span<std::uint8_t> room, std::uint64_t offset) const override {
    const std::ptrdiff_t size = file_->read(room, offset);
    if (size < 0) files_.note(errno);
    return size;
  }
  int write(ByteView bytes, std::uint64_t offset) override { return files_.note(file_->write(bytes, offset)); }
  int sync() override { return files_.note(file_->sync()); }
  int lock() override { return files_.note(file_->lock()); }

 private:
  const NotingFiles& files_;
  std::unique_ptr<OpenFile> file_;
};

int NotingFiles::note(int error) const {
  if (trouble_ == 0 && !is_answer(error)) trouble_ = error;
  return error;
}

int NotingFiles::open(const std::string& path, Access access, std::unique_ptr<OpenFile>& opened) {
  std::unique_ptr<OpenFile> file;
  if (const int error = files_.open(path, access, file)) return note(error);
  opened = std::make_unique<Handle>(*this, std::move(file));
  return 0;
}

std::optional<FileFacts> NotingFiles::facts_of(const std::string& path) const {
  auto facts = files_.facts_of(path);
  if (!facts) note(errno);
  return facts;
}

int NotingFiles::list(const std::string& directory, std::vector<std::string>& names) const {
  return note(files_.list(directory, names));
}

int NotingFiles::make_directory(const std::string& path, unsigned mode) {
  return note(files_.make_directory(path, mode));
}

int NotingFiles::sync_directory(const std::string& path) { return note(files_.sync_directory(path)); }
int NotingFiles::remove(const std::string& path) { return note(files_.remove(path)); }

}  // namespace cproto::client
