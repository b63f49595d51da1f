#include "tests/support/memory_disk.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>

#include "proto/assert.h"

namespace cproto::test {

namespace {

constexpr std::size_t kSector = 512;

std::size_t sectors(std::size_t size) { return (size + kSector - 1) / kSector; }

// Takes the first name off the path; empty: there is none.
std::string_view take_name(std::string_view& path) {
  const std::size_t begin = std::min(path.find_first_not_of('/'), path.size());
  const std::size_t end = std::min(path.find('/', begin), path.size());
  const std::string_view name = path.substr(begin, end - begin);
  path.remove_prefix(end);
  return name;
}

}  // namespace

MemoryDisk::MemoryDisk(std::uint64_t seed) : random_(seed) { root_ = make_inode(true, "/"); }

// A rename that is not durable makes its two directories know each other.
MemoryDisk::~MemoryDisk() {
  std::vector<InodePtr> directories;
  collect_directories(root_, directories);
  for (const InodePtr& directory : directories) directory->changes.clear();
}

// --- names ---

MemoryDisk::InodePtr MemoryDisk::make_inode(bool is_directory, const std::string& path) {
  auto inode = std::make_shared<Inode>();
  inode->number = next_inode_++;
  inode->is_directory = is_directory;
  inode->path = path;
  return inode;
}

MemoryDisk::InodePtr MemoryDisk::find(std::string_view path, View view) const {
  InodePtr at = root_;
  for (std::string_view name = take_name(path); !name.empty(); name = take_name(path)) {
    if (!at->is_directory) return nullptr;
    const Entries& entries = view == View::cached ? at->entries : at->durable_entries;
    const auto it = entries.find(name);
    if (it == entries.end()) return nullptr;
    at = it->second;
  }
  return at;
}

MemoryDisk::Place MemoryDisk::place_of(const std::string& path) const {
  const std::size_t slash = path.find_last_of('/');
  const std::string parent = slash == std::string::npos ? std::string() : path.substr(0, slash);
  InodePtr directory = find(parent);
  if (directory != nullptr && !directory->is_directory) directory = nullptr;
  return {directory, slash == std::string::npos ? path : path.substr(slash + 1)};
}

void MemoryDisk::apply(Entries& entries, const Change& change) {
  for (const auto& [name, inode] : change.entries) {
    if (inode)
      entries[name] = inode;
    else
      entries.erase(name);
  }
}

void MemoryDisk::change(Inode& directory, Change change) {
  for (const auto& [name, inode] : change.entries) {
    const auto it = directory.entries.find(name);
    if (it != directory.entries.end()) --it->second->links;
    if (inode) ++inode->links;
  }
  apply(directory.entries, change);
  directory.changes.push_back(std::move(change));
}

// Of every file below, which has none counted yet.
void MemoryDisk::count_links(const Inode& directory) {
  for (const auto& [name, entry] : directory.entries) {
    ++entry->links;
    if (entry->is_directory) count_links(*entry);
  }
}

int MemoryDisk::open(FileOp& op, bool may_be_new, bool must_be_new) {
  const Place place = place_of(op.path);
  if (!place.directory) return ENOENT;
  const auto it = place.directory->entries.find(place.name);
  InodePtr inode = it == place.directory->entries.end() ? nullptr : it->second;
  if (inode && must_be_new) return EEXIST;
  if (inode && inode->is_directory) return EISDIR;
  if (!inode) {
    if (!may_be_new) return ENOENT;
    inode = make_inode(false, op.path);
    change(*place.directory, {{{place.name, inode}}});
  }
  op.file->handle = next_handle_++;
  handles_[op.file->handle] = inode;
  return 0;
}

int MemoryDisk::link(const std::string& path, const std::string& target) {
  const InodePtr inode = find(path);
  const Place place = place_of(target);
  if (!inode || !place.directory) return ENOENT;
  if (inode->is_directory) return EPERM;
  if (place.directory->entries.contains(place.name)) change(*place.directory, {{{place.name, nullptr}}});
  change(*place.directory, {{{place.name, inode}}});
  return 0;
}

int MemoryDisk::rename(const std::string& path, const std::string& target) {
  const InodePtr inode = find(path);
  const Place from = place_of(path);
  const Place to = place_of(target);
  if (!inode || !to.directory) return ENOENT;
  if (from.directory == to.directory) {
    change(*to.directory, {{{from.name, nullptr}, {to.name, inode}}});
  } else {
    const std::uint64_t number = ++renames_;
    change(*to.directory, {{{to.name, inode}}, number, from.directory});
    change(*from.directory, {{{from.name, nullptr}}, number, to.directory});
  }
  return 0;
}

int MemoryDisk::move_beside(const std::string& path, const std::string& target) {
  if (!find(path)) return 0;
  unsigned number = 0;
  while (find(name_beside(target, number))) ++number;
  return rename(path, name_beside(target, number));
}

int MemoryDisk::remove(const std::string& path) {
  const Place place = place_of(path);
  if (!place.directory || !place.directory->entries.contains(place.name)) return 0;
  if (place.directory->entries[place.name]->is_directory) return EISDIR;
  change(*place.directory, {{{place.name, nullptr}}});
  return 0;
}

// --- bytes ---

int MemoryDisk::read(const Inode& inode, std::uint64_t offset, std::span<std::uint8_t> into) {
  if (offset + into.size() > inode.cache.size()) return EIO;
  std::copy_n(inode.cache.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
  return 0;
}

void MemoryDisk::flip_read(std::span<std::uint8_t> into) const {
  if (!misread || into.empty()) return;
  if (const auto bit = misread(into.size() * 8)) into[*bit / 8] ^= static_cast<std::uint8_t>(1u << *bit % 8);
}

// Where these bytes of the cache are, which are about to be written.
std::span<std::uint8_t> MemoryDisk::touch(Inode& inode, std::uint64_t offset, std::uint64_t size) {
  const std::uint64_t end = offset + size;
  if (end > inode.cache.size()) {
    inode.cache.resize(end);
    inode.size_is_dirty = true;
  }
  if (inode.dirty.size() < sectors(inode.cache.size())) inode.dirty.resize(sectors(inode.cache.size()));
  const std::size_t first = offset / kSector;
  const std::size_t last = sectors(end);
  std::memset(inode.dirty.data() + first, 1, last - first);
  const bool was_clean = inode.dirty_end == 0;
  inode.dirty_begin = was_clean ? first : std::min(inode.dirty_begin, first);
  inode.dirty_end = std::max(inode.dirty_end, last);
  return std::span(inode.cache).subspan(offset, size);
}

void MemoryDisk::write(Inode& inode, std::uint64_t offset, ByteView bytes) {
  if (bytes.empty()) return;
  if (offset < inode.cache.size()) {
    const std::size_t known = std::min<std::size_t>(bytes.size(), inode.cache.size() - offset);
    const std::uint8_t* old = inode.cache.data() + offset;
    if (std::memcmp(old, bytes.data(), known) != 0) {
      const auto differs = static_cast<std::uint64_t>(std::mismatch(old, old + known, bytes.begin()).first - old);
      inode.changed_at = std::min(inode.changed_at, offset + differs);
    }
  }
  std::copy(bytes.begin(), bytes.end(), touch(inode, offset, bytes.size()).begin());
}

void MemoryDisk::fill_with_zeros(Inode& inode, std::uint64_t size) {
  if (size == 0) return;
  const auto bytes = touch(inode, 0, size);
  std::memset(bytes.data(), 0, bytes.size());
}

void MemoryDisk::truncate(Inode& inode, std::uint64_t size) {
  if (inode.cache.size() == size) return;
  if (size < inode.cache.size()) inode.changed_at = std::min(inode.changed_at, size);
  inode.cache.resize(size);
  inode.dirty.resize(sectors(size));
  inode.dirty_end = std::min(inode.dirty_end, inode.dirty.size());
  inode.dirty_begin = std::min(inode.dirty_begin, inode.dirty_end);
  inode.size_is_dirty = true;
}

void MemoryDisk::sync(Inode& inode) {
  inode.durable.resize(inode.cache.size());
  const std::size_t begin = inode.dirty_begin * kSector;
  const std::size_t end = std::min(inode.dirty_end * kSector, inode.cache.size());
  for (std::size_t at = inode.dirty_begin; at < inode.dirty_end;) {
    const std::size_t first = at;
    while (at < inode.dirty_end && inode.dirty[at] != 0) ++at;
    const std::size_t from = first * kSector;
    const std::size_t to = std::min(at * kSector, inode.cache.size());
    if (from < to) std::memcpy(inode.durable.data() + from, inode.cache.data() + from, to - from);
    while (at < inode.dirty_end && inode.dirty[at] == 0) ++at;
  }
  std::fill(inode.dirty.begin() + static_cast<std::ptrdiff_t>(inode.dirty_begin),
            inode.dirty.begin() + static_cast<std::ptrdiff_t>(inode.dirty_end), std::uint8_t{0});
  inode.dirty_begin = inode.dirty_end = 0;
  inode.size_is_dirty = false;
  if (on_synced && begin < end) on_synced(inode.path, begin, end);
}

std::uint64_t MemoryDisk::measure(const Inode& directory) {
  std::uint64_t bytes = directory.cache.size();
  for (const auto& [name, inode] : directory.entries) bytes += measure(*inode);
  return bytes;
}

SpaceStatus MemoryDisk::space_at(const std::string& path) const {
  constexpr std::uint64_t kPlenty = 1ull << 50;
  return space ? space(path) : SpaceStatus{kPlenty, kPlenty, device};
}

// --- operations ---

MemoryDisk::InodePtr MemoryDisk::inode_of_file(const File* file) const {
  if (file == nullptr) return nullptr;
  const auto it = handles_.find(file->handle);
  return it == handles_.end() ? nullptr : it->second;
}

const std::string& MemoryDisk::path_of(const FileOp& op) const {
  static const std::string nowhere;
  if (!op.path.empty()) return op.path;
  const InodePtr inode = inode_of_file(op.file);
  return inode ? inode->path : nowhere;
}

// A failing disk may have taken some of it.
void MemoryDisk::fail_partly(const FileOp& op) {
  const InodePtr inode = inode_of_file(op.file);
  if (!inode) return;
  if (op.kind == FileOp::Kind::sync_data || op.kind == FileOp::Kind::sync_all) {
    // Linux drops what it could not write and calls it clean: a second sync says that all is well. Some of it may have
    // been written.
    for (std::size_t sector = inode->dirty_begin; sector < inode->dirty_end; ++sector) {
      const std::size_t begin = sector * kSector;
      if (inode->dirty[sector] == 0 || begin + kSector > inode->durable.size() || begin + kSector > inode->cache.size())
        continue;
      if (random_.chance(50)) std::memcpy(inode->durable.data() + begin, inode->cache.data() + begin, kSector);
    }
    std::fill(inode->dirty.begin(), inode->dirty.end(), std::uint8_t{0});
    inode->dirty_begin = inode->dirty_end = 0;
    inode->has_dropped = true;
    return;
  }
  FileOp part = op;
  run_partly(part);
}

// What a write that was cut short leaves: the beginning of it.
void MemoryDisk::run_partly(FileOp& op) {
  using Kind = FileOp::Kind;
  const bool writes = op.kind == Kind::write || op.kind == Kind::append;
  const bool copies = op.kind == Kind::append_file || op.kind == Kind::write_file || op.kind == Kind::zero_fill;
  if (writes && !op.bytes.empty()) op.bytes = op.bytes.first(random_.below(op.bytes.size() + 1));
  if (copies && op.size > 0) op.size = random_.below(op.size + 1);
  if (writes || copies) run_operation(op);
}

int MemoryDisk::try_operation(FileOp& op) {
  if (operations_left_) {
    if (*operations_left_ == 0) {
      kill_process();  // now: what its jobs point at goes while this is thrown
      throw ProcessDied{};
    }
    --*operations_left_;
  }
  ++operations_;
  if (fault) {
    if (const int error = fault(op, path_of(op))) {
      fail_partly(op);
      return error;
    }
  }
  return run_operation(op);
}

int MemoryDisk::run_operation(FileOp& op) {
  using Kind = FileOp::Kind;
  const InodePtr inode = inode_of_file(op.file);
  const InodePtr source = inode_of_file(op.source);
  const auto status_of = [this](const InodePtr& file) {
    return file ? FileStatus{device, file->number, file->cache.size(), true, file->links} : FileStatus{};
  };
  switch (op.kind) {
    case Kind::open:
    case Kind::open_to_read: return open(op, false, false);
    case Kind::create: return open(op, true, true);
    case Kind::open_or_create: return open(op, true, false);
    case Kind::sync_directory: {
      const InodePtr directory = find(op.path);
      if (!directory) return ENOENT;
      make_durable(*directory, directory->changes.size());
      return 0;
    }
    case Kind::make_directory:
    case Kind::make_folder: {
      const Place place = place_of(op.path);
      if (!place.directory) return ENOENT;
      if (const auto it = place.directory->entries.find(place.name); it != place.directory->entries.end())
        return it->second->is_directory || op.kind == Kind::make_directory ? 0 : ENOTDIR;
      change(*place.directory, {{{place.name, make_inode(true, op.path)}}});
      return 0;
    }
    case Kind::make_link: return link(op.path, op.target);
    case Kind::rename: return rename(op.path, op.target);
    case Kind::move_file: return find(op.path) ? rename(op.path, op.target) : 0;
    case Kind::move_beside: return move_beside(op.path, op.target);
    case Kind::remove: return remove(op.path);
    case Kind::hash: op.digest->update(op.bytes); return 0;
    case Kind::space_of_path: *op.space = space_at(op.path); return 0;
    case Kind::measure: {
      const InodePtr directory = find(op.path);
      if (!directory) return ENOENT;
      *op.measured = measure(*directory);
      return 0;
    }
    case Kind::status_of_path: *op.status = status_of(find(op.path)); return 0;
    case Kind::expect_identity: {
      const FileStatus status = status_of(find(op.path));
      return status.exists && status.inode == op.status->inode && status.device == op.status->device ? 0 : ESTALE;
    }
    case Kind::list: {
      const InodePtr directory = find(op.path);
      if (!directory) return ENOENT;
      op.names->clear();
      for (const auto& [name, entry] : directory->entries) op.names->push_back(name);
      return 0;
    }
    case Kind::close:
    case Kind::read:
    case Kind::write:
    case Kind::append:
    case Kind::append_file:
    case Kind::write_file:
    case Kind::zero_fill:
    case Kind::sync_data:
    case Kind::sync_all:
    case Kind::reserve:
    case Kind::share:
    case Kind::finish:
    case Kind::drop_cached:
    case Kind::status:
    case Kind::expect_kept:
    case Kind::expect_size: break;
  }
  if (!inode) return EBADF;
  switch (op.kind) {
    case Kind::close:
      handles_.erase(op.file->handle);
      op.file->handle = -1;
      return 0;
    case Kind::read:
      if (const int error = read(*inode, op.offset, op.into)) return error;
      flip_read(op.into);
      return 0;
    case Kind::write: write(*inode, op.offset, op.bytes); return 0;
    case Kind::append: write(*inode, inode->cache.size(), op.bytes); return 0;
    case Kind::append_file:
    case Kind::write_file: {
      if (!source) return EBADF;
      Bytes bytes(op.size);
      if (const int error = read(*source, 0, bytes)) return error;
      if (op.kind == Kind::append_file)
        write(*inode, inode->cache.size(), bytes);
      else
        write(*inode, op.offset, bytes);
      return 0;
    }
    case Kind::zero_fill: fill_with_zeros(*inode, op.size); return 0;
    case Kind::sync_data: sync(*inode); return 0;
    case Kind::sync_all:
      sync(*inode);
      inode->durable_attributes = inode->attributes;
      return 0;
    case Kind::reserve: {
      const std::uint64_t free = space_at(path_of(op)).free;
      const bool fits = free >= op.keep_free && free - op.keep_free >= op.size;
      return fits || op.size == 0 ? 0 : ENOSPC;
    }
    case Kind::drop_cached:
    case Kind::share: return 0;
    case Kind::finish:
      truncate(*inode, op.size);
      inode->attributes = {op.mode & 0777, op.mtime};
      return 0;
    case Kind::status: *op.status = status_of(inode); return 0;
    case Kind::expect_kept: return status_of(inode).links > 1 || find(op.path) == inode ? 0 : ESTALE;
    case Kind::expect_size: *op.status = status_of(inode); return op.status->size < op.size ? ERANGE : 0;
    case Kind::open:
    case Kind::open_to_read:
    case Kind::create:
    case Kind::open_or_create:
    case Kind::sync_directory:
    case Kind::make_directory:
    case Kind::make_folder:
    case Kind::make_link:
    case Kind::rename:
    case Kind::move_file:
    case Kind::move_beside:
    case Kind::remove:
    case Kind::hash:
    case Kind::space_of_path:
    case Kind::measure:
    case Kind::status_of_path:
    case Kind::expect_identity:
    case Kind::list: break;
  }
  return EINVAL;
}

// --- jobs ---

JobResult MemoryDisk::run(Job& job) {
  for (std::size_t i = 0; i < job.size(); ++i)
    if (const int error = try_operation(job[i])) return {.error = error, .operation = i};
  return {};
}

void MemoryDisk::submit(Job job, std::function<void(JobResult)> done) {
  const Duration takes = latency ? latency(job) : Duration{0};
  jobs_.push_back({now_ + takes, next_order_++, std::move(job), std::move(done)});
}

Instant MemoryDisk::next_completion() const {
  Instant next = kNever;
  for (const RunningJob& job : jobs_) next = std::min(next, job.at);
  return next;
}

void MemoryDisk::advance_to(Instant now) {
  while (next_completion() <= now) {
    const auto it = std::min_element(jobs_.begin(), jobs_.end(), [](const RunningJob& a, const RunningJob& b) {
      return std::pair(a.at, a.order) < std::pair(b.at, b.order);
    });
    RunningJob job = std::move(*it);
    jobs_.erase(it);
    now_ = std::max(now_, job.at);
    const JobResult result = run(job.job);
    job.done(result);
  }
  now_ = std::max(now_, now);
}

void MemoryDisk::drain() {
  while (!jobs_.empty()) advance_to(next_completion());
}

// --- the worst moments ---

void MemoryDisk::kill_process() {
  operations_left_.reset();
  for (RunningJob& job : std::exchange(jobs_, {})) {
    const std::size_t whole = random_.below(job.job.size() + 1);
    std::size_t i = 0;
    while (i < whole && run_operation(job.job[i]) == 0) ++i;
    if (i == whole && i < job.job.size()) run_partly(job.job[i]);
  }
  handles_.clear();
}

void MemoryDisk::cut_power(Loss loss) {
  kill_process();
  lose_names(loss);
  lose_bytes(*root_, loss);
}

// 0: all of it lost, 1: all kept, 2: each sector as it comes, 3: kept up to a sector, 4: up to a byte.
void MemoryDisk::keep_bytes(Inode& inode, std::uint64_t how) {
  const std::size_t border = inode.dirty_begin + random_.below(inode.dirty_end - inode.dirty_begin + 1);
  const std::size_t within = how == 4 ? random_.below(kSector) : 0;
  const bool keeps_size = how == 1 || (how != 0 && random_.chance(70));
  if (keeps_size) inode.durable.resize(std::max(inode.durable.size(), inode.cache.size()));
  for (std::size_t sector = inode.dirty_begin; sector < inode.dirty_end; ++sector) {
    if (inode.dirty[sector] == 0) continue;
    const bool is_torn = how == 4 && sector == border;
    const bool is_kept =
        how == 1 || (how == 2 && random_.chance(50)) || (how >= 3 && sector < border) || (is_torn && within > 0);
    const std::size_t begin = sector * kSector;
    if (!is_kept || begin >= inode.durable.size() || begin >= inode.cache.size()) continue;
    const std::size_t size =
        std::min({is_torn ? within : kSector, inode.durable.size() - begin, inode.cache.size() - begin});
    std::memcpy(inode.durable.data() + begin, inode.cache.data() + begin, size);
  }
  ++*std::array{&losses_.lost, &losses_.kept, &losses_.out_of_order, &losses_.torn_sectors, &losses_.torn_bytes}[how];
}

void MemoryDisk::lose(Inode& inode, Loss loss) {
  const bool is_dirty = inode.dirty_end > 0 || inode.size_is_dirty;
  if (is_dirty && loss != Loss::everything) keep_bytes(inode, loss == Loss::nothing ? 1 : random_.below(5));
  const bool keeps_attributes = loss == Loss::nothing || (loss == Loss::drawn && random_.chance(50));
  if (keeps_attributes) inode.durable_attributes = inode.attributes;
  inode.attributes = inode.durable_attributes;
  if (!is_dirty && !inode.has_dropped) return;
  inode.has_dropped = false;
  inode.cache = inode.durable;
  inode.dirty.assign(sectors(inode.cache.size()), 0);
  inode.dirty_begin = inode.dirty_end = 0;
  inode.size_is_dirty = false;
}

// The first `changes` of the directory, and with a rename what it did to the other directory and all before that.
void MemoryDisk::make_durable(Inode& directory, std::size_t changes) {
  for (; changes > 0 && !directory.changes.empty(); --changes) {
    const Change change = std::move(directory.changes.front());
    directory.changes.pop_front();
    apply(directory.durable_entries, change);
    if (!change.other) continue;
    const auto& others = change.other->changes;
    const auto it =
        std::find_if(others.begin(), others.end(), [&](const Change& c) { return c.rename == change.rename; });
    if (it != others.end()) make_durable(*change.other, static_cast<std::size_t>(it - others.begin()) + 1);
  }
}

void MemoryDisk::collect_directories(const InodePtr& directory, std::vector<InodePtr>& found) {
  if (!directory->is_directory || std::find(found.begin(), found.end(), directory) != found.end()) return;
  found.push_back(directory);
  for (const auto* entries : {&directory->entries, &directory->durable_entries})
    for (const auto& [name, entry] : *entries) collect_directories(entry, found);
}

// Each change by itself is kept or not; the two halves of a rename together. What happened to a name is in order: were
// the name given anew, and the rename away from it lost, half of that rename would be there.
void MemoryDisk::keep_any_names(Inode& directory, std::map<std::uint64_t, bool>& renames) {
  std::set<std::string> lost;
  for (const Change& change : directory.changes) {
    const auto is_lost = [&](const auto& entry) { return lost.contains(entry.first); };
    bool is_kept = random_.chance(50) && std::none_of(change.entries.begin(), change.entries.end(), is_lost);
    if (change.rename != 0) is_kept = renames.try_emplace(change.rename, is_kept).first->second;
    if (is_kept) apply(directory.durable_entries, change);
    losses_.names_lost += is_kept ? 0 : 1;
    if (is_kept && !lost.empty()) ++losses_.names_out_of_order;
    if (is_kept) continue;
    for (const auto& [name, inode] : change.entries) lost.insert(name);
  }
  directory.changes.clear();
}

void MemoryDisk::lose_names(Loss loss) {
  std::vector<InodePtr> directories;
  collect_directories(root_, directories);
  const bool in_order = loss != Loss::drawn || random_.chance(50);
  std::map<std::uint64_t, bool> renames;
  for (const InodePtr& directory : directories) {
    if (!in_order) {
      keep_any_names(*directory, renames);
      continue;
    }
    std::size_t kept = loss == Loss::everything ? 0 : directory->changes.size();
    if (loss == Loss::drawn && kept > 0) kept = random_.below(kept + 1);
    make_durable(*directory, kept);
  }
  for (const InodePtr& directory : directories) {
    losses_.names_lost += directory->changes.size();
    directory->changes.clear();
    for (const auto& [name, entry] : directory->entries) entry->links = 0;
    for (const auto& [name, entry] : directory->durable_entries) entry->links = 0;
  }
  for (const InodePtr& directory : directories) directory->entries = directory->durable_entries;
  count_links(*root_);
}

void MemoryDisk::lose_bytes(Inode& inode, Loss loss) {
  if (!inode.is_directory) return lose(inode, loss);
  for (const auto& [name, entry] : inode.entries) lose_bytes(*entry, loss);
}

void MemoryDisk::copy_durable(const Inode& from, Inode& to, std::map<const Inode*, InodePtr>& copies) {
  to.number = from.number;
  to.is_directory = from.is_directory;
  to.path = from.path;
  to.cache = to.durable = from.durable;
  to.attributes = to.durable_attributes = from.durable_attributes;
  to.dirty.assign(sectors(to.cache.size()), 0);
  for (const auto& [name, entry] : from.durable_entries) {
    InodePtr& copy = copies[entry.get()];
    if (!copy) {
      copy = std::make_shared<Inode>();
      copy_durable(*entry, *copy, copies);
    }
    ++copy->links;
    to.entries[name] = to.durable_entries[name] = copy;
  }
}

std::unique_ptr<MemoryDisk> MemoryDisk::durable_copy() const {
  auto copy = std::make_unique<MemoryDisk>();
  std::map<const Inode*, InodePtr> copies;
  copy_durable(*root_, *copy->root_, copies);
  copy->next_inode_ = next_inode_;
  return copy;
}

// --- as another program would ---

Bytes MemoryDisk::read_file(const std::string& path) const {
  const InodePtr inode = find(path);
  return inode ? inode->cache : Bytes();
}

void MemoryDisk::write_file(const std::string& path, ByteView bytes) {
  const Place place = place_of(path);
  CPROTO_ASSERT(place.directory != nullptr);
  InodePtr inode = find(path);
  if (!inode) {
    inode = make_inode(false, path);
    inode->links = 1;
    place.directory->entries[place.name] = place.directory->durable_entries[place.name] = inode;
  }
  inode->cache.assign(bytes.begin(), bytes.end());
  inode->durable = inode->cache;
  inode->dirty.assign(sectors(inode->cache.size()), 0);
  inode->dirty_begin = inode->dirty_end = 0;
  inode->size_is_dirty = false;
}

void MemoryDisk::rename_file(const std::string& path, const std::string& target) { rename(path, target); }
void MemoryDisk::remove_file(const std::string& path) { remove(path); }

void MemoryDisk::truncate_file(const std::string& path, std::uint64_t size) {
  const InodePtr inode = find(path);
  CPROTO_ASSERT(inode != nullptr);
  truncate(*inode, size);
}

std::uint32_t MemoryDisk::mode_of(const std::string& path) const {
  const InodePtr inode = find(path);
  return inode ? inode->attributes.mode : 0;
}

std::optional<FileDescription::Time> MemoryDisk::mtime_of(const std::string& path) const {
  const InodePtr inode = find(path);
  return inode ? inode->attributes.mtime : std::nullopt;
}

void MemoryDisk::make_directories(const std::string& path) {
  InodePtr at = root_;
  std::string so_far;
  std::string_view rest = path;
  for (std::string name(take_name(rest)); !name.empty(); name = take_name(rest)) {
    so_far += "/" + name;
    InodePtr& entry = at->entries[name];
    if (!entry) entry = at->durable_entries[name] = make_inode(true, so_far);
    at = entry;
  }
}

std::vector<std::string> MemoryDisk::list_directory(const std::string& path) const {
  std::vector<std::string> names;
  const InodePtr directory = find(path);
  if (!directory) return names;
  for (const auto& [name, entry] : directory->entries) names.push_back(name);
  return names;
}

bool MemoryDisk::is_directory(const std::string& path) const {
  const InodePtr inode = find(path);
  return inode && inode->is_directory;
}

std::uint64_t MemoryDisk::size_of(const std::string& path) const {
  const InodePtr inode = find(path);
  return inode ? inode->cache.size() : 0;
}

std::optional<std::uint64_t> MemoryDisk::changed_at(const std::string& path) const {
  const InodePtr inode = find(path);
  if (!inode || inode->changed_at == kUnchanged) return std::nullopt;
  return inode->changed_at;
}

void MemoryDisk::forget_changes() {
  std::vector<InodePtr> directories;
  collect_directories(root_, directories);
  for (const InodePtr& directory : directories)
    for (const auto& [name, entry] : directory->entries) entry->changed_at = kUnchanged;
}

bool MemoryDisk::is_durable(const std::string& path, std::uint64_t size) const {
  const InodePtr inode = find(path, View::durable);
  if (!inode || inode->durable.size() < size) return false;
  return inode->cache.size() >= size &&
         std::equal(inode->cache.begin(), inode->cache.begin() + static_cast<std::ptrdiff_t>(size),
                    inode->durable.begin());
}

ByteView MemoryDisk::durable_bytes(const std::string& path) const {
  const InodePtr inode = find(path, View::durable);
  return inode ? ByteView(inode->durable) : ByteView();
}

std::uint64_t MemoryDisk::inode_of(const std::string& path) const {
  const InodePtr inode = find(path);
  return inode ? inode->number : 0;
}

void MemoryDisk::flip(const std::string& path, std::uint64_t offset, std::uint8_t mask) {
  const InodePtr inode = find(path);
  CPROTO_ASSERT(inode != nullptr && offset < inode->cache.size());
  inode->cache[offset] ^= mask;
  if (offset < inode->durable.size()) inode->durable[offset] ^= mask;
}

}  // namespace cproto::test
