// embed: turns files into one C++ source that implements signaling/assets.h. Run at build time by
// signaling/web/CMakeLists.txt:
//
//   turnpike_embed OUTPUT.cc FILE|NAME=FILE...
//
// A file is called by its own name, without folders, unless it is given another one.
// The ETag is made here, from the content, so the server hashes nothing while it runs.

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"

namespace turnpike {
namespace {

struct SourceFile {
  std::string name;
  std::string_view content_type;
  std::string content;
};

struct ContentType {
  std::string_view extension;
  std::string_view value;
};

constexpr std::array kContentTypes{
    ContentType{".css", "text/css; charset=utf-8"},
    ContentType{".html", "text/html; charset=utf-8"},
    ContentType{".js", "text/javascript; charset=utf-8"},
    ContentType{".json", "application/json"},
    ContentType{".map", "application/json"},
    ContentType{".png", "image/png"},
    ContentType{".svg", "image/svg+xml"},
    ContentType{".ts", "application/typescript; charset=utf-8"},
    ContentType{"/LICENSE", "text/plain; charset=utf-8"},
};

// Enough of the digest to tell any two versions of a page apart; a full one only makes heads
// longer.
constexpr std::size_t kETagBytes = 16;
constexpr std::size_t kBytesPerLine = 24;

std::string_view content_type_of(std::string_view name) {
  for (const ContentType& type : kContentTypes) {
    if (name.ends_with(type.extension)) return type.value;
  }
  return {};
}

std::optional<SourceFile> load(const std::string& argument) {
  const std::size_t equals = argument.find('=');
  const std::string path = equals == std::string::npos ? argument : argument.substr(equals + 1);
  SourceFile file;
  file.name = equals == std::string::npos ? path.substr(path.find_last_of('/') + 1)
                                          : argument.substr(0, equals);
  file.content_type = content_type_of(file.name);
  if (file.content_type.empty()) {
    std::fprintf(stderr, "embed: no content type is known for %s\n", path.c_str());
    return std::nullopt;
  }
  std::ifstream in(path, std::ios::binary);
  file.content.assign(std::istreambuf_iterator<char>(in), {});
  if (!in.is_open() || in.bad()) {
    std::fprintf(stderr, "embed: cannot read %s\n", path.c_str());
    return std::nullopt;
  }
  return file;
}

std::string etag_of(std::string_view content) {
  const Sha256Digest digest = sha256(as_bytes(content));
  return hex_encode(ByteView(digest).first(kETagBytes));
}

void write_bytes(std::ostream& out, std::size_t index, std::string_view content) {
  // A zero byte stands at the end: an empty file would otherwise be an array of no size.
  out << "constexpr std::array<std::uint8_t, " << content.size() + 1 << "> kContent" << index
      << "{\n";
  for (std::size_t at = 0; at < content.size(); at += kBytesPerLine) {
    for (const unsigned char byte : content.substr(at, kBytesPerLine)) out << int{byte} << ',';
    out << '\n';
  }
  out << "0};\n\n";
}

void write_table(std::ostream& out, const std::vector<SourceFile>& files) {
  out << "constexpr std::array<Asset, " << files.size() << "> kAssets{{\n";
  for (std::size_t index = 0; index < files.size(); ++index) {
    const SourceFile& file = files[index];
    out << "    {\"" << file.name << "\", \"" << file.content_type << "\", \"\\\""
        << etag_of(file.content) << "\\\"\",\n     ByteView(kContent" << index << ").first("
        << file.content.size() << ")},\n";
  }
  out << "}};\n\n";
}

void write_source(std::ostream& out, const std::vector<SourceFile>& files) {
  out << "// Made by tools/embed from signaling/web/. Do not edit.\n"
         "#include \"signaling/assets.h\"\n\n#include <algorithm>\n#include <array>\n\n"
         "namespace turnpike::signaling {\nnamespace {\n\n";
  for (std::size_t index = 0; index < files.size(); ++index) {
    write_bytes(out, index, files[index].content);
  }
  write_table(out, files);
  out << "}  // namespace\n\n"
         "const Asset* find_asset(std::string_view name) {\n"
         "  const auto found = std::lower_bound(\n"
         "      kAssets.begin(), kAssets.end(), name,\n"
         "      [](const Asset& asset, std::string_view wanted) { return asset.name < wanted; });\n"
         "  return found != kAssets.end() && found->name == name ? &*found : nullptr;\n"
         "}\n\n}  // namespace turnpike::signaling\n";
}

int run(const std::string& output, const std::vector<std::string>& inputs) {
  std::vector<SourceFile> files;
  for (const std::string& path : inputs) {
    std::optional<SourceFile> file = load(path);
    if (!file) return 1;
    files.push_back(std::move(*file));
  }
  std::sort(files.begin(), files.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.name < b.name; });
  const auto twice =
      std::adjacent_find(files.begin(), files.end(),
                         [](const SourceFile& a, const SourceFile& b) { return a.name == b.name; });
  if (twice != files.end()) {
    std::fprintf(stderr, "embed: two files are called %s\n", twice->name.c_str());
    return 1;
  }
  std::ofstream out(output, std::ios::binary | std::ios::trunc);
  write_source(out, files);
  out.close();
  if (!out) {
    std::fprintf(stderr, "embed: cannot write %s\n", output.c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace turnpike

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 2) {
    std::fprintf(stderr, "usage: turnpike_embed OUTPUT.cc FILE|NAME=FILE...\n");
    return 2;
  }
  return turnpike::run(arguments.front(), {arguments.begin() + 1, arguments.end()});
}
