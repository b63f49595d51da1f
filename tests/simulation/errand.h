// What a simulated cproto-send is told to send, those who write it, and what must have arrived for it: the texts of the
// command, lines that come through a pipe, the lines of a file, a log that is written and rotated, files.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/options.h"
#include "tests/simulation/client_machine.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/world.h"
#include "tests/support/memory_files.h"

namespace cproto::sim {

class Errand {
 public:
  enum class Kind { texts, pipe, lines, follow, files };

  // The `number`-th of this client, with at most `plan.messages` messages.
  Errand(World& world, test::MemoryFiles& files, unsigned client, unsigned number, const ClientPlan& plan);

  Kind kind() const { return kind_; }
  unsigned number() const { return number_; }
  // The command line.
  const client::Options& options() const { return options_; }
  const std::shared_ptr<Pipe>& pipe() const { return pipe_; }
  // What is left of it when the process is killed can be gone on with.
  bool survives() const { return kind_ == Kind::lines || kind_ == Kind::follow || kind_ == Kind::files; }
  // Nobody writes any more.
  bool is_written() const { return left_to_write_ == 0 && rest_.empty(); }
  std::size_t messages() const { return sent().messages.size(); }
  // The client has seen the log: what is rotated away from now on is its to send.
  void on_begun() { is_begun_ = true; }
  // Of a log: those of its lines that the client knows to be durable, so that they may go.
  void on_durable(std::uint64_t messages) { durable_ = std::max(durable_, messages); }
  bool has_durable() const { return durable_ > 0; }

  // Somebody writes a little more, or rotates the log.
  void write();
  // Between two runs of the command: what does not change under it may.
  void change();

  SentSession& sent() const { return world_.ledger.session(client_, number_); }
  // The first so many are there for certain, but those that the client was told were refused; the others may be.
  void expect_first(std::uint64_t messages, const std::vector<std::string>& told);
  // The client's power was cut when it had said `told` sentences: what they were about may be forgotten, and a file
  // that was refused then may have been sent once more.
  void on_power_cut(std::size_t told) { told_before_cut_ = told; }
  // All of them are, but those that the client was told were refused. `told` is every sentence it heard. Returns what
  // is wrong, or nothing.
  std::string expect_all(const std::vector<std::string>& told);
  std::size_t too_large() const;
  // Whether its log is rotated by copying and truncating it.
  bool copies() const { return copies_; }

 private:
  struct Rotated {
    std::string path;
    std::uint64_t lines_through = 0;  // of the errand, up to its end
  };
  SentMessage& add_message(std::size_t size);
  Bytes next_line();
  void write_lines(std::size_t count);
  void rotate();
  std::size_t draw_size();
  void place_file(const SentMessage& message);
  std::string expect_files(const std::vector<std::string>& told);
  static bool is_refusal(const std::string& line, const SentMessage& file);
  bool is_there(const SentMessage& file) const;

  World& world_;
  Random& random_;
  test::MemoryFiles& files_;
  unsigned client_;
  unsigned number_;
  double large_;
  Kind kind_;
  client::Options options_;
  std::shared_ptr<Pipe> pipe_ = std::make_shared<Pipe>();
  std::size_t left_to_write_ = 0;
  std::string path_;              // of the log, or of the file of lines
  Bytes rest_;                    // of a line that was written in part
  std::string written_last_;      // the log that is written to: after a rotation the old one may be, for a moment
  std::vector<Rotated> rotated_;  // the newest last
  bool rotates_ = false;
  bool is_begun_ = false;
  bool copies_ = false;  // and truncates, instead of renaming
  std::uint64_t durable_ = 0;
  std::size_t told_before_cut_ = 0;
};

}  // namespace cproto::sim
