/// What tests of redis::store against a real Redis begin with.
#pragma once

#include <memory>
#include <string_view>

#include "levee/redis/store.hpp"
#include "redis_fixture.hpp"

namespace levee::tests {

inline remote_entry entry_of(std::string_view text, duration fresh, duration stale = {}) {
    remote_entry made;
    const bytes_view raw = as_bytes(text);
    made.payload.assign(raw.begin(), raw.end());
    made.fresh_left = fresh;
    made.stale_left = stale;
    return made;
}

class redis_store : public redis_fixture {
protected:
    std::shared_ptr<redis::store> make(const redis::store_options& options = {}) {
        return std::make_shared<redis::store>(connect(), options);
    }
};

}  // namespace levee::tests
