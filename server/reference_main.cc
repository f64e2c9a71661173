// turnpike-reference, which builds and maintainers run: prints the manual page (man DATE) or shell
// completion (bash, zsh), or brings the generated section of a page of the documentation up to date
// (configuration FILE, migration FILE).
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "server/reference.h"

namespace {

using namespace turnpike::server;

int update(const char* path, const std::string& section) {
  std::string page;
  {
    std::ifstream file(path);
    page.assign(std::istreambuf_iterator<char>(file), {});
  }
  const std::string updated = with_section(page, section);
  if (updated.empty()) {
    fmt::print(stderr, "turnpike-reference: {} has no section to replace\n", path);
    return 1;
  }
  if (updated != page) std::ofstream(path) << updated;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view wish = argc > 1 ? argv[1] : "";
  const char* more = argc > 2 ? argv[2] : "";
  if (wish == "configuration") return update(more, options_markdown());
  if (wish == "migration") return update(more, coturn_markdown());
  if (wish == "man") {
    fmt::print("{}", man_page(more));
  } else if (wish == "bash") {
    fmt::print("{}", bash_completion());
  } else if (wish == "zsh") {
    fmt::print("{}", zsh_completion());
  } else {
    fmt::print(stderr,
               "turnpike-reference man DATE | bash | zsh | configuration FILE | "
               "migration FILE\n");
    return 2;
  }
  return 0;
}
