#include "server/secret_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/digest.h"
#include "base/text.h"
#include "net/descriptor.h"

namespace turnpike::server {

Expected<OptionFile> read_option_file(const std::string& path) {
  const net::Descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened) return failure(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  OptionFile file;
  struct stat status {};
  if (::fstat(opened.get(), &status) == 0 && S_ISREG(status.st_mode)) {
    file.others_may_read = (status.st_mode & S_IROTH) != 0;
  }
  // Grown by hand, so that no copy of a secret stays behind in freed memory.
  std::array<char, 4096> block;
  file.content.reserve(kMaxOptionFile + block.size());
  ssize_t got = 0;
  while (file.content.size() <= kMaxOptionFile) {
    got = ::read(opened.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    file.content.append(block.data(), static_cast<std::size_t>(got));
  }
  const int reason = errno;
  wipe(MutableBytes(reinterpret_cast<std::uint8_t*>(block.data()), block.size()));
  if (got < 0) return failure(fmt::format("cannot read {}: {}", path, std::strerror(reason)));
  if (file.content.size() > kMaxOptionFile) {
    return failure(fmt::format("{} is larger than 1 MiB: is it the right file?", path));
  }
  return file;
}

Expected<SecretFile> read_secret_file(const std::string& path) {
  auto file = read_option_file(path);
  if (!file) return unexpected(std::move(file.error()));
  SecretFile secrets;
  secrets.others_may_read = file->others_may_read;
  std::size_t number = 0;
  for (const std::string_view line : split(file->content, '\n')) {
    ++number;
    const std::string_view text = trim(line);
    if (text.empty() || text.front() == '#') continue;
    secrets.lines.push_back({number, std::string(text)});
  }
  wipe(file->content);
  if (secrets.lines.empty()) {
    return failure(fmt::format("{} is empty: write one secret on each line", path));
  }
  return secrets;
}

}  // namespace turnpike::server
