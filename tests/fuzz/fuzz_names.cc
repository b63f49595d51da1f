// Whatever a client calls itself, its channel and its file, each name is refused or is one component of a path, and
// nothing that arrives is anywhere but in that client's folder of the inbox, under that name or the name and a number.
#include <algorithm>
#include <string>
#include <vector>

#include "client/file_source.h"
#include "proto/assert.h"
#include "tests/support/frames.h"
#include "tests/support/store_end.h"

using namespace cproto;
using namespace cproto::test;

namespace {

std::string take_text(ByteReader& input) {
  return std::string(as_text(input.bytes(std::min<std::size_t>(input.u16() % 300, input.rest().size()))));
}

// One component of a path, and no way up.
void check_component(const std::string& name) {
  CPROTO_ASSERT(!name.empty() && name.size() <= kFileNameMax && name != "." && name != "..");
  CPROTO_ASSERT(name.find('/') == std::string::npos && name.find('\0') == std::string::npos);
}

// What the wire makes of a client id and a channel; nullopt: refused.
std::optional<Syn> over_the_wire(const std::string& client_id, const std::string& channel) {
  Syn offer = a_syn();
  offer.client_id = client_id;
  offer.channel = channel;
  Bytes payload;
  encode_syn(offer, payload);
  auto decoded = decode_syn(payload);
  if (const Error* error = std::get_if<Error>(&decoded)) {
    CPROTO_ASSERT(!is_valid_name(client_id) || !is_valid_name(channel) || error->code == ErrorCode::bad_parameter);
    return std::nullopt;
  }
  return std::get<Syn>(decoded);
}

void check_folder(StoreEnd& end, const std::string& client_id, const std::string& channel, const std::string& file) {
  const std::string folder = "/store/inbox/" + client_id;
  for (const std::string& name : end.disk.list_directory("/store/inbox")) CPROTO_ASSERT(name == client_id);
  for (const std::string& name : end.disk.list_directory(folder))
    CPROTO_ASSERT(name == "files" || name == channel + ".log" || name == channel + ".bin");
  for (const std::string& name : end.disk.list_directory("/")) CPROTO_ASSERT(name == "store");
  const std::vector<std::string> files = end.disk.list_directory(folder + "/files");
  CPROTO_ASSERT(files.size() == (is_valid_file_name(file) ? 2 : 0));
  for (const std::string& name : files) {
    check_component(name);
    const std::size_t kept = std::min(file.size(), kFileNameMax - 2);
    CPROTO_ASSERT(name == file || name == file.substr(0, kept) + "~1");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader input({data, size});
  const bool is_known = input.u8() % 2 == 0;  // so that more of them come as far as the file
  const std::string client_id = is_known ? "web-1" : take_text(input);
  const std::string channel = is_known ? "messages" : take_text(input);
  const std::string file(as_text(input.rest()));
  // The command's own name for a path is one the server takes, or it says so itself.
  if (const std::string base = client::base_name(file); is_valid_file_name(base)) check_component(base);

  const auto syn = over_the_wire(client_id, channel);
  if (!syn) return 0;
  StoreEnd end;
  end.options.segment_size = 12 * kBlockSize;
  end.options.existing_file = ExistingFile::keep;
  CPROTO_ASSERT(end.open().empty());
  std::string given;  // who names nobody is given a name
  {
    SessionEnd session(end, syn->client_id, syn->channel);
    CPROTO_ASSERT(session.connect().empty());
    given = session.entry->client_id;
    check_component(given);
    CPROTO_ASSERT(session.entry->channel == syn->channel);
    check_component(syn->channel + ".log");
    session.send("a message");
    for (int times = 0; times < 2; ++times) session.send_file({file, 1, 0640, {}}, as_bytes("x"));
    end.rest();
    CPROTO_ASSERT(session.refused.size() == (is_valid_file_name(file) ? 0 : 2));
    session.disconnect();
  }
  check_folder(end, given, syn->channel, file);
  return 0;
}
