// What is said while a transfer runs, and when. Quiet when it works; waiting is never silent: one line when the server
// is lost or cannot be reached, one when it is back, one an hour between; on a terminal a line of progress instead.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "client/congestion.h"
#include "client/shipper.h"
#include "client/tally.h"
#include "client/trouble.h"
#include "client/wording.h"
#include "proto/time.h"

namespace cproto::client {

// Where words go.
class Screen {
 public:
  virtual ~Screen() = default;
  virtual bool is_terminal() const = 0;
  // A line of its own.
  virtual void say(std::string_view line) = 0;
  // The line of progress, which the next one takes the place of; empty for none.
  virtual void show(std::string_view line) = 0;
};

class Progress final : public Shipper::Listener {
 public:
  struct Options {
    bool is_quiet = false;
    bool is_verbose = false;
    Noun noun{"message", "messages"};
  };

  Progress(Screen& screen, const Options& options, const Tally& tally, Instant start)
      : screen_(screen), options_(options), tally_(tally), start_(start) {}

  // The connection is gone or could not be had; the next attempt comes after `wait`, at the server `next` if that is
  // another one.
  void on_trouble(Instant now, const Trouble& trouble, Duration wait, const std::string& next, bool holds_writer);
  // Connected, but nothing becomes durable since `since`.
  void on_stall(Instant now, const std::string& where, Instant since, bool holds_writer);
  void on_established(const std::string& where, const SynAck& terms, const Congestion& congestion);
  // It works (again).
  void on_durable(Instant now, const std::string& where);
  void on_refused(const Tally::Refused& refused) override;
  void on_problem(const Problem& problem) override;
  void on_note(const std::string& sentence) override;
  // Keeps the line of progress fresh.
  void tick(Instant now);
  bool is_animated() const { return screen_.is_terminal() && !options_.is_quiet; }

 private:
  struct Outage {
    Instant since;
    Instant said_at;
    std::set<std::string> said;  // what of it: each server once
  };

  void show_file(Instant now);
  void mention(Instant now, Instant since, const std::string& key, const std::string& text);

  Screen& screen_;
  Options options_;
  const Tally& tally_;
  Instant start_;
  bool has_worked_ = false;
  std::optional<Outage> outage_;
  std::string waiting_;  // the line of progress during an outage
};

}  // namespace cproto::client
