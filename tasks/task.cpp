#include "tasks/task.hpp"

namespace mneme {

Registry<TaskPlugin>& tasks() {
  static Registry<TaskPlugin> registry("task");
  return registry;
}

}  // namespace mneme
