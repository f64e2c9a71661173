#include "base/log.h"

#include <spdlog/async.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>

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

spdlog::sink_ptr make_sink() {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  sink->set_formatter(std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                                                                  spdlog::pattern_time_type::utc));
  return sink;
}

// Lives until the process ends, so that a line written late still finds a logger.
struct Loggers {
  spdlog::sink_ptr sink = make_sink();
  spdlog::logger direct{"direct", sink};
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::logger> asynchronous;
  std::atomic<spdlog::logger*> current{&direct};
};
Loggers& loggers() {
  static auto* const instance = new Loggers;
  return *instance;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

}  // namespace

void start(Level level) {
  Loggers& all = loggers();
  if (!all.pool) {
    all.pool = std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1);
    all.asynchronous = std::make_shared<spdlog::async_logger>(
        "async", all.sink, all.pool, spdlog::async_overflow_policy::overrun_oldest);
  }
  set_level(level);
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
  spdlog::logger& logger = *loggers().current.load();
  const spdlog::string_view_t view(line.data(), line.size());
  if (std::none_of(line.begin(), line.end(), is_control)) {
    logger.log(to_spdlog(level), view);
    return;
  }
  // A name that a stranger chose must not be able to write a line of its own.
  std::string clean(line);
  std::replace_if(clean.begin(), clean.end(), is_control, '?');
  logger.log(to_spdlog(level), spdlog::string_view_t(clean));
}

}  // namespace turnpike::log
