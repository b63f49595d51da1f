// Exit statuses (sysexits.h's numbers; cprotod(8)).
#pragma once

namespace cproto::exit_status {

inline constexpr int kUsage = 64;             // wrong arguments
inline constexpr int kDataError = 65;         // the store, or a file, is damaged
inline constexpr int kNoInput = 66;           // cprotoctl cat: no such file
inline constexpr int kUnavailable = 69;       // cprotoctl: no daemon is running
inline constexpr int kSoftware = 70;          // a bug
inline constexpr int kOsError = 71;           // address in use, no descriptors
inline constexpr int kCannotCreate = 73;      // the store cannot be created
inline constexpr int kIoError = 74;           // the store's disk fails
inline constexpr int kTemporaryFailure = 75;  // the store is in use by another cprotod
inline constexpr int kNoPermission = 77;      // may not read, write or bind
inline constexpr int kConfig = 78;            // configuration wrong; store of a newer version

}  // namespace cproto::exit_status
