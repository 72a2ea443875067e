#include "server/intake/upload_index.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/sha256.h"
#include "common/objects/keys.h"

namespace graft::server::intake {
namespace {

/// In one part of a look; other work has its turn behind it.
constexpr size_t kMaxReads = 1000;

bool IsGone(const Status& status) { return status.code() == StatusCode::kNotFound; }

}  // namespace

std::strong_ordering UploadIndex::Place::operator<=>(const Place& other) const {
  if (create_time != other.create_time) return other.create_time <=> create_time;
  return sha256 <=> other.sha256;
}

UploadIndex::UploadIndex(objects::ObjectStore& store)
    : store_(store), id_(NewId(SystemClock().Now())) {}

Status UploadIndex::List(Look& look) {
  {
    // Before the listing: a look with a greater number has seen all that this one's lists saw.
    const std::lock_guard lock(mutex_);
    look.number_ = ++num_looks_;
  }
  const std::string prefix = objects::UploadsPrefix(look.tenant_);
  GRAFT_ASSIGN_OR_RETURN(const std::vector<std::string> keys,
                         store_.List(prefix, {}, std::numeric_limits<size_t>::max()));
  for (const std::string& key : keys) {
    const std::string sha256 =
        key.substr(prefix.size(), key.find('/', prefix.size()) - prefix.size());
    if (IsSha256Hex(sha256) && key == objects::UploadInfoKey(look.tenant_, sha256))
      look.found_.push_back(sha256);
  }
  look.order_.reserve(look.found_.size());
  look.has_listed_ = true;
  return OkStatus();
}

StatusOr<bool> UploadIndex::GoOn(Look& look) {
  if (!look.has_listed_) GRAFT_RETURN_IF_ERROR(List(look));
  for (size_t reads = 0; look.num_done_ < look.found_.size(); ++look.num_done_) {
    const std::string& sha256 = look.found_[look.num_done_];
    std::optional<TimeUs> time = Known(look.tenant_, sha256);
    if (!time) {
      if (reads++ == kMaxReads) return false;
      const StatusOr<Upload> upload = FindUpload(store_, look.tenant_, sha256);
      if (IsGone(upload.status())) continue;
      if (!upload.ok()) return upload.status();
      Note(look.tenant_, *upload);
      time = upload->create_time;
    }
    look.order_.push_back({*time, sha256});
  }
  std::ranges::sort(look.order_);
  Keep(look);
  return true;
}

std::optional<TimeUs> UploadIndex::Known(const std::string& tenant,
                                         const std::string& sha256) const {
  const std::lock_guard lock(mutex_);
  const auto found = tenants_.find(tenant);
  if (found == tenants_.end()) return {};
  const auto time = found->second.times.find(sha256);
  return time == found->second.times.end() ? std::nullopt : std::optional(time->second);
}

void UploadIndex::Note(const std::string& tenant, const Upload& upload) {
  const std::lock_guard lock(mutex_);
  tenants_[tenant].times[upload.sha256] = upload.create_time;
}

void UploadIndex::Keep(Look& look) {
  // What is gone is forgotten. So is what came since the listing; the next look reads it again.
  Times times;
  times.reserve(look.order_.size());
  for (const Place& place : look.order_) times[place.sha256] = place.create_time;
  auto order = std::make_shared<const Order>(std::move(look.order_));
  const std::lock_guard lock(mutex_);
  Tenant& tenant = tenants_[look.tenant_];
  if (look.number_ < tenant.last_number) return;
  tenant.times.swap(times);
  tenant.last.swap(order);
  tenant.last_number = look.number_;
}

std::shared_ptr<const UploadIndex::Order> UploadIndex::Last(const std::string& tenant) const {
  const std::lock_guard lock(mutex_);
  const auto found = tenants_.find(tenant);
  return found == tenants_.end() ? nullptr : found->second.last;
}

StatusOr<UploadIndex::Page> UploadIndex::ReadPage(const std::string& tenant, const Order& order,
                                                  const std::optional<Place>& after,
                                                  size_t page_size) {
  Page page;
  auto place = after ? std::ranges::upper_bound(order, *after) : order.begin();
  for (; place != order.end() && page.uploads.size() < page_size; ++place) {
    StatusOr<Upload> upload = FindUpload(store_, tenant, place->sha256);
    if (IsGone(upload.status())) continue;
    if (!upload.ok()) return upload.status();
    if (upload->create_time != place->create_time) Note(tenant, *upload);
    page.uploads.push_back(*std::move(upload));
  }
  if (place != order.end()) page.last = *std::prev(place);
  return page;
}

}  // namespace graft::server::intake
