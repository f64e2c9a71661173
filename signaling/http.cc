#include "signaling/http.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <utility>

#include "base/check.h"
#include "base/text.h"

namespace turnpike::signaling::http {

namespace beast = boost::beast;
using ErrorCode = boost::system::error_code;
using State = RequestParser::State;

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = lower(c);
  return result;
}

Method method_of(beast::http::verb verb) {
  switch (verb) {
    case beast::http::verb::get:
      return Method::kGet;
    case beast::http::verb::head:
      return Method::kHead;
    case beast::http::verb::post:
      return Method::kPost;
    case beast::http::verb::put:
      return Method::kPut;
    case beast::http::verb::patch:
      return Method::kPatch;
    case beast::http::verb::delete_:
      return Method::kDelete;
    case beast::http::verb::options:
      return Method::kOptions;
    default:
      return Method::kOther;
  }
}

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Beast's parser, with the fields collected in a Request and our refusals in `status`.
class Grammar final : public beast::http::basic_parser<true> {
 public:
  Request request;
  unsigned status = 0;
  bool expects_continue = false;

 private:
  using string_view = beast::string_view;

  void refuse(unsigned why, ErrorCode& error) {
    status = why;
    error = make_error_code(boost::system::errc::protocol_error);
  }
  void on_request_impl(beast::http::verb verb, string_view method, string_view target, int version,
                       ErrorCode& error) override {
    request.method = method_of(verb);
    request.target.assign(target.data(), target.size());
    request.is_http_1_0 = version == 10;
    if (version != 10 && version != 11) return refuse(505, error);
    // No proxy: neither "CONNECT host:port" nor "GET http://host/" (RFC 9112 section 3.2).
    const bool asterisk = request.method == Method::kOptions && target == "*";
    const bool origin = !target.empty() && target.front() == '/';
    const bool printable = std::all_of(target.begin(), target.end(),
                                       [](char c) { return c > ' ' && c < 0x7f && c != '#'; });
    if ((!origin && !asterisk) || !printable) return refuse(400, error);
    if (method.empty() || request.method == Method::kOther) return refuse(501, error);
  }
  void on_field_impl(beast::http::field, string_view name, string_view value,
                     ErrorCode& error) override {
    if (is_header_done()) return refuse(400, error);  // trailers: nobody here asked for any
    if (request.headers.size() >= RequestParser::kMaxHeaders) return refuse(431, error);
    request.headers.push_back({lower({name.data(), name.size()}), {value.data(), value.size()}});
  }
  void on_header_impl(ErrorCode& error) override {
    request.keep_alive = keep_alive();
    if (const unsigned why = judge_framing(); why != 0) return refuse(why, error);
    if (request.count("host") > 1 || (!request.is_http_1_0 && request.count("host") == 0)) {
      return refuse(400, error);
    }
    if (const auto expect = request.header("expect")) {
      if (!equals_ignoring_case(*expect, "100-continue")) return refuse(417, error);
      expects_continue = !request.is_http_1_0;
    }
  }
  // RFC 9112 section 6.3 lets a recipient repair some of these; we refuse them all.
  unsigned judge_framing() const {
    const std::size_t lengths = request.count("content-length");
    const std::size_t codings = request.count("transfer-encoding");
    if (lengths + codings > 1) return 400;
    if (codings == 1 && (request.is_http_1_0 ||
                         !equals_ignoring_case(*request.header("transfer-encoding"), "chunked"))) {
      return 400;
    }
    if (lengths == 1) {
      const std::string_view text = *request.header("content-length");
      if (!is_digits(text)) return 400;
      const auto length = parse_decimal(text);
      if (!length || *length > RequestParser::kMaxBody) return 413;
    }
    return 0;
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}
  std::size_t on_body_impl(string_view body, ErrorCode& error) override {
    return add_to_body(body, error);
  }
  void on_chunk_header_impl(std::uint64_t size, string_view, ErrorCode& error) override {
    if (size > RequestParser::kMaxBody - request.body.size()) refuse(413, error);
  }
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, ErrorCode& error) override {
    return add_to_body(body, error);
  }
  std::size_t add_to_body(string_view body, ErrorCode& error) {
    if (body.size() > RequestParser::kMaxBody - request.body.size()) {
      refuse(413, error);
      return 0;
    }
    request.body.append(body.data(), body.size());
    return body.size();
  }
  void on_response_impl(int, string_view, int, ErrorCode&) override {}
  void on_finish_impl(ErrorCode&) override {}
};

