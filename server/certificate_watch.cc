#include "server/certificate_watch.h"

namespace turnpike::server {

void CertificateWatch::watch(const std::string& certificate, const std::string& key) {
  watch(certificate_, certificate);
  watch(key_, key);
}

void CertificateWatch::watch(File& file, const std::string& path) {
  if (file.path == path) return;
  file.path = path;
  file.poll.reset();
  if (path.empty()) return;
  file.poll = std::make_unique<net::FilePoll>(
      loop_, path, interval_, [this] { settled_.arm(loop_.tick().mono + kSettling); });
}

}  // namespace turnpike::server
