// Bugs that are planted to see whether the simulator finds them. Only the copies of sources that plant.cmake makes know
// of them; what is installed is built from the sources as they are.
#pragma once

#include <array>
#include <string_view>

namespace cproto {

inline constexpr std::array<const char*, 14> kPlantedBugs{
    "ack_before_sync",        "forget_directory_sync",   "skip_duplicate_filter",      "append_to_torn_segment",
    "checkpoint_before_sync", "deliver_before_sync",     "reset_receiver_on_takeover", "recycle_without_marks",
    "answer_from_page_cache", "renegotiate_packet_size", "resume_without_note",        "silence_is_stored",
    "follow_anything",        "closed_is_removed",
};

// Whether this bug is there; one at a time is.
bool planted(std::string_view bug);
// Empty: none.
void plant(std::string_view bug);

}  // namespace cproto
