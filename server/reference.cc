#include "server/reference.h"

#include <fmt/format.h>

#include <utility>

#include "server/coturn_keys.h"
#include "server/option_table.h"
#include "server/options.h"
#include "server/subcommands.h"

namespace turnpike::server {
namespace {

constexpr std::string_view kBegin = "<!-- made by turnpike-reference; edit the table instead -->\n";
constexpr std::string_view kEnd = "<!-- end of what turnpike-reference made -->\n";

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at).starts_with(from)) {
      result += to;
      at += from.size();
    } else {
      result += text[at++];
    }
  }
  return result;
}

// A cell of a table: a bar would end it, and what looks like a tag would vanish.
std::string cell(std::string_view text) {
  return replaced(replaced(text, "|", "\\|"), "<", "&lt;");
}

// roff: a backslash, a hyphen that must stay one when copied, and lines that look like requests.
std::string roff(std::string_view text) {
  std::string escaped = replaced(replaced(replaced(text, "\\", "\\e"), "-", "\\-"), "'", "\\(aq");
  if (escaped.starts_with('.')) escaped.insert(0, "\\&");
  return escaped;
}

std::string roff_description(const Option& option) {
  std::string text(option.help);
  if (option.arity == Arity::kRepeatable) text += " May be repeated.";
  if (!option.fallback.empty()) text += fmt::format(" Default: {}.", option.fallback);
  return roff(text);
}

std::string roff_entry(std::string_view name, std::string_view value) {
  const std::string bold = roff(fmt::format("--{}", name));
  return value.empty() ? fmt::format(".TP\n\\fB{}\\fR\n", bold)
                       : fmt::format(".TP\n\\fB{}\\fR \\fI{}\\fR\n", bold, roff(value));
}

std::string roff_commands() {
  std::string text;
  for (const Subcommand& one : subcommands()) {
    text += fmt::format(".TP\n\\fB{}\\fR\n{}\n", one.name, roff(one.help));
    if (one.options.empty()) continue;
    text += ".RS\n";
    for (const SubcommandOption& option : one.options) {
      text += roff_entry(option.name, option.value) + roff(option.help) + '\n';
    }
    text += ".RE\n";
  }
  return text;
}

std::string roff_options() {
  std::string text;
  for (const OptionGroup group : kGroupsInOrder) {
    text += fmt::format(".SS {}\n", title(group));
    for (const Option& option : option_table()) {
      if (option.group != group) continue;
      text += roff_entry(option.name, option.value) + roff_description(option) + '\n';
    }
  }
  return text;
}

constexpr std::string_view kDescription = R"(.SH DESCRIPTION
Turnpike relays media between browsers that cannot reach each other (STUN and TURN over UDP, TCP,
TLS and DTLS) and lets them find each other in rooms (WebSocket and HTTP), all on the same ports.
.PP
Without options it listens on port 3478 of every address, relays from the address that routes
outward, makes its own secrets at the first start, and prints what to paste and where to click.
Started as root, it binds its ports and continues as the user
.BR turnpike ,
or
.B nobody
where there is none.
.PP
Every option can be given on the command line, in the environment or in a file. The command line
wins over the environment, that over the file.
)";

constexpr std::string_view kAfterOptions = R"(.SH ENVIRONMENT
.TP
.B TURNPIKE_LISTENING_PORT
and so on: the name of an option in upper case, with _ for each hyphen. Lists are separated by
commas or line breaks, lists of secrets by line breaks only.
.TP
.B TURNPIKE_REALM__FILE
and so on: a file that holds the value, one a line for lists.
.SH FILES
.TP
.B \-\-config
JSON with comments, one object whose keys are names of options, or the turnserver.conf of coturn.
.TP
.I /var/lib/turnpike
Where generated secrets are kept, unless \fB\-\-state\-dir\fR says otherwise.
.SH SIGNALS
SIGTERM and SIGINT end the server, SIGHUP opens the log file anew, SIGUSR1 logs a line of counters.
.SH EXIT STATUS
.TP
.B 0
ended by a signal, or what was asked was printed
.TP
.B 1
the doctor has found a problem
.TP
.B 2
a mistake in the options or in a file of options
.TP
.B 3
cannot listen: a port is in use, or an address is not of this machine
.TP
.B 4
certificate or key unreadable or not fitting
.TP
.B 5
state directory or a secret file not usable
.TP
.B 6
could not give up root
.SH EXAMPLES
.nf
turnpike \-\-external\-ip 203.0.113.10/10.0.0.4 \-\-public\-host turn.example.org
turnpike \-\-config /etc/turnpike/turnpike.json \-\-check\-config
turnpike \-\-config /etc/turnserver.conf
turnpike credentials \-\-config /etc/turnpike/turnpike.json \-\-user\-id bob \-\-ttl 3600
.fi
.SH SEE ALSO
RFC 8489 (STUN), RFC 8656 (TURN)
)";

std::string default_of(const Option& option) {
  if (!option.fallback.empty()) return std::string(option.fallback);
  return option.arity == Arity::kFlag ? "off" : "none";
}

// A flag and what it does, for a shell: without what would end the text.
std::string for_shell(std::string_view text) {
  std::string plain;
  for (const char c : text) {
    if (c == '\'' || c == '"' || c == '`' || c == '$' || c == '\\' || c == '[' || c == ']')
      continue;
    if (c == ':') plain += '\\';
    plain += c;
  }
  return plain;
}

