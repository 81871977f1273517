// Room: core. Which build this is: what run.json, checkpoints, traces and `mneme --version` say of the program.
#pragma once

namespace mneme {

/// All strings are never null. git_rev is empty (and git_dirty false) where the sources are no git checkout.
struct BuildInfo {
  const char* version;     ///< "0.1.0"
  const char* git_rev;     ///< full hash of HEAD when this was built
  bool git_dirty;          ///< the tree differed from HEAD
  const char* compiler;    ///< "GNU 12.2.0"
  const char* flags;       ///< as every file was compiled
  const char* build_type;  ///< "Release"
};

const BuildInfo& build_info();

}  // namespace mneme
