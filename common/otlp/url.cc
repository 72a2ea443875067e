#include "common/otlp/url.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>

#include "common/base/utf8.h"

namespace graft::otlp {
namespace {

struct Freed {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(char* text) const { curl_free(text); }
};
using Handle = std::unique_ptr<CURLU, Freed>;

/// Empty if there is none.
std::string Part(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK) return {};
  const std::unique_ptr<char, Freed> freed(text);
  return text;
}

bool Read(CURLU* url, const std::string& text) {
  if (curl_url_set(url, CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
    return false;
  const std::string scheme = Part(url, CURLUPART_SCHEME);
  return (scheme == "http" || scheme == "https") && !Part(url, CURLUPART_HOST).empty();
}

}  // namespace

StatusOr<Url> ParseUrl(const std::string& text, const std::string& path) {
  const Handle url(curl_url());
  if (url == nullptr || !Read(url.get(), text)) {
    // What stands before an @ may be a password.
    const std::string behind = text.substr(std::min(text.rfind('@') + 1, text.size()));
    return InvalidArgumentError(Quoted(behind) + " is no address like http://127.0.0.1:4318");
  }
  std::string own = Part(url.get(), CURLUPART_PATH);
  if (!path.empty()) {
    if (own.ends_with('/')) own.pop_back();
    own += path;
    curl_url_set(url.get(), CURLUPART_PATH, own.c_str(), 0);
  }
  Url parsed;
  parsed.whole = Part(url.get(), CURLUPART_URL);
  for (const CURLUPart secret : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY})
    curl_url_set(url.get(), secret, nullptr, 0);
  parsed.shown = Part(url.get(), CURLUPART_URL);
  return parsed;
}

}  // namespace graft::otlp
