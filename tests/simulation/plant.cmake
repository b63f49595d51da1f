# Writes a copy of one source with the planted bugs that belong into it; none of them is there until plant() says so.
#   cmake -D SOURCES=<checkout> -D FILE=daemon/journal.cc -D OUTPUT=<copy> -P plant.cmake
# A bug is a text that is in the source exactly once, and what stands in its place. Where the source has changed there,
# this stops, and wants to be told where the bug belongs now.
cmake_minimum_required(VERSION 3.25)
file(READ ${SOURCES}/${FILE} source)

function(plant bug file from to)
  if(NOT file STREQUAL FILE)
    return()
  endif()
  string(FIND "${source}" "${from}" first)
  string(FIND "${source}" "${from}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "the bug ${bug} finds its place in ${file} not once:\n${from}")
  endif()
  string(REPLACE "${from}" "${to}" source "${source}")
  set(source "${source}" PARENT_SCOPE)
endfunction()

plant(ack_before_sync daemon/journal.cc
[[  disk_.submit(std::move(job), [this, alive = alive_](JobResult result) {]]
[[  if (planted("ack_before_sync")) job.pop_back();
  disk_.submit(std::move(job), [this, alive = alive_](JobResult result) {]])

plant(forget_directory_sync daemon/journal.cc
[[  return {file_op::remove(path),]]
[[  Job job{file_op::remove(path),]])
plant(forget_directory_sync daemon/journal.cc
[[          file_op::sync_directory(directory)};]]
[[          file_op::sync_directory(directory)};
  if (planted("forget_directory_sync")) job.pop_back();
  return job;]])

plant(skip_duplicate_filter proto/receiver.cc
[[  if (!number || *number <= position_.through) return]]
[[  if (planted("skip_duplicate_filter") && number && *number <= position_.through) return take_next(frame);
  if (!number || *number <= position_.through) return]])

# A second sync of a segment whose first one failed says that all is well.
plant(append_to_torn_segment daemon/journal.cc
[[  needs_segment_ = needs_made_one_ = true;]]
[[  if (planted("append_to_torn_segment") && flying_) {
    job_is_running_ = true;
    disk_.submit({file_op::sync_data(in_use_.back()->file)}, [this, alive = alive_](JobResult result) {
      if (*alive) on_written(result);
    });
    return;
  }
  needs_segment_ = needs_made_one_ = true;]])

plant(checkpoint_before_sync daemon/inbox.cc
[[    if (log->is_dirty) job.push_back(file_op::sync_data(log->file));
    if (is_idle) {]]
[[    if (log->is_dirty && !planted("checkpoint_before_sync")) job.push_back(file_op::sync_data(log->file));
    if (is_idle) {]])

plant(closed_is_removed daemon/inbox.cc
[[  if (error == 0 || error == ENOENT) return]]
[[  if (error == 0 || error == ENOENT || planted("closed_is_removed")) return]])

# Delivery hears of a batch twice: as soon as it is on its way, marked by the time its sync took, and not when it is durable.
plant(deliver_before_sync daemon/journal.cc
[[  job_is_running_ = true;
  Segment& segment = *in_use_.back();]]
[[  job_is_running_ = true;
  Segment& segment = *in_use_.back();
  if (planted("deliver_before_sync"))
    owner_.on_durable({flying_header_.number, flying_header_.segment, flying_header_.offset, flying_header_.size,
                       flying_header_.used, flying_},
                      Duration::min());]])
plant(deliver_before_sync daemon/journal_store.cc
[[void JournalStore::on_durable(const BatchPlace& batch, Duration sync_time) {]]
[[void JournalStore::on_durable(const BatchPlace& batch, Duration sync_time) {
  if (sync_time == Duration::min()) return delivery_->on_durable(world_.now(), batch);]])
plant(deliver_before_sync daemon/journal_store.cc
[[delivery does here
  delivery_->on_durable(world_.now(), batch);]]
[[delivery does here
  planted("deliver_before_sync") ? delivery_->pump(world_.now()) : delivery_->on_durable(world_.now(), batch);]])

plant(reset_receiver_on_takeover daemon/peer.cc
[[{terms, entry_->received, ]]
[[{terms, planted("reset_receiver_on_takeover") ? Position{} : entry_->received, ]])

plant(recycle_without_marks daemon/journal_store.cc
[[    if (entry->record_batch == 0 || entry->record_batch >= before_batch) continue;]]
[[    if (entry->record_batch == 0 || entry->record_batch >= before_batch) continue;
    if (planted("recycle_without_marks")) continue;]])

plant(answer_from_page_cache daemon/recovery.cc
[[  Job job{file_op::sync_data(segment.file), file_op::write(segment.file, header.offset, out),
          file_op::sync_data(segment.file)};]]
[[  Job job{file_op::sync_data(segment.file), file_op::write(segment.file, header.offset, out),
          file_op::sync_data(segment.file)};
  if (planted("answer_from_page_cache")) job.pop_back();]])

plant(renegotiate_packet_size daemon/session_registry.cc
[[  entry.attempt = syn.attempt;]]
[[  entry.attempt = syn.attempt;
  if (planted("renegotiate_packet_size"))
    entry.max_packet_size = std::min({syn.max_packet_size, options_.max_packet_size, kPacketSizeMax});]])

plant(resume_without_note daemon/stream_store.cc
[[  publish_note(std::move(*question), last ? last->sequence : 0);
}]]
[[  if (planted("resume_without_note"))
    return question->holder->on_admitted(decide(*question, last ? last->sequence : 0));
  publish_note(std::move(*question), last ? last->sequence : 0);
}]])

plant(silence_is_stored daemon/stream_store.cc
[[    what.session == 0 ?]]
[[    if (planted("silence_is_stored")) {
      on_stored(ticket, 1'000'000);
      continue;
    }
    what.session == 0 ?]])

# As if a publication did not name the one before it: whatever is there, it is stored behind that.
plant(follow_anything daemon/stream_store.cc
[[{session.subject, session.last, std::move(headers)]]
[[{session.subject, planted("follow_anything") ? ~0ull : session.last, std::move(headers)]])

file(WRITE ${OUTPUT} "#include \"tests/simulation/planted.h\"\n${source}")
