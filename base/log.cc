#include "base/log.h"

#include <spdlog/async.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>

#include "base/log_sink.h"

namespace turnpike::log {
namespace {

// A burst beyond this loses its oldest lines; a loop never waits for the terminal.
constexpr std::size_t kQueuedLines = 8192;

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// Lives until the process ends, so that a line written late still finds a logger.
struct Loggers {
  std::shared_ptr<Sink> sink = std::make_shared<Sink>();
  spdlog::logger direct{"direct", sink};
  std::atomic<Format> format{Format::kText};
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::logger> asynchronous;
  std::atomic<spdlog::logger*> current{&direct};
};
Loggers& loggers() {
  static auto* const instance = new Loggers;
  return *instance;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

void send(Level level, std::string_view line) {
  loggers().current.load()->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

void start(Level level) {
  Settings settings;
  settings.level = level;
  start(settings);
}

void start(const Settings& settings) {
  Loggers& all = loggers();
  all.sink->configure(settings);
  all.format.store(settings.format);
  if (!all.pool) {
    all.pool = std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1);
    all.asynchronous = std::make_shared<spdlog::async_logger>(
        "async", all.sink, all.pool, spdlog::async_overflow_policy::overrun_oldest);
  }
  set_level(settings.level);
  all.current.store(all.asynchronous.get());
}

void stop() {
  Loggers& all = loggers();
  all.current.store(&all.direct);
  // The pool's thread writes what is queued, then ends. The logger stays for a line that is on its
  // way through it on another thread.
  all.pool.reset();
}

void set_level(Level level) {
  Loggers& all = loggers();
  all.direct.set_level(to_spdlog(level));
  if (all.asynchronous) all.asynchronous->set_level(to_spdlog(level));
}

bool enabled(Level level) { return loggers().current.load()->should_log(to_spdlog(level)); }

void write(Level level, std::string_view line) {
  if (std::none_of(line.begin(), line.end(), is_control)) return send(level, line);
  send(level, without_controls(line));
}

void event(Level level, std::string_view sentence, Fields fields) {
  if (!enabled(level)) return;
  send(level,
       without_controls(sentence) + kFieldSeparator + render(loggers().format.load(), fields));
}

void reopen() { loggers().sink->reopen(); }

void give_file_to(uid_t user, gid_t group) { loggers().sink->give_file_to(user, group); }

}  // namespace turnpike::log
