#pragma once
/// The order of a tenant's uploads by time, which their keys don't have.
///
/// What it costs: a look lists all of the tenant's uploads, and reads the info.json of each that
/// the index doesn't know yet: of all of them once after a start, later of the new ones. Further
/// pages of a list go by its first page's look (or a later one), so that a list of 100 pages is one
/// look; each page reads the info.json of what stands on it. For 100,000 uploads in a local store a
/// listing takes 1.8 s, the first reading 1 s more, a page of 1,000 then 10 ms; an upload takes
/// about 300 bytes here.
///
/// What may be stale: where one server deletes an upload and stores the same bytes anew between two
/// looks of another, that other lists it once more where it stood, then right.

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/objects/object_store.h"
#include "server/intake/uploads.h"

namespace graft::server::intake {

/// Thread safety: thread-safe; GoOn and ReadPage block.
class UploadIndex {
 public:
  /// Ownership: `store` outlives it.
  explicit UploadIndex(objects::ObjectStore& store);

  /// An upload's place among all: those that sort before it are newer. Uploads of the same moment
  /// are in the order of their hashes.
  struct Place {
    TimeUs create_time = 0;
    std::string sha256;
    std::strong_ordering operator<=>(const Place& other) const;
    bool operator==(const Place& other) const = default;
  };
  using Order = std::vector<Place>;  ///< Newest first.

  /// A look under way. Confined to one thread at a time.
  class Look {
   public:
    explicit Look(std::string tenant) : tenant_(std::move(tenant)) {}

   private:
    friend class UploadIndex;
    const std::string tenant_;
    bool has_listed_ = false;
    uint64_t number_ = 0;
    std::vector<std::string> found_;  ///< Hashes.
    size_t num_done_ = 0;             ///< Of `found_`, those that are in `order_` or gone.
    Order order_;
  };
  /// Does a part of a look: the listing, then up to 1,000 info.json. True once Last knows what it
  /// saw. What a look read stays known, also if it is given up.
  StatusOr<bool> GoOn(Look& look);

  /// What the last look saw; null if there was none.
  std::shared_ptr<const Order> Last(const std::string& tenant) const;

  /// Says of an upload when it came, in place of what is known.
  void Note(const std::string& tenant, const Upload& upload);

  struct Page {
    std::vector<Upload> uploads;
    std::optional<Place> last;  ///< Where the next page goes on; nothing if this is the last.
  };
  /// The next uploads behind `after` (nothing: from the newest on) that are still there.
  StatusOr<Page> ReadPage(const std::string& tenant, const Order& order,
                          const std::optional<Place>& after, size_t page_size);

  /// Differs between all indexes, also of other processes.
  const std::string& id() const { return id_; }

 private:
  using Times = std::unordered_map<std::string, TimeUs>;  ///< By hash.
  struct Tenant {
    Times times;
    std::shared_ptr<const Order> last;
    uint64_t last_number = 0;  ///< Of the look that saw `last`.
  };
  Status List(Look& look);
  /// When the upload came; nothing if it isn't known.
  std::optional<TimeUs> Known(const std::string& tenant, const std::string& sha256) const;
  void Keep(Look& look);

  objects::ObjectStore& store_;
  const std::string id_;
  mutable std::mutex mutex_;
  uint64_t num_looks_ = 0;                 ///< Guarded by mutex_.
  std::map<std::string, Tenant> tenants_;  ///< Guarded by mutex_.
};

}  // namespace graft::server::intake
