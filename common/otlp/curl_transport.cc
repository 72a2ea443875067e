#include "common/otlp/curl_transport.h"

#include <algorithm>
#include <utility>

#include <curl/curl.h>

namespace graft::otlp {
namespace {

constexpr size_t kMaxAnswer = 64 << 10;

struct Freed {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

/// What of an answer doesn't fit is left: its status counts.
size_t TakeBytes(char* data, size_t size, size_t count, void* body) {
  auto& text = *static_cast<std::string*>(body);
  const size_t bytes = size * count;
  if (text.size() + bytes <= kMaxAnswer) text.append(data, bytes);
  return bytes;
}

/// curl asks about once a second, more often while bytes move. 1 ends the transfer.
int AskGoOn(void* go_on, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return (*static_cast<const std::function<bool()>*>(go_on))() ? 0 : 1;
}

class CurlTransport final : public Transport {
 public:
  static StatusOr<std::unique_ptr<Transport>> Make(const Settings& settings) {
    auto transport = std::make_unique<CurlTransport>();
    transport->curl_.reset(curl_easy_init());
    if (transport->curl_ == nullptr || !transport->Prepare(settings))
      return InternalError("libcurl can't be started");
    return std::unique_ptr<Transport>(std::move(transport));
  }

  Answer Post(const std::string& body, std::chrono::milliseconds at_most,
              const std::function<bool()>& go_on) override {
    CURL* curl = curl_.get();
    Answer answer;
    answer.body.reserve(kMaxAnswer);  // Nothing may be thrown through curl.
    const auto time = timeout_.count() == 0 ? at_most : std::min(at_most, timeout_);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                     static_cast<long>(std::max<int64_t>(1, time.count())));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &go_on);
    error_[0] = '\0';
    const CURLcode code = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK) {
      answer.status = static_cast<int>(status);
    } else {
      answer.error = error_[0] != '\0' ? error_ : curl_easy_strerror(code);
    }
    curl_off_t seconds = 0;
    curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &seconds);
    answer.retry_after = std::chrono::seconds(std::max<curl_off_t>(0, seconds));
    return answer;
  }

 private:
  bool Prepare(const Settings& settings) {
    CURL* curl = curl_.get();
    timeout_ = settings.timeout;
    curl_slist* lines = curl_slist_append(nullptr, "Content-Type: application/json");
    headers_.reset(lines);
    for (const auto& [name, value] : settings.headers) {
      // curl takes "Name:" for a header that is to be left out, and "Name;" for one that is empty.
      const std::string line = value.empty() ? name + ";" : name + ": " + value;
      lines = curl_slist_append(lines, line.c_str());
      if (lines == nullptr) return false;
    }
    bool ok = true;
    const auto set = [&](CURLoption option, auto value) {
      ok = ok && curl_easy_setopt(curl, option, value) == CURLE_OK;
    };
    set(CURLOPT_URL, settings.url.whole.c_str());
    set(CURLOPT_QUICK_EXIT, 1L);  // A name that nobody resolves must not hold up the end.
    set(CURLOPT_POST, 1L);
    set(CURLOPT_HTTPHEADER, headers_.get());
    set(CURLOPT_USERAGENT, "graft");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, AskGoOn);
    set(CURLOPT_WRITEFUNCTION, TakeBytes);
    set(CURLOPT_ERRORBUFFER, error_);
    if (!settings.certificate.empty()) set(CURLOPT_CAINFO, settings.certificate.c_str());
    if (!settings.client_certificate.empty())
      set(CURLOPT_SSLCERT, settings.client_certificate.c_str());
    if (!settings.client_key.empty()) set(CURLOPT_SSLKEY, settings.client_key.c_str());
    return ok;
  }

  std::unique_ptr<CURL, Freed> curl_;
  std::unique_ptr<curl_slist, Freed> headers_;
  std::chrono::milliseconds timeout_{};
  char error_[CURL_ERROR_SIZE] = {};
};

}  // namespace

StatusOr<std::unique_ptr<Transport>> MakeCurlTransport(const Settings& settings) {
  // Once a process, before its other threads use libcurl: nothing else of graft does.
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) return InternalError("libcurl can't be started");
  return CurlTransport::Make(settings);
}

}  // namespace graft::otlp
