#include "daemon/verify.h"

#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "daemon/read_only_disk.h"
#include "daemon/records.h"

namespace cproto {

namespace {

// STORE §1.
std::variant<FileHeader, StoreProblem> read_identity(Disk& disk, const std::string& directory) {
  const std::string path = directory + "/store";
  File file;
  Bytes header(kFileHeaderSize);
  Job read{file_op::open(file, path), file_op::read(file, 0, header), file_op::close(file)};
  const JobResult result = disk.run(read);
  if (result.error == ENOENT) return StoreProblem{ENOENT, false, directory + " is no store: it has no file \"store\""};
  if (!result.ok() && result.operation == 0)
    return StoreProblem{result.error, false, path + ": " + std::strerror(result.error)};
  const auto decoded = result.ok() ? decode_file_header(FileFormat::store, header) : std::nullopt;
  if (!decoded) return StoreProblem{EIO, false, path + " is damaged"};
  if (decoded->format > kStoreFormat)
    return StoreProblem{0, true,
                        "the store was written by cprotod " + decoded->program + "; this version cannot read it"};
  return *decoded;
}

}  // namespace

Verification verify_store(Disk& real, const std::string& directory) {
  ReadOnlyDisk disk(real);
  Verification found;
  const auto identity = read_identity(disk, directory);
  if (const auto* problem = std::get_if<StoreProblem>(&identity)) {
    found.problem = *problem;
    return found;
  }
  const FileHeader& header = std::get<FileHeader>(identity);
  found.store = header.store;
  auto read = find_chain(disk, {directory + "/journal", header.store, header.number, 0});
  if (auto* problem = std::get_if<StoreProblem>(&read)) {
    found.problem = std::move(*problem);
    return found;
  }
  Chain& chain = std::get<Chain>(read);
  found.damage = std::move(chain.damage);
  found.torn_batches = chain.torn_batches;
  std::set<std::uint64_t> sessions;
  Bytes bytes;
  for (const ChainBatch& batch : chain.batches) {
    const std::string name = "batch " + std::to_string(batch.header.number);
    ++found.batches;
    found.bytes += batch.header.size;
    const BatchRead outcome = read_batch(disk, chain, batch, bytes);
    if (outcome == BatchRead::failed) {
      found.damage.push_back(name + " cannot be read");
      continue;
    }
    if (outcome == BatchRead::damaged)
      found.damage.push_back(name + " in segment " + std::to_string(batch.segment) + " does not check");
    const auto each = [&](const Record& record) {
      ++found.records;
      if (record.type == RecordType::session) sessions.insert(record.session);
      if (record.type == RecordType::forget) sessions.erase(record.session);
    };
    visit_records(batch.header, bytes, {each, [](const std::optional<Record>&) {}});
  }
  found.sessions = sessions.size();
  Job close;
  for (const auto& segment : chain.segments) close.push_back(file_op::close(segment->file));
  disk.run(close);
  return found;
}

}  // namespace cproto
