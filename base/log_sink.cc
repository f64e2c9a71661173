#include "base/log_sink.h"

#include <fmt/format.h>
#include <syslog.h>
#include <unistd.h>

#include <string>

#include "base/journal.h"

namespace turnpike::log {
namespace {

int priority_of(Level level) {
  switch (level) {
    case Level::kDebug:
      return LOG_DEBUG;
    case Level::kInfo:
      return LOG_INFO;
    case Level::kWarning:
      return LOG_WARNING;
    case Level::kError:
      return LOG_ERR;
  }
  return LOG_INFO;
}

Level level_of(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return Level::kDebug;
    case spdlog::level::warn:
      return Level::kWarning;
    case spdlog::level::err:
    case spdlog::level::critical:
      return Level::kError;
    default:
      return Level::kInfo;
  }
}

// A terminal or a journal that is gone is nothing that could be told to anybody.
void write_to_standard_error(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

Sink::Sink() : journal_(is_read_by_journal(STDERR_FILENO)) {}

void Sink::configure(const Settings& settings) {
  const std::lock_guard lock(mutex_);
  settings_ = settings;
  file_.reset();
  if (settings_.syslog) {
    ::openlog("turnpike", LOG_PID | LOG_NDELAY, LOG_DAEMON);
  } else if (!settings_.file.empty()) {
    file_ = std::make_unique<LogFile>(settings_.file);
    pass_on_complaint();
  }
}

void Sink::give_file_to(uid_t user, gid_t group) {
  const std::lock_guard lock(mutex_);
  if (!file_) return;
  file_->give_to(user, group);
  pass_on_complaint();
}

void Sink::sink_it_(const spdlog::details::log_msg& message) {
  const std::string_view payload(message.payload.data(), message.payload.size());
  const std::size_t end = payload.find(kFieldSeparator);
  Line line{message.time, level_of(message.level), payload.substr(0, end),
            end == std::string_view::npos ? "" : payload.substr(end + 1)};
  std::string sentence;
  std::string fields;
  if (settings_.addresses == Addresses::kCut) {
    sentence = without_addresses(line.sentence);
    fields = without_addresses(line.fields);
    line.sentence = sentence;
    line.fields = fields;
  }
  if (settings_.syslog) return to_syslog(line);
  if (file_) return to_file(line);
  to_standard_error(line);
}

std::string Sink::dressed(const Line& line, Head head) const {
  return settings_.format == Format::kJson ? to_json(line) : to_text(line, head);
}

void Sink::to_standard_error(const Line& line) {
  const std::string mark = journal_ ? fmt::format("<{}>", priority_of(line.level)) : "";
  write_to_standard_error(mark + dressed(line, journal_ ? Head::kNone : Head::kFull) + "\n");
}

void Sink::to_file(const Line& line) {
  if (reopen_.exchange(false)) file_->reopen();
  if (lost_ > 0) {
    const std::string sentence = fmt::format("{} lines before this one were lost", lost_);
    const Line told{line.time, Level::kWarning, sentence, ""};
    if (file_->write(dressed(told, Head::kFull) + "\n", line.time)) lost_ = 0;
  }
  if (lost_ > 0 || !file_->write(dressed(line, Head::kFull) + "\n", line.time)) ++lost_;
  pass_on_complaint();
}

void Sink::to_syslog(const Line& line) {
  ::syslog(priority_of(line.level), "%s", dressed(line, Head::kNone).c_str());
}

void Sink::pass_on_complaint() {
  const std::string complaint = file_->take_complaint();
  if (complaint.empty()) return;
  const std::string mark = journal_ ? fmt::format("<{}>", LOG_ERR) : "turnpike: ";
  write_to_standard_error(mark + complaint + "\n");
}

}  // namespace turnpike::log
