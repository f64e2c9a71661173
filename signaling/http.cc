#include "signaling/http.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "signaling/http_pieces.h"
#include "signaling/http_response.h"

namespace turnpike::signaling::http {

namespace beast = boost::beast;
using ErrorCode = boost::system::error_code;
using State = RequestParser::State;

namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = http::lower(c);
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

// Beast's parser, for the head only: its chunked decoder asserts on bodies that are cut in unlucky
// places. The fields are collected in a Request, our refusals in `status`.
class Grammar final : public beast::http::basic_parser<true> {
 public:
  explicit Grammar(const BodyLimits* limits) : limits_(limits) {}

  Request request;
  unsigned status = 0;
  bool expects_continue = false;
  bool is_chunked = false;
  std::size_t content_length = 0;
  std::size_t max_body = RequestParser::kMaxBody;

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
  unsigned judge_framing() {
    const std::size_t lengths = request.count("content-length");
    const std::size_t codings = request.count("transfer-encoding");
    if (lengths + codings > 1) return 400;
    if (codings == 1 && (request.is_http_1_0 ||
                         !equals_ignoring_case(*request.header("transfer-encoding"), "chunked"))) {
      return 400;
    }
    is_chunked = codings == 1;
    if (limits_ != nullptr) max_body = limits_->max_body(request);
    if (lengths == 1) {
      const std::string_view text = *request.header("content-length");
      if (!is_digits(text)) return 400;
      const auto length = parse_decimal(text);
      if (!length || *length > max_body) return 413;
      content_length = *length;
    }
    return 0;
  }
  void on_response_impl(int, string_view, int, ErrorCode&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}
  std::size_t on_body_impl(string_view, ErrorCode&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, string_view, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view, ErrorCode&) override { return 0; }
  void on_finish_impl(ErrorCode&) override {}

  const BodyLimits* limits_;
};

// The same for the head of a response.
class ResponseGrammar final : public beast::http::basic_parser<false> {
 public:
  explicit ResponseGrammar(std::size_t max_body) : max_body_(max_body) {}

  ReceivedResponse response;
  std::string_view problem;
  bool is_chunked = false;
  std::optional<std::size_t> content_length;

 private:
  using string_view = beast::string_view;

  void refuse(std::string_view why, ErrorCode& error) {
    problem = why;
    error = make_error_code(boost::system::errc::protocol_error);
  }
  void on_request_impl(beast::http::verb, string_view, string_view, int, ErrorCode&) override {}
  void on_response_impl(int code, string_view, int version, ErrorCode& error) override {
    response.status = static_cast<unsigned>(code);
    if (version != 10 && version != 11) refuse(ResponseParser::kNotHttp, error);
  }
  void on_field_impl(beast::http::field, string_view name, string_view value,
                     ErrorCode& error) override {
    if (response.headers.size() >= RequestParser::kMaxHeaders) {
      return refuse(ResponseParser::kTooLarge, error);
    }
    response.headers.push_back({lower({name.data(), name.size()}), {value.data(), value.size()}});
  }
  void on_header_impl(ErrorCode& error) override {
    response.keep_alive = keep_alive();
    const auto codings = response.values("transfer-encoding");
    const auto lengths = response.values("content-length");
    if (codings.size() + lengths.size() > 1) return refuse(ResponseParser::kNotHttp, error);
    is_chunked = !codings.empty();
    if (is_chunked && !equals_ignoring_case(codings.front(), "chunked")) {
      return refuse(ResponseParser::kNotHttp, error);
    }
    if (lengths.empty()) return;
    const auto length = parse_decimal(lengths.front());
    if (!length || !is_digits(lengths.front())) return refuse(ResponseParser::kNotHttp, error);
    if (*length > max_body_) return refuse(ResponseParser::kTooLarge, error);
    content_length = *length;
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}
  std::size_t on_body_impl(string_view, ErrorCode&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, string_view, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view, ErrorCode&) override { return 0; }
  void on_finish_impl(ErrorCode&) override {}

  const std::size_t max_body_;
};

unsigned status_of(const ErrorCode& error) {
  if (error == beast::http::error::bad_version) return 505;
  return 400;
}

}  // namespace

