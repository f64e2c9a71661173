// Everything that is written about the options and made from their table: the manual page, the
// reference sections of the documentation, shell completion. The program turnpike-reference prints
// them; tests compare the documentation with them. Pure.
#pragma once

#include <string>
#include <string_view>

namespace turnpike::server {

std::string man_page(std::string_view date);  // roff, man(7)
std::string options_markdown();               // the section of docs/configuration.md
std::string coturn_markdown();                // the section of docs/migration-from-coturn.md
std::string bash_completion();
std::string zsh_completion();

// `page` with what stands between the two marks of a section replaced; empty where a mark is
// missing.
std::string with_section(std::string_view page, std::string_view section);

}  // namespace turnpike::server
