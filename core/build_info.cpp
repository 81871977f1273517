// Room: core. The only file that includes the headers CMake writes, so that a commit recompiles this alone.
#include "core/build_info.hpp"

#include "build_config.hpp"
#include "build_revision.hpp"

namespace mneme {

const BuildInfo& build_info() {
  static const BuildInfo info{MNEME_VERSION,  MNEME_GIT_REVISION, MNEME_GIT_DIRTY,
                              MNEME_COMPILER, MNEME_FLAGS,        MNEME_BUILD_TYPE};
  return info;
}

}  // namespace mneme
