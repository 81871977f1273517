// Room: core. Json: read and written in one place, so that one file alone compiles the library's parser and printer.
//
// Who makes or looks into a Json includes <nlohmann/json.hpp> by this header; headers name it by
// <nlohmann/json_fwd.hpp> as nlohmann::ordered_json.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mneme {

/// Keys stay in the order in which they were written.
using Json = nlohmann::ordered_json;

/// is_discarded() where the text is no JSON or has something after its end.
Json parse_json(std::string_view text);
/// As parse_json(), of a file; is_discarded() where it cannot be read, too.
Json read_json(const std::filesystem::path& path);
/// As parse_json(), but `watch` is asked at each event, and the library's exceptions say what is wrong.
Json parse_json(std::string_view text, const Json::parser_callback_t& watch);

/// On one line, or indented. Bytes that are no UTF-8 become U+FFFD: a file's name can hold them, JSON cannot.
std::string json_text(const Json& json, int indent = -1);

/// null where there is no value
template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace mneme
