/// What a worker process does.
#pragma once

#include "worker_process.hpp"

namespace levee::tests {

/// Its exit code.
int work(const worker_orders& orders);

}  // namespace levee::tests
