// One TCP connection that is there, with or without TLS on it: bytes in, bytes out, and its end. Knows nothing of
// frames.
//
// Happy path: start, (on_writable when TLS is there,) on_bytes…, write_buffer, write, (on_writable,) finish,
// on_gone({}).
// Failure modes: on_gone(how) when the other side or the network ended it, or TLS failed. Either way on_gone comes
// exactly once, last, and from the loop, never from within a call; the connection may be deleted in it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "client/congestion.h"
#include "client/loop.h"
#include "proto/bytes.h"
#include "proto/tls_stream.h"

namespace cproto::client {

class Connection {
 public:
  class Owner {
   public:
    // `bytes` live for the call.
    virtual void on_bytes(ByteView bytes) = 0;
    // What was on its way is written.
    virtual void on_writable() = 0;
    // `reason` is empty after finish(). `tls`: what TLS failed of, if that was it.
    virtual void on_gone(const std::string& reason, const TlsTrouble& tls) = 0;

   protected:
    ~Owner() = default;
  };

  // `tls`: nullptr for none. `server_name`: whom the server's certificate is to be for.
  Connection(Handle<uv_tcp_t> tcp, std::shared_ptr<const TlsContext> tls, const std::string& server_name);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Begins to read. `owner` outlives the connection.
  void start(Owner* owner);

  // Nothing is on its way, and nothing was ended.
  bool can_write() const { return state_ == State::open && !write_->is_pending && (!tls_ || tls_->can_write()); }
  // Pre: can_write(). Empty.
  Bytes& write_buffer();
  // Sends what is in the buffer: at once as much as the system takes, the rest as it can.
  void write();
  // Closes behind the last byte. May come again.
  void finish();

  // Before anything is written.
  Congestion set_congestion(std::string_view setting);

 private:
  enum class State {
    open,
    finishing,  // the last bytes go out
    broken,     // writing failed; what the other side said before is still read
    closing,
  };

  // A write and its bytes live until libuv is done with them, which may be after the connection.
  struct Write {
    uv_write_t request{};
    Bytes bytes;
    bool is_pending = false;
    Connection* connection = nullptr;
  };

  void on_encrypted(ByteView bytes);
  void flush_tls();
  void send();
  void on_write_failed(int error);
  void close(std::string reason);
  static void on_allocate(uv_handle_t* handle, std::size_t suggested, uv_buf_t* buffer);
  static void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer);
  static void on_written(uv_write_t* request, int status);

  Handle<uv_tcp_t> tcp_;
  uv_tcp_t* closing_ = nullptr;  // it, once close() was called
  Owner* owner_ = nullptr;
  State state_ = State::open;
  std::string reason_;
  std::unique_ptr<Write> write_;
  std::unique_ptr<TlsStream> tls_;
  Bytes plain_;      // what is written, before it is encrypted
  Bytes decrypted_;  // what was read
  Timer patience_;   // how long the end waits for a peer that does not read, or for its last words
  Bytes read_buffer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cproto::client
