#include "server/hook_desk.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace turnpike::server {

using Status = HookCache::View::Status;
using MayAsk = HookCache::MayAsk;

HookDesk::HookDesk(Wiring wiring)
    : wiring_(std::move(wiring)), throttle_(wiring_.pace.per_second, wiring_.pace.burst) {}

turn::UserDirectory::Finding HookDesk::find(const Question& question, Tick now) {
  using Answer = turn::Credentials::Keys::Status;
  Finding finding;
  // JSON could not say this name; and the service gives MD5 keys.
  if (!is_valid_utf8(question.username) || question.algorithm != stun::PasswordAlgorithm::kMd5) {
    return finding;
  }
  HookCache::View view =
      wiring_.cache.look(question.username, wiring_.worker, now.mono, MayAsk::kNo);
  if (view.status == Status::kAbsent || view.ask) view = ask(question, view, now);
  switch (view.status) {
    case Status::kKnown:
      finding.keys.status = Answer::kKnown;
      finding.keys.keys[finding.keys.count++] = stun::Key(view.user.key);
      finding.expires = view.user.expires;
      break;
    case Status::kUnknown:
      break;
    case Status::kPending:
      finding.keys.status = keep(question, now.mono) ? Answer::kPending : Answer::kFailed;
      break;
    case Status::kAbsent:
    case Status::kFailed:
      finding.keys.status = Answer::kFailed;
      break;
  }
  return finding;
}

HookCache::View HookDesk::ask(const Question& question, const HookCache::View& seen, Tick now) {
  if (!throttle_.allow(question.path.remote.ip, now.mono)) return seen;
  const HookCache::View view =
      wiring_.cache.look(question.username, wiring_.worker, now.mono, MayAsk::kYes);
  if (!view.ask) return view;
  const HookQuery query{question.username, wiring_.realm, question.path};
  if (wiring_.ask({std::string(question.username), hook_body(query)})) return view;
  (void)wiring_.cache.settle(question.username, {}, now.mono);
  return view.status == Status::kKnown ? view : HookCache::View{Status::kFailed, {}};
}

// False: there is no room, or another request of the same connection waits already.
bool HookDesk::keep(const Question& question, MonoTime now) {
  const bool stream = turn::is_stream(question.path.transport);
  if (question.message.size() > kMaxRequest) return !stream;
  if (paths_.size() >= kMaxKept) drop_forgotten(now);
  if (paths_.size() >= kMaxKept) return !stream;
  if (!paths_.insert(question.path).second) return !stream;
  waiting_[std::string(question.username)].push_back(
      {question.path, {question.message.begin(), question.message.end()}, now});
  return true;
}

std::vector<HookDesk::Kept> HookDesk::take(std::string_view username) {
  const auto found = waiting_.find(std::string(username));
  if (found == waiting_.end()) return {};
  std::vector<Kept> kept = std::move(found->second);
  waiting_.erase(found);
  for (const Kept& one : kept) paths_.erase(one.path);
  return kept;
}

// Every answer is told to the worker, unless its mailbox was full.
void HookDesk::drop_forgotten(MonoTime now) {
  for (auto user = waiting_.begin(); user != waiting_.end();) {
    std::erase_if(user->second, [&](const Kept& one) {
      const bool forgotten = one.since + kKeepTime <= now;
      if (forgotten) paths_.erase(one.path);
      return forgotten;
    });
    user = user->second.empty() ? waiting_.erase(user) : std::next(user);
  }
}

}  // namespace turnpike::server
