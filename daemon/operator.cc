#include "daemon/operator.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "config/wording.h"
#include "daemon/exit_status.h"
#include "daemon/metrics.h"
#include "daemon/session_name.h"

namespace cproto {

namespace {

Reply usage(const std::string& sentence) { return {exit_status::kUsage, sentence + "; see cprotoctl --help\n"}; }

std::string by_whom(const Request& request) { return " (cprotoctl, uid " + std::to_string(request.user) + ")"; }

}  // namespace

// A request taken apart: flags, the command, its operands.
struct Operator::Words {
  explicit Words(const Request& request) {
    for (const std::string& word : request.words) {
      if (word.starts_with("--")) {
        flags.push_back(word);
      } else if (command.empty()) {
        command = word;
      } else {
        operands.push_back(word);
      }
    }
  }
  bool has(const char* flag) const { return std::find(flags.begin(), flags.end(), flag) != flags.end(); }
  Form form() const { return has("--json") ? Form::json : Form::text; }
  std::string operand() const { return operands.empty() ? "" : operands.front(); }

  std::vector<std::string> flags;
  std::string command;
  std::vector<std::string> operands;
};

void Operator::handle(const Request& request, const Answer& answer) {
  const Words words(request);
  const bool names_one = words.operands.size() == 1;
  if (words.command == "status") return answer({0, status_report(hooks_.view(), words.form())});
  if (words.command == "sessions")
    return answer({0, sessions_report(hooks_.view(), {words.operand(), words.has("--unfinished")}, words.form())});
  if (words.command == "metrics") return answer({0, metrics_text(hooks_.view())});
  if (words.command == "verify") return verify(answer);
  if (words.command == "reload") return answer(hooks_.reload());
  if (words.command == "drain") return hooks_.drain(answer);
  if (words.command == "why" && names_one) return answer({0, why_report(hooks_.view(), words.operand(), words.form())});
  if (words.command == "kick" && names_one) return answer(kick(request, words.operand()));
  if (words.command == "forget" && names_one) return answer(forget(request, words.operand()));
  answer(usage("\"" + words.command + "\" is no command, or lacks its operand"));
}

Reply Operator::kick(const Request& request, const std::string& whom) {
  std::string text;
  std::size_t found = 0;
  store_.visit_sessions(whom, [&](SessionEntry& entry) {
    ++found;
    if (entry.holder == nullptr) return;
    const std::string session = short_name(entry.id);
    const std::string client = entry.client_id;
    const std::string peer(entry.holder->view().peer);
    log_.info(LogEvent::client_kicked,
              client + " (" + peer + ") session " + session + " is sent away" + by_whom(request),
              {.client = client, .session = session, .peer = peer});
    entry.holder->on_kicked();
    text += client + " (" + peer + ") session " + session + ": connection closed; the client comes back by itself\n";
  });
  if (!text.empty()) return {0, text};
  return {exit_status::kUsage,
          found == 0 ? "no client or session is called " + whom + "\n" : whom + " is not connected\n"};
}

Reply Operator::forget(const Request& request, const std::string& session) {
  Reply reply{exit_status::kUsage, "no session is called " + session + " (see cprotoctl sessions)\n"};
  store_.visit_sessions(session, [&](SessionEntry& entry) {
    const std::string name = short_name(entry.id);
    if (name != session) {
      reply.text = session + " is a client; name one of its sessions (see cprotoctl sessions " + session + ")\n";
    } else if (entry.holder != nullptr) {
      reply.text = "session " + name + " has a connection; first: cprotoctl kick " + name + "\n";
    } else {
      const std::string client = entry.client_id;
      reply = {0, client + " session " + name + " is forgotten, at " +
                      counted(entry.durable.messages, {"message", "messages"}) +
                      "; should the client come back, it is refused (unknown_session)\n"};
      log_.warn(LogEvent::session_forgotten, client + " session " + name + " is forgotten" + by_whom(request),
                {.client = client, .session = name});
      store_.forget(entry);
    }
  });
  return reply;
}

void Operator::verify(const Answer& answer) {
  if (std::exchange(is_verifying_, true))
    return answer({exit_status::kTemporaryFailure, "the journal is being verified already; ask again later\n"});
  const auto damage = std::make_shared<std::string>();
  const bool is_begun =
      store_.verify([damage](const std::string& sentence) { *damage += sentence + "\n"; },
                    [this, damage, answer](std::uint64_t batches) {
                      is_verifying_ = false;
                      const std::string read = counted(batches, {"batch", "batches"}) + " of the journal read";
                      if (damage->empty()) return answer({0, read + "; every checksum agrees\n"});
                      answer({exit_status::kDataError, *damage + read + "; damaged\n"});
                    });
  if (is_begun) return;
  is_verifying_ = false;
  answer({exit_status::kUsage, "there is no journal here: the stream keeps what was received\n"});
}

}  // namespace cproto
