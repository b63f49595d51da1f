// Files from their first frame to the inbox (STORE §4.8, §7): the real store on a disk in memory.
#include "daemon/file_intake.h"

#include <doctest/doctest.h>

#include <cerrno>

#include "tests/support/store_end.h"

using namespace cproto;
using namespace cproto::test;

namespace {

Bytes some_bytes(std::size_t size, unsigned salt = 0) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 251 + salt);
  return bytes;
}

FileDescription named(const std::string& name) { return {name, {}, {}, {}}; }

struct FileEnd : StoreEnd {
  explicit FileEnd(std::uint64_t seed = 1) : StoreEnd(seed), session(*this, "web-1", "messages", MessageKind::file) {
    CHECK(open() == "");
    CHECK(session.connect() == "");
  }

  Bytes file(const std::string& name) const { return disk.read_file("/store/inbox/web-1/files/" + name); }
  bool has(const std::string& name) const { return disk.exists("/store/inbox/web-1/files/" + name); }
  std::vector<std::string> parts() const { return disk.list_directory("/store/partial"); }
  void reopen() {
    session.lose_server();
    CHECK(open() == "");
    CHECK(session.connect() == "");
  }
  // Sends `content` from `offset` in fragments, and ends the file with the digest of all of it.
  void send_rest(const Bytes& content, std::size_t offset) {
    FileDigest digest;
    digest.update(content);
    for (std::size_t at = offset; at < content.size(); at += 64 * 1024)
      session.send_fragment(
          as_text(ByteView(content).subspan(at, std::min<std::size_t>(64 * 1024, content.size() - at))));
    session.send_digest(digest.value());
    session.send("");
  }

  SessionEnd session;
};

}  // namespace

