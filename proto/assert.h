// CPROTO_ASSERT: a condition that only a bug of ours can break. It is on in every build: a process that has lost its
// invariants must not acknowledge anything any more. What a peer or a disk can do wrong is never an assertion.
#pragma once

namespace cproto {

// Prints the condition and its place to standard error and aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace cproto

#define CPROTO_ASSERT(condition) \
  (static_cast<bool>(condition) ? static_cast<void>(0) : ::cproto::assertion_failed(#condition, __FILE__, __LINE__))