std::string_view first_sentence(std::string_view help) { return help.substr(0, help.find(". ")); }

bool names_file(const Option& option) { return option.value == "FILE" || option.value == "DIR"; }

}  // namespace

std::string man_page(std::string_view date) {
  return fmt::format(
             ".TH TURNPIKE 8 {} \"turnpike {}\" \"System Manager\\(aqs Manual\"\n"
             ".SH NAME\nturnpike \\- STUN/TURN relay and WebRTC room signaling\n"
             ".SH SYNOPSIS\n.B turnpike\n[\\fIcommand\\fR] [\\fIoptions\\fR]\n",
             date, version()) +
         std::string(kDescription) + ".SH COMMANDS\n" + roff_commands() + ".SH OPTIONS\n" +
         roff_options() + std::string(kAfterOptions);
}

std::string options_markdown() {
  std::string text(kBegin);
  for (const OptionGroup group : kGroupsInOrder) {
    text += fmt::format(
        "\n### {}: all options\n\n| option | environment | default | help |\n"
        "| --- | --- | --- | --- |\n",
        title(group));
    for (const Option& option : option_table()) {
      if (option.group != group) continue;
      const std::string value = option.value.empty() ? "" : fmt::format(" {}", option.value);
      const std::string_view more = option.arity == Arity::kRepeatable ? " (repeatable)" : "";
      const std::string variable =
          asks_only(option) ? "" : fmt::format("`{}`", environment_name(option.name));
      text += fmt::format("| `--{}{}`{} | {} | {} | {} |\n", option.name, cell(value), more,
                          variable, cell(default_of(option)), cell(option.help));
    }
  }
  return text + '\n' + std::string(kEnd);
}

std::string coturn_markdown() {
  std::string text(kBegin);
  text += "\n| key | | here | |\n| --- | --- | --- | --- |\n";
  for (const CoturnKey& key : coturn_keys()) {
    const std::string option = key.option.empty() ? "" : fmt::format("`--{}`", key.option);
    text += fmt::format("| `{}` | {} | {} | {} |\n", key.name, to_word(key.verdict), option,
                        cell(key.note));
  }
  text += "\nDefaults that are coturn's where the file is silent:\n\n";
  for (const CoturnDefault& one : coturn_defaults()) {
    text += fmt::format("- `{}={}`: {}.\n", one.option, one.value, one.reason);
  }
  return text + '\n' + std::string(kEnd);
}

std::string bash_completion() {
  std::string names;
  std::string files;
  std::string others;
  for (const Option& option : option_table()) {
    names += fmt::format("{}--{}", names.empty() ? "" : " ", option.name);
    if (option.arity == Arity::kFlag) continue;
    std::string& list = names_file(option) ? files : others;
    list += fmt::format("{}--{}", list.empty() ? "" : "|", option.name);
  }
  std::string commands;
  std::string cases;
  for (const Subcommand& one : subcommands()) {
    commands += fmt::format("{}{}", commands.empty() ? "" : " ", one.name);
    std::string own;
    for (const SubcommandOption& option : one.options) {
      own += fmt::format(" --{}", option.name);
      if (!option.value.empty()) others += fmt::format("|--{}", option.name);
    }
    if (!own.empty()) cases += fmt::format("    {}) names+=\"{}\" ;;\n", one.name, own);
  }
  return fmt::format(R"(# bash completion for turnpike(8)
_turnpike() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
  local names="{}"
  case $previous in
    {})
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return ;;
    {})
      return ;;
  esac
  case ${{COMP_WORDS[1]}} in
{}  esac
  if ((COMP_CWORD == 1)); then names+=" {}"; fi
  mapfile -t COMPREPLY < <(compgen -W "$names" -- "$current")
}}
complete -o filenames -F _turnpike turnpike
)",
                     names, files, others, cases, commands);
}

std::string zsh_completion() {
  std::string commands;
  std::string cases;
  for (const Subcommand& one : subcommands()) {
    commands += fmt::format("{}{}", commands.empty() ? "" : " ", one.name);
    if (one.options.empty()) continue;
    cases += fmt::format("  {})\n    own=(", one.name);
    for (const SubcommandOption& option : one.options) {
      cases +=
          fmt::format("\n      '--{}[{}]{}'", option.name, for_shell(first_sentence(option.help)),
                      option.value.empty() ? "" : fmt::format(":{}:", option.value));
    }
    cases += ") ;;\n";
  }
  std::string text = fmt::format(
      "#compdef turnpike\nlocal -a own\ncase $words[2] in\n{}esac\n_arguments $own \\\n"
      "  '1::command:({})' \\\n",
      cases, commands);
  for (const Option& option : option_table()) {
    const std::string_view star = option.arity == Arity::kRepeatable ? "*" : "";
    const std::string value = option.arity == Arity::kFlag ? ""
                              : names_file(option)
                                  ? fmt::format(":{}:_files", for_shell(option.value))
                                  : fmt::format(":{}:", for_shell(option.value));
    text += fmt::format("  '{}--{}[{}]{}' \\\n", star, option.name,
                        for_shell(first_sentence(option.help)), value);
  }
  return text + "  && return 0\n";
}

std::string with_section(std::string_view page, std::string_view section) {
  const std::size_t begin = page.find(kBegin);
  const std::size_t end = page.find(kEnd);
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return "";
  return std::string(page.substr(0, begin)) + std::string(section) +
         std::string(page.substr(end + kEnd.size()));
}

}  // namespace turnpike::server
