// Room: tests. Where the published bAbI files are: $MNEME_DATA/babi/en, else ../shared/data/babi/en from the sources.
// They are data beside the project; a test that needs them skips where they are not.
#pragma once

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "places.hpp"

namespace mneme::babi {

inline std::filesystem::path published_files() {
  const char* data = std::getenv("MNEME_DATA");
  const std::filesystem::path root =
      data && *data ? std::filesystem::path(data) : std::filesystem::path(MNEME_SOURCE_DIR) / ".." / "shared" / "data";
  return (root / "babi" / "en").lexically_normal();
}

}  // namespace mneme::babi

#define MNEME_NEED_PUBLISHED_FILES()                                                                              \
  if (!std::filesystem::exists(mneme::babi::published_files()))                                                   \
  GTEST_SKIP() << fmt::format("the published stories are not there: {} (MNEME_DATA names the folder with babi/)", \
                              mneme::babi::published_files().string())