// Looks at every byte of a head once, as it comes: finds its end and refuses what line based and
// byte based parsers read differently (a CR or LF alone, folded lines, control characters).
class HeadScanner {
 public:
  enum class Verdict : std::uint8_t { kGoOn, kEnd, kSkipBlankLine, kRefuse };

  unsigned status() const { return status_; }
  bool in_blank_prefix() const { return line_ == 0 && column_ == 0; }

  Verdict take(char c) {
    if (++size_ > RequestParser::kMaxHead) return refuse(431);
    if (after_cr_) {
      if (c != '\n') return refuse(400);
      after_cr_ = false;
      return end_line();
    }
    if (c == '\r') {
      after_cr_ = true;
      return Verdict::kGoOn;
    }
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f) return refuse(400);
    if (line_ == 0) return in_request_line(c);
    if (column_++ == 0 && (c == ' ' || c == '\t')) return refuse(400);
    return Verdict::kGoOn;
  }

 private:
  Verdict refuse(unsigned status) {
    status_ = status;
    return Verdict::kRefuse;
  }
  Verdict end_line() {
    const bool blank = column_ == 0;
    column_ = 0;
    if (!blank) {
      ++line_;
      return Verdict::kGoOn;
    }
    if (line_ > 0) return Verdict::kEnd;
    size_ = 0;
    if (++blank_lines_ > RequestParser::kMaxBlankLines) return refuse(400);
    return Verdict::kSkipBlankLine;
  }
  Verdict in_request_line(char c) {
    ++column_;
    if (c == ' ') {
      if (++blanks_ > 2) return refuse(400);
      return Verdict::kGoOn;
    }
    if (blanks_ == 0 && ++method_ > RequestParser::kMaxMethod) return refuse(400);
    if (blanks_ == 1 && ++target_ > RequestParser::kMaxTarget) return refuse(414);
    return Verdict::kGoOn;
  }

  std::size_t size_ = 0;
  std::size_t line_ = 0;
  std::size_t column_ = 0;
  std::size_t method_ = 0;
  std::size_t target_ = 0;
  std::size_t blanks_ = 0;
  std::size_t blank_lines_ = 0;
  bool after_cr_ = false;
  unsigned status_ = 400;
};

}  // namespace

class RequestParser::Impl {
 public:
  Impl() {
    grammar_.eager(true);
    grammar_.header_limit(kMaxHead);
    grammar_.body_limit(kMaxBody);
  }

  std::size_t feed(ByteView bytes) {
    std::size_t taken = 0;
    while (state == State::kNeedsMore && taken < bytes.size()) {
      const ByteView rest = bytes.subspan(taken);
      taken += head_done_ ? feed_body(rest) : feed_head(rest);
    }
    return taken;
  }
  bool untouched() const { return !head_done_ && scanner_.in_blank_prefix(); }
  bool take_expectation() {
    const bool waits = head_done_ && state == State::kNeedsMore && grammar_.expects_continue;
    grammar_.expects_continue = false;
    return waits;
  }
  Request take() {
    CHECK(state == State::kComplete);
    return std::move(grammar_.request);
  }

  State state = State::kNeedsMore;
  unsigned failure = 0;

