#include "server/certificate_watch.h"

#include <algorithm>

namespace turnpike::server {

void CertificateWatch::watch(const std::vector<std::string>& files) {
  std::erase_if(polls_, [&](const auto& poll) {
    return std::find(files.begin(), files.end(), poll.first) == files.end();
  });
  for (const std::string& file : files) {
    auto& poll = polls_[file];
    if (poll) continue;
    poll = std::make_unique<net::FilePoll>(loop_, file, interval_,
                                           [this] { settled_.arm(loop_.tick().mono + kSettling); });
  }
}

}  // namespace turnpike::server