class RequestParser::Impl {
 public:
  explicit Impl(const BodyLimits* limits) : limits_(limits) {}

  std::size_t feed(ByteView bytes) {
    const std::size_t size = bytes.size();
    while (state == State::kNeedsMore && !bytes.empty()) {
      if (!head_done_) {
        feed_head(bytes);
      } else if (is_chunked_) {
        feed_chunks(bytes);
      } else {
        feed_body(bytes);
      }
    }
    return size - bytes.size();
  }
  bool untouched() const { return !head_done_ && scanner_.in_blank_prefix(); }
  bool take_expectation() {
    const bool waits = head_done_ && state == State::kNeedsMore && expects_continue_;
    if (head_done_) expects_continue_ = false;
    return waits;
  }
  std::size_t buffered() const { return head_.size() + request_.body.size(); }
  Request take() {
    CHECK(state == State::kComplete);
    return std::move(request_);
  }

  State state = State::kNeedsMore;
  unsigned failure = 0;

 private:
  void fail(unsigned status) {
    state = State::kFailed;
    failure = status;
  }
  void feed_head(ByteView& bytes) {
    while (!bytes.empty()) {
      const char c = static_cast<char>(bytes.front());
      bytes = bytes.subspan(1);
      head_.push_back(c);
      switch (scanner_.take(c)) {
        case HeadScanner::Verdict::kGoOn:
          break;
        case HeadScanner::Verdict::kSkipBlankLine:
          head_.clear();
          break;
        case HeadScanner::Verdict::kRefuse:
          return fail(scanner_.status());
        case HeadScanner::Verdict::kEnd:
          return parse_head();
      }
    }
  }
  void parse_head() {
    head_done_ = true;
    Grammar grammar(limits_);
    grammar.header_limit(kMaxHead);
    grammar.body_limit(boost::none);  // judged above
    ErrorCode error;
    grammar.put(boost::asio::const_buffer(head_.data(), head_.size()), error);
    std::string().swap(head_);
    if (grammar.status != 0) return fail(grammar.status);
    if (error) return fail(status_of(error));
    if (!grammar.is_header_done()) return fail(400);
    request_ = std::move(grammar.request);
    expects_continue_ = grammar.expects_continue;
    is_chunked_ = grammar.is_chunked;
    chunks_.limit(grammar.max_body);
    left_ = grammar.content_length;
    if (!is_chunked_ && left_ == 0) state = State::kComplete;
  }
  void feed_body(ByteView& bytes) {
    const std::size_t count = std::min(left_, bytes.size());
    request_.body.append(as_text(bytes.first(count)));
    bytes = bytes.subspan(count);
    left_ -= count;
    if (left_ == 0) state = State::kComplete;
  }
  void feed_chunks(ByteView& bytes) {
    switch (chunks_.take(bytes, request_.body)) {
      case ChunkDecoder::Verdict::kGoOn:
        break;
      case ChunkDecoder::Verdict::kEnd:
        state = State::kComplete;
        break;
      case ChunkDecoder::Verdict::kRefuse:
        fail(chunks_.status());
        break;
    }
  }

  const BodyLimits* limits_;
  HeadScanner scanner_;
  std::string head_;
  Request request_;
  ChunkDecoder chunks_;
  std::size_t left_ = 0;  // of a body whose length was given
  bool head_done_ = false;
  bool is_chunked_ = false;
  bool expects_continue_ = false;
};