TEST_CASE("files: a file is in the inbox under its name, with its bytes, mode and time") {
  FileEnd end;
  const Bytes content = some_bytes(300'000);
  end.session.send_file({"etc.tgz", content.size(), 0754, FileDescription::Time{1'700'000'000, 123}}, content);
  end.run(2s);
  CHECK(end.file("etc.tgz") == content);
  CHECK(end.disk.mode_of("/store/inbox/web-1/files/etc.tgz") == 0754);
  CHECK(end.disk.mtime_of("/store/inbox/web-1/files/etc.tgz") == FileDescription::Time{1'700'000'000, 123});
  CHECK(end.session.acknowledged == end.session.entry->received.through);
  CHECK(end.session.entry->undelivered.empty());
  CHECK(end.session.times_delivered == 1);
}

TEST_CASE("files: of two with one name the later one is there in the end, however the folder was away") {
  FileEnd end;
  const auto send = [&](const std::string& content) {
    end.session.send_file({"a", content.size(), {}, {}}, as_bytes(content));
  };
  SUBCASE("it was renamed") {
    send("none");
    end.run(1s);
    end.disk.rename_file("/store/inbox/web-1", "/store/inbox/old");
    send("one");
    send("two");
    end.run(2s);
  }
  SUBCASE("it was closed") {
    bool is_closed = true;
    end.disk.fault = [&](const FileOp& op, const std::string&) {
      return is_closed && op.kind == FileOp::Kind::move_file ? EACCES : 0;
    };
    send("one");
    end.run(2s);
    send("two");
    end.run(4s);
    is_closed = false;
    end.run(11s);
  }
  CHECK(as_text(end.file("a")) == "two");
}

TEST_CASE("files: what comes while the disk takes its time is bounded, also where it has no bytes") {
  FileEnd end;
  end.disk.latency = [](const Job& job) {
    const auto is_part = [](const FileOp& op) { return op.kind == FileOp::Kind::write && op.bytes.size() == 300'000; };
    return std::any_of(job.begin(), job.end(), is_part) ? Duration(10s) : Duration(1ms);
  };
  end.session.send_file(named("a"), some_bytes(300'000));
  end.sync();
  int messages = 0;
  for (; messages < 200'000 && end.store->room(end.session.entry) > 0; ++messages) {
    end.session.send_header(MessageKind::text);
    end.session.send("");
  }
  CHECK(messages < 200'000);
}

TEST_CASE("files: a folder that cannot be synced holds up its own files alone, and they are there once in the end") {
  FileEnd end;
  SessionEnd other(end, "db-1", "messages", MessageKind::file);
  CHECK(other.connect() == "");
  int error = 0;
  SUBCASE("it is closed") { error = EACCES; }
  SUBCASE("it is away") { error = ENOENT; }
  SUBCASE("there are no descriptors") { error = EMFILE; }
  end.disk.fault = [&](const FileOp& op, const std::string&) {
    return op.kind == FileOp::Kind::sync_directory && op.path == "/store/inbox/db-1/files" ? error : 0;
  };
  other.send_file(named("a"), as_bytes("held"));
  end.session.send_file(named("a"), as_bytes("free"));
  end.run(3s);
  CHECK(as_text(end.file("a")) == "free");
  CHECK(end.session.times_delivered == 1);
  CHECK(other.times_delivered == 0);
  CHECK_FALSE(end.log.contains("sync fails"));
  error = 0;
  end.run(11s);
  CHECK(as_text(end.disk.read_file("/store/inbox/db-1/files/a")) == "held");
  CHECK(other.times_delivered == 1);
}

TEST_CASE("files: an empty one arrives, and one of a byte") {
  FileEnd end;
  end.session.send_file({"empty", 0, {}, {}}, {});
  end.session.send_file({"byte", 1, {}, {}}, as_bytes("x"));
  end.run(2s);
  CHECK(end.has("empty"));
  CHECK(end.file("empty").empty());
  CHECK(end.file("byte") == Bytes{'x'});
}

TEST_CASE("files: nothing of one that is not whole is seen, and what came of it is acknowledged") {
  FileEnd end;
  end.session.begin_file(named("big"));
  for (int i = 0; i < 40; ++i) end.session.send_fragment(std::string(64 * 1024, 'x'));
  end.run(2s);
  CHECK_FALSE(end.has("big"));
  CHECK(end.session.acknowledged == Seq{41});
  CHECK(end.parts().size() == 1);
}

TEST_CASE("files: bytes go to the part and not to the journal") {
  FileEnd end;
  std::uint64_t to_journal = 0;
  std::uint64_t to_part = 0;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    if (op.kind == FileOp::Kind::write) (path.starts_with("/store/journal") ? to_journal : to_part) += op.bytes.size();
    return 0;
  };
  const Bytes content = some_bytes(20u << 20);
  end.session.send_file({"big", content.size(), {}, {}}, content);
  end.run(3s);
  CHECK(end.file("big") == content);
  CHECK(to_part == content.size());
  CHECK(to_journal < 1u << 20);
}

TEST_CASE("files: what a session sends behind a file stays behind it") {
  FileEnd end;
  const Bytes content = some_bytes(1u << 20);
  end.session.send_file(named("first"), content);
  end.session.send_header(MessageKind::text, "notes");
  end.session.send("a line");
  CHECK(end.session.entry->received.through > end.session.entry->appended.through);
  end.run(2s);
  CHECK(end.file("first") == content);
  CHECK(end.log_text("web-1", "notes.log") == "a line\n");
  CHECK(end.session.acknowledged == end.session.entry->received.through);
}

TEST_CASE("files: a digest that does not agree refuses the file, and nothing of it is seen") {
  FileEnd end;
  end.session.begin_file(named("bad"));
  end.session.send_fragment("some bytes");
  end.session.send_digest(Digest{});
  end.session.send("");
  end.session.send_file(named("good"), as_bytes("fine"));
  end.run(2s);
  CHECK_FALSE(end.has("bad"));
  CHECK(end.has("good"));
  CHECK(end.session.refused == std::vector<Refusal>{{ErrorCode::file_differs, {1}}});
  CHECK(end.session.refused_late == end.session.refused);
  CHECK(end.session.acknowledged == end.session.entry->received.through);
  CHECK(end.parts().empty());
}

TEST_CASE("files: a file without a digest, or of another size than announced, is refused") {
  FileEnd end;
  SUBCASE("no digest") {
    end.session.begin_file(named("bad"));
    end.session.send("bytes");
  }
  SUBCASE("too short") { end.session.send_file({"bad", 100, {}, {}}, as_bytes("short")); }
  SUBCASE("too long") { end.session.send_file({"bad", 3, {}, {}}, as_bytes("longer than that")); }
  end.run(2s);
  CHECK_FALSE(end.has("bad"));
  CHECK(end.session.refused == std::vector<Refusal>{{ErrorCode::file_differs, {1}}});
  CHECK(end.parts().empty());
}

TEST_CASE("files: one that goes on beyond what was announced is refused before its end") {
  FileEnd end;
  end.session.begin_file({"bad", 10, {}, {}});
  end.session.send_fragment("0123456789 and more");
  end.run(1s);
  CHECK(end.session.refused == std::vector<Refusal>{{ErrorCode::file_differs, {1}}});
  end.session.send_fragment("still more");
  end.run(1s);
  CHECK(end.session.acknowledged == Seq{3});
  CHECK(end.parts().empty());
}

TEST_CASE("files: one that is abandoned leaves nothing") {
  FileEnd end;
  end.session.begin_file(named("given-up"));
  end.session.send_fragment(std::string(100'000, 'x'));
  end.run(1s);
  CHECK(end.parts().size() == 1);
  end.session.abandon();
  end.run(2s);
  CHECK(end.parts().empty());
  CHECK_FALSE(end.has("given-up"));
  CHECK(end.session.acknowledged == Seq{3});
}

TEST_CASE("files: one that does not fit is refused by what was announced, and its sender goes on") {
  FileEnd end;
  end.disk.fault = [](const FileOp& op, const std::string&) {
    return op.kind == FileOp::Kind::reserve && op.size > 1'000'000 ? ENOSPC : 0;
  };
  end.session.begin_file({"huge", 1u << 30, {}, {}});
  end.run(500ms);
  CHECK(end.session.refused == std::vector<Refusal>{{ErrorCode::no_space_for_file, {1}}});
  end.session.send_fragment("thrown away");
  end.session.abandon();
  end.session.send_file({"small", 4, {}, {}}, as_bytes("fits"));
  end.run(2s);
  CHECK(end.has("small"));
  CHECK(end.session.troubles.empty());
}

TEST_CASE("files: a disk that fills up in the middle makes the sender wait, and the file goes on") {
  FileEnd end;
  const Bytes content = some_bytes(3u << 20);
  end.session.begin_file({"big", content.size(), {}, {}});
  end.session.send_fragment(as_text(ByteView(content).first(1u << 20)));
  end.run(1s);
  bool is_full = true;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    return is_full && op.kind == FileOp::Kind::write && path.ends_with(".file") ? ENOSPC : 0;
  };
  end.session.send_fragment(as_text(ByteView(content).subspan(1u << 20, 1u << 20)));
  end.run(2s);
  CHECK(end.session.troubles == std::vector<ErrorCode>{ErrorCode::disk_full});
  CHECK(end.session.acknowledged == Seq{2});
  is_full = false;
  end.run(10s);
  CHECK(end.session.acknowledged == Seq{3});
  end.send_rest(content, 2u << 20);
  end.run(2s);
  CHECK(end.file("big") == content);
}

TEST_CASE("files: a sync that fails is made again with the same bytes") {
  FileEnd end;
  const Bytes content = some_bytes(500'000);
  int failures = 2;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    const bool syncs = op.kind == FileOp::Kind::sync_data || op.kind == FileOp::Kind::sync_all;
    return syncs && path.ends_with(".file") && failures-- > 0 ? EIO : 0;
  };
  end.session.send_file(named("a"), content);
  end.run(20s);
  end.cut_power(Loss::everything);
  end.reopen();
  end.run(2s);
  CHECK(end.file("a") == content);
}

TEST_CASE("files: a step that failed counts no byte that is not written, where steps became smaller meanwhile") {
  FileEnd end;
  SessionEnd other(end, "notes");
  REQUIRE(other.connect() == "");
  int syncs = 0;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    return op.kind == FileOp::Kind::sync_data && path.ends_with(".file") && ++syncs == 1 ? EIO : 0;
  };
  const Bytes content = some_bytes(6'000'000);
  end.session.begin_file({"big", content.size(), 0600, {}});
  for (std::size_t at = 0; at < 3'000'000; at += 60'000)
    end.session.send_fragment(as_text(ByteView(content).subspan(at, 60'000)));
  end.run(4900ms);
  CHECK(syncs == 1);
  other.send("steps are small beside this");
  while (end.session.acknowledged <= Seq{1} && end.disk.now() < Instant{} + 20s) end.run(1ms);
  REQUIRE(end.session.acknowledged > Seq{1});
  end.disk.fault = nullptr;
  other.lose_server();
  end.cut_power(Loss::everything);
  end.reopen();
  end.send_rest(content, (end.session.acknowledged.value - 1) * 60'000);
  end.run(2s);
  CHECK(end.file("big") == content);
}

TEST_CASE("files: after kill -9 and after a power cut one goes on where it was") {
  for (const bool cuts_power : {false, true}) {
    CAPTURE(cuts_power);
    FileEnd end;
    const Bytes content = some_bytes(9'000'000);
    end.session.begin_file({"big", content.size(), 0600, FileDescription::Time{5, 6}});
    for (std::size_t at = 0; at < 6'000'000; at += 60'000)
      end.session.send_fragment(as_text(ByteView(content).subspan(at, 60'000)));
    end.run(300ms);
    cuts_power ? end.cut_power(Loss::everything) : end.kill();
    end.reopen();
    REQUIRE(end.session.terms.unfinished);
    CHECK(end.session.terms.unfinished->first == Seq{1});
    CHECK(end.session.terms.unfinished->kind == MessageKind::file);
    CHECK(end.session.terms.unfinished->durable_bytes == 6'000'000);
    end.send_rest(content, 6'000'000);
    end.run(2s);
    CHECK(end.file("big") == content);
    CHECK(end.disk.mode_of("/store/inbox/web-1/files/big") == 0600);
  }
}

TEST_CASE("files: a part that lost what was acknowledged of it is refused at once") {
  FileEnd end;
  end.session.begin_file(named("big"));
  end.session.send_fragment(std::string(100'000, 'x'));
  end.run(1s);
  end.kill();
  end.disk.remove_file("/store/partial/" + end.parts().front());
  end.reopen();
  end.session.send_fragment("more");
  end.run(1s);
  CHECK(end.session.refused == std::vector<Refusal>{{ErrorCode::file_differs, {1}}});
  CHECK(end.log.contains("is gone"));
}

TEST_CASE("files: a part that is gone, or shorter, where nothing of it is to be read again is refused, too") {
  FileEnd end;
  const Bytes content = some_bytes(2 * kPieceSize);
  end.session.begin_file(named("big"));
  for (std::size_t at = 0; at < kPieceSize; at += 64 * 1024)
    end.session.send_fragment(as_text(ByteView(content).subspan(at, 64 * 1024)));
  end.run(1s);
  end.kill();
  const std::string part = "/store/partial/" + end.parts().front();
  SUBCASE("gone") { end.disk.remove_file(part); }
  SUBCASE("shorter") { end.disk.truncate_file(part, 1'000'000); }
  end.reopen();
  REQUIRE(end.session.terms.unfinished);
  CHECK(end.session.terms.unfinished->durable_bytes == kPieceSize);
  end.send_rest(content, kPieceSize);
  end.run(1s);
  CHECK(end.session.refused == std::vector<Refusal>{{ErrorCode::file_differs, {1}}});
  CHECK(end.log.contains("is gone"));
  CHECK_FALSE(end.has("big"));
}

TEST_CASE("files: a part that cannot be opened for a while is waited for") {
  FileEnd end;
  const Bytes content = some_bytes(300'000);
  end.session.begin_file(named("big"));
  end.session.send_fragment(as_text(ByteView(content).first(100'000)));
  end.run(1s);
  end.kill();
  int error = 0;
  SUBCASE("EACCES") { error = EACCES; }
  SUBCASE("EMFILE") { error = EMFILE; }
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    return op.kind != FileOp::Kind::list && path.starts_with("/store/partial/") ? error : 0;
  };
  end.reopen();
  end.send_rest(content, 100'000);
  end.run(1s);
  CHECK_FALSE(end.has("big"));
  error = 0;
  end.run(11s);
  CHECK(end.session.refused.empty());
  CHECK(end.file("big") == content);
}

TEST_CASE("files: one that was whole before a crash is in the inbox after it") {
  FileEnd end;
  const Bytes content = some_bytes(200'000);
  bool may_rename = false;
  end.disk.fault = [&](const FileOp& op, const std::string&) {
    return op.kind == FileOp::Kind::move_file && !may_rename ? EACCES : 0;
  };
  end.session.send_file(named("a"), content);
  end.run(3s);
  CHECK(end.session.acknowledged == end.session.entry->received.through);
  CHECK_FALSE(end.store->is_delivered(*end.session.entry));
  CHECK(end.log.contains("cannot be put there"));
  may_rename = true;
  end.cut_power(Loss::everything);
  end.reopen();
  CHECK_FALSE(end.store->is_delivered(*end.session.entry));
  end.run(2s);
  CHECK(end.store->is_delivered(*end.session.entry));
  CHECK(end.file("a") == content);
  CHECK(end.parts().empty());
}

TEST_CASE("files: one that cannot be put in its place waits alone, through checkpoints and restarts") {
  FileEnd end;
  end.disk.make_directories("/store/inbox/web-1/files");
  bool is_blocked = true;
  end.disk.fault = [&](const FileOp& op, const std::string&) {
    return is_blocked && op.kind == FileOp::Kind::move_file && op.target.ends_with("/dir") ? EISDIR : 0;
  };
  end.session.send_file(named("dir"), as_bytes("content"));
  end.session.send_file(named("other"), as_bytes("content"));
  end.session.send_header(MessageKind::text, "notes");
  for (int i = 0; i < 5; ++i) {
    end.session.send_header(MessageKind::text, "notes");
    end.session.send("a line");
    end.run(3s);
  }
  CHECK(end.has("other"));
  CHECK(end.store->delivery().backlog(end.disk.now()).batches == 0);
  CHECK_FALSE(end.has("dir"));
  end.kill();
  end.reopen();
  is_blocked = false;
  end.run(10s);
  CHECK(end.has("dir"));
  CHECK(end.store->is_delivered(*end.session.entry));
}

TEST_CASE("files: when too many wait for their place no more are taken from the journal, and all come in the end") {
  FileEnd end;
  bool is_blocked = true;
  end.disk.fault = [&](const FileOp& op, const std::string&) {
    return is_blocked && op.kind == FileOp::Kind::move_file ? EACCES : 0;
  };
  const std::size_t count = kInboxFilesMax + 200;
  for (std::size_t i = 0; i < count; ++i) {
    end.session.send_file(named("file-" + std::to_string(i)), {});
    if (i % 100 == 99) end.run(200ms);
  }
  end.run(3s);
  CHECK(end.session.acknowledged == end.session.entry->received.through);
  CHECK(end.store->delivery().backlog(end.disk.now()).batches > 0);
  is_blocked = false;
  end.run(30s);
  CHECK(end.store->is_delivered(*end.session.entry));
  CHECK(end.disk.list_directory("/store/inbox/web-1/files").size() == count);
  CHECK(end.store->delivery().backlog(end.disk.now()).batches == 0);
}

TEST_CASE("files: one refused while its client is away is logged and counted, and told when it comes back") {
  FileEnd end;
  end.session.begin_file(named("bad"));
  end.session.send_fragment("some bytes");
  end.session.send_digest(Digest{});
  end.session.send("");
  end.session.disconnect();
  end.run(2s);
  CHECK(end.log.contains("web-1: a message was refused (file_differs)"));
  CHECK(end.store->counters().refused.at(ErrorCode::file_differs) == 1);
  CHECK(end.session.connect() == "");
  CHECK(end.session.terms.refusals == std::vector<Refusal>{{ErrorCode::file_differs, {1}}});
}

TEST_CASE("files: a later one of the same name takes its place, or both are kept") {
  for (const ExistingFile existing : {ExistingFile::replace, ExistingFile::keep}) {
    FileEnd end;
    end.options.existing_file = existing;
    end.store->set_options(end.options);
    end.session.send_file(named("a"), as_bytes("one"));
    end.run(2s);
    end.session.send_file(named("a"), as_bytes("two"));
    end.run(2s);
    const bool is_kept = existing == ExistingFile::keep;
    CHECK(as_text(end.file("a")) == (is_kept ? "one" : "two"));
    CHECK(end.has("a~1") == is_kept);
  }
}

TEST_CASE("files: a file under way is known after its segments were used again") {
  FileEnd end;
  end.options.segment_size = 1u << 20;
  end.close();
  end.session.syn.resume.reset();
  end.reopen();
  const Bytes content = some_bytes(2'000'000);
  end.session.begin_file({"slow", content.size(), {}, {}});
  end.session.send_fragment(as_text(ByteView(content).first(1'000'000)));
  end.run(1s);
  SessionEnd other(end, "web-2");
  REQUIRE(other.connect() == "");
  for (int i = 0; i < 400; ++i) {
    other.send(std::string(50'000, 'y'));
    end.run(100ms);
  }
  CHECK(end.segments().size() < 10);
  other.lose_server();
  end.cut_power(Loss::everything);
  end.reopen();
  REQUIRE(end.session.terms.unfinished);
  CHECK(end.session.terms.unfinished->durable_bytes == 1'000'000);
  end.send_rest(content, 1'000'000);
  end.run(2s);
  CHECK(end.file("slow") == content);
}

TEST_CASE("files: a file that is known to the journal is carried forward while its rest waits for the disk") {
  FileEnd end;
  end.options.segment_size = 1u << 20;
  end.close();
  end.session.syn.resume.reset();
  end.reopen();
  const Bytes content = some_bytes(1'000'000);
  end.session.begin_file({"slow", content.size(), {}, {}});
  end.session.send_fragment(as_text(ByteView(content).first(500'000)));
  end.run(1s);
  end.disk.fault = [](const FileOp& op, const std::string& path) {
    return op.kind == FileOp::Kind::write && path.ends_with(".file") ? EIO : 0;
  };
  end.send_rest(content, 500'000);
  SessionEnd other(end, "web-2");
  REQUIRE(other.connect() == "");
  for (int i = 0; i < 400; ++i) {
    other.send(std::string(50'000, 'y'));
    end.run(100ms);
  }
  other.lose_server();
  end.kill();
  end.disk.fault = nullptr;
  end.reopen();
  REQUIRE(end.session.terms.unfinished);
  CHECK(end.session.terms.unfinished->durable_bytes == 500'000);
  end.send_rest(content, 500'000);
  end.run(2s);
  CHECK(end.file("slow") == content);
}

TEST_CASE("files: a session that ends with a file unfinished takes its part along") {
  FileEnd end;
  end.session.begin_file(named("left"));
  end.session.send_fragment(std::string(100'000, 'x'));
  end.run(1s);
  CHECK(end.parts().size() == 1);
  end.session.forget();
  end.run(3s);
  CHECK(end.parts().empty());
}

TEST_CASE("files: a session that is forgotten while its bytes wait for the disk takes them along") {
  for (const bool is_on_its_way : {false, true}) {
    CAPTURE(is_on_its_way);
    FileEnd end;
    end.session.begin_file(named("left"));
    end.session.send_fragment(std::string(100'000, 'x'));
    end.run(1s);
    end.disk.latency = [](const Job&) { return 300ms; };
    end.session.send_fragment(std::string(100'000, 'x'));
    if (is_on_its_way) end.run(150ms);
    end.session.forget();
    end.run(5s);
    CHECK(end.parts().empty());
    SessionEnd other(end, "web-2", "messages", MessageKind::file);
    REQUIRE(other.connect() == "");
    other.send_file(named("a"), as_bytes("content"));
    end.run(5s);
    CHECK(end.disk.exists("/store/inbox/web-2/files/a"));
  }
}

TEST_CASE("files: a folder that is a link is no place for a file") {
  FileEnd end;
  end.disk.make_directories("/store/inbox/web-1");
  end.disk.write_file("/store/inbox/web-1/files", {});  // as a link would be: no folder
  end.session.send_file(named("a"), as_bytes("one"));
  end.run(2s);
  CHECK(end.log.contains("cannot be put there"));
  CHECK_FALSE(end.store->is_delivered(*end.session.entry));
}

TEST_CASE("files: a connection is held while too much of its file waits for the disk, and others are not") {
  FileEnd end;
  end.disk.latency = [](const Job&) { return 500ms; };
  end.session.begin_file(named("big"));
  std::size_t taken = 0;
  while (end.store->room(end.session.entry) > 0 && taken < (64u << 20)) {
    end.session.send_fragment(std::string(256 * 1024, 'x'));
    taken += 256 * 1024;
    end.store->flush();
  }
  CHECK(taken <= (17u << 20));
  SessionEnd other(end, "web-2");
  REQUIRE(other.connect() == "");
  CHECK(end.store->room(other.entry) > 0);
  end.run(20s);
  CHECK(end.store->room(end.session.entry) > 0);
}

TEST_CASE("files: while messages want the disk, too, less of a file is synced at a time") {
  FileEnd end;
  SessionEnd other(end, "web-2", "messages");
  CHECK(other.connect() == "");
  std::uint64_t unsynced = 0;
  std::uint64_t most = 0;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    if (!path.starts_with("/store/partial/")) return 0;
    if (op.kind == FileOp::Kind::write) most = std::max(most, unsynced += op.bytes.size());
    if (op.kind == FileOp::Kind::sync_data || op.kind == FileOp::Kind::sync_all) unsynced = 0;
    return 0;
  };
  const Bytes content = some_bytes(6u << 20);
  end.session.send_file(named("alone"), content);
  end.run(3s);
  CHECK(most > 4u << 20);

  most = 0;
  other.send("a message");
  end.session.send_file(named("beside"), content);
  end.run(3s);
  CHECK(end.file("beside") == content);
  CHECK(most <= 1u << 20);
}

TEST_CASE("files: while messages want the disk, too, it is left to them between two steps") {
  FileEnd end;
  SessionEnd other(end, "web-2", "messages");
  CHECK(other.connect() == "");
  end.disk.latency = [](const Job&) { return 4ms; };
  std::vector<Instant> steps;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    if (path.starts_with("/store/partial/") && op.kind == FileOp::Kind::sync_data) steps.push_back(end.disk.now());
    return 0;
  };
  const auto least_between = [&](const std::string& name) {
    steps.clear();
    end.session.send_file(named(name), some_bytes(32u << 20));
    end.run(3s);
    REQUIRE(steps.size() >= 3);
    Duration least = 1h;
    for (std::size_t i = 1; i < steps.size(); ++i) least = std::min(least, steps[i] - steps[i - 1]);
    return least;
  };
  CHECK(least_between("alone") < 8ms);
  other.send("a message");
  CHECK(least_between("beside") >= 4 * 4ms);
}

TEST_CASE("files: step by step, each frame is acknowledged without waiting for more") {
  FileEnd end;
  end.session.syn.mode = OperationMode::step_by_step;
  end.session.syn.resume.reset();
  CHECK(end.session.connect() == "");
  end.session.begin_file(named("a"));
  for (int i = 0; i < 5; ++i) {
    end.session.send_fragment("some bytes");
    end.run(20ms);
    CHECK(end.session.acknowledged == end.session.entry->received.through);
  }
}

TEST_CASE("files: a client of which many wait for their place waits alone") {
  FileEnd end;
  bool is_blocked = true;
  end.disk.fault = [&](const FileOp& op, const std::string&) {
    return is_blocked && op.kind == FileOp::Kind::move_file && op.target.starts_with("/store/inbox/web-1/") ? EACCES
                                                                                                            : 0;
  };
  for (std::size_t i = 0; i < kInboxFilesOfClientMax + 10; ++i) {
    end.session.send_file(named("file-" + std::to_string(i)), {});
    if (i % 50 == 49) end.run(200ms);
  }
  end.run(3s);
  REQUIRE(end.store->no_room("web-1") != nullptr);
  CHECK(end.store->no_room("web-1")->code == ErrorCode::inbox_blocked);
  CHECK(end.store->no_room("web-2") == nullptr);
  SessionEnd other(end, "web-2", "messages", MessageKind::file);
  REQUIRE(other.connect() == "");
  other.send_file(named("file"), as_bytes("content"));
  end.run(3s);
  CHECK(end.disk.exists("/store/inbox/web-2/files/file"));
  is_blocked = false;
  end.run(30s);
  CHECK(end.store->no_room("web-1") == nullptr);
}

TEST_CASE("files: while much is gathered, sessions of one client leave room to others") {
  FileEnd end;
  end.options.memory = 4u << 20;  // 1 MiB for files
  end.store->set_options(end.options);
  end.disk.latency = [](const Job&) { return Duration(1h); };  // nothing comes back
  std::vector<std::unique_ptr<SessionEnd>> greedy;
  for (int i = 0; i < 50; ++i) {
    greedy.push_back(std::make_unique<SessionEnd>(end, "web-2", "messages", MessageKind::file));
    REQUIRE(greedy.back()->connect() == "");
    greedy.back()->begin_file(named("file-" + std::to_string(i)));
  }
  end.store->flush();
  for (int turn = 0; turn < 100; ++turn)
    for (const auto& session : greedy)
      if (end.store->room(session->entry) > 0) session->send_fragment(std::string(16 * 1024, 'x'));
  CHECK(end.store->intake().held_bytes() <= (1u << 20) / 4 * 3);
  CHECK(end.store->room(greedy.front()->entry) == 0);
  CHECK(end.store->room(end.session.entry) > 0);
}