 private:
  void fail(unsigned status) {
    state = State::kFailed;
    failure = status;
  }
  std::size_t feed_head(ByteView bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const char c = static_cast<char>(bytes[i]);
      waiting_.push_back(c);
      switch (scanner_.take(c)) {
        case HeadScanner::Verdict::kGoOn:
          break;
        case HeadScanner::Verdict::kSkipBlankLine:
          waiting_.clear();
          break;
        case HeadScanner::Verdict::kRefuse:
          fail(scanner_.status());
          return i + 1;
        case HeadScanner::Verdict::kEnd:
          parse_head();
          return i + 1;
      }
    }
    return bytes.size();
  }
  void parse_head() {
    head_done_ = true;
    parse(waiting_);
    waiting_.clear();
    waiting_.shrink_to_fit();
  }
  // A body of known length is taken as it comes; chunk lines must be whole for Beast, so what it
  // leaves waits for more.
  std::size_t feed_body(ByteView bytes) {
    if (grammar_.chunked()) {
      // More than one body's worth at a time would only be copied to be given back.
      bytes = bytes.first(std::min(bytes.size(), kMaxBody));
    }
    if (!grammar_.chunked()) return parse(as_text(bytes));
    const std::size_t waited = waiting_.size();
    waiting_.append(as_text(bytes));
    const std::size_t used = parse(waiting_);
    on_wire_ += used;
    if (state == State::kComplete) return used - waited;
    waiting_.erase(0, used);
    if (state == State::kNeedsMore && waiting_.size() > kMaxChunkLine) fail(400);
    if (state == State::kNeedsMore && on_wire_ > kMaxChunked) fail(413);
    return bytes.size();
  }
  std::size_t parse(std::string_view text) {
    std::size_t used = 0;
    ErrorCode error;
    // One put() stops at each boundary between chunks.
    while (!grammar_.is_done()) {
      const auto rest = text.substr(used);
      if (rest.empty()) break;
      used += grammar_.put(boost::asio::const_buffer(rest.data(), rest.size()), error);
      if (error) break;
    }
    if (error == beast::http::error::need_more) error = {};
    if (grammar_.status != 0) {
      fail(grammar_.status);
    } else if (error) {
      fail(status_of(error));
    } else if (grammar_.is_done()) {
      state = State::kComplete;
    }
    return used;
  }
  static unsigned status_of(const ErrorCode& error) {
    if (error == beast::http::error::body_limit) return 413;
    if (error == beast::http::error::header_limit) return 431;
    if (error == beast::http::error::bad_version) return 505;
    return 400;
  }

  Grammar grammar_;
  HeadScanner scanner_;
  std::string waiting_;  // the head, later an unfinished chunk line
  std::size_t on_wire_ = 0;
  bool head_done_ = false;
};

RequestParser::RequestParser() : impl_(std::make_unique<Impl>()) {}
RequestParser::~RequestParser() = default;
std::size_t RequestParser::feed(ByteView bytes) { return impl_->feed(bytes); }
RequestParser::State RequestParser::state() const { return impl_->state; }
unsigned RequestParser::failure() const { return impl_->failure; }
bool RequestParser::untouched() const { return impl_->untouched(); }
bool RequestParser::take_expectation() { return impl_->take_expectation(); }
Request RequestParser::take() { return impl_->take(); }

std::string_view Request::path() const {
  const std::string_view whole = target;
  return whole.substr(0, whole.find('?'));
}

std::string_view Request::query() const {
  const std::string_view whole = target;
  const std::size_t mark = whole.find('?');
  return mark == std::string_view::npos ? std::string_view{} : whole.substr(mark + 1);
}

std::optional<std::string_view> Request::header(std::string_view name) const {
  for (const Header& one : headers) {
    if (one.name == name) return one.value;
  }
  return std::nullopt;
}

std::size_t Request::count(std::string_view name) const {
  return static_cast<std::size_t>(std::count_if(headers.begin(), headers.end(),
                                                [&](const Header& h) { return h.name == name; }));
}

bool Request::lists(std::string_view name, std::string_view token) const {
  for (const Header& one : headers) {
    if (one.name != name) continue;
    for (const std::string_view element : split(one.value, ',')) {
      if (equals_ignoring_case(trim(element), token)) return true;
    }
  }
  return false;
}

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return std::nullopt;
    result.push_back(c);
  }
  return result;
}

std::string percent_encode(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  static constexpr std::string_view kMarks = "-._~";
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
                       kMarks.find(c) != std::string_view::npos;
    if (plain) {
      result.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    result.push_back('%');
    result.push_back(kDigits[byte >> 4]);
    result.push_back(kDigits[byte & 15]);
  }
  return result;
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  for (const std::string_view pair : split(query, '&')) {
    const std::size_t equals = pair.find('=');
    if (pair.substr(0, equals) != name) continue;
    std::string value(equals == std::string_view::npos ? std::string_view{}
                                                       : pair.substr(equals + 1));
    std::replace(value.begin(), value.end(), '+', ' ');
    return percent_decode(value);
  }
  return std::nullopt;
}

}  // namespace turnpike::signaling::http