RequestParser::RequestParser(const BodyLimits* limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;
std::size_t RequestParser::feed(ByteView bytes) { return impl_->feed(bytes); }
RequestParser::State RequestParser::state() const { return impl_->state; }
unsigned RequestParser::failure() const { return impl_->failure; }
bool RequestParser::untouched() const { return impl_->untouched(); }
bool RequestParser::take_expectation() { return impl_->take_expectation(); }
std::size_t RequestParser::buffered() const { return impl_->buffered(); }
Request RequestParser::take() { return impl_->take(); }

// --- ResponseParser ---

struct ResponseParser::Impl {
  explicit Impl(std::size_t most) : max_body(most) { chunks.limit(most); }

  void fail(std::string_view why) {
    state = State::kFailed;
    failure = why;
  }
  void feed_head(ByteView& bytes) {
    while (!bytes.empty()) {
      const char c = static_cast<char>(bytes.front());
      bytes = bytes.subspan(1);
      head.push_back(c);
      const auto verdict = scanner.take(c);
      if (verdict == HeadScanner::Verdict::kEnd) return parse_head();
      if (verdict != HeadScanner::Verdict::kGoOn) {
        return fail(scanner.status() == 431 ? kTooLarge : kNotHttp);
      }
    }
  }
  void parse_head() {
    ResponseGrammar grammar(max_body);
    grammar.header_limit(RequestParser::kMaxHead);
    grammar.body_limit(boost::none);  // judged above
    ErrorCode error;
    grammar.put(boost::asio::const_buffer(head.data(), head.size()), error);
    head.clear();
    if (!grammar.problem.empty()) return fail(grammar.problem);
    if (error || !grammar.is_header_done()) return fail(kNotHttp);
    const unsigned status = grammar.response.status;
    if (status == 101) return fail(kNotHttp);
    scanner = HeadScanner(HeadScanner::FirstLine::kStatus);
    if (status < 200) {  // RFC 9110 section 15.2: the answer is still to come
      if (++interim > kMaxInterim) fail(kNotHttp);
      return;
    }
    response = std::move(grammar.response);
    head_done = true;
    is_chunked = grammar.is_chunked;
    length = grammar.content_length;
    if (status == 204 || status == 304) length = 0;
    // RFC 9112 section 6.3: without a length the body goes on until the connection ends.
    if (!is_chunked && !length) response.keep_alive = false;
    if (!is_chunked && length == std::size_t{0}) state = State::kComplete;
  }
  void feed_body(ByteView& bytes) {
    std::string& body = response.body;
    const std::size_t count = length ? std::min(*length - body.size(), bytes.size()) : bytes.size();
    if (body.size() + count > max_body) return fail(kTooLarge);
    body.append(as_text(bytes.first(count)));
    bytes = bytes.subspan(count);
    if (length && body.size() == *length) state = State::kComplete;
  }
  void feed_chunks(ByteView& bytes) {
    switch (chunks.take(bytes, response.body)) {
      case ChunkDecoder::Verdict::kGoOn:
        break;
      case ChunkDecoder::Verdict::kEnd:
        state = State::kComplete;
        break;
      case ChunkDecoder::Verdict::kRefuse:
        fail(chunks.status() == 413 ? kTooLarge : kNotHttp);
        break;
    }
  }

  const std::size_t max_body;
  State state = State::kNeedsMore;
  std::string_view failure;
  HeadScanner scanner{HeadScanner::FirstLine::kStatus};
  std::string head;
  ReceivedResponse response;
  ChunkDecoder chunks;
  std::optional<std::size_t> length;
  std::size_t interim = 0;
  bool head_done = false;
  bool is_chunked = false;
};

ResponseParser::ResponseParser(std::size_t max_body) : impl_(std::make_unique<Impl>(max_body)) {}
ResponseParser::~ResponseParser() = default;

std::size_t ResponseParser::feed(ByteView bytes) {
  const std::size_t size = bytes.size();
  while (impl_->state == State::kNeedsMore && !bytes.empty()) {
    if (!impl_->head_done) {
      impl_->feed_head(bytes);
    } else if (impl_->is_chunked) {
      impl_->feed_chunks(bytes);
    } else {
      impl_->feed_body(bytes);
    }
  }
  return size - bytes.size();
}

void ResponseParser::on_end() {
  if (impl_->state != State::kNeedsMore) return;
  const bool whole = impl_->head_done && !impl_->is_chunked && !impl_->length;
  whole ? void(impl_->state = State::kComplete) : impl_->fail(kCut);
}

ResponseParser::State ResponseParser::state() const { return impl_->state; }
std::string_view ResponseParser::failure() const { return impl_->failure; }
ReceivedResponse ResponseParser::take() {
  CHECK(impl_->state == State::kComplete);
  return std::move(impl_->response);
}

std::vector<std::string_view> ReceivedResponse::values(std::string_view name) const {
  std::vector<std::string_view> found;
  for (const Header& one : headers) {
    if (one.name == name) found.push_back(one.value);
  }
  return found;
}

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
