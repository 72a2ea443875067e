#pragma once
/// A head's bytes as its fields: Beast's parser, between ScanHead and CheckHead. The body is read
/// by the same parser, so who asks where it ends asks one. Thread safety: free functions.

#include <string_view>
#include <variant>

#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "server/http/head.h"

namespace graft::server::http {

using RequestParser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;

/// A chunked body has no fewer bytes, and the parser (Beast 1.81) must not be given fewer at its
/// beginning: where the first chunk is the last it asserts them.
inline constexpr size_t kLeastChunkedBytes = 5;

/// Reads a head into `parser`, which takes the body's bytes next.
/// Requires: `bytes` is a whole head, as ScanHead tells it; a new parser.
std::variant<Head, Refusal> ParseHead(std::string_view bytes, RequestParser& parser);

/// 400, with the parser's own words.
Refusal MalformedRequest(const std::string& what);

}  // namespace graft::server::http
