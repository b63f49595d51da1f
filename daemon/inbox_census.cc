#include "daemon/inbox_census.h"

#include <algorithm>
#include <set>
#include <utility>

#include "proto/options.h"

namespace cproto {

void InboxCensus::list_now() {
  Job job{file_op::list(inbox_, names_)};
  if (!disk_.run(job).ok()) return;
  take_names(false);
  if (hooks_.on_listed) hooks_.on_listed();
}

void InboxCensus::begin(bool measures) {
  if (std::exchange(is_busy_, true)) return;
  is_round_ = measures;
  disk_.submit({file_op::list(inbox_, names_)}, [this, alive = alive_, measures](JobResult result) {
    if (!*alive) return;
    if (result.ok()) take_names(measures);
    if (result.ok() && hooks_.on_listed) hooks_.on_listed();
    measure_next();
  });
}

void InboxCensus::measure(const std::string& client) {
  if (std::exchange(is_busy_, true)) return;
  is_round_ = false;
  queue_ = {client};
  measure_next();
}

// A folder that is gone takes its figures with it, but for what is on its way to a new one.
void InboxCensus::take_names(bool measures) {
  std::erase_if(names_, [](const std::string& name) { return !is_valid_name(name); });
  const std::set<std::string> there(names_.begin(), names_.end());
  std::erase_if(folders_, [&](const auto& folder) { return !there.contains(folder.first); });
  for (const std::string& name : names_) folders_.try_emplace(name);
  queue_.clear();
  if (measures) queue_.assign(names_.begin(), names_.end());
}

void InboxCensus::measure_next() {
  if (queue_.empty()) return end();
  const std::string client = std::move(queue_.front());
  queue_.pop_front();
  Folder& folder = folders_[client];
  folder.before = folder.received;
  disk_.submit({file_op::measure(inbox_ + "/" + client, measured_bytes_)},
               [this, alive = alive_, client](JobResult result) {
                 if (*alive) on_measured(client, result);
               });
}

void InboxCensus::on_measured(const std::string& client, JobResult result) {
  Folder& folder = folders_[client];
  folder.measured = result.ok() ? measured_bytes_ : 0;
  folder.received -= std::min(folder.received, folder.before);
  measure_next();
}

void InboxCensus::end() {
  is_busy_ = false;
  is_measured_ = is_measured_ || is_round_;
  if (hooks_.on_measured) hooks_.on_measured();
}

std::uint64_t InboxCensus::bytes_of(const std::string& client) const {
  const auto it = folders_.find(client);
  return it == folders_.end() ? 0 : it->second.bytes();
}

std::vector<InboxCensus::Size> InboxCensus::largest(std::size_t count) const {
  std::vector<Size> sizes;
  sizes.reserve(folders_.size());
  for (const auto& [client, folder] : folders_) sizes.push_back({client, folder.bytes()});
  const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>(std::min(count, sizes.size()));
  std::partial_sort(sizes.begin(), middle, sizes.end(), [](const Size& a, const Size& b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.client < b.client;
  });
  sizes.erase(middle, sizes.end());
  return sizes;
}

void InboxCensus::visit(const std::function<void(const std::string&)>& each) const {
  for (const auto& [client, folder] : folders_) each(client);
}

}  // namespace cproto
