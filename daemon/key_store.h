// The key file of the server, as cprotoctl changes it: replaced as a whole, by a rename, so that whoever reads it sees
// the old one or the new. One at a time: open() waits for another that is at it. Works whether a daemon runs or not.
#pragma once

#include <string>
#include <vector>

#include "proto/client_key.h"

namespace cproto {

class KeyStore {
 public:
  explicit KeyStore(std::string path);
  ~KeyStore();
  KeyStore(const KeyStore&) = delete;
  KeyStore& operator=(const KeyStore&) = delete;

  // A problem is a sentence; empty: it went well. A file that is not there has no keys.
  [[nodiscard]] std::string open();
  const std::vector<ClientKey>& keys() const { return keys_; }

  void add(ClientKey key) { keys_.push_back(std::move(key)); }
  // Of this client all but the last `keep`. Returns how many went.
  std::size_t remove(const std::string& client_id, std::size_t keep);
  // Pre: open() went well. Readable for root and the daemon's group alone, durable when it returns.
  [[nodiscard]] std::string save() const;

 private:
  std::string path_;
  std::string folder_;
  int lock_ = -1;  // the folder's descriptor
  std::vector<ClientKey> keys_;
};

// 256 bits of the system's randomness.
Secret draw_secret();

}  // namespace cproto
