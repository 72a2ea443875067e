// yaml_to_json IN OUT: a YAML file as JSON, by YAML's core schema, with its keys in their order.
// Run by the build.

#include <charconv>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <system_error>

#include <yaml-cpp/yaml.h>

#include "common/base/json.h"

namespace {

using graft::OrderedJson;

template <typename Number>
bool Read(const std::string& text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && rest == end;
}

OrderedJson Scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;  // It stands in quotes.
  if (text == "true") return true;
  if (text == "false") return false;
  if (text.empty() || text == "null" || text == "~") return nullptr;
  uint64_t natural = 0;
  if (Read(text, natural)) return natural;
  int64_t whole = 0;
  if (Read(text, whole)) return whole;
  double real = 0;
  const bool is_number = text.find_first_not_of("+-.0123456789eE") == std::string::npos;
  if (is_number && Read(text, real)) return real;
  return text;
}

OrderedJson ToJson(const YAML::Node& node) {
  if (node.IsNull()) return nullptr;
  if (node.IsScalar()) return Scalar(node);
  if (node.IsSequence()) {
    OrderedJson list = OrderedJson::array();
    for (const YAML::Node& item : node) list.push_back(ToJson(item));
    return list;
  }
  OrderedJson object = OrderedJson::object();
  for (const auto& item : node) {
    const std::string& key = item.first.Scalar();
    if (object.contains(key)) {
      throw std::runtime_error("line " + std::to_string(item.first.Mark().line + 1) + ": " + key +
                               " stands twice in one object");
    }
    object[key] = ToJson(item.second);
  }
  return object;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: yaml_to_json IN OUT\n";
    return 2;
  }
  try {
    std::ofstream out(argv[2], std::ios::binary);
    out << ToJson(YAML::LoadFile(argv[1])).dump(1) << '\n';
    out.close();
    if (!out) throw std::runtime_error(std::string("cannot write ") + argv[2]);
  } catch (const std::exception& error) {
    std::cerr << argv[1] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
