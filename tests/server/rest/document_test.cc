#include <cctype>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/objects/memory_object_store.h"
#include "embedded/api_document.h"
#include "server/background/backend.h"
#include "server/intake/base_catalog.h"
#include "server/rest/routes.h"
#include "server/stores/memory_store.h"
#include "tests/server/support/recording_probe.h"

namespace graft::server::rest {
namespace {

using ::testing::ElementsAre;
using Names = std::set<std::string>;

std::string_view FileOf(std::string_view name) {
  for (const EmbeddedFile& file : embedded::ApiDocument()) {
    if (file.name == name) return file.bytes;
  }
  return {};
}

/// The braced names of "/v1/models/{model}".
Names BracedNames(const std::string& path) {
  static const std::regex kBraced("\\{([^}]*)\\}");
  Names names;
  for (std::sregex_iterator at(path.begin(), path.end(), kBraced), end; at != end; ++at)
    names.insert((*at)[1]);
  return names;
}

class DocumentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto document = ParseJson(FileOf("openapi.json"), "openapi.json");
    ASSERT_TRUE(document.ok()) << document.status();
    document_ = std::move(*document);
  }

  /// "GET /v1/models/{model}" of all operations.
  Names Documented() const {
    Names operations;
    for (const auto& [path, item] : document_["paths"].items()) {
      for (const auto& [method, operation] : item.items()) {
        std::string upper = method;
        for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        if (method != "parameters") operations.insert(upper + " " + path);
      }
    }
    return operations;
  }
  const Json& Resolve(const Json& json) const {
    if (!json.contains("$ref")) return json;
    return document_.at(Json::json_pointer(json["$ref"].get<std::string>().substr(1)));
  }
  Names PathParameters(const Json& parameters) const {
    Names names;
    for (const Json& parameter : parameters) {
      const Json& one = Resolve(parameter);
      if (one["in"] == "path") names.insert(one["name"].get<std::string>());
    }
    return names;
  }

  Json document_;
};

/// All that routes are made of, though nothing calls them.
class Routed {
 public:
  Names Operations() {
    Names operations;
    for (const http::Route& route : MakeRoutes(services_, [] { return true; }))
      operations.insert(std::string(route.method) + " " + std::string(route.pattern));
    return operations;
  }

 private:
  TempFolder folder_ = *TempFolder::Create();
  calls::Runtime runtime_;
  RecordingProbe probe_;
  stores::MemoryStore store_;
  objects::MemoryObjectStore objects_;
  background::JobChanges changes_{runtime_};
  intake::BaseCatalog catalog_{folder_.path() / "bases", folder_.path() / "cache",
                               &intake::ReadBase};
  background::BaseFinder bases_{runtime_, catalog_};
  background::WorkerHub workers_{runtime_, probe_, {}};
  intake::DatasetSources sources_{{}, objects_};
  intake::Intake intake_{sources_, objects_};
  background::Backend backend_{runtime_, probe_, store_,   objects_, changes_,
                               workers_, bases_, sources_, intake_,  {}};
  service::Services services_{backend_};
};

TEST_F(DocumentTest, HasEveryRouteAndNothingElse) {
  Routed routed;

  EXPECT_EQ(Documented(), routed.Operations());
}

TEST_F(DocumentTest, NamesEveryPathParameter) {
  for (const auto& [path, item] : document_["paths"].items())
    EXPECT_EQ(PathParameters(item.value("parameters", Json::array())), BracedNames(path)) << path;
}

TEST_F(DocumentTest, GivesEveryOperationANameOfItsOwn) {
  Names names;
  size_t operations = 0;
  for (const auto& [path, item] : document_["paths"].items()) {
    for (const auto& [method, operation] : item.items()) {
      if (method == "parameters") continue;
      ++operations;
      names.insert(operation.at("operationId").get<std::string>());
      EXPECT_FALSE(operation.at("summary").get<std::string>().empty()) << method << " " << path;
    }
  }

  EXPECT_EQ(names.size(), operations);
}

TEST(ApiDocumentTest, IsThereInBothForms) {
  std::vector<std::string_view> names;
  for (const EmbeddedFile& file : embedded::ApiDocument()) names.push_back(file.name);

  EXPECT_THAT(names, ElementsAre("openapi.yaml", "openapi.json"));
  EXPECT_TRUE(FileOf("openapi.yaml").starts_with("openapi: 3.1.0\n"));
}

}  // namespace
}  // namespace graft::server::rest
