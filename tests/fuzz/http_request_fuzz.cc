/// A request's whole path short of its handler, on any bytes: head, framing, authority, target,
/// route, form, and the readers of JSON bodies. What must hold of each is asserted; what they throw
/// is a fault. The input is a request as it stands on the wire; its body is read as a form and as
/// JSON however long the head says it is.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/json.h"
#include "common/base/utf8.h"
#include "graft/v1/finetuning.pb.h"
#include "server/http/authority.h"
#include "server/http/errors.h"
#include "server/http/head.h"
#include "server/http/head_parser.h"
#include "server/http/multipart.h"
#include "server/http/router.h"
#include "server/http/target.h"
#include "server/rest/chat_request.h"
#include "server/rest/completion_request.h"
#include "server/rest/finetuning_request.h"
#include "server/rest/transcode.h"

namespace graft::server {
namespace {

namespace bhttp = boost::beast::http;
using http::Head;
using http::MultipartParser;
using http::Refusal;
using http::RequestParser;
using http::Scan;

void Hold(bool fact, const char* what) {
  if (fact) return;
  std::fprintf(stderr, "it doesn't hold that %s\n", what);
  std::abort();
}

void CheckRefusal(const Refusal& refusal) {
  Hold(refusal.status >= 400 && refusal.status < 600, "a refusal has a status of its own");
  Hold((refusal.status == 405) == !refusal.allow.empty(), "405 alone says what is allowed");
  Hold(ParseJson(http::ErrorBody(refusal), "it").ok(), "a refusal's body is JSON");
}

void CheckFault(const Status& status) {
  Hold(status.code() == StatusCode::kInvalidArgument, "a request's fault is its sender's");
  Hold(ParseJson(http::ErrorBody(status), "it").ok(), "a fault's body is JSON");
}

void CheckScan(std::string_view bytes, const Scan& at_once) {
  // Where one more byte changes the verdict of fewer.
  const size_t most = std::min<size_t>(bytes.size(), 600);
  for (size_t size = 0; size <= most; ++size) {
    const Scan scan = http::ScanHead(bytes.substr(0, size));
    if (scan.result == Scan::Result::kMore) continue;
    Hold(scan.result == at_once.result, "bytes one by one have the verdict of all at once");
    Hold(scan.refusal.message == at_once.refusal.message, "and its reason");
    Hold(scan.skip == at_once.skip && scan.size == at_once.size, "and its size");
    return;
  }
  Hold(most < bytes.size() || at_once.result == Scan::Result::kMore, "a verdict needs its bytes");
}

/// What a parser makes of a body.
struct Decoded {
  bool is_done = false;
  bool is_malformed = false;
  size_t used = 0;
  std::string body;
};

/// As a connection reads it: what was left over stands in front of the next bytes.
Decoded Decode(RequestParser& parser, std::string_view bytes, size_t step) {
  Decoded decoded;
  size_t there = parser.chunked() ? std::min(http::kLeastChunkedBytes, bytes.size()) : 0;
  if (parser.chunked() && bytes.size() < http::kLeastChunkedBytes) return decoded;
  char piece[64];
  while (!parser.is_done()) {
    const size_t used_before = decoded.used;
    const size_t body_before = decoded.body.size();
    if (there > decoded.used) {
      auto& body = parser.get().body();
      body.data = piece;
      body.size = sizeof piece;
      boost::beast::error_code error;
      decoded.used +=
          parser.put(boost::asio::buffer(bytes.substr(decoded.used, there - decoded.used)), error);
      decoded.body.append(piece, sizeof piece - body.size);
      decoded.is_malformed =
          error && error != bhttp::error::need_more && error != bhttp::error::need_buffer;
      if (decoded.is_malformed) return decoded;
    }
    if (decoded.used != used_before || decoded.body.size() != body_before) continue;
    if (there == bytes.size()) break;
    there = std::min(there + step, bytes.size());
  }
  decoded.is_done = parser.is_done();
  return decoded;
}

void CheckFraming(const Head& head, std::string_view head_bytes, std::string_view rest) {
  RequestParser whole;
  RequestParser bytewise;
  Hold(std::holds_alternative<Head>(http::ParseHead(head_bytes, whole)) &&
           std::holds_alternative<Head>(http::ParseHead(head_bytes, bytewise)),
       "a head is read alike again");
  const std::string_view length = head.Find("content-length");
  if (head.Count("transfer-encoding") > 0) {
    Hold(whole.chunked(), "a body said to be chunked is read so");
  } else if (head.Count("content-length") > 0) {
    Hold(!whole.chunked() && whole.content_length() &&
             *whole.content_length() == std::stoull(std::string(length)),
         "a body is read by its length");
  } else {
    Hold(whole.is_done(), "a request that says nothing of a body has none");
  }
  const Decoded at_once = Decode(whole, rest, rest.size());
  const Decoded one_by_one = Decode(bytewise, rest, 1);
  Hold(at_once.is_done == one_by_one.is_done, "a body's end has one place");
  if (!at_once.is_done) return;
  Hold(at_once.used == one_by_one.used && at_once.body == one_by_one.body,
       "a body is the same however its bytes come");
  if (!whole.chunked() && whole.content_length())
    Hold(at_once.used == *whole.content_length(), "a body is as long as it says");
}

void CheckAccepted(const Head& head) {
  Hold(head.Count("host") == 1, "an accepted head has exactly one Host");
  Hold(head.version == 10 || head.version == 11, "it is of HTTP/1");
  Hold(head.target.starts_with('/'), "its target is a path");
  Hold(head.Count("content-length") + head.Count("transfer-encoding") <= 1,
       "its body's end is said once");
  for (const auto& [name, value] : head.fields)
    Hold((name + value).find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos,
         "its fields are lines");
}

void CheckAuthority(const Head& head) {
  const http::Authorities authorities({"graft.example.com", "other.example.com:8443"});
  std::optional<std::string_view> origin;
  if (head.Count("origin") > 0) origin = head.Find("origin");
  if (const auto refusal = authorities.Check(head.Find("host"), origin, "127.0.0.1"))
    return CheckRefusal(*refusal);
  const auto authority = http::ParseAuthority(head.Find("host"));
  Hold(authority.has_value(), "who is let in was called by an authority");
  Hold(authority->host.find_first_of("/?#@ ,") == std::string::npos, "and by one");
}

std::string Encoded(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return encoded;
}

const http::Router& Routes() {
  static const http::Router router(
      {{"GET", "/v1/models", http::BodyForm::kNone, nullptr, {}},
       {"GET", "/v1/models/{model}", http::BodyForm::kNone, nullptr, {}},
       {"GET", "/v1/models/newest", http::BodyForm::kNone, nullptr, {}},
       {"POST", "/v1/files", http::BodyForm::kStream, nullptr, {}},
       {"POST", "/v1/jobs", http::BodyForm::kJson, nullptr, {}}});
  return router;
}

/// The request as a handler is given it; the query and the arguments only.
http::Request CheckTarget(const Head& head) {
  http::Request request;
  StatusOr<http::Target> target = http::ParseTarget(head.target);
  if (!target.ok()) {
    CheckFault(target.status());
    return request;
  }
  std::string again;
  for (const std::string& segment : target->segments) {
    Hold(!segment.empty() && segment != "." && segment != "..", "a segment is a name");
    Hold(FirstInvalidUtf8(segment) == std::string::npos, "in UTF-8");
    Hold(segment.find('\0') == std::string::npos, "without a NUL");
    again += "/" + Encoded(segment);
  }
  const auto same = http::ParseTarget(again.empty() ? "/" : again);
  Hold(same.ok() && same->segments == target->segments, "a path written anew is the same");
  const auto found = Routes().Find(head.method, target->segments);
  if (const auto* refusal = std::get_if<Refusal>(&found)) {
    CheckRefusal(*refusal);
  } else {
    const auto& match = std::get<http::Match>(found);
    Hold(match.route->method == head.method || head.method == "HEAD", "a route has its method");
    request.arguments = match.arguments;
  }
  request.query = std::move(target->query);
  return request;
}

/// All of a form's parts and bytes as one text.
std::string ReadForm(std::string_view bytes, const std::string& boundary, size_t first,
                     size_t step) {
  MultipartParser parser(boundary);
  std::string told;
  for (size_t at = 0; at < bytes.size();) {
    const std::string_view piece = bytes.substr(at, at == 0 ? first : step);
    at += piece.size();
    parser.Feed(piece);
    while (true) {
      const StatusOr<MultipartParser::Event> event = parser.Next();
      if (!event.ok()) {
        CheckFault(event.status());
        return told + "!";
      }
      using Kind = MultipartParser::Event::Kind;
      if (event->kind == Kind::kMore) break;
      if (event->kind == Kind::kEnd) return told + "$";
      if (event->kind == Kind::kPart)
        told += "<" + event->name + "|" + event->file_name.value_or("-") + ">";
      if (event->kind == Kind::kData) {
        Hold(!event->data.empty(), "data have bytes");
        told += event->data;
      }
      if (event->kind == Kind::kPartEnd) told += "</>";
    }
  }
  return told;
}

void CheckForm(std::string_view content_type, std::string_view body) {
  const StatusOr<std::string> said = http::BoundaryOf(content_type);
  if (!said.ok()) CheckFault(said.status());
  const std::string boundary = said.ok() ? *said : "x";
  Hold(!boundary.empty() && boundary.size() <= 70, "a boundary is short");
  if (body.empty() || body.size() > 20'000) return;
  const std::string at_once = ReadForm(body, boundary, body.size(), body.size());
  Hold(at_once == ReadForm(body, boundary, 1, 1), "a form is the same byte by byte");
  const size_t half = 1 + static_cast<unsigned char>(body.back()) % body.size();
  Hold(at_once == ReadForm(body, boundary, half, body.size()), "and cut in two");
}

void CheckJson(const http::Request& request) {
  graft::v1::CreateJobRequest message;
  std::vector<rest::Binding> bindings;
  if (!request.arguments.empty()) bindings = {{"request_id", "models/{model}"}};
  const Status read = rest::ReadMessage(request, bindings, message);
  if (!read.ok()) CheckFault(read);
  const StatusOr<Json> body = rest::BodyOf(request);
  if (!body.ok()) return CheckFault(body.status());
  if (const auto chat = rest::ReadChatRequest(*body); chat.ok()) {
    Hold(!chat->model.empty() || (*body)["model"] == "", "a chat has a model");
    Hold(chat->generate.generation().n() <= 64, "choices are counted");
  } else {
    CheckFault(chat.status());
  }
  if (const auto completion = rest::ReadCompletionRequest(*body); completion.ok()) {
    Hold(!completion->prompts.empty() && completion->prompts.size() <= 128, "prompts are counted");
    Hold(completion->max_tokens > 0 || completion->echo, "something is answered");
  } else {
    CheckFault(completion.status());
  }
  if (const auto job = rest::ReadFinetuningRequest(*body); job.ok()) {
    Hold(job->create.spec().has_method(), "a job has a method");
    Hold(!job->create.spec().dataset().train().empty() || (*body)["training_file"] == "",
         "a job has data");
  } else {
    CheckFault(rest::ByFinetuningNames(job.status()));
  }
}

void CheckRequest(std::string_view bytes) {
  const Scan scan = http::ScanHead(bytes);
  CheckScan(bytes, scan);
  if (scan.result == Scan::Result::kMore) return;
  if (scan.result == Scan::Result::kRefused) return CheckRefusal(scan.refusal);
  const std::string_view head_bytes = bytes.substr(scan.skip, scan.size);
  const std::string_view rest = bytes.substr(scan.skip + scan.size);
  RequestParser parser;
  const auto parsed = http::ParseHead(head_bytes, parser);
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) return CheckRefusal(*refusal);
  const Head& head = std::get<Head>(parsed);
  if (const auto refusal = http::CheckHead(head)) return CheckRefusal(*refusal);
  CheckAccepted(head);
  CheckFraming(head, head_bytes, rest);
  CheckAuthority(head);
  http::Request request = CheckTarget(head);
  CheckForm(head.Find("content-type"), rest);
  request.body = std::string(rest);
  CheckJson(request);
}

}  // namespace
}  // namespace graft::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  graft::server::CheckRequest({reinterpret_cast<const char*>(data), size});
  return 0;
}
