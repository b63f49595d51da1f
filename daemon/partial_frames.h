// The frames of all connections that are not whole yet, and a bound on them together. A frame takes memory as its bytes
// come, and only its sender can complete it: where there are too many, the one that has been incomplete for longest
// goes with its connection. A client that gets on with its frames completes each within moments and is never that one.
#pragma once

#include <cstdint>
#include <list>

namespace cproto {

class PartialFrames {
 public:
  class Holder {
   public:
    virtual ~Holder() = default;
    // It is no longer counted. The connection is to end; not within the call to note() of another.
    virtual void on_overload() = 0;

   private:
    friend class PartialFrames;
    std::uint64_t bytes_ = 0;
    std::list<Holder*>::iterator place_;
  };

  explicit PartialFrames(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
  void set_max(std::uint64_t bytes_max) { bytes_max_ = bytes_max; }

  // So many bytes of a frame are held. `is_same`: of the one that was there before.
  void note(Holder& holder, std::uint64_t bytes, bool is_same) {
    bytes_ += bytes - holder.bytes_;
    const bool was_there = holder.bytes_ > 0;
    holder.bytes_ = bytes;
    if (was_there && !(is_same && bytes > 0)) holders_.erase(holder.place_);
    if (bytes > 0 && !(was_there && is_same)) holder.place_ = holders_.insert(holders_.end(), &holder);
    // One may always be there.
    while (bytes_ > bytes_max_ && holders_.size() > 1) {
      Holder& oldest = *holders_.front();
      note(oldest, 0, false);
      ++overloads_;
      oldest.on_overload();
    }
  }

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t overloads() const { return overloads_; }

 private:
  std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  std::uint64_t overloads_ = 0;
  std::list<Holder*> holders_;  // in the order their frames began
};

}  // namespace cproto
